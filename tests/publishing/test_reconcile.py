"""What a look at the works list makes of an uncertain task."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError

from chalicelib.clock import from_rfc3339, to_rfc3339
from chalicelib.errors import AccountNotFound, PageTimeout
from chalicelib.publishing import states
from chalicelib.publishing.states import State
from container.douyin.works import WorkSummary
from container.jobs import reconcile as reconciler
from tests.publishing.support import claim, intend, move, uncertain

if TYPE_CHECKING:
    from chalicelib.publishing.task import Task
    from tests.publishing.conftest import Desk

pytestmark = pytest.mark.system

TITLE = "Video Title"


def work(item_id: str, at: datetime, *, title: str = TITLE, duration_ms: int | None = None) -> WorkSummary:
    return WorkSummary(item_id, title, at, duration_ms, "审核中")


@pytest.fixture
def look(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets the reconciler look at a list (or fail to), and returns what has become of the task."""

    def look(task: Task, found: list[WorkSummary] | Exception) -> Task:
        async def read(*_: Any) -> list[WorkSummary]:
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(reconciler, "_look", read)
        ground: Any = SimpleNamespace(accounts=desk.accounts, clock=desk.clock)
        asyncio.run(reconciler.reconcile(ground, desk.tasks, desk.tasks.get(task.id)))
        return desk.tasks.get(task.id)

    return look


def test_a_work_in_the_list_settles_the_task(desk: Desk, look: Any) -> None:
    task = uncertain(desk)

    settled = look(task, [work("71", desk.clock())])

    assert settled.state is State.PUBLISHED
    assert settled.result["item_id"] == "71"
    assert settled.error is None


@pytest.mark.parametrize(
    "other",
    [
        {"title": "Another Title"},
        {"at": timedelta(minutes=-5)},
        {"item_id": "known"},
        {"duration_ms": 9_000},
    ],
    ids=lambda value: next(iter(value)),
)
def test_a_work_that_differs_settles_nothing(desk: Desk, look: Any, other: dict[str, Any]) -> None:
    held = claim(desk, desk.desk.submit(desk.submission()).id)
    task = move(desk, intend(desk, held, works=["known"], duration_ms=6_000), states.DOUBT)
    found = {"item_id": "71", "title": TITLE, "duration_ms": 6_300, **other}

    seen = look(
        task,
        [
            work(
                found["item_id"],
                desk.clock() + other.get("at", timedelta(0)),
                title=found["title"],
                duration_ms=found["duration_ms"],
            )
        ],
    )

    assert (seen.state, seen.checks) == (State.OUTCOME_UNKNOWN, 1)


@pytest.mark.parametrize("duration_ms", [None, 5_200, 6_900])
def test_a_length_that_is_not_told_or_nearly_the_same_fits(
    desk: Desk, look: Any, duration_ms: int | None
) -> None:
    held = claim(desk, desk.desk.submit(desk.submission()).id)
    task = move(desk, intend(desk, held, duration_ms=6_000), states.DOUBT)

    assert look(task, [work("71", desk.clock(), duration_ms=duration_ms)]).state is State.PUBLISHED


def test_blanks_that_the_site_drops_make_no_other_title(desk: Desk, look: Any) -> None:
    task = uncertain(desk, title="两个  空格 ")

    assert look(task, [work("71", desk.clock(), title="两个 空格")]).state is State.PUBLISHED


def test_of_two_uncertain_tasks_with_one_title_each_gets_a_work_of_its_own(desk: Desk, look: Any) -> None:
    first, second = uncertain(desk), uncertain(desk)
    works = [work("72", desk.clock() + timedelta(seconds=40)), work("71", desk.clock())]

    assert look(first, works).result["item_id"] == "71"
    assert look(second, works).result["item_id"] == "72"


def booked(desk: Desk, task: Task) -> Task:
    """As a worker books its task's place before it claims it."""
    account = desk.accounts.get(desk.account_name)
    assert desk.accounts.book(account, {**account.bookings, task.id: to_rfc3339(desk.clock())})
    return task


def test_a_work_is_left_to_the_task_that_was_about_to_click_when_it_was_made(desk: Desk, look: Any) -> None:
    """The first wrote its intent and died before the click; the second has the same title, and clicked."""
    first = booked(desk, uncertain(desk))
    desk.clock.advance(minutes=10)
    second = booked(desk, uncertain(desk))
    works = [work("72", desk.clock() + timedelta(seconds=5))]

    for _ in range(6):
        desk.clock.advance(minutes=10)
        first = look(first, works)
    assert (first.state, first.checks) == (State.OUTCOME_UNKNOWN, 0)
    assert look(second, works).result["item_id"] == "72"
    for _ in range(5):
        first = look(first, works)
    assert first.state is State.FAILED


