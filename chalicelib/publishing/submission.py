"""What a caller does with tasks: submit one, and whatever a person decides about it later."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from chalicelib.accounts.preferences import applied, time_zone
from chalicelib.clock import Clock, to_rfc3339, utc_now
from chalicelib.dynamodb import TransactionRefused
from chalicelib.errors import (
    Canceled,
    MediaError,
    NotPublished,
    RequestInProgress,
    ReviewRejected,
    StateConflict,
    Unavailable,
    ValidationFailed,
)
from chalicelib.publishing import states
from chalicelib.publishing.duplicates import content_id
from chalicelib.publishing.schedule import is_local, parse_schedule_time, plan
from chalicelib.publishing.states import State
from chalicelib.publishing.store import DUE, conflict
from chalicelib.publishing.task import Submission, Task, work_url
from chalicelib.trace import request_id
from chalicelib.uploads.desk import is_upload

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from chalicelib.accounts.store import AccountStore
    from chalicelib.dynamodb import Write
    from chalicelib.errors import PublisherError
    from chalicelib.media import Kind
    from chalicelib.publishing.dispatch import Dispatcher
    from chalicelib.publishing.duplicates import ContentGuard
    from chalicelib.publishing.states import Move
    from chalicelib.publishing.store import TaskStore
    from chalicelib.sealing import Sealer
    from chalicelib.uploads.desk import UploadDesk

# The record's place among the writes of `TaskStore.create`.
_RECORD = 2

# After that many lost races for the same work it is left to the caller to try again.
RACES = 20


@dataclass(frozen=True, slots=True)
class TaskDesk:
    """The use cases of tasks, over the stores that they need."""

    tasks: TaskStore
    accounts: AccountStore
    dispatcher: Dispatcher
    uploads: UploadDesk
    sealer: Sealer
    guard: ContentGuard
    clock: Clock = utc_now

    def submit(
        self,
        submission: Submission,
        given: Collection[str] | None = None,
        *,
        allow_duplicate: bool = False,
        record: Callable[[Task], Write] | None = None,
    ) -> Task:
        """Accepts a work for publishing, and hands it to the workers. Raises what `accept` does."""
        task = self.accept(submission, given, allow_duplicate=allow_duplicate, record=record)
        return self.start(task)

    def accept(
        self,
        submission: Submission,
        given: Collection[str] | None = None,
        *,
        allow_duplicate: bool = False,
        record: Callable[[Task], Write] | None = None,
    ) -> Task:
        """Stores a task. Once this returns it will be carried out: at once after `start`, or by the sweeper.

        `given` are the fields that the caller named, all by default; the account's preferences decide the rest.
        `record` makes what is written together with the task, or not at all.

        Raises AccountNotFound, LoginRequired, ValidationFailed for a schedule_time that cannot be kept, what
        `UploadDesk.check` raises of an upload that the task could not use, DuplicateContent where another task
        of the last 24 hours is for the same work and `allow_duplicate` does not say that this is meant, and
        RequestInProgress where the condition of `record` does not hold.
        """
        now = self.clock()
        account = self.accounts.get(submission.account_name)
        account.require_login()
        preferred = applied(account.preferences, given) if given is not None else {}
        submission = replace(submission, **preferred)
        schedule = None
        if submission.schedule_time is not None:
            if is_local(submission.schedule_time) and "time_zone" in account.preferences:
                preferred["time_zone"] = account.preferences["time_zone"]
            try:
                zone = time_zone(account.preferences)
                schedule = plan(parse_schedule_time(submission.schedule_time, zone), now)
            except ValueError as error:
                raise ValidationFailed(
                    f"schedule_time cannot be kept: {error}.",
                    errors=[{"pointer": "/schedule_time", "detail": f"{error}; give a time in the future"}],
                ) from error
        ours = schedule is not None and not schedule.platform_schedule
        needed_at: datetime = schedule.publish_at if schedule and ours else now
        video = self._check_uploads(submission, needed_at)
        # What a person is to look at first is filled in now, and held once it is approved.
        held = ours and not submission.manual_review
        task = Task(
            id=str(uuid.uuid4()),
            state=State.SCHEDULED if held else State.QUEUED,
            submission=submission,
            applied=preferred,
            request_id=request_id(),
            created_at=to_rfc3339(now),
            updated_at=to_rfc3339(now),
            publish_at=to_rfc3339(schedule.publish_at) if schedule else None,
            platform_schedule=bool(schedule and schedule.platform_schedule),
            outbox=DUE,
            due_at=to_rfc3339(needed_at if held else now),
        )
        records = () if record is None else (record(task),)
        self._store(task, content_id(submission, video), records, allow_duplicate=allow_duplicate)
        return task

    def _store(self, task: Task, content: str, records: tuple[Write, ...], *, allow_duplicate: bool) -> None:
        for _ in range(RACES):
            watch = self.guard.watch(content, task.id, allow_duplicate=allow_duplicate)
            try:
                self.tasks.create(task, watch, *records)
            except TransactionRefused as refused:
                if self.tasks.find(task.id) is not None:
                    return  # It was written after all, by a try whose answer was lost.
                if _RECORD in refused.failed:
                    raise RequestInProgress(retry_after=1) from refused
                if not refused.failed:
                    break
            else:
                return
        raise Unavailable("Others were submitting the same work at the same moment.", retry_after=1)

    def start(self, task: Task) -> Task:
        """Hands an accepted task to the workers, unless it has to wait for its time."""
        return task if task.state is State.SCHEDULED else self.dispatcher.send(task)

    def _check_uploads(self, submission: Submission, needed_at: datetime) -> str | None:
        """The SHA-256 of the video, where it is an upload."""
        checksums: dict[str, str] = {}
        media: tuple[tuple[str, str | None, Kind], ...] = (
            ("video_url", submission.video_url, "video"),
            ("cover_path", submission.cover_path, "image"),
        )
        for field, media_url, kind in media:
            if media_url is None or not is_upload(media_url):
                continue
            try:
                checksums[field] = self.uploads.check(media_url, kind, needed_at=needed_at)
            except MediaError as error:
                error.context["errors"] = [{"pointer": f"/{field}", "detail": error.detail}]
                raise
        return checksums.get("video_url")

    def approve(self, task_id: str) -> Task:
        """Lets a reviewed task run to the end. StateConflict where it waits for no review; LoginRequired."""
        task = self._loaded(task_id, states.APPROVE)
        return self._queue(task, states.APPROVE, approved=True)

    def reject(self, task_id: str) -> Task:
        """Ends a task that waits for a review. StateConflict where it does not."""
        return self._end(task_id, states.REJECT, ReviewRejected())

    def cancel(self, task_id: str) -> Task:
        """Ends a task that has not been submitted. StateConflict where it has, or has ended."""
        return self._end(task_id, states.CANCEL, Canceled())

    def retry(self, task_id: str) -> Task:
        """Runs a failed task again from the start. StateConflict where it has not failed, or may have been
        published all the same; LoginRequired.
        """
        task = self._loaded(task_id, states.RETRY)
        return self._queue(
            task, states.RETRY, attempts=0, crashes=0, checks=0, failed_checks=0, dead_letters=0, error=None
        )

    def verify(self, task_id: str, code: str) -> Task:
        """Hands the worker the code that the platform sent by SMS. StateConflict where none is wanted."""
        task = self.tasks.get(task_id)
        if "verification" not in task.actions:
            raise conflict(task, states.ANSWER)
        sealed = self.sealer.seal(code, "sms_code", task_id)
        return self.tasks.hand_over(task_id, sealed, entry=task.entry("answer", self.clock()))

    def resolve(self, task_id: str, *, live: bool, item_id: str | None = None) -> Task:
        """A person has looked whether a submitted task is live. StateConflict where there is nothing to say:
        the outcome is known, nothing was submitted, or the work that is named is another task's.
        """
        task = self.tasks.get(task_id)
        if "resolve" not in task.actions:
            raise conflict(task, states.CONFIRM if live else states.DENY)
        now = self.clock()
        if not live:
            denied = NotPublished("A person looked, and the work is not live.")
            return self.tasks.move(task_id, states.DENY, error=denied.describe(), entry=task.entry("deny", now))
        if item_id is not None and not self.tasks.claim_work(item_id, task_id):
            raise StateConflict(f"The work {item_id} is another task's already.")
        result = {
            "item_id": item_id,
            "url": work_url(item_id),
            "found_at": to_rfc3339(now),
            "confirmed_by": "person",
        }
        try:
            return self.tasks.move(
                task_id, states.CONFIRM, result=result, error=None, entry=task.entry("confirm", now)
            )
        except StateConflict:
            if item_id is not None:
                self.tasks.release_work(item_id, task_id)
            raise

    def _loaded(self, task_id: str, move: Move) -> Task:
        """The task, where it allows the move and its account could carry it out."""
        task = self.tasks.get(task_id)
        if move.action not in task.actions:
            raise conflict(task, move)
        self.accounts.get(task.submission.account_name).require_login()
        return task

    def _queue(self, task: Task, move: Move, **changes: Any) -> Task:
        now = self.clock()
        entry = task.entry(move.name, now)
        return self.dispatcher.send(self.tasks.move(task.id, move, due_at=now, entry=entry, **changes))

    def _end(self, task_id: str, move: Move, why: PublisherError) -> Task:
        entry = self.tasks.get(task_id).entry(move.name, self.clock())
        return self.tasks.move(task_id, move, error=why.describe(), progress=None, entry=entry)
