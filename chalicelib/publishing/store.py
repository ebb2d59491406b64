"""Tasks in DynamoDB. Every write is one conditional update, on state and, for a worker, on its epoch."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from chalicelib.clock import Clock, to_rfc3339, utc_now
from chalicelib.dynamodb import ConditionFailed, Table, Update, transact
from chalicelib.errors import Fenced, StateConflict, TaskNotFound
from chalicelib.outbox import Outbox
from chalicelib.publishing import states
from chalicelib.publishing.listing import listed
from chalicelib.publishing.states import HELD, State
from chalicelib.publishing.task import Task
from chalicelib.trace import carried

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from chalicelib.dynamodb import Write
    from chalicelib.publishing.states import Move

# The value of the sparse index' hash key. One partition takes 1,000 writes a second: 80 million a day.
DUE = "due"


class TaskStore:
    """Raises TaskNotFound for an unknown id, StateConflict for a move that the state does not allow, and
    Fenced where the caller's epoch is not the task's any more.
    """

    def __init__(
        self, client: DynamoDBClient, table: str, clock: Clock = utc_now, *, outbox: Outbox | None = None
    ) -> None:
        self._table = Table(client, table, "id")
        self._clock = clock
        self._outbox = outbox or Outbox("task")

    def create(self, task: Task, *beside: Write) -> None:
        """Stores a new task and what goes with it, all or nothing. Raises TransactionRefused: the task is the
        first of the writes.
        """
        owed = self._outbox.owed_by_new(f"task.{task.state}", self._clock())
        item = {**task.to_item(), **listed(task), **owed}
        transact(self._table.client, [self._table.putting(item), *beside])
        self._outbox.written(self._table, task.id, item)

    def get(self, task_id: str) -> Task:
        task = self.find(task_id)
        if task is None:
            raise TaskNotFound(f"There is no task {task_id!r}.")
        return task

    def find(self, task_id: str) -> Task | None:
        item = self._table.get(task_id)
        if item is None or "submission" not in item:  # The mark of a claimed work is no task.
            return None
        return Task.from_item(item)

    def move(
        self,
        task_id: str,
        move: Move,
        *,
        epoch: int | None = None,
        due_at: datetime | None = None,
        entry: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Task:
        """Makes a move and, in the same write, the changes; `entry` goes to the timeline.

        `due_at` is when something has to be done next, if nothing happens before: every state that goes on by
        itself needs one. A change to None removes the attribute.
        """
        if (due_at is not None) is not move.target.watched:
            raise TypeError(f"the move {move.name!r} {'needs' if move.target.watched else 'takes no'} due_at")
        update = self._moving(move, epoch).set(**changes)
        if move.action is not None:
            update.set(**carried())
        if move.voids:
            update.set(intent=None)
        if not move.target.held:
            update.set(verification=None, sealed_code=None)
        if entry is not None:
            update.append("timeline", entry)
        return self._write(task_id, self._due(update, due_at), move)

    def claim(self, task_id: str, *, lease_until: datetime) -> Task:
        """Makes the claiming move: the epoch goes up by one, and the lease runs."""
        update = self._moving(states.CLAIM).set(lease_until=to_rfc3339(lease_until), held=None)
        update.add("epoch", 1).add("crashes", 1)
        return self._write(task_id, self._due(update, lease_until), states.CLAIM)

    def renew(self, task: Task, *, lease_until: datetime, progress: dict[str, Any] | None) -> Task:
        """A sign of life of the worker that holds the task."""
        update = Update().set(lease_until=to_rfc3339(lease_until), progress=progress)
        return self._write_held(task, self._due(update, lease_until), HELD)

    def hand_over(self, task_id: str, sealed_code: str, *, entry: dict[str, Any] | None = None) -> Task:
        """Keeps the code that a person gave until the worker has taken it. The worker's lease runs on."""
        update = self._moving(states.ANSWER).set(sealed_code=sealed_code)
        if entry is not None:
            update.append("timeline", entry)
        return self._write(task_id, update, states.ANSWER)

    def take_code(self, task: Task, move: Move, *, lease_until: datetime, **changes: Any) -> Task:
        """Goes on with the code of `task`, which is gone with the same write. Fenced where another one has been
        handed over meanwhile.
        """
        update = self._moving(move, task.epoch).set(sealed_code=None, **changes)
        update.when("sealed_code", "=", task.sealed_code)
        update.set(lease_until=to_rfc3339(lease_until))
        return self._write(task.id, self._due(update, lease_until), move)

    def claim_work(self, item_id: str, task_id: str) -> bool:
        """Notes that a work of the platform is this task's; False where it is another one's already.

        So one work never proves two tasks, even where they have the same title.
        """
        update = Update().set(task_id=task_id)
        owner = update.name("task_id")
        update.conditions.append(f"(attribute_not_exists({owner}) OR {owner} = {update.value(task_id)})")
        try:
            self._table.update(f"work:{item_id}", update)
        except ConditionFailed:
            return False
        return True

    def release_work(self, item_id: str, task_id: str) -> None:
        """Takes the note of `claim_work` back, where it is this task's."""
        with contextlib.suppress(ConditionFailed):
            self._table.update(f"work:{item_id}", Update().set(task_id=None).when("task_id", "=", task_id))

    def record(self, task: Task, entry: dict[str, Any]) -> Task:
        """Appends an entry to the timeline of the task that the caller holds, or held last."""
        if not task.has_room:
            return task
        return self._write_held(task, Update().append("timeline", entry), tuple(State))

    def bill(self, task_id: str, *, ms: int, memory_mb: int, machine: str) -> None:
        """Adds what an invocation used. No write of anybody is in its way or minds it: it only counts, whatever
        state and epoch the task has by then.
        """
        update = Update().add("billed_ms", ms).add("billed_mb_ms", ms * memory_mb).add("invocations", 1)
        with contextlib.suppress(ConditionFailed):  # The task is gone.
            self._table.update(task_id, update.set(machine=machine).when_exists("submission"))

    def postpone(self, task: Task, due_at: datetime | None, **changes: Any) -> Task:
        """Sets when the task is looked at next, without a move; only if nobody has written it since."""
        update = self._due(Update().set(**changes), due_at).when("version", "=", task.version)
        return self._write(task.id, update)

    def due(self, now: datetime) -> Iterator[str]:
        """Ids of the tasks for which something has to be done by now, the longest overdue first."""
        pages = self._table.client.get_paginator("query").paginate(
            TableName=self._table.name,
            IndexName="due",
            KeyConditionExpression="outbox = :due AND due_at <= :now",
            ExpressionAttributeValues={":due": {"S": DUE}, ":now": {"S": to_rfc3339(now)}},
        )
        for page in pages:
            for item in page["Items"]:
                yield item["id"]["S"]

    def _moving(self, move: Move, epoch: int | None = None) -> Update:
        """The conditions of the table, the new state, and the event that it owes."""
        update = Update().set(state=str(move.target))
        if move.event is not None:
            self._outbox.owe(update, move.event, self._clock())
        update.when_one_of("state", tuple(str(state) for state in move.sources))
        if move.fenced:
            if epoch is None:
                raise TypeError(f"the move {move.name!r} needs an epoch")
            update.when("epoch", "=", epoch)
        if move.intent is True:
            update.when_exists("intent")
        if move.intent is False:
            update.when_absent("intent")
        return update

    @staticmethod
    def _due(update: Update, due_at: datetime | None) -> Update:
        if due_at is None:
            return update.set(outbox=None, due_at=None)
        return update.set(outbox=DUE, due_at=to_rfc3339(due_at))

    def _write_held(self, task: Task, update: Update, held: tuple[State, ...]) -> Task:
        update.when("epoch", "=", task.epoch).when_one_of("state", tuple(map(str, held)))
        return self._write(task.id, update)

    def _write(self, task_id: str, update: Update, move: Move | None = None) -> Task:
        update.set(updated_at=to_rfc3339(self._clock())).add("version", 1).when_exists("id")
        try:
            item = self._table.update(task_id, update)
        except ConditionFailed as failure:
            if failure.item is None:
                raise TaskNotFound(f"There is no task {task_id!r}.") from failure
            task = Task.from_item(failure.item)
            if any(condition.startswith("#epoch ") for condition in update.conditions):
                raise Fenced(f"Task {task_id} is {task.state} in epoch {task.epoch} now.") from failure
            raise conflict(task, move) from failure
        self._outbox.written(self._table, task_id, item, update)
        return Task.from_item(item)


def conflict(task: Task, move: Move | None) -> StateConflict:
    """What to say where a task does not allow a move: its state, and what it does allow."""
    what = f"the move {move.name!r}" if move else "this write"
    why = f"Task {task.id} is {task.state}, which does not allow {what}"
    if move is not None and task.state in move.sources and move.intent is not None:
        why += ": it may have been published" if task.intent else ": nothing was submitted"
    allowed = f"It allows: {', '.join(task.actions)}." if task.actions else "It allows nothing any more."
    return StateConflict(f"{why}. {allowed}", state=str(task.state), allowed=list(task.actions))
