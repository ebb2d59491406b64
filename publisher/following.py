"""Watching a task until it is over, and what its end means for whoever waits."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from publisher.errors import Exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.client import Client, Document

POLL_SECONDS = 1.0

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d+[smhd])+")
LONGEST = 100 * 86400


def parse_duration(text: str) -> int:
    """Seconds: "90s", "30m", "1h30m", "2d". ValueError, in words that follow the option's name."""
    parts = re.findall(r"(\d+)([smhd])", text) if _DURATION.fullmatch(text) and text.isascii() else []
    seconds = sum(int(number[:12]) * _UNITS[unit] for number, unit in parts)
    if not 0 < seconds <= LONGEST:
        raise ValueError("must be a duration such as 90s, 30m, 1h30m or 2d, of at most 100 days")
    return seconds


def ending(task: Document) -> Exit | None:
    """How a task has ended; None while it goes on by itself.

    A failed task that may be resolved was submitted, and nobody has said since whether it is live.
    """
    match task["state"]:
        case "published":
            return Exit.DONE
        case "failed":
            return Exit.OUTCOME_UNKNOWN if "resolve" in task["allowed"] else Exit.FAILED
        case "canceled":
            return Exit.FAILED
        case "awaiting_review" | "needs_verification":
            return Exit.NEEDS_PERSON
        case _:
            return None


def follow(
    client: Client,
    task_id: str,
    *,
    show: Callable[[Document], None],
    seconds: float | None = None,
    ask: Callable[[Document], None] | None = None,
    pause: Callable[[float], object] = time.sleep,
) -> tuple[Document, Exit]:
    """Looks at the task, and shows it, until it ends, needs a person, or the time is over (None: never).

    `ask` asks a person for the code that a task waits for, where there is one to ask, and waits a moment.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        task = client.task(task_id)
        show(task)
        asking = ask is not None and task["state"] == "needs_verification"
        ended = None if asking else ending(task)
        if ended is not None:
            return task, ended
        if deadline is not None and time.monotonic() >= deadline:
            unknown = task["state"] == "outcome_unknown"
            return task, Exit.OUTCOME_UNKNOWN if unknown else Exit.NOT_FINISHED
        if asking and ask is not None:
            ask(task)
        else:
            pause(POLL_SECONDS)
