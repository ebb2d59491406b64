"""Keeps calls below a rate at whoever counts them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# In any second, its ends included, there are no more calls than the limit.
_SECOND = 1.001


class Pacer:
    """Lets `per_second` calls arrive in any second, however unevenly the network carries them.

    Calls that leave evenly spaced do not arrive so. But a call has arrived before its answer is here, so the
    one that comes `per_second` calls later leaves a second after that answer. Beside that, starts are evenly
    spaced, so that there are no bursts.

    One call at a time; threads wait for each other. `monotonic` returns seconds on a clock that never goes
    back; `sleep` takes seconds.
    """

    def __init__(
        self,
        per_second: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = 1 / per_second
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next_start = float("-inf")
        self._ends: deque[float] = deque([float("-inf")] * per_second, maxlen=per_second)

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """Waits until a call may start; it lasts until the context is left."""
        with self._lock:
            now = self._monotonic()
            start = max(now, self._next_start, self._ends[0] + _SECOND)
            if start > now:
                self._sleep(start - now)
            self._next_start = start + self._interval
            try:
                yield
            finally:
                self._ends.append(self._monotonic())
