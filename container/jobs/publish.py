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
from typing import TYPE_CHECKING, Any, cast

from chalicelib.clock import from_rfc3339, to_rfc3339
from chalicelib.errors import (
    AccountNotFound,
    Fenced,
    MediaChanged,
    NoTimeLeft,
    OutcomeUnknown,
    PublisherError,
    SessionExpired,
    StateConflict,
    TaskNotFound,
    VerificationRequired,
)
from chalicelib.evidence import FORM_STEP
from chalicelib.publishing import states
from chalicelib.publishing.admission import TOO_NEAR, Admission
from chalicelib.publishing.schedule import FILL, platform_takes
from chalicelib.publishing.states import State
from chalicelib.publishing.task import work_url
from chalicelib.trace import note
from container.browser import open_page
from container.camera import photograph
from container.douyin.declaration import Shooting
from container.douyin.publish import Publication, Work
from container.douyin.works import list_works
from container.evidence import Timeline
from container.jobs.claim import Claim
from container.jobs.failure import failure_of
from container.jobs.media import fetch_task_media
from container.jobs.reconcile import find_works, reconcile
from container.jobs.session import expire_session, open_session, refresh_session
from container.lease import LEASE, Heartbeat, Message
from container.points import reach, working_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.async_api import Page

    from chalicelib.accounts.store import Account
    from chalicelib.publishing.store import TaskStore
    from chalicelib.publishing.task import Submission, Task
    from container.douyin.publish import Submitted, Visibility
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
        note(account=task.submission.account_name)
        match task.state:
            case State.QUEUED:
                if claimed := await asyncio.to_thread(_claim, worker, tasks, task):
                    reach("claimed")
                    claim = Claim(tasks, claimed, message, worker.unsealer, worker.clock)
                    await _Job(worker, claim, deadline).run()
            case State.OUTCOME_UNKNOWN:
                async with Heartbeat(message.keep_invisible):
                    await reconcile(worker, tasks, task)
            case _:
                logger.info("there is nothing to do for a task", extra={"state": str(task.state)})
    except TaskNotFound:
        logger.warning("there is no such task any more")
    except StateConflict as conflict:
        logger.info("the task is not ours, or not any more", extra={"code": conflict.code})


def _claim(worker: Worker, tasks: TaskStore, task: Task) -> Task | None:
    """The claimed task; None where it has to wait for its turn."""
    hold = Admission(tasks, worker.accounts, worker.clock).decide(task)
    if hold is None:
        return tasks.claim(task.id, lease_until=worker.clock() + LEASE)
    tasks.move(
        task.id,
        states.HOLD,
        due_at=hold.until,
        held={"until": to_rfc3339(hold.until), "why": hold.why},
        platform_schedule=task.platform_schedule and not hold.ours,
        entry=task.entry("hold", worker.clock(), hold.why),
    )
    return None


