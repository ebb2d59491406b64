"""When an article is looked at again: soon while it is young, then ever more seldom, and never all at once."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

AGES: Final = (
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=1),
    timedelta(days=3),
    timedelta(days=7),
    timedelta(days=14),
)
PERIOD: Final = timedelta(days=30)
"""Between the checks of an article that is older than the last of `AGES`."""

_SPREAD: Final = 0.2
"""Articles of one page share their age. Each check comes later by up to this part of it, or of `PERIOD`."""


def next_check(group_id: str, since: datetime, now: datetime) -> datetime:
    """The first check after `now` of an article whose age counts from `since`.

    Ages that passed while nobody looked are passed over: one look makes up for all of them.
    """
    delay = _SPREAD * _place(group_id)
    for age in AGES:
        due = since + age + age * delay
        if due > now:
            return due
    first = since + AGES[-1] + PERIOD + PERIOD * delay
    periods = 0 if first > now else (now - first) // PERIOD + 1
    return first + periods * PERIOD


def _place(group_id: str) -> float:
    """The article's own place in [0, 1)."""
    return int.from_bytes(hashlib.sha256(group_id.encode()).digest()[:6], "big") / 2**48
