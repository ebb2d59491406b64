"""One task, from its message to its outcome."""

from __future__ import annotations

import asyncio
import logging
import random
import tempfile
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.clock import from_rfc3339, to_rfc3339
from chalicelib.errors import (
    Fenced,
    NoTimeLeft,
    OutcomeUnknown,
    PublisherError,
    SessionExpired,
    StateConflict,
    TaskNotFound,
)
from chalicelib.publishing import states
from chalicelib.publishing.states import State
from container.browser import open_page
from container.douyin.publish import Publication, Work
from container.douyin.works import list_works
from container.evidence import Timeline, screenshot
from container.jobs.failure import failure_of
from container.jobs.media import fetch_task_media
from container.jobs.reconcile import reconcile
from container.jobs.session import open_session, refresh_session
from container.lease import LEASE, Heartbeat, Message
from container.points import reach, working_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.async_api import Page

    from chalicelib.accounts.store import Account
    from chalicelib.publishing.store import TaskStore
    from chalicelib.publishing.task import Task
    from container.douyin.publish import Submitted
    from container.media_file import MediaFile
    from container.worker import Worker

logger = logging.getLogger(__name__)

# How often a passing fault before the click is tried again, and how long after it.
MAX_ATTEMPTS = 3
BACKOFF = timedelta(seconds=20)

# What must be left of the invocation when the click is made: its answer, the works list, the outcome's write.
CLICK_SECONDS = 60.0

# The first look at the works list after an uncertain click.
FIRST_CHECK = timedelta(seconds=30)


async def run_task(worker: Worker, task_id: str, message: Message, *, deadline: Callable[[], float]) -> None:
    """Does what the task's state asks for. A message that came twice, or too late, does nothing."""
    tasks = worker.tasks()
    try:
        task = await asyncio.to_thread(tasks.get, task_id)
        working_for(task.submission.account_name)
        match task.state:
            case State.QUEUED:
                now = worker.clock()
                task = await asyncio.to_thread(tasks.claim, task_id, states.CLAIM, lease_until=now + LEASE)
                reach("claimed")
                await _Job(worker, tasks, task, message, deadline).run()
            case State.OUTCOME_UNKNOWN:
                async with Heartbeat(message.keep_invisible):
                    await reconcile(worker, tasks, task)
            case _:
                logger.info("task %s is %s: nothing to do", task_id, task.state)
    except TaskNotFound:
        logger.warning("there is no task %s any more", task_id)
    except StateConflict as conflict:
        logger.info("task %s: %s", task_id, conflict.detail)


