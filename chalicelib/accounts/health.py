"""How often an account's session is looked at, and what becomes of looks that could not tell.

Proof changes an account's state at once: the platform's own word that somebody is logged in, that nobody is, or
that the owner must verify the identity. What proves nothing (no answer, an unreadable one, a captcha) is doubt.
It is kept beside the state and makes it `unknown` only when it lasts.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from chalicelib.clock import from_rfc3339, to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

# A session that nobody could tell about is looked at again so soon, then twice as late each time.
DOUBT_PAUSE: Final = timedelta(minutes=30)

# Doubt for as long as this, with as many looks, makes the state `unknown`.
UNKNOWN_AFTER: Final = timedelta(hours=24)
UNKNOWN_LOOKS: Final = 3

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


def next_check(name: str, seen_at: datetime, every: timedelta) -> datetime | None:
    """When an account that was seen alive at `seen_at` is looked at next; None where checks are switched off.

    Each name has a place of its own within the period, so that accounts that logged in together are not checked
    together. The wait is more than half a period, and one and a half at most.
    """
    if not every:
        return None
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    place = every * (digest / 2**64)
    earliest = seen_at + every / 2
    return earliest + every - (earliest - _EPOCH - place) % every


def next_check_in_doubt(doubt: Mapping[str, Any], every: timedelta) -> datetime | None:
    """When a session that the last looks could not tell about is looked at next."""
    if not every:
        return None
    pause = DOUBT_PAUSE
    for _ in range(1, doubt["looks"]):
        pause = min(pause * 2, every)
    return from_rfc3339(doubt["at"]) + min(pause, every)


def doubted(doubt: Mapping[str, Any] | None, seen: str, now: datetime) -> dict[str, Any]:
    """The doubt after one more look that could not tell: {"since", "at", "looks", "seen"}."""
    at = to_rfc3339(now)
    before = doubt or {"since": at, "looks": 0}
    return {"since": before["since"], "at": at, "looks": before["looks"] + 1, "seen": seen}


def lasts(doubt: Mapping[str, Any]) -> bool:
    """Whether the doubt has gone on for so long that the state is unknown."""
    time = from_rfc3339(doubt["at"]) - from_rfc3339(doubt["since"])
    return bool(time >= UNKNOWN_AFTER and doubt["looks"] >= UNKNOWN_LOOKS)
