"""Tasks in DynamoDB. Every write is one conditional update, on state and, for a worker, on its epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.clock import Clock, to_rfc3339, utc_now
from chalicelib.dynamodb import ConditionFailed, Table, Update
from chalicelib.errors import Fenced, StateConflict, TaskNotFound
from chalicelib.publishing.states import State
from chalicelib.publishing.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from chalicelib.publishing.states import Move

# The value of the sparse index' hash key. One partition takes 1,000 writes a second: 80 million a day.
DUE = "due"

# A timeline longer than this is a task that loops; the item must stay far below DynamoDB's 400 KB.
MAX_TIMELINE = 200


class TaskStore:
    """Raises TaskNotFound for an unknown id, StateConflict for a move that the state does not allow, and
    Fenced where the caller's epoch is not the task's any more.
    """

    def __init__(self, client: DynamoDBClient, table: str, clock: Clock = utc_now) -> None:
        self._table = Table(client, table, "id")
        self._clock = clock

    def create(self, task: Task) -> None:
        self._table.put_new(task.to_item())

    def get(self, task_id: str) -> Task:
        item = self._table.get(task_id)
        if item is None:
            raise TaskNotFound(f"There is no task {task_id!r}.")
        return Task.from_item(item)

    def move(
        self,
        task_id: str,
        move: Move,
        *,
        epoch: int | None = None,
        due_at: datetime | None = None,
        **changes: Any,
    ) -> Task:
        """Makes a move and, in the same write, the changes.

        `due_at` is when something has to be done next; without it the task leaves the index. A change to None
        removes the attribute.
        """
        update = Update().set(state=str(move.target), **changes)
        update.when_one_of("state", tuple(str(state) for state in move.sources))
        if move.fenced:
            if epoch is None:
                raise TypeError(f"the move {move.name!r} needs an epoch")
            update.when("epoch", "=", epoch)
        return self._write(task_id, self._due(update, due_at), wanted=f"{move.name} it")

    def claim(self, task_id: str, move: Move, *, lease_until: datetime) -> Task:
        """Makes the claiming move: the epoch goes up by one, and the lease runs."""
        update = Update().set(state=str(move.target), lease_until=to_rfc3339(lease_until))
        update.add("epoch", 1).add("crashes", 1)
        update.when_one_of("state", tuple(str(state) for state in move.sources))
        return self._write(task_id, self._due(update, lease_until), wanted=f"{move.name} it")

    def renew(self, task: Task, *, lease_until: datetime, progress: dict[str, Any] | None) -> Task:
        """A sign of life of the worker that holds the task."""
        update = Update().set(lease_until=to_rfc3339(lease_until), progress=progress)
        return self._write_held(task, self._due(update, lease_until), (State.RUNNING, State.SUBMITTING))

    def record(self, task: Task, entry: dict[str, Any]) -> Task:
        """Appends an entry to the timeline of the task that the caller holds, or held last."""
        if len(task.timeline) >= MAX_TIMELINE:
            return task
        return self._write_held(task, Update().append("timeline", entry), tuple(State))

    def postpone(self, task: Task, due_at: datetime | None, **changes: Any) -> Task:
        """Sets when the task is looked at next, without a move; only if nobody has written it since."""
        update = self._due(Update().set(**changes), due_at).when("version", "=", task.version)
        return self._write(task.id, update, wanted="put it off")

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

    @staticmethod
    def _due(update: Update, due_at: datetime | None) -> Update:
        if due_at is None:
            return update.set(outbox=None, due_at=None)
        return update.set(outbox=DUE, due_at=to_rfc3339(due_at))

    def _write_held(self, task: Task, update: Update, states: tuple[State, ...]) -> Task:
        update.when("epoch", "=", task.epoch).when_one_of("state", tuple(map(str, states)))
        return self._write(task.id, update, wanted="write to it")

    def _write(self, task_id: str, update: Update, *, wanted: str) -> Task:
        update.set(updated_at=to_rfc3339(self._clock())).add("version", 1).when_exists("id")
        try:
            return Task.from_item(self._table.update(task_id, update))
        except ConditionFailed as failure:
            if failure.item is None:
                raise TaskNotFound(f"There is no task {task_id!r}.") from failure
            task = Task.from_item(failure.item)
            if any(condition.startswith("#epoch ") for condition in update.conditions):
                raise Fenced(
                    f"Task {task_id} is {task.state} in epoch {task.epoch} now.", state=str(task.state)
                ) from failure
            raise StateConflict(
                f"Task {task_id} is {task.state}: it is too late, or too early, to {wanted}.",
                state=str(task.state),
            ) from failure
