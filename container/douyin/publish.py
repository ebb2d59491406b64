"""One work on its way through Douyin's creator center: upload, form, and the one click."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from playwright.async_api import Error as PlaywrightError

from chalicelib.errors import (
    CaptchaRequired,
    FormMismatch,
    NoTimeLeft,
    OutcomeUnknown,
    PageChanged,
    PageTimeout,
    PlatformBusy,
    PlatformRejected,
    PublisherError,
    SessionExpired,
    VerificationRequired,
)
from container.douyin import cover, form, schedule, topics
from container.douyin.act import ACTION_MS, find
from container.douyin.answer import CreateAnswer, item_id_of, refusal
from container.douyin.declaration import CHOICES, declare
from container.douyin.locators import POPOVER_OK, PUBLISH
from container.douyin.session import refuse_challenges, refuse_strangers
from container.douyin.sight import Sight, look, look_again
from container.douyin.upload import UploadWatch, choose_video, open_upload_page
from container.douyin.works import MANAGE_PATH
from container.evidence import first_line, note

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from playwright.async_api import Locator, Page

    from container.evidence import Step, Timeline

logger = logging.getLogger(__name__)

Visibility = Literal["public", "friends", "private"]
Progress = Callable[[int], Awaitable[None]]

# How long the platform may take to answer a publish; of the deadline a little is kept for writing it down.
_ANSWER_SECONDS = 60.0
_RESERVE_SECONDS = 10.0
_CHALLENGE_SECONDS = 3.0
_MANAGE_MS = 5_000
_SLICE_MS = 1_000
_POPOVER_MS = 1_000

# What the page itself says when it refuses to send a work (toasts of 2025-2026). What sounds like a server's
# words (发布失败, 网络异常) is no such proof: it may follow a request that we did not recognise.
_REFUSALS = ("请完善", "不能为空", "不能超过", "请设置封面", "定时发布时间", "最多添加", "请重新上传")

# What may leave `submit` after the click: proof that nothing was published, or the admission that nobody knows.
_PROOFS = (
    *(PlatformRejected, PlatformBusy, FormMismatch, VerificationRequired, CaptchaRequired, SessionExpired),
    OutcomeUnknown,
)


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be published. `claim_type` is one of declaration.CHOICES; `publish_at` is aware; a None leaves
    the choice to the site's default, except for the cover: there the first recommended one is taken.
    """

    video: Path
    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    cover: Path | None = None
    claim_type: str | None = None
    publish_at: datetime | None = None
    visibility: Visibility = "public"
    allow_save: bool | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The platform's yes. `item_id` is None only where the answer says yes without naming the work."""

    item_id: str | None


