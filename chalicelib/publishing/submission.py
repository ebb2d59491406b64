"""What a caller does with tasks: submit one, and decide about one that waits for a review."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.clock import Clock, to_rfc3339, utc_now
from chalicelib.errors import ReviewRejected, ValidationFailed
from chalicelib.publishing import states
from chalicelib.publishing.schedule import parse_schedule_time, plan
from chalicelib.publishing.states import State
from chalicelib.publishing.store import DUE
from chalicelib.publishing.task import Submission, Task

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.accounts.store import AccountStore
    from chalicelib.publishing.dispatch import Dispatcher
    from chalicelib.publishing.store import TaskStore


@dataclass(frozen=True, slots=True)
class TaskDesk:
    """The use cases of tasks, over the stores that they need."""

    tasks: TaskStore
    accounts: AccountStore
    dispatcher: Dispatcher
    clock: Clock = utc_now

    def submit(self, submission: Submission) -> Task:
        """Accepts a work for publishing. Once this returns, the task is stored and will be carried out.

        Raises AccountNotFound, LoginRequired, and ValidationFailed for a schedule_time that cannot be kept.
        """
        now = self.clock()
        self.accounts.get(submission.account_name).require_login()
        schedule = None
        if submission.schedule_time is not None:
            try:
                schedule = plan(parse_schedule_time(submission.schedule_time), now)
            except ValueError as error:
                raise ValidationFailed(
                    f"schedule_time cannot be kept: {error}.",
                    errors=[{"pointer": "/schedule_time", "detail": f"{error}; give a time in the future"}],
                ) from error
        held = schedule is not None and not schedule.platform_schedule
        due_at: datetime = schedule.publish_at if schedule and held else now
        task = Task(
            id=str(uuid.uuid4()),
            state=State.SCHEDULED if held else State.QUEUED,
            submission=submission,
            created_at=to_rfc3339(now),
            updated_at=to_rfc3339(now),
            publish_at=to_rfc3339(schedule.publish_at) if schedule else None,
            platform_schedule=bool(schedule and schedule.platform_schedule),
            outbox=DUE,
            due_at=to_rfc3339(due_at),
        )
        self.tasks.create(task)
        return task if held else self.dispatcher.send(task)

    def approve(self, task_id: str) -> Task:
        """Lets a reviewed task run to the end. StateConflict where it does not wait for a review."""
        approved = self.tasks.move(task_id, states.APPROVE, due_at=self.clock(), approved=True)
        return self.dispatcher.send(approved)

    def reject(self, task_id: str) -> Task:
        """Ends a task that waits for a review. StateConflict where it does not."""
        return self.tasks.move(task_id, states.REJECT, error=ReviewRejected().describe())
