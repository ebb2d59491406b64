"""Getting tasks to the workers: at once on submission, and by the sweeper for whatever was left.

The task is its own outbox: `due_at` stands in the sparse index until the queue has taken the message. So one
mechanism serves a crash between write and send, a retry after a delay, a held schedule, a lapsed lease
and the next look at the works list. A message may come twice: claims are conditional, so a second one does
nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.clock import Clock, from_rfc3339, utc_now
from chalicelib.errors import GaveUp, PublisherError, StateConflict
from chalicelib.publishing import states
from chalicelib.publishing.states import State

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from chalicelib.publishing.store import TaskStore
    from chalicelib.publishing.task import Task

logger = logging.getLogger(__name__)

# A worker that disappears this often takes the task down with it: the task is the likely cause.
MAX_CRASHES = 3

# Until the message of an uncertain task has led to a look at the works list, it is sent again this often.
RECONCILE_RESEND = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Dispatcher:
    store: TaskStore
    sqs: SQSClient
    queue_url: str
    clock: Clock = utc_now

    def send(self, task: Task) -> Task:
        """Puts a queued task's message on the queue, then takes the task out of the outbox.

        A crash in between sends it once more, later.
        """
        self._put(task)
        try:
            return self.store.postpone(task, None)
        except StateConflict:
            return self.store.get(task.id)  # A worker was quicker: the outbox is its own by now.

    def sweep(self) -> int:
        """Does whatever is due now, and returns how many tasks it did something for.

        A task that cannot be handled is logged and left for the next sweep: it must not hide the others.
        """
        handled = 0
        for task_id in self.store.due(self.clock()):
            try:
                self._handle(self.store.get(task_id))
                handled += 1
            except StateConflict as conflict:
                logger.info("task %s changed while it was swept: %s", task_id, conflict.detail)
            except PublisherError:
                logger.exception("task %s could not be swept", task_id)
        return handled

    def _handle(self, task: Task) -> None:
        now = self.clock()
        if task.due_at is None or from_rfc3339(task.due_at) > now:
            return  # The index lags behind the table.
        match task.state:
            case State.SCHEDULED:
                self.send(self.store.move(task.id, states.FALL_DUE, due_at=now))
            case State.QUEUED:
                self.send(task)
            case State.RUNNING if task.crashes >= MAX_CRASHES:
                error = GaveUp(f"The worker disappeared {task.crashes} times while it held the task.")
                self.store.move(task.id, states.FAIL, epoch=task.epoch, error=error.describe())
            case State.RUNNING:
                self.send(self.store.move(task.id, states.RECOVER, epoch=task.epoch, due_at=now))
            case State.SUBMITTING:
                doubted = self.store.move(task.id, states.DOUBT, epoch=task.epoch, due_at=now)
                self._reconcile(doubted)
            case State.OUTCOME_UNKNOWN:
                self._reconcile(task)
            case _:
                self.store.postpone(task, None)

    def _reconcile(self, task: Task) -> None:
        self._put(task)
        self.store.postpone(task, self.clock() + RECONCILE_RESEND)

    def _put(self, task: Task) -> None:
        self.sqs.send_message(
            QueueUrl=self.queue_url,
            MessageBody=json.dumps({"task_id": task.id}),
            MessageGroupId=message_group(task.submission.account_name),
            # Two sends of the same version are one message; after any write to the task it is another.
            MessageDeduplicationId=f"{task.id}-{task.version}",
        )


def message_group(account_name: str) -> str:
    """One group an account, so that an account publishes one work at a time. A hash, because a group id takes
    ASCII only (SQS API reference, SendMessage).
    """
    return hashlib.sha256(account_name.encode()).hexdigest()