def test_a_work_of_a_task_that_a_person_called_live_without_naming_it_proves_no_other(
    desk: Desk, look: Any
) -> None:
    first, second = booked(desk, uncertain(desk)), booked(desk, uncertain(desk))
    works = [work("71", desk.clock() + timedelta(seconds=5))]
    desk.desk.resolve(first.id, live=True)

    assert look(second, works).state is State.OUTCOME_UNKNOWN
    both = [*works, work("72", desk.clock() + timedelta(seconds=50))]
    assert look(second, both).result["item_id"] == "72"


def test_an_older_work_is_the_older_tasks(desk: Desk, look: Any) -> None:
    first = booked(desk, uncertain(desk))
    works = [work("71", desk.clock() + timedelta(seconds=5))]
    desk.clock.advance(minutes=10)
    booked(desk, uncertain(desk))

    assert look(first, works).result["item_id"] == "71"


def test_one_work_does_not_prove_two_tasks(desk: Desk, look: Any) -> None:
    first, second = uncertain(desk), uncertain(desk)
    works = [work("71", desk.clock())]

    assert look(first, works).state is State.PUBLISHED
    assert look(second, works).state is State.OUTCOME_UNKNOWN


def test_a_task_is_missed_only_after_enough_looks_and_enough_time(desk: Desk, look: Any) -> None:
    task = uncertain(desk)
    looks = 0
    while task.state is State.OUTCOME_UNKNOWN:
        desk.clock.now = max(desk.clock(), from_rfc3339(task.due_at or ""))
        task = look(task, [])
        looks += 1

    assert (task.state, task.error and task.error["code"]) == (State.FAILED, "publish.not_published")
    assert looks >= len(reconciler.CHECK_DELAYS)
    assert task.intent is not None
    assert desk.clock() >= from_rfc3339(task.intent["at"]) + reconciler.ABSENT_AFTER
    assert task.actions == ("resolve",)


def test_a_code_that_was_entered_late_is_waited_for_as_long(desk: Desk, look: Any) -> None:
    held = intend(desk, claim(desk, desk.desk.submit(desk.submission()).id))
    assert held.intent is not None
    renewed = (desk.clock() + timedelta(minutes=12)).isoformat()
    task = move(desk, held, states.DOUBT, intent={**held.intent, "renewed_at": renewed}, checks=10)
    desk.clock.advance(minutes=25)

    assert look(task, []).state is State.OUTCOME_UNKNOWN
    desk.clock.advance(minutes=10)
    assert look(task, []).state is State.FAILED


def test_looks_that_fail_count_for_nothing_and_grow_rarer(desk: Desk, look: Any) -> None:
    task = uncertain(desk)
    delays = []
    for _ in range(8):
        task = look(task, PageTimeout("slow"))
        delays.append(from_rfc3339(task.due_at or "") - desk.clock())
        desk.clock.advance(hours=2)

    assert (task.state, task.checks) == (State.OUTCOME_UNKNOWN, 0)
    assert delays == sorted(delays)
    assert delays[-1] == timedelta(hours=1)


def test_a_list_that_does_not_reach_back_to_the_intent_proves_no_absence(desk: Desk, look: Any) -> None:
    task = uncertain(desk)
    desk.clock.advance(hours=1)
    newer = [work(str(number), desk.clock(), title="another") for number in range(50)]
    for _ in range(10):
        task = look(task, newer)
    assert (task.state, task.checks) == (State.OUTCOME_UNKNOWN, 0)

    older = work("older", desk.clock() - timedelta(hours=2), title="another")
    for _ in range(5):
        task = look(task, [*newer, older])
    assert task.state is State.FAILED


def test_without_an_account_a_person_tells_or_the_account_comes_back(desk: Desk, look: Any) -> None:
    task = look(uncertain(desk), AccountNotFound())

    assert (task.state, task.actions) == (State.OUTCOME_UNKNOWN, ("resolve",))
    assert "deleted" in task.error["detail"]
    assert task.due_at is not None
    assert look(task, [work("71", desk.clock())]).state is State.PUBLISHED
    assert desk.desk.resolve(look(uncertain(desk), AccountNotFound()).id, live=False).state is State.FAILED


def test_a_table_that_fails_is_a_look_that_failed(desk: Desk, look: Any) -> None:
    task = look(uncertain(desk), EndpointConnectionError(endpoint_url="https://s3"))

    assert (task.state, task.checks, task.failed_checks) == (State.OUTCOME_UNKNOWN, 0, 1)
    assert from_rfc3339(task.due_at or "") > desk.clock()


def test_an_uncertain_task_that_a_person_settled_meanwhile_stays_settled(desk: Desk, look: Any) -> None:
    task = uncertain(desk)
    desk.desk.resolve(task.id, live=True)

    assert look(task, PageTimeout("slow")).state is State.PUBLISHED
