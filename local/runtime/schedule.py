"""Schedules, as EventBridge's rules tick."""

from __future__ import annotations

import logging
import re
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from local.emulator import ACCOUNT, REGION

if TYPE_CHECKING:
    from local.runtime.asynchronous import AsynchronousInvoker
    from local.runtime.function import LocalFunction

logger = logging.getLogger(__name__)

_RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)(s?)\)")


class ScheduleUnsupported(Exception):
    """The expression is none that runs locally."""


class Clock(Protocol):
    def now(self) -> datetime:
        """The time in UTC."""

    def wait_until(self, moment: datetime, stopping: threading.Event) -> bool:
        """True once `moment` has come, False as soon as `stopping` is set."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait_until(self, moment: datetime, stopping: threading.Event) -> bool:
        # In pieces, because a laptop that slept must notice that the moment has passed.
        while (left := (moment - self.now()).total_seconds()) > 0:
            if stopping.wait(min(left, 30)):
                return False
        return not stopping.is_set()


def parse_rate(expression: str) -> timedelta:
    """The period of `rate(5 minutes)`. As EventBridge wants it, the unit is singular for 1 and plural else.

    Raises ScheduleUnsupported; `cron(…)` is valid on AWS, but nothing of ours uses it and it does not run here.
    """
    if expression.startswith("cron("):
        raise ScheduleUnsupported(f"{expression} does not run locally; use rate(…), or add cron to {__name__}.")
    match = _RATE.fullmatch(expression)
    if match is None or int(match[1]) < 1 or (int(match[1]) == 1) == bool(match[3]):
        raise ScheduleUnsupported(f"{expression!r} is not an EventBridge rate such as rate(5 minutes).")
    return timedelta(**{f"{match[2]}s": int(match[1])})


class Schedule:
    """Invokes a function every period, the first time one period after the start.

    `tick_at_start` adds a tick at once: after a restart there may be work that is due. A tick whose predecessor
    still waits for the function's concurrency is left out, so that ticks do not pile up.
    """

    def __init__(
        self,
        function: LocalFunction,
        expression: str,
        invoker: AsynchronousInvoker,
        *,
        tick_at_start: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._function = function
        self._period = parse_rate(expression)
        self._invoker = invoker
        self._tick_at_start = tick_at_start
        self._clock = clock or SystemClock()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._pending = 0
        self._thread = threading.Thread(target=self._run, name=f"{function.spec.name}-schedule", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No further ticks. What is running is the invoker's."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        due = self._clock.now()
        if self._tick_at_start:
            self._tick(due)
        while True:
            due += self._period
            # The machine may have slept; EventBridge does not make up for missed ticks either.
            due = max(due, self._clock.now())
            if not self._clock.wait_until(due, self._stopping):
                return
            self._tick(due)

    def _tick(self, moment: datetime) -> None:
        with self._lock:
            if self._pending > self._function.concurrency:
                logger.warning("%s still runs; this tick is left out", self._function.spec.name)
                return
            self._pending += 1
        self._invoker.invoke(self._function, self._event(moment), done=self._done)

    def _done(self) -> None:
        with self._lock:
            self._pending -= 1

    def _event(self, moment: datetime) -> dict[str, Any]:
        """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html"""
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": ACCOUNT,
            "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": REGION,
            "resources": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{self._function.spec.name}"],
            "detail": {},
        }
