"""Keeps calls below a rate, whoever makes them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Requests that leave evenly spaced do not arrive so: 2 % of slack lets the network delay one of them by
# 20 ms within a second without the service counting one request too many.
_SLACK = 1.02


class Pacer:
    """Spaces the starts of calls by at least 1 / `per_second` seconds. Safe to share between threads.

    `monotonic` returns seconds on a clock that never goes back; `sleep` takes seconds.
    """

    def __init__(
        self,
        per_second: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = _SLACK / per_second
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next_start = float("-inf")

    def wait(self) -> None:
        """Returns when the caller may start."""
        with self._lock:
            now = self._monotonic()
            start = max(now, self._next_start)
            self._next_start = start + self._interval
        if start > now:
            self._sleep(start - now)
