"""What an account prefers where a task says nothing, and the limits that it keeps.

    default_tags, default_claim_type, manual_review     stand in for the fields of a task
    visibility, allow_save                              settings of the site that a task has no field for
    daily_cap, min_spacing_minutes                      how much and how often is published

An absent member is no preference. The edge validates them; they are stored as they came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# Which preference stands in for which field of a task.
DEFAULTS = {
    "tags": "default_tags",
    "claim_type": "default_claim_type",
    "manual_review": "manual_review",
    "visibility": "visibility",
    "allow_save": "allow_save",
}


def applied(preferences: Mapping[str, Any], given: Collection[str]) -> dict[str, Any]:
    """The fields that the preferences decide for a task that was submitted with `given` fields."""
    return {
        field: preferences[name]
        for field, name in DEFAULTS.items()
        if field not in given and name in preferences
    }


def merged(preferences: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The preferences after a merge patch (RFC 7396): a null takes a member away."""
    both = {**preferences, **changes}
    return {name: value for name, value in both.items() if value is not None}
