"""The flow limit of one action: so many requests in any one second."""

from __future__ import annotations

from collections import deque


class FlowLimit:
    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self.peak = 0
        """Most requests, refused ones included, in any one second so far."""
        self._accepted: deque[float] = deque()
        self._arrived: deque[float] = deque()

    def admit(self, now: float) -> bool:
        """Counts a request at `now` (seconds on a monotonic clock); False if it is one too many."""
        for times in (self._accepted, self._arrived):
            while times and times[0] <= now - 1:
                times.popleft()
        self._arrived.append(now)
        self.peak = max(self.peak, len(self._arrived))
        if len(self._accepted) >= self.per_second:
            return False
        self._accepted.append(now)
        return True