class Publication:
    """The steps, in the order in which they are called. `deadline` says how many seconds are left."""

    def __init__(self, page: Page, origin: str, timeline: Timeline, deadline: Callable[[], float]) -> None:
        self._page = page
        self._origin = origin
        self._timeline = timeline
        self._deadline = deadline
        self._upload: UploadWatch | None = None
        self._declared: str | None = None

    async def open_upload(self) -> None:
        """Opens the upload page. SessionExpired on proof, PageTimeout where the page is merely slow."""
        async with self._step("open_upload"):
            await self._page.add_locator_handler(
                POPOVER_OK.on(self._page).first, _close_popover, no_wait_after=True
            )
            await open_upload_page(self._page, self._origin)

    async def start_upload(self, video: Path) -> None:
        """Hands the video to the page and sees the upload begin."""
        async with self._step("start_upload"):
            await choose_video(self._page, video)
            self._upload = UploadWatch(self._page, video, self._working_time)

    async def wait_form(self, progress: Progress | None = None) -> None:
        """Waits for the form. Where the site shows it after the upload only, this is the upload's time."""
        async with self._step("wait_form") as step:
            await self._watch().until("form", progress=progress or step.progress)

    async def wait_uploaded(self, progress: Progress | None = None) -> None:
        """Waits until the video is whole on the site. `progress` hears percentages."""
        async with self._step("wait_uploaded") as step:
            await self._watch().until("uploaded", progress=progress or step.progress)

    async def fill(self, work: Work) -> None:
        """Fills the form. FormMismatch names the field that the site does not take as asked."""
        page = self._page
        if work.claim_type is not None and work.claim_type not in CHOICES:
            raise FormMismatch(f"There is no declaration {work.claim_type!r}.", field="claim_type")
        async with self._timeline.step("fill"):
            async with self._step("title"):
                await form.write_title(page, work.title)
            async with self._step("description"):
                await topics.write_description(page, work.description)
                await topics.add_topics(page, work.tags)
                await topics.leave_editor(page)
            async with self._step("cover"):
                if work.cover is not None:
                    await cover.set_cover(page, work.cover)
                else:
                    await cover.recommend_cover(page)
            async with self._step("declaration"):
                self._declared = await declare(page, work.claim_type)
            async with self._step("settings"):
                await form.choose_setting(page, form.VISIBILITY_LABELS[work.visibility])
                if work.allow_save is not None:
                    await form.choose_setting(page, form.SAVE_LABELS[work.allow_save])
                if work.publish_at is not None:
                    await form.choose_setting(page, form.SCHEDULED)
                    await schedule.set_schedule(page, work.publish_at)

    async def read_back(self, work: Work) -> None:
        """Reads the whole form again. FormMismatch where it differs from what was asked: `context["field"]` is
        the first such field, `context["fields"]` all of them.
        """
        async with self._step("read_back"):
            differences = [difference async for difference in _differences(self._page, work, self._declared)]
            if differences:
                raise FormMismatch(
                    "; ".join(text for _, text in differences),
                    field=differences[0][0],
                    fields=[field for field, _ in differences],
                )

    async def submit(self, before_click: Callable[[], Awaitable[None]]) -> Submitted:
        """Clicks 发布, once, after `before_click` has returned; where that raises, nothing is clicked.

        What it raises after the click means one of two things. OutcomeUnknown: nobody can tell. Any other error
        of our tree: the platform or its page has refused, and nothing was published (PlatformRejected and
        PlatformBusy with the platform's words, FormMismatch, VerificationRequired, CaptchaRequired,
        SessionExpired).
        """
        async with self._timeline.step("submit"):
            async with asyncio.timeout(max(0.0, self._working_time())):
                button = await self._ready_to_click()
                before = await look(self._page)
            answer = CreateAnswer(self._page)
            try:
                await before_click()
            except BaseException:
                answer.stop()
                raise
            try:
                async with asyncio.timeout(_ANSWER_SECONDS + _RESERVE_SECONDS):
                    return await self._click(button, answer, before)
            except _PROOFS:
                raise
            except Exception as error:
                raise OutcomeUnknown(f"After the click: {first_line(error)}") from error
            finally:
                answer.stop()

    async def _ready_to_click(self) -> Locator:
        """Everything that could make the click miss is out of the way before the intent is written."""
        await topics.close_suggestions(self._page)
        await cover.dismiss_nag(self._page)
        await cover.close_residual(self._page)
        refuse_challenges(await look(self._page))
        button = await find(self._page, PUBLISH)
        await button.click(trial=True, timeout=ACTION_MS)
        return button

    async def _click(self, button: Locator, answer: CreateAnswer, before: Sight) -> Submitted:
        end = time.monotonic() + max(1.0, min(_ANSWER_SECONDS, self._working_time()))
        await button.click(timeout=ACTION_MS)
        sight: Sight | None = before
        while (left := end - time.monotonic()) > 0:
            looking = asyncio.create_task(look_again(self._page, sight, timeout_ms=min(left * 1000, _SLICE_MS)))
            try:
                waiting: set[asyncio.Future[Any]] = {looking, answer.answer}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if answer.answer.done():
                    return await self._judge(answer.answer.result())
                sight = await looking or sight
            finally:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
            if sight is not None and not answer.sent:
                _refuse_refusals(sight, before)
        raise OutcomeUnknown(
            "The platform did not answer the publish request."
            if answer.sent
            else "The click was made, but the page sent no publish request."
        )

    async def _judge(self, body: str) -> Submitted:
        """What an answer means. A refusal may be the first sign of a challenge, which the page then shows."""
        try:
            item_id = item_id_of(body)
        except OutcomeUnknown:
            raise
        except PublisherError as refused:
            await self._look_for_challenge(refused)
            raise
        try:
            await self._page.wait_for_url(f"**{MANAGE_PATH}**", wait_until="commit", timeout=_MANAGE_MS)
        except PlaywrightError:
            note("the platform said yes, but the page did not go on to the works")
        return Submitted(item_id)

    async def _look_for_challenge(self, refused: PublisherError) -> None:
        if "验证" not in refused.detail:
            return
        sight: Sight | None = None
        end = time.monotonic() + _CHALLENGE_SECONDS
        with contextlib.suppress(PlaywrightError):
            while (left := end - time.monotonic()) > 0:
                sight = await look_again(self._page, sight, timeout_ms=left * 1000)
                if sight is None:
                    return
                refuse_challenges(sight)

    @contextlib.asynccontextmanager
    async def _step(self, name: str) -> AsyncIterator[Step]:
        """A step before the click: it ends before the worker's time does, however little the page responds, and
        where it fails because the page shows something else altogether, it fails with that.
        """
        async with self._timeline.step(name) as step:
            left = self._working_time()
            if left <= 0:
                raise NoTimeLeft("The worker's time was over before the form was ready.")
            try:
                async with asyncio.timeout(left):
                    yield step
            except (PageChanged, PageTimeout, PlaywrightError, TimeoutError):
                await self._say_what_else_is_shown()
                raise

    async def _say_what_else_is_shown(self) -> None:
        with contextlib.suppress(PlaywrightError, TimeoutError):
            async with asyncio.timeout(_CHALLENGE_SECONDS):
                sight = await look(self._page)
                refuse_strangers(sight)
                refuse_challenges(sight)

    def _watch(self) -> UploadWatch:
        if self._upload is None:
            raise RuntimeError("start_upload comes first")
        return self._upload

    def _working_time(self) -> float:
        return self._deadline() - _RESERVE_SECONDS