@dataclass(slots=True)
class _Job:
    """A claimed task being published."""

    worker: Worker
    claim: Claim
    deadline: Callable[[], float]
    refused: bool = False
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def task(self) -> Task:
        return self.claim.task

    async def run(self) -> None:
        async with self.claim:
            try:
                await self._publish()
            except Fenced:
                raise  # Not ours any more.
            except Exception as error:  # Whatever it was, the task must be told.
                logger.warning("a task failed", exc_info=True)
                await self._settle(failure_of(error))

    async def _publish(self) -> None:
        submission = self.task.submission
        account = await asyncio.to_thread(self.worker.accounts.get, submission.account_name)
        account.require_login()
        timeline = Timeline(self.claim.record, clock=self.worker.clock, on_progress=self._note_progress)
        with tempfile.TemporaryDirectory(prefix="publish-") as folder:
            media = asyncio.create_task(
                fetch_task_media(self.worker, self.task, timeline, Path(folder), self._fetch_seconds)
            )
            try:
                async with open_session(self.worker, account, timeline) as context:
                    reach("session_open")
                    page = await open_page(context)
                    timeline.camera = partial(self._photograph, page, account)
                    await self._drive(page, account, timeline, media)
            except SessionExpired as proof:
                await expire_session(self.worker, account, proof)
                raise
            except VerificationRequired as wanted:
                await asyncio.to_thread(self.worker.accounts.ask_for_verification, account, wanted.detail)
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
        publication = Publication(
            page, self.worker.settings.douyin_origin, timeline, self.deadline, next_code=self._next_code
        )
        await publication.open_upload()
        video, cover = await media
        reach("media_fetched")
        media_hashes = [file.sha256 for file in (video, cover) if file]
        if self.task.reviewed_media not in (None, media_hashes):
            raise MediaChanged("What video_url or cover_path names now differs from what was filled in then.")
        work = Work(
            video=video.path,
            title=submission.title,
            description=submission.description,
            tags=tuple(submission.tags),
            cover=cover.path if cover else None,
            claim_type=submission.claim_type,
            shooting=_shooting(submission),
            publish_at=self._platform_time(),
            visibility=cast("Visibility", submission.visibility),
            allow_save=submission.allow_save,
        )
        await publication.start_upload(video.path)
        reach("upload_started")
        await publication.wait_form()
        if work.publish_at and not platform_takes(work.publish_at, self.worker.clock(), within=FILL):
            await self._keep_the_time_ourselves(work.publish_at)
            return
        await publication.fill(work)
        reach("form_filled")
        await publication.wait_uploaded()
        await publication.read_back(work)
        reach("read_back")
        async with timeline.step(FORM_STEP) as step:
            await step.photograph()
        if self.task.rehearsal:
            await self.claim.move(states.REHEARSE, crashes=0, progress=None, reviewed_media=media_hashes)
            return
        submitted = await self._submit(publication, page, account, video)
        reach("after_click")
        result = {
            "item_id": submitted.item_id,
            "url": work_url(submitted.item_id),
            **self._when(),
        }
        if submitted.item_id is not None:
            await asyncio.to_thread(self.claim.tasks.claim_work, submitted.item_id, self.task.id)
        await self.claim.move(states.PROVE, result=result, error=None, crashes=0, progress=None)
        reach("after_proof")
        await refresh_session(self.worker, account, page.context, "A work was published.")
        reach("session_refreshed")

    async def _submit(
        self, publication: Publication, page: Page, account: Account, video: MediaFile
    ) -> Submitted:
        try:
            return await publication.submit(before_click=partial(self._intend, page, account, video))
        except OutcomeUnknown:
            raise
        except PublisherError:
            self.refused = self.claim.intended
            raise

    def _fetch_seconds(self) -> float:
        return 0.0 if self.over.is_set() else self.deadline()

    async def _intend(self, page: Page, account: Account, video: MediaFile) -> None:
        """Writes the intent, before each click. If this raises, nothing is clicked: the account may have been
        deleted while its form was filled.
        """
        await asyncio.to_thread(self.worker.accounts.require_same, account)
        self._require_time()  # Before the list, which may take long, and after it.
        works = await list_works(page, self.worker.settings.douyin_origin)
        self._require_time()
        if self.task.intent is not None:
            # The platform has refused the first click. The list from before it stays the one to compare with.
            if find_works(self.task, works):
                raise OutcomeUnknown("A work like this one has appeared since the refused click.")
            now = to_rfc3339(self.worker.clock())
            await self.claim.move(states.INTEND_AGAIN, intent={**self.task.intent, "renewed_at": now})
            return
        intent: dict[str, Any] = {
            "at": to_rfc3339(self.worker.clock()),
            "works": [work.item_id for work in works],
        }
        if video.duration_ms is not None:
            intent["duration_ms"] = video.duration_ms
        reach("before_intent")
        await self.claim.move(states.INTEND, intent=intent)
        reach("after_intent")

    def _require_time(self) -> None:
        if self.deadline() < CLICK_SECONDS:
            raise NoTimeLeft(f"{self.deadline():.0f} s of the worker's time are left.")

    async def _keep_the_time_ourselves(self, publish_at: datetime) -> None:
        """The upload took so long that the platform's own schedule takes the time no more."""
        now = self.worker.clock()
        due_at = max(publish_at, now)
        await self.claim.move(
            states.BACK_OFF,
            due_at=now if self.task.rehearsal else due_at,
            platform_schedule=False,
            crashes=0,
            progress=None,
            entry=self.task.entry("back off", now, TOO_NEAR),
        )

    async def _next_code(self, phone: str | None) -> str:
        return await self.claim.next_code(phone, seconds=self.deadline() - CLICK_SECONDS)

    async def _settle(self, error: PublisherError) -> None:
        """Gives the task the state that the failure leaves it in."""
        now, state = self.worker.clock(), self.task.state
        ended: dict[str, Any] = {"error": error.describe(), "crashes": 0, "progress": None}
        if not state.held:
            return  # The outcome is written; what failed came after it.
        reach("after_refusal")
        if self.refused and state is State.SUBMITTING:
            await self.claim.move(states.REFUSE, **ended)
        elif self.claim.intended and not self.refused:
            ended["error"] = OutcomeUnknown(f"After the click: {error.detail}", **error.context).describe()
            await self.claim.move(states.DOUBT, due_at=now + FIRST_CHECK, **ended)
        elif error.retryable and not self.refused and self.task.attempts + 1 < MAX_ATTEMPTS:
            attempts = self.task.attempts + 1
            delay = BACKOFF * 2 ** (attempts - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
            await self.claim.move(
                states.BACK_OFF, due_at=now + delay, **{**ended, "error": None}, attempts=attempts
            )
        else:
            await self.claim.move(states.FAIL, **ended)

    async def _note_progress(self, step: str, percent: int) -> None:
        self.claim.report({"step": step, "percent": percent})

    async def _photograph(self, page: Page, account: Account, name: str) -> str | None:
        picture = await photograph(page)
        if not picture or not await self._kept(account):
            return None
        return await asyncio.to_thread(
            self.worker.evidence().put,
            self.task.submission.account_name,
            self.task.id,
            self.task.epoch,
            name,
            picture,
        )

    async def _kept(self, account: Account) -> bool:
        """Whether there still is the account that a picture would be kept with."""
        try:
            await asyncio.to_thread(self.worker.accounts.require_same, account)
        except AccountNotFound:
            return False
        return True

    def _when(self) -> dict[str, str]:
        if self._platform_time() and self.task.publish_at:
            return {"scheduled_for": self.task.publish_at}
        return {"published_at": to_rfc3339(self.worker.clock())}

    def _platform_time(self) -> datetime | None:
        """When the platform is to publish; None where it is at once."""
        if not self.task.platform_schedule or self.task.publish_at is None:
            return None
        return from_rfc3339(self.task.publish_at)


def _shooting(submission: Submission) -> Shooting | None:
    if submission.claim_place is None or submission.claim_date is None:
        return None
    return Shooting(tuple(submission.claim_place), submission.claim_date)
