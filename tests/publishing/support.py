"""Bringing a task into a state, by the moves that lead there."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.clock import to_rfc3339
from chalicelib.errors import NotPublished, PlatformRejected
from chalicelib.publishing import states
from chalicelib.publishing.states import State

if TYPE_CHECKING:
    from chalicelib.publishing.states import Move
    from chalicelib.publishing.task import Task
    from tests.publishing.conftest import Desk

LEASE = timedelta(seconds=60)


def claim(desk: Desk, task_id: str) -> Task:
    return desk.tasks.claim(task_id, lease_until=desk.clock() + LEASE)


def move(desk: Desk, task: Task, made: Move, **changes: Any) -> Task:
    """A worker's move."""
    if made.target.watched:
        changes.setdefault("due_at", desk.clock() + LEASE)
    return desk.tasks.move(task.id, made, epoch=task.epoch, **changes)


def intend(desk: Desk, task: Task, **intent: Any) -> Task:
    return move(desk, task, states.INTEND, intent={"at": to_rfc3339(desk.clock()), "works": [], **intent})


def uncertain(desk: Desk, **fields: Any) -> Task:
    """A task whose click was never answered."""
    held = claim(desk, desk.desk.submit(desk.submission(**fields)).id)
    return move(desk, intend(desk, held), states.DOUBT)


def task_in(desk: Desk, state: State, *, intended: bool) -> Task:
    if state is State.SCHEDULED:
        at = desk.clock() + timedelta(minutes=30)
        return desk.desk.submit(desk.submission(schedule_time=at.isoformat()))
    queued = desk.desk.submit(desk.submission())
    if state is State.QUEUED:
        return queued
    if state is State.CANCELED:
        return desk.desk.cancel(queued.id)
    held = claim(desk, queued.id)
    if intended:
        held = intend(desk, held)
    match state:
        case State.NEEDS_VERIFICATION:
            return move(desk, held, states.ASK, verification={"tries": 0})
        case State.AWAITING_REVIEW:
            return move(desk, held, states.REHEARSE)
        case State.OUTCOME_UNKNOWN:
            return move(desk, held, states.DOUBT)
        case State.PUBLISHED:
            return move(desk, held, states.PROVE, result={"item_id": "1"})
        case State.FAILED if intended:
            doubted = move(desk, held, states.DOUBT)
            return move(desk, doubted, states.MISS, error=NotPublished().describe())
        case State.FAILED:
            return move(desk, held, states.FAIL, error=PlatformRejected().describe())
    return held
