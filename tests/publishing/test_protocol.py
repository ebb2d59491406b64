"""The task protocol on the real store: claims, fencing, the outbox and the sweeper."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError

from chalicelib.accounts.store import message_group
from chalicelib.errors import AccountNotFound, Fenced, LoginRequired, StateConflict, TaskNotFound
from chalicelib.publishing import dispatch, states
from chalicelib.publishing.states import State
from chalicelib.publishing.store import TaskStore
from tests.publishing.support import LEASE, claim, intend

if TYPE_CHECKING:
    from chalicelib.publishing.task import Task
    from tests.publishing.conftest import Desk

pytestmark = pytest.mark.system


def test_a_submitted_task_is_on_the_queue_and_out_of_the_outbox(desk: Desk) -> None:
    task = desk.desk.submit(desk.submission())

    assert desk.sent() == [task.id]
    assert list(desk.tasks.due(desk.clock())) == []


def test_a_task_whose_message_was_never_sent_is_sent_by_the_sweeper(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(dispatch.Dispatcher, "_put", _killed)
        with pytest.raises(SystemExit):
            desk.desk.submit(desk.submission())

    assert desk.dispatcher.sweep() == 1
    (task_id,) = desk.sent()
    assert desk.tasks.get(task_id).state is State.QUEUED
    assert desk.dispatcher.sweep() == 0


@pytest.mark.parametrize("failing", ["the queue", "the table"])
def test_a_queue_or_table_that_fails_after_the_task_is_stored_fails_no_request(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """An error would invite the caller to submit once more what is going to be published."""

    def fail(*_: Any, **__: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="https://aws")

    with monkeypatch.context() as patch:
        if failing == "the queue":
            patch.setattr(dispatch.Dispatcher, "_put", fail)
        else:
            patch.setattr(TaskStore, "postpone", fail)
        task = desk.desk.submit(desk.submission())

    assert task.state is State.QUEUED
    desk.dispatcher.sweep()
    assert desk.sent() == [task.id]


def test_a_task_that_was_sent_but_not_taken_out_of_the_outbox_is_claimed_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(TaskStore, "postpone", _killed)
        with pytest.raises(SystemExit):
            desk.desk.submit(desk.submission())
    desk.dispatcher.sweep()

    # The queue drops the second message of the same version.
    (task_id,) = desk.sent()
    claim(desk, task_id)
    with pytest.raises(StateConflict):
        claim(desk, task_id)


def test_of_many_claims_at_once_one_wins(desk: Desk) -> None:
    task = desk.desk.submit(desk.submission())

    def attempt(_: int) -> bool:
        try:
            claim(desk, task.id)
        except StateConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(16))) == 1
    assert desk.tasks.get(task.id).epoch == 1


def test_a_worker_whose_lease_lapsed_is_fenced_off_and_the_task_runs_again(desk: Desk) -> None:
    task = desk.desk.submit(desk.submission())
    desk.sent()
    lost = claim(desk, task.id)

    desk.clock.advance(seconds=61)
    desk.dispatcher.sweep()
    assert desk.sent() == [task.id]
    second = claim(desk, task.id)

    assert second.epoch == lost.epoch + 1
    with pytest.raises(Fenced):
        intend(desk, lost)
    with pytest.raises(Fenced):
        desk.tasks.record(lost, {"name": "late"})
    with pytest.raises(Fenced):
        desk.tasks.renew(lost, lease_until=desk.clock() + LEASE, progress=None)
    assert intend(desk, second).state is State.SUBMITTING


def test_a_sign_of_life_keeps_the_lease(desk: Desk) -> None:
    held = claim(desk, desk.desk.submit(desk.submission()).id)
    desk.clock.advance(seconds=50)
    desk.tasks.renew(held, lease_until=desk.clock() + LEASE, progress={"step": "upload", "percent": 40})
    desk.clock.advance(seconds=50)

    assert desk.dispatcher.sweep() == 0
    task = desk.tasks.get(held.id)
    assert (task.state, task.progress) == (State.RUNNING, {"step": "upload", "percent": 40})


def test_a_worker_lost_after_the_intent_leaves_the_outcome_unknown_and_nothing_is_clicked_again(
    desk: Desk,
) -> None:
    task = desk.desk.submit(desk.submission())
    desk.sent()
    intend(desk, claim(desk, task.id))

    desk.clock.advance(seconds=61)
    desk.dispatcher.sweep()

    assert desk.tasks.get(task.id).state is State.OUTCOME_UNKNOWN
    assert desk.sent() == [task.id]  # The reconciler's message.
    with pytest.raises(StateConflict):
        claim(desk, task.id)


def test_an_uncertain_task_is_looked_at_again_until_it_is_settled(desk: Desk) -> None:
    task = desk.desk.submit(desk.submission())
    intend(desk, claim(desk, task.id))
    desk.clock.advance(seconds=61)
    desk.dispatcher.sweep()
    desk.sent()

    desk.clock.advance(minutes=11)
    desk.dispatcher.sweep()
    assert desk.sent() == [task.id]

    settled = desk.tasks.move(task.id, states.PROVE, epoch=1, result={"item_id": "1"})
    assert settled.state is State.PUBLISHED
    desk.clock.advance(hours=1)
    assert desk.dispatcher.sweep() == 0


def test_a_task_that_takes_its_workers_down_fails_after_three_crashes(desk: Desk) -> None:
    task = desk.desk.submit(desk.submission())
    for _ in range(dispatch.MAX_CRASHES):
        claim(desk, task.id)
        desk.clock.advance(seconds=61)
        desk.dispatcher.sweep()

    failed = desk.tasks.get(task.id)
    assert failed.state is State.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "publish.gave_up"


def test_a_task_that_is_retried_waits_for_its_time(desk: Desk) -> None:
    task = desk.desk.submit(desk.submission())
    held = claim(desk, task.id)
    desk.sent()
    desk.tasks.move(
        task.id, states.BACK_OFF, epoch=held.epoch, due_at=desk.clock() + timedelta(seconds=30), attempts=1
    )

    assert desk.dispatcher.sweep() == 0
    desk.clock.advance(seconds=31)
    assert desk.dispatcher.sweep() == 1
    assert desk.sent() == [task.id]


def test_a_held_task_is_sent_when_its_time_comes(desk: Desk) -> None:
    at = desk.clock() + timedelta(minutes=30)
    task = desk.desk.submit(desk.submission(schedule_time=at.isoformat()))

    assert task.state is State.SCHEDULED
    assert desk.dispatcher.sweep() == 0
    desk.clock.advance(minutes=31)
    desk.dispatcher.sweep()
    assert desk.tasks.get(task.id).state is State.QUEUED
    assert desk.sent() == [task.id]


@pytest.mark.parametrize("cause", [TaskNotFound("gone"), ValueError("no State"), KeyError("submission")])
def test_one_task_that_cannot_be_swept_does_not_hide_the_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, cause: Exception
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(dispatch.Dispatcher, "_put", _killed)
        for _ in range(2):
            with pytest.raises(SystemExit):
                desk.desk.submit(desk.submission())
    first, second = desk.tasks.due(desk.clock())
    real_get = TaskStore.get

    def get(store: TaskStore, task_id: str) -> Task:
        if task_id == first:
            raise cause
        return real_get(store, task_id)

    monkeypatch.setattr(TaskStore, "get", get)

    assert desk.dispatcher.sweep() == 1
    assert desk.sent() == [second]


def test_tasks_of_one_account_share_a_message_group_and_others_do_not() -> None:
    assert message_group("我的账号") == message_group("我的账号")
    assert message_group("a") != message_group("b")


def test_only_accounts_that_are_logged_in_can_submit(desk: Desk) -> None:
    with pytest.raises(AccountNotFound):
        desk.desk.submit(replace(desk.submission(), account_name="nobody"))
    desk.accounts.mark_expired(desk.accounts.get(desk.account_name), "The page asks to log in.")
    with pytest.raises(LoginRequired):
        desk.desk.submit(desk.submission())


def test_the_timeline_is_bounded(desk: Desk) -> None:
    held = claim(desk, desk.desk.submit(desk.submission()).id)
    held = replace(held, timeline=[{"name": "x"}] * 200)

    assert desk.tasks.record(held, {"name": "one too many"}) is held


def _killed(*_: Any, **__: Any) -> None:
    raise SystemExit
