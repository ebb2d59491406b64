"""Schedules tick as EventBridge's rules do."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest

from local.runtime.asynchronous import AsynchronousInvoker
from local.runtime.errors import FunctionFailed
from local.runtime.schedule import Schedule, ScheduleUnsupported, SystemClock, parse_rate
from local.template import FunctionSpec
from tests.local.support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.runtime.function import LocalFunction

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


class FakeClock:
    """Time passes when the test says so."""

    def __init__(self) -> None:
        self._now = START
        self.awaited: datetime | None = None
        self._changed = threading.Condition()

    def now(self) -> datetime:
        return self._now

    def awaits(self, moment: datetime) -> bool:
        return self.awaited == moment

    def advance(self, **amount: float) -> None:
        with self._changed:
            self._now += timedelta(**amount)
            self._changed.notify_all()

    def wait_until(self, moment: datetime, stopping: threading.Event) -> bool:
        with self._changed:
            self.awaited = moment
            while self._now < moment:
                if stopping.is_set():
                    return False
                self._changed.wait(0.01)
        return not stopping.is_set()


class FakeFunction:
    """Notes its events; fails as often as it is told to; holds while `gate` is closed."""

    def __init__(self, *, failures: int = 0, concurrency: int = 1) -> None:
        self.spec = FunctionSpec("scan", "x.y", 1, 1)
        self.concurrency = concurrency
        self.events: list[dict[str, Any]] = []
        self.gate = threading.Event()
        self.gate.set()
        self._failures = failures
        self._slots = threading.Semaphore(concurrency)

    def invoke(self, event: dict[str, Any], *, request_id: str | None = None) -> None:
        with self._slots:
            self.events.append(event)
            self.gate.wait(10)
            if self._failures:
                self._failures -= 1
                raise FunctionFailed("LookupError", "nothing here")

    @property
    def times(self) -> list[str]:
        return [event["time"] for event in self.events]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def running() -> Iterator[list[Schedule]]:
    started: list[Schedule] = []
    yield started
    for schedule in started:
        schedule.stop()


def start(
    function: FakeFunction, clock: FakeClock, running: list[Schedule], *, tick_at_start: bool = False
) -> AsynchronousInvoker:
    invoker = AsynchronousInvoker(retry_delays=(0, 0))
    schedule = Schedule(
        cast("LocalFunction", function),
        "rate(5 minutes)",
        invoker,
        tick_at_start=tick_at_start,
        clock=clock,
    )
    running.append(schedule)
    schedule.start()
    return invoker


def test_the_first_tick_comes_one_period_after_the_start(clock: FakeClock, running: list[Schedule]) -> None:
    function = FakeFunction()
    start(function, clock, running)
    clock.advance(minutes=4, seconds=59)
    assert function.events == []
    clock.advance(seconds=1)
    eventually(lambda: function.times == ["2026-11-21T09:05:00Z"])
    clock.advance(minutes=5)
    eventually(lambda: function.times[1:] == ["2026-11-21T09:10:00Z"])


def test_a_tick_at_the_start_can_be_asked_for(clock: FakeClock, running: list[Schedule]) -> None:
    function = FakeFunction()
    start(function, clock, running, tick_at_start=True)
    eventually(lambda: function.times == ["2026-11-21T09:00:00Z"])


def test_the_event_has_eventbridges_shape(clock: FakeClock, running: list[Schedule]) -> None:
    function = FakeFunction()
    start(function, clock, running, tick_at_start=True)
    (event,) = eventually(lambda: function.events)
    assert len(event.pop("id")) == 36
    assert event == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": "2026-11-21T09:00:00Z",
        "region": "us-east-1",
        "resources": ["arn:aws:events:us-east-1:000000000000:rule/scan"],
        "detail": {},
    }


def test_ticks_missed_while_the_machine_slept_are_not_made_up_for(
    clock: FakeClock, running: list[Schedule]
) -> None:
    function = FakeFunction(concurrency=5)
    start(function, clock, running)
    clock.advance(hours=3)
    eventually(lambda: len(function.events) == 2)  # the one that was due, and the present one
    clock.advance(minutes=5)
    eventually(lambda: function.times[2:] == ["2026-11-21T12:05:00Z"])


def test_ticks_do_not_overlap_beyond_the_concurrency_nor_pile_up(
    clock: FakeClock, running: list[Schedule], caplog: pytest.LogCaptureFixture
) -> None:
    function = FakeFunction(concurrency=1)
    function.gate.clear()
    start(function, clock, running)
    for number in range(1, 5):
        due = START + timedelta(minutes=5 * number)
        eventually(partial(clock.awaits, due))
        clock.advance(minutes=5)
    # One runs, one waits for it, two are left out.
    eventually(lambda: sum("left out" in message for message in caplog.messages) == 2)
    assert len(function.events) == 1
    function.gate.set()
    eventually(lambda: len(function.events) == 2)


@pytest.mark.parametrize(("failures", "tries"), [(1, 2), (2, 3), (9, 3)])
def test_a_failing_tick_is_tried_twice_more_at_most(
    clock: FakeClock, running: list[Schedule], failures: int, tries: int, caplog: pytest.LogCaptureFixture
) -> None:
    function = FakeFunction(failures=failures)
    invoker = start(function, clock, running, tick_at_start=True)
    eventually(lambda: len(function.events) == tries)
    invoker.stop()
    assert len(function.events) == tries
    assert len({event["id"] for event in function.events}) == 1
    assert ("given up" in caplog.text) == (failures >= 3)


@pytest.mark.parametrize(
    ("expression", "period"),
    [
        ("rate(1 minute)", timedelta(minutes=1)),
        ("rate(5 minutes)", timedelta(minutes=5)),
        ("rate(1 hour)", timedelta(hours=1)),
        ("rate(7 days)", timedelta(days=7)),
    ],
)
def test_rates_are_read(expression: str, period: timedelta) -> None:
    assert parse_rate(expression) == period


@pytest.mark.parametrize(
    "expression",
    ["rate(1 minutes)", "rate(5 minute)", "rate(0 minutes)", "rate(5 weeks)", "5 minutes", "cron(0 9 * * ? *)"],
)
def test_what_is_no_rate_is_refused(expression: str) -> None:
    with pytest.raises(ScheduleUnsupported):
        parse_rate(expression)


def test_the_systems_clock_waits_and_can_be_stopped() -> None:
    clock, stopping = SystemClock(), threading.Event()
    assert clock.wait_until(clock.now() + timedelta(milliseconds=20), stopping)
    threading.Timer(0.05, stopping.set).start()
    assert not clock.wait_until(clock.now() + timedelta(hours=1), stopping)
