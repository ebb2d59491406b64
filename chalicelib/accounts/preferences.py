"""What an account prefers where a task says nothing, the limits that it keeps, and how its browser appears.

    default_tags, default_claim_type, manual_review     stand in for the fields of a task
    visibility, allow_save                              settings of the site that a task has no field for
    daily_cap, min_spacing_minutes                      how much and how often is published
    time_zone                                           an IANA name: of schedule_time, daily_cap, the browser
    proxy, user_agent, locale                           the browser's way out, and what it tells of itself

An absent member is no preference. The edge validates them; they are stored as they came, but for the proxy,
which is `{"url"}` or `{"url", "credentials"}`: a text that only the browser functions can open
(`chalicelib/sealing.py`). It holds the url, too: a password goes to no proxy but the one it was given
for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from chalicelib.clock import SHANGHAI

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import tzinfo

    from chalicelib.sealing import Sealer

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


def time_zone(preferences: Mapping[str, Any]) -> tzinfo:
    """The zone in which the account's people read a clock."""
    name = preferences.get("time_zone")
    return ZoneInfo(name) if name else SHANGHAI


def merged(preferences: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The preferences after a merge patch (RFC 7396): a null takes a member away, in the proxy as well. A proxy
    with another url starts without credentials.
    """
    both = {**preferences, **changes}
    if proxy := changes.get("proxy"):
        before = preferences.get("proxy", {})
        kept = before if before.get("url") == proxy["url"] else {}
        both["proxy"] = _without_nulls({**kept, **proxy})
    return _without_nulls(both)


def sealed(changes: Mapping[str, Any], account_name: str, sealer: Sealer) -> dict[str, Any]:
    """The changes as they may be stored: a proxy's `username` and `password` become its `credentials`."""
    proxy = changes.get("proxy")
    if not proxy or "username" not in proxy:
        return dict(changes)
    credentials = None
    if proxy["username"] is not None:
        credentials = sealer.seal(json.dumps(proxy), "proxy", account_name)
    return {**changes, "proxy": {"url": proxy["url"], "credentials": credentials}}


def shown(preferences: Mapping[str, Any]) -> dict[str, Any]:
    """The preferences for whoever asks: of a proxy's credentials only whether there are any."""
    if "proxy" not in preferences:
        return dict(preferences)
    proxy = preferences["proxy"]
    return {**preferences, "proxy": {"url": proxy["url"], "has_credentials": "credentials" in proxy}}


def _without_nulls(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
