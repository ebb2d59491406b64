"""When a delivery that has failed is tried again: ten tries over about three days."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

DELAYS: Final = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=20),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(hours=21),
    timedelta(hours=28),
)
"""After the first try, the second, …: 71 hours in all."""

JITTER: Final = 0.1
"""Each delay is up to so much shorter or longer, that endpoints that failed together are not tried together."""

MAX_TRIES: Final = len(DELAYS) + 1

GIVE_UP_AFTER: Final = timedelta(days=4)
"""However few tries it had: an endpoint that fails is asked once a minute, whatever is owed to it."""


def delay_after(tries: int, jitter: float | None = None) -> timedelta | None:
    """How long to wait after so many tries, from 1; None after the last one. `jitter` is from -1 to 1, random
    where none is given.
    """
    if tries >= MAX_TRIES:
        return None
    spread = random.uniform(-1, 1) if jitter is None else jitter  # noqa: S311  # no secret
    return DELAYS[tries - 1] * (1 + JITTER * spread)
