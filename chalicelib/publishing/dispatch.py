"""Getting tasks to the workers: at once on submission, and by the sweeper for whatever was left.

The task is its own outbox: `due_at` stands in the sparse index until the queue has taken the message. So one
mechanism serves a crash between write and send, a retry after a delay, a held schedule, a lapsed lease
and the next look at the works list. A message may come twice: claims are conditional, so a second one does
nothing.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.accounts.store import message_group
from chalicelib.clock import Clock, from_rfc3339, utc_now
from chalicelib.errors import DeadLetter, GaveUp, OutcomeUnknown, StateConflict, TaskNotFound
from chalicelib.publishing import states
from chalicelib.publishing.states import State
from chalicelib.trace import bound, carried

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_sqs import SQSClient

    from chalicelib.publishing.store import TaskStore
    from chalicelib.publishing.task import Task

logger = logging.getLogger(__name__)

# A worker that disappears this often takes the task down with it: the task is the likely cause.
MAX_CRASHES = 3

# Until the message of an uncertain task has led to a look at the works list, it is sent again this often.
RECONCILE_RESEND = timedelta(minutes=10)

# A message that no worker could handle, for a task that none could claim: the workers themselves are broken.
# The task is sent again after a pause, and a longer one; with the last of so many dead letters it fails.
MAX_DEAD_LETTERS = 3
DEAD_LETTER_PAUSE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Dispatcher:
    store: TaskStore
    sqs: SQSClient
    queue_url: str
    clock: Clock = utc_now

    def send(self, task: Task) -> Task:
        """Puts a queued task's message on the queue, then takes the task out of the outbox.

        A crash in between sends it once more, later. A queue or table that fails here fails nobody's request:
        the task is stored, stays in the outbox, and the sweeper sends it.
        """
        try:
            self._put(task)
            return self.store.postpone(task, None)
        except StateConflict:
            return self.store.get(task.id)  # A worker was quicker: the outbox is its own by now.
        except (BotoCoreError, ClientError):
            logger.warning("a task is left to the sweeper", extra={"task_id": task.id}, exc_info=True)
            return task

    def sweep(self) -> int:
        """Does whatever is due now, and returns how many tasks it did something for.

        A task that cannot be handled is logged and left for the next sweep: it must not hide the others.
        """
        handled = 0
        for task_id in self.store.due(self.clock()):
            with bound(task_id=task_id):
                try:
                    self._handle(self.store.get(task_id))
                    handled += 1
                except StateConflict:
                    logger.info("a task changed while it was swept")
                except Exception:  # An item that cannot be read, too: it comes first in every sweep.
                    logger.exception("a task could not be swept")
        return handled

    def bury(self, task_id: str) -> None:
        """Deals with a message that came to the dead-letter queue. Only a task that still waits for a worker
        needs anything: a claimed one has its lease, an uncertain one its next look.
        """
        try:
            task = self.store.get(task_id)
            if task.state is not State.QUEUED:
                return
            letters, now = task.dead_letters + 1, self.clock()
            if letters < MAX_DEAD_LETTERS:
                self.store.postpone(task, now + DEAD_LETTER_PAUSE * letters, dead_letters=letters)
                return
            error = DeadLetter(f"Its message was given up by the queue {letters} times.")
            entry = task.entry("bury", now, error.detail)
            self.store.move(task_id, states.BURY, entry=entry, error=error.describe(), dead_letters=letters)
        except (StateConflict, TaskNotFound) as gone:
            found = {"task_id": task_id, "code": gone.code}
            logger.info("the dead letter of a task needs nothing", extra=found)

    def _handle(self, task: Task) -> None:
        now = self.clock()
        if task.due_at is None or from_rfc3339(task.due_at) > now:
            return  # The index lags behind the table.
        match task.state:
            case State.SCHEDULED:
                self.send(self.store.move(task.id, states.FALL_DUE, due_at=now))
            case State.QUEUED:
                self.send(task)
            case state if state.held:
                self._end_lease(task, now)
            case State.OUTCOME_UNKNOWN:
                self._reconcile(task)
            case _:
                self.store.postpone(task, None)

    def _end_lease(self, task: Task, now: datetime) -> None:
        """The worker is gone. What it had written decides: with an intent nobody knows, without one it was not
        submitted.
        """
        lost = f"The worker disappeared in epoch {task.epoch}."
        if task.intent is not None:
            doubt = OutcomeUnknown(f"{lost} It may have published the work.")
            entry = task.entry("doubt", now, doubt.detail)
            doubted = self.store.move(
                task.id,
                states.DOUBT,
                epoch=task.epoch,
                due_at=now,
                entry=entry,
                error=doubt.describe(),
                progress=None,
            )
            self._reconcile(doubted)
        elif task.crashes >= MAX_CRASHES:
            error = GaveUp(f"The worker disappeared {task.crashes} times while it held the task.")
            entry = task.entry("fail", now, error.detail)
            self.store.move(
                task.id, states.FAIL, epoch=task.epoch, entry=entry, error=error.describe(), progress=None
            )
        else:
            entry = task.entry("recover", now, lost)
            recovered = self.store.move(
                task.id, states.RECOVER, epoch=task.epoch, due_at=now, entry=entry, progress=None
            )
            self.send(recovered)

    def _reconcile(self, task: Task) -> None:
        self._put(task)
        self.store.postpone(task, self.clock() + RECONCILE_RESEND)

    def _put(self, task: Task) -> None:
        self.sqs.send_message(
            QueueUrl=self.queue_url,
            MessageBody=json.dumps({"task_id": task.id, **carried(task.request_id)}),
            MessageGroupId=message_group(task.submission.account_name),
            # Two sends of the same version are one message; after any write to the task it is another.
            MessageDeduplicationId=f"{task.id}-{task.version}",
        )
