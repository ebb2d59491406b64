"""What people can do to a task in each state: what the table allows, and a clear no to everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from chalicelib.errors import LoginRequired, StateConflict
from chalicelib.publishing import states
from chalicelib.publishing.states import Action, State, actions
from chalicelib.publishing.store import TaskStore
from tests.publishing.support import claim, intend, move, task_in, uncertain

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.publishing.submission import TaskDesk
    from chalicelib.publishing.task import Task
    from tests.publishing.conftest import Desk

pytestmark = pytest.mark.system

SITUATIONS = [
    (State.SCHEDULED, False),
    (State.QUEUED, False),
    (State.RUNNING, False),
    (State.NEEDS_VERIFICATION, False),
    (State.NEEDS_VERIFICATION, True),
    (State.AWAITING_REVIEW, False),
    (State.SUBMITTING, True),
    (State.OUTCOME_UNKNOWN, True),
    (State.PUBLISHED, True),
    (State.FAILED, False),
    (State.FAILED, True),
    (State.CANCELED, False),
]

DO: dict[str, Callable[[TaskDesk, str], Task]] = {
    "approve": lambda desk, task_id: desk.approve(task_id),
    "reject": lambda desk, task_id: desk.reject(task_id),
    "cancel": lambda desk, task_id: desk.cancel(task_id),
    "retry": lambda desk, task_id: desk.retry(task_id),
    "verification": lambda desk, task_id: desk.verify(task_id, "123456"),
    "resolve": lambda desk, task_id: desk.resolve(task_id, live=True),
}


def test_every_action_of_the_table_is_tried_here() -> None:
    assert set(DO) == set(get_args(Action))


@pytest.mark.parametrize(("state", "intended"), SITUATIONS)
@pytest.mark.parametrize("action", DO)
def test_an_action_is_carried_out_or_refused_with_the_state_and_what_it_allows(
    desk: Desk, state: State, intended: bool, action: str
) -> None:
    task = task_in(desk, state, intended=intended)
    assert (task.state, task.intent is not None) == (state, intended)
    allowed = actions(state, intended=intended)

    if action in allowed:
        done = DO[action](desk.desk, task.id)
        targets = {made.target for made in states.MOVES if made.action == action and state in made.sources}
        assert done.state in targets
        return
    with pytest.raises(StateConflict) as refused:
        DO[action](desk.desk, task.id)

    says = refused.value.detail
    assert f"is {state}," in says
    assert all(name in says.partition("allows: ")[2] for name in allowed)
    assert desk.tasks.get(task.id) == task


def test_a_canceled_task_is_not_claimed_by_the_message_that_is_still_under_way(desk: Desk) -> None:
    task = desk.desk.submit(desk.submission())
    canceled = desk.desk.cancel(task.id)

    assert canceled.error is not None
    assert canceled.error["code"] == "publish.canceled"
    assert desk.sent() == [task.id]
    with pytest.raises(StateConflict):
        claim(desk, task.id)
    assert desk.dispatcher.sweep() == 0


def test_a_worker_whose_task_was_canceled_cannot_write_the_intent(desk: Desk) -> None:
    held = claim(desk, desk.desk.submit(desk.submission()).id)
    desk.desk.cancel(held.id)

    with pytest.raises(StateConflict):
        intend(desk, held)


def test_a_retried_task_starts_afresh_with_all_its_tries(desk: Desk) -> None:
    held = claim(desk, desk.desk.submit(desk.submission()).id)
    failed = move(desk, held, states.FAIL, attempts=2, error={"code": "x"})
    desk.sent()

    again = desk.desk.retry(failed.id)

    assert (again.state, again.attempts, again.crashes, again.error) == (State.QUEUED, 0, 0, None)
    assert desk.sent() == [failed.id]
    assert claim(desk, failed.id).epoch == held.epoch + 1


def test_what_was_submitted_is_retried_only_after_a_person_has_denied_it(desk: Desk) -> None:
    task = task_in(desk, State.FAILED, intended=True)
    with pytest.raises(StateConflict, match="may have been published"):
        desk.desk.retry(task.id)

    denied = desk.desk.resolve(task.id, live=False)

    assert (denied.state, denied.intent) == (State.FAILED, None)
    assert desk.desk.retry(task.id).state is State.QUEUED


def test_a_person_who_found_the_work_settles_the_task_with_its_address(desk: Desk) -> None:
    task = uncertain(desk)

    settled = desk.desk.resolve(task.id, live=True, item_id="7412345678901234567")

    assert settled.state is State.PUBLISHED
    assert settled.result is not None
    assert settled.result["url"] == "https://www.douyin.com/video/7412345678901234567"
    assert (settled.error, settled.due_at) == (None, None)


def test_a_work_that_is_another_tasks_already_settles_nothing(desk: Desk) -> None:
    first, second = uncertain(desk), uncertain(desk)
    desk.desk.resolve(first.id, live=True, item_id="71")

    with pytest.raises(StateConflict, match="another task's"):
        desk.desk.resolve(second.id, live=True, item_id="71")
    assert desk.tasks.get(second.id).state is State.OUTCOME_UNKNOWN


def test_a_work_that_was_named_in_vain_is_still_its_own_tasks(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = uncertain(desk), uncertain(desk)
    real = TaskStore.claim_work

    def settled_meanwhile(store: TaskStore, item_id: str, task_id: str) -> bool:
        taken = real(store, item_id, task_id)
        move(desk, first, states.PROVE, result={"item_id": "70"})
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(TaskStore, "claim_work", settled_meanwhile)
        with pytest.raises(StateConflict):
            desk.desk.resolve(first.id, live=True, item_id="71")

    assert desk.desk.resolve(second.id, live=True, item_id="71").state is State.PUBLISHED


def test_what_people_did_stands_in_the_timeline_and_the_code_does_not(desk: Desk) -> None:
    task = task_in(desk, State.NEEDS_VERIFICATION, intended=False)
    given = desk.desk.verify(task.id, "918273")
    canceled = desk.desk.cancel(task.id)

    assert [entry["name"] for entry in canceled.timeline] == ["answer", "cancel"]
    assert "sealed_code" in given.to_item()
    assert "918273" not in str(given.to_item())
    assert canceled.sealed_code is None
    assert "918273" not in str(desk.tasks.get(task.id).to_item())


@pytest.mark.parametrize(("state", "action"), [(State.AWAITING_REVIEW, "approve"), (State.FAILED, "retry")])
def test_a_task_of_a_logged_out_account_is_not_sent_on(desk: Desk, state: State, action: str) -> None:
    task = task_in(desk, state, intended=False)
    desk.accounts.mark_expired(desk.accounts.get(desk.account_name), "The page asks to log in.")

    with pytest.raises(LoginRequired):
        DO[action](desk.desk, task.id)
    assert desk.tasks.get(task.id).state is state