@dataclass(slots=True)
class _Job:
    """A claimed task being published. `task` is the claim: its epoch is what every write is fenced with."""

    worker: Worker
    tasks: TaskStore
    task: Task
    message: Message
    deadline: Callable[[], float]
    progress: dict[str, Any] | None = None
    intended: bool = False
    refused: bool = False
    over: threading.Event = field(default_factory=threading.Event)
    _writes: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        async with Heartbeat(self._beat):
            try:
                await self._publish()
            except (Fenced, ClientError, BotoCoreError):
                # Not ours any more, or nothing can be written now: the lease lapses and the sweeper decides.
                raise
            except Exception as error:  # Whatever it was, the task must be told.
                logger.warning("task %s failed", self.task.id, exc_info=True)
                await self._settle(failure_of(error))

    async def _publish(self) -> None:
        submission = self.task.submission
        account = await asyncio.to_thread(self.worker.accounts.get, submission.account_name)
        account.require_login()
        timeline = Timeline(self._record, clock=self.worker.clock, on_progress=self._note_progress)
        with tempfile.TemporaryDirectory(prefix="publish-") as folder:
            media = asyncio.create_task(
                fetch_task_media(self.worker, self.task, timeline, Path(folder), self._fetch_seconds)
            )
            try:
                async with open_session(self.worker, account, timeline) as context:
                    reach("session_open")
                    page = await open_page(context)
                    timeline.camera = partial(self._photograph, page)
                    await self._drive(page, account, timeline, media)
            except SessionExpired:
                await asyncio.to_thread(self.worker.accounts.mark_expired, account)
                raise
            finally:
                self.over.set()
                await asyncio.gather(media, return_exceptions=True)

    async def _drive(
        self,
        page: Page,
        account: Account,
        timeline: Timeline,
        media: asyncio.Task[tuple[MediaFile, MediaFile | None]],
    ) -> None:
        submission = self.task.submission
        publication = Publication(page, self.worker.settings.douyin_origin, timeline, self.deadline)
        await publication.open_upload()
        video, cover = await media
        reach("media_fetched")
        work = Work(
            video=video.path,
            title=submission.title,
            description=submission.description,
            tags=tuple(submission.tags),
            cover=cover.path if cover else None,
            claim_type=submission.claim_type,
            publish_at=self._platform_time(),
        )
        await publication.start_upload(video.path)
        reach("upload_started")
        await publication.wait_form()
        await publication.fill(work)
        reach("form_filled")
        await publication.wait_uploaded()
        await publication.read_back(work)
        reach("read_back")
        async with timeline.step("photograph_form") as step:
            await step.photograph()
        if submission.manual_review and not self.task.approved:
            await self._move(states.REHEARSE, crashes=0, progress=None)
            return
        submitted = await self._submit(publication, page)
        reach("after_click")
        result = {
            "item_id": submitted.item_id,
            "url": f"https://www.douyin.com/video/{submitted.item_id}" if submitted.item_id else None,
            **self._when(),
        }
        await self._move(states.PROVE, result=result, crashes=0, progress=None)
        reach("after_proof")
        await refresh_session(self.worker, account, page.context)
        reach("session_refreshed")

    async def _submit(self, publication: Publication, page: Page) -> Submitted:
        try:
            return await publication.submit(before_click=partial(self._intend, page))
        except OutcomeUnknown:
            raise
        except PublisherError:
            self.refused = self.intended
            raise

    def _fetch_seconds(self) -> float:
        return 0.0 if self.over.is_set() else self.deadline()

    async def _intend(self, page: Page) -> None:
        """Writes the intent. If this raises, nothing is clicked."""
        if self.deadline() < CLICK_SECONDS:
            raise NoTimeLeft(f"{self.deadline():.0f} s of the worker's time are left.")
        works = await list_works(page, self.worker.settings.douyin_origin)
        intent = {"at": to_rfc3339(self.worker.clock()), "works": [work.item_id for work in works]}
        now = self.worker.clock()
        reach("before_intent")
        await self._move(states.INTEND, due_at=now + LEASE, lease_until=to_rfc3339(now + LEASE), intent=intent)
        self.intended = True
        reach("after_intent")

    async def _settle(self, error: PublisherError) -> None:
        """Gives the task the state that the failure leaves it in."""
        now = self.worker.clock()
        if self.task.state not in (State.RUNNING, State.SUBMITTING):
            return  # The outcome is written; what failed came after it.
        if self.refused:
            await self._move(states.REFUSE, error=error.describe(), crashes=0, progress=None)
        elif self.intended:
            doubt = OutcomeUnknown(f"After the click: {error.detail}", **error.context)
            await self._move(
                states.DOUBT, due_at=now + FIRST_CHECK, error=doubt.describe(), crashes=0, progress=None
            )
        elif error.retryable and self.task.attempts + 1 < MAX_ATTEMPTS:
            attempts = self.task.attempts + 1
            delay = BACKOFF * 2 ** (attempts - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
            await self._move(states.RETRY, due_at=now + delay, attempts=attempts, crashes=0, progress=None)
        else:
            await self._move(states.FAIL, error=error.describe(), crashes=0, progress=None)

    async def _move(self, move: states.Move, *, due_at: datetime | None = None, **changes: Any) -> None:
        async with self._writes:
            self.task = await asyncio.to_thread(
                self.tasks.move, self.task.id, move, epoch=self.task.epoch, due_at=due_at, **changes
            )

    async def _record(self, entry: dict[str, Any]) -> None:
        async with self._writes:
            self.task = await asyncio.to_thread(self.tasks.record, self.task, entry)

    def _beat(self) -> None:
        self.message.keep_invisible()
        if self.task.state in (State.RUNNING, State.SUBMITTING):
            lease_until = self.worker.clock() + LEASE
            self.tasks.renew(self.task, lease_until=lease_until, progress=self.progress)

    async def _note_progress(self, step: str, percent: int) -> None:
        """Kept until the next sign of life takes it along."""
        self.progress = {"step": step, "percent": percent}

    async def _photograph(self, page: Page, name: str) -> str | None:
        picture = await screenshot(page)
        if not picture:
            return None
        return await asyncio.to_thread(
            self.worker.evidence().put,
            self.task.submission.account_name,
            self.task.id,
            f"{self.task.epoch}-{name}.jpg",
            picture,
            "image/jpeg",
        )

    def _when(self) -> dict[str, str]:
        if self._platform_time() and self.task.publish_at:
            return {"scheduled_for": self.task.publish_at}
        return {"published_at": to_rfc3339(self.worker.clock())}

    def _platform_time(self) -> datetime | None:
        """When the platform is to publish; None where it is at once."""
        if not self.task.platform_schedule or self.task.publish_at is None:
            return None
        return from_rfc3339(self.task.publish_at)
