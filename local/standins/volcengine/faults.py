"""Faults that the next requests meet, set through the admin routes.

throttle429     FlowLimitExceeded, HTTP 429
throttle400     AccountFlowLimitExceeded, HTTP 400
error200        any code (default InternalError) with HTTP 200, as related services do
error           any code with its own HTTP status
http500         InternalError, HTTP 500
http503         HTTP 503 with a page of HTML, as a proxy sends
slow            the right answer after `seconds`
garbage         HTTP 200 with something that is not JSON
truncated       half of the answer, then the connection is closed
reset           no answer: the connection is reset
duplicate_page  scan: the page before once more, with a token that moves on
empty_page      scan: no articles, with a token that moves on
short_page      scan: one article, where more would fit
stuck           scan: articles, with the token that was sent
silent_id       MGet: no word about the last of the ids
odd_article     MGet: a string where the first article should be
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from local.standins.volcengine.errors import ERRORS

PAGE_KINDS = frozenset({"duplicate_page", "empty_page", "short_page", "stuck"})
LOOKUP_KINDS = frozenset({"silent_id", "odd_article"})
KINDS = (
    PAGE_KINDS
    | LOOKUP_KINDS
    | {
        "throttle429",
        "throttle400",
        "error200",
        "error",
        "http500",
        "http503",
        "slow",
        "garbage",
        "truncated",
        "reset",
    }
)

# What only the other action can show.
_OTHERS = {"ScanSyncArticles": LOOKUP_KINDS, "MGetSyncArticles": PAGE_KINDS}


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str
    code: str = "InternalError"
    seconds: float = 1.0
    action: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Faults:
    """A queue: each request takes the first fault meant for its action (`ok` lets one request through)."""

    def __init__(self) -> None:
        self._queue: deque[Fault] = deque()

    def add(self, value: Any) -> None:
        """Raises ValueError for anything but {"kind", "count"?, "code"?, "seconds"?, "action"?}."""
        known = {"kind", "count", "code", "seconds", "action"}
        if not isinstance(value, dict) or not value.keys() <= known:
            raise ValueError(f"A fault is an object with members among {sorted(known)}.")
        options = dict(value)
        count = options.pop("count", 1)
        kind = options.get("kind")
        if kind not in KINDS | {"ok"}:
            raise ValueError(f"kind must be ok or one of {', '.join(sorted(KINDS))}.")
        if not isinstance(count, int) or not 1 <= count <= 10_000:
            raise ValueError("count must be a whole number from 1 to 10000.")
        fault = Fault(**options)
        if fault.code not in ERRORS:
            raise ValueError(f"code must be one of {', '.join(ERRORS)}.")
        self._queue.extend([fault] * count)

    def take(self, action: str) -> Fault | None:
        for index, fault in enumerate(self._queue):
            if fault.action in (None, action) and fault.kind not in _OTHERS[action]:
                del self._queue[index]
                return None if fault.kind == "ok" else fault
        return None

    def pending(self) -> list[dict[str, Any]]:
        return [fault.to_dict() for fault in self._queue]

    def clear(self) -> None:
        self._queue.clear()
