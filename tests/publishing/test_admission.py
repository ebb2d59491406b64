"""An account's daily cap and spacing, and what Douyin's schedule still takes, as a worker asks for its turn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.clock import SHANGHAI, from_rfc3339
from chalicelib.publishing import states
from chalicelib.publishing.admission import Admission, Limits
from chalicelib.publishing.states import State
from container.jobs.publish import _claim
from tests.publishing.support import claim, intend, move

if TYPE_CHECKING:
    from chalicelib.publishing.task import Task
    from tests.publishing.conftest import Desk

pytestmark = pytest.mark.system


def ask(desk: Desk, task: Task) -> Task:
    """A worker takes the task's message: what has become of the task."""
    ground: Any = SimpleNamespace(accounts=desk.accounts, clock=desk.clock)
    _claim(ground, desk.tasks, desk.tasks.get(task.id))
    return desk.tasks.get(task.id)


def submit(desk: Desk, **fields: Any) -> Task:
    return desk.desk.submit(desk.submission(**fields))


def test_without_preferences_nothing_is_held(desk: Desk) -> None:
    assert [ask(desk, submit(desk)).state for _ in range(5)] == [State.RUNNING] * 5


def test_beyond_the_daily_cap_a_task_waits_for_midnight_in_shanghai_and_says_why(desk: Desk) -> None:
    desk.prefer(daily_cap=2)
    assert [ask(desk, submit(desk)).state for _ in range(2)] == [State.RUNNING] * 2

    third = ask(desk, submit(desk))

    assert third.state is State.SCHEDULED
    assert third.held is not None
    assert "daily_cap" in third.held["why"]
    midnight = datetime(2026, 11, 22, tzinfo=SHANGHAI)
    assert from_rfc3339(third.held["until"]) == midnight
    assert third.timeline[-1]["name"] == "hold"
    desk.sent()
    desk.clock.now = midnight.astimezone(UTC)
    desk.dispatcher.sweep()
    assert third.id in desk.sent()
    assert ask(desk, third).state is State.RUNNING


def test_works_keep_their_distance(desk: Desk) -> None:
    desk.prefer(min_spacing_minutes=30)
    ask(desk, submit(desk))
    desk.clock.advance(minutes=10)

    second = ask(desk, submit(desk))

    assert second.held is not None
    assert from_rfc3339(second.held["until"]) == desk.clock() + timedelta(minutes=20)
    desk.clock.advance(minutes=20)
    desk.dispatcher.sweep()
    running = ask(desk, second)
    assert (running.state, running.held) == (State.RUNNING, None)


@pytest.mark.parametrize("end", ["failed", "canceled", "rejected by the platform"])
def test_a_place_is_free_again_when_its_task_ended_without_submitting(desk: Desk, end: str) -> None:
    desk.prefer(daily_cap=1)
    first = ask(desk, submit(desk))
    match end:
        case "failed":
            move(desk, first, states.FAIL)
        case "canceled":
            desk.desk.cancel(first.id)
        case _:
            move(desk, intend(desk, first), states.REFUSE)

    assert ask(desk, submit(desk)).state is State.RUNNING


def test_a_place_is_kept_by_what_was_or_may_have_been_published(desk: Desk) -> None:
    desk.prefer(daily_cap=1)
    first = intend(desk, ask(desk, submit(desk)))
    doubted = move(desk, first, states.DOUBT)
    assert ask(desk, submit(desk)).state is State.SCHEDULED
    move(desk, doubted, states.MISS)
    assert ask(desk, submit(desk)).state is State.SCHEDULED


def test_a_task_that_is_tried_again_takes_its_own_place(desk: Desk) -> None:
    desk.prefer(daily_cap=1, min_spacing_minutes=30)
    first = ask(desk, submit(desk))
    move(desk, first, states.BACK_OFF)

    assert ask(desk, first).state is State.RUNNING


def test_a_rehearsal_takes_no_place(desk: Desk) -> None:
    desk.prefer(daily_cap=1)

    assert ask(desk, submit(desk, manual_review=True)).state is State.RUNNING
    assert ask(desk, submit(desk)).state is State.RUNNING


def test_of_many_workers_at_once_no_more_get_a_place_than_there_are(desk: Desk) -> None:
    desk.prefer(daily_cap=3)
    tasks = [submit(desk) for _ in range(12)]
    admission = Admission(desk.tasks, desk.accounts, desk.clock)

    with ThreadPoolExecutor(12) as pool:
        holds = list(pool.map(admission.decide, tasks))

    let_through = sum(hold is None for hold in holds)
    assert 1 <= let_through <= 3
    assert len(desk.accounts.get(desk.account_name).bookings) == let_through


