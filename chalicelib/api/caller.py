"""Who sends the current request."""

from __future__ import annotations


def caller_id() -> str:
    """An id of the caller that never changes, whatever key it uses today."""
    return "local"