async def _differences(page: Page, work: Work, declared: str | None) -> AsyncIterator[tuple[str, str]]:
    """(field, what differs), for each field of the form that is not as asked."""
    title = await form.read_title(page)
    if title.strip() != work.title.strip():
        yield "title", f"the title reads {title!r} instead of {work.title!r}"
    text = await topics.read_description(page)
    wanted = work.description + "".join(f"#{tag}" for tag in work.tags)
    if topics.squeeze(text) != topics.squeeze(wanted):
        yield "description", f"the description reads {text!r} instead of {wanted!r}"
    taken = await topics.read_topics(page)
    if not set(work.tags) <= set(taken):
        yield "tags", f"the topics are {list(taken)} instead of {list(work.tags)}"
    empty = await cover.empty_slots(page)
    if work.cover is not None and empty:
        yield "cover_path", f"no picture stands in {'、'.join(empty)}"
    if declared is not None and not await page.get_by_text(declared, exact=True).first.is_visible():
        yield "claim_type", f"the form does not show the declaration {declared}"
    visibility = form.VISIBILITY_LABELS[work.visibility]
    if not await form.is_chosen(page, visibility):
        yield "visibility", f"{visibility} is not chosen"
    if work.allow_save is not None and not await form.is_chosen(page, form.SAVE_LABELS[work.allow_save]):
        yield "allow_save", f"{form.SAVE_LABELS[work.allow_save]} is not chosen"
    when = form.AT_ONCE if work.publish_at is None else form.SCHEDULED
    if not await form.is_chosen(page, when):
        yield "schedule_time", f"{when} is not chosen"
    if work.publish_at is not None:
        asked, read = schedule.shanghai_text(work.publish_at), await schedule.read_schedule(page)
        if asked != read:
            yield "schedule_time", f"the schedule reads {read!r} instead of {asked!r} (Asia/Shanghai)"


def _refuse_refusals(sight: Sight, before: Sight) -> None:
    """Raises where the page shows that it will not publish. Its word counts while no request has been sent."""
    refuse_challenges(sight)
    if sight.shows("no_declaration"):
        raise FormMismatch("The site wants a declaration for this work: give a claim_type.", field="claim_type")
    if sight.shows("login") and not sight.shows("creator", "form"):
        raise SessionExpired("The session ended before the work was sent.")
    for toast in sight.toasts:
        if toast not in before.toasts and any(words in toast for words in _REFUSALS):
            raise refusal(toast)


async def _close_popover(popover: Locator) -> None:
    # What a handler raises reaches nobody; the step that the popover blocks will say so.
    with contextlib.suppress(PlaywrightError):
        await popover.click(timeout=_POPOVER_MS)
        note("a popover about something new was closed")