def test_what_douyins_schedule_takes_no_more_is_kept_by_us(desk: Desk) -> None:
    at = desk.clock() + timedelta(hours=3)
    task = submit(desk, schedule_time=at.isoformat())
    assert task.platform_schedule
    desk.clock.advance(hours=1)

    held = ask(desk, task)

    assert (held.state, held.platform_schedule) == (State.SCHEDULED, False)
    assert held.held is not None
    assert from_rfc3339(held.held["until"]) == at
    desk.clock.now = at
    desk.dispatcher.sweep()
    assert ask(desk, held).state is State.RUNNING


def test_a_work_that_douyin_schedules_counts_for_the_day_and_the_minute_at_which_it_appears(desk: Desk) -> None:
    desk.prefer(daily_cap=2, min_spacing_minutes=60)
    tomorrow = (desk.clock() + timedelta(days=1)).replace(hour=4)
    submitted = [submit(desk, schedule_time=tomorrow.isoformat()) for _ in range(3)]

    first, second, third = (ask(desk, task) for task in submitted)
    now = ask(desk, submit(desk))

    assert (first.state, first.platform_schedule) == (State.RUNNING, True)
    assert (second.state, second.platform_schedule) == (State.SCHEDULED, False)
    assert from_rfc3339((second.held or {})["until"]) == tomorrow + timedelta(hours=1)
    assert third.state is State.SCHEDULED
    assert now.state is State.RUNNING
    near = submit(desk, schedule_time=(tomorrow + timedelta(minutes=90)).isoformat())
    assert ask(desk, near).state is State.RUNNING
    full = submit(desk, schedule_time=(tomorrow + timedelta(hours=5)).isoformat())
    held = ask(desk, full)
    assert (held.held or {})["why"].startswith("The account's daily_cap")


def test_what_is_reviewed_is_filled_in_at_once_and_held_once_it_is_approved(desk: Desk) -> None:
    at = desk.clock() + timedelta(minutes=45)
    task = submit(desk, schedule_time=at.isoformat(), manual_review=True)
    assert task.state is State.QUEUED

    rehearsed = move(desk, ask(desk, task), states.REHEARSE)
    desk.desk.approve(rehearsed.id)
    held = ask(desk, rehearsed)

    assert (held.state, (held.held or {})["until"]) == (State.SCHEDULED, held.publish_at)
    desk.clock.now = at
    desk.dispatcher.sweep()
    assert ask(desk, held).state is State.RUNNING


def test_a_review_for_which_douyins_schedule_comes_too_late_is_still_filled_in_at_once(desk: Desk) -> None:
    at = desk.clock() + timedelta(hours=3)
    task = submit(desk, schedule_time=at.isoformat(), manual_review=True)
    desk.clock.advance(hours=1)

    held = ask(desk, task)
    desk.dispatcher.sweep()
    rehearsed = move(desk, ask(desk, held), states.REHEARSE)
    desk.desk.approve(rehearsed.id)

    assert from_rfc3339((ask(desk, rehearsed).held or {})["until"]) == at


@pytest.mark.parametrize("preferences", [{}, {"daily_cap": None}, {"daily_cap": "3"}, {"daily_cap": 0}])
def test_what_is_no_limit_limits_nothing(preferences: dict[str, Any]) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)

    assert Limits.of(preferences).hold([now] * 100, now) is None


def test_the_day_is_shanghais(desk: Desk) -> None:
    limits = Limits.of({"daily_cap": 1})
    before_midnight = datetime(2026, 11, 21, 15, 59, tzinfo=UTC)  # 23:59 in Shanghai

    assert limits.hold([before_midnight], before_midnight + timedelta(minutes=1)) is None
    assert limits.hold([before_midnight], before_midnight + timedelta(seconds=30)) is not None


def test_the_day_is_that_of_the_accounts_time_zone(desk: Desk) -> None:
    limits = Limits.of({"daily_cap": 1, "time_zone": "America/New_York"})
    before_midnight = datetime(2026, 11, 22, 4, 59, tzinfo=UTC)  # 23:59 in New York

    assert limits.hold([before_midnight], before_midnight + timedelta(minutes=1)) is None
    hold = limits.hold([before_midnight], before_midnight + timedelta(seconds=30))
    assert hold is not None
    assert hold.until == before_midnight + timedelta(minutes=1)


def test_a_booking_that_is_claimed_by_a_quicker_worker_is_the_same_booking(desk: Desk) -> None:
    desk.prefer(daily_cap=1)
    task = submit(desk)
    admission = Admission(desk.tasks, desk.accounts, desk.clock)
    assert admission.decide(task) is None
    assert admission.decide(task) is None

    claim(desk, task.id)
    assert list(desk.accounts.get(desk.account_name).bookings) == [task.id]
