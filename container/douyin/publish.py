"""One work on its way through Douyin's creator center: upload, form, and the one click."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from playwright.async_api import Error as PlaywrightError

from chalicelib.errors import (
    BrowserFailed,
    CaptchaRequired,
    FormMismatch,
    NoTimeLeft,
    OutcomeUnknown,
    PageChanged,
    PageTimeout,
    PlatformBusy,
    PlatformRejected,
    PlatformUnreachable,
    PublisherError,
    SessionExpired,
    VerificationRequired,
)
from container.douyin import cover, form, schedule, topics
from container.douyin.act import ACTION_MS, at_rest, find, press
from container.douyin.answer import PublishGate, item_id_of, refusal
from container.douyin.declaration import CHOICES, Shooting, declare, is_declared
from container.douyin.locators import POPOVER_OK, PUBLISH
from container.douyin.session import is_logged_in, refuse_challenges, refuse_strangers
from container.douyin.sight import Sight, look, look_again
from container.douyin.upload import UploadWatch, choose_video, open_upload_page
from container.douyin.verification import Challenge, NextCode
from container.douyin.works import MANAGE_PATH
from container.evidence import first_line, note
from container.points import reach

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from playwright.async_api import Locator, Page

    from container.evidence import Step, Timeline

logger = logging.getLogger(__name__)

T = TypeVar("T")

Visibility = Literal["public", "friends", "private"]
Progress = Callable[[int], Awaitable[None]]

# How long the platform may take to answer a publish; of the deadline a little is kept for writing it down.
_ANSWER_SECONDS = 60.0
_RESERVE_SECONDS = 10.0
_CHALLENGE_SECONDS = 3.0
_EXPLANATION_SECONDS = 5.0
# The first click, and two more for what challenges have refused.
_CLICKS = 3
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

# What may go wrong between two clicks without anybody having refused anything.
_PAGE_FAULTS = (PageTimeout, PageChanged, PlatformUnreachable, BrowserFailed, PlaywrightError, TimeoutError)


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
    shooting: Shooting | None = None
    publish_at: datetime | None = None
    visibility: Visibility = "public"
    allow_save: bool | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The platform's yes. `item_id` is None only where the answer says yes without naming the work."""

    item_id: str | None


class Publication:
    """The steps, in the order in which they are called. `deadline` says how many seconds are left.

    `next_code` is awaited where the site asks for a code that it sends by SMS, with the masked phone
    (183******91) where the site names it, and again after a wrong code; it raises when nobody gives one. Where
    there is no such function, the challenge is VerificationRequired.
    """

    def __init__(
        self,
        page: Page,
        origin: str,
        timeline: Timeline,
        deadline: Callable[[], float],
        next_code: NextCode | None = None,
    ) -> None:
        self._page = page
        self._next_code = next_code
        self._origin = origin
        self._timeline = timeline
        self._deadline = deadline
        self._upload: UploadWatch | None = None
        self._gate: PublishGate | None = None
        self._declared: str | None = None
        self._scheduled: str | None = None

    async def open_upload(self) -> None:
        """Opens the upload page. SessionExpired on proof, PageTimeout where the page is merely slow."""
        async with self._step("open_upload"):
            await self._page.add_locator_handler(
                POPOVER_OK.on(self._page).first, _close_popover, no_wait_after=True
            )
            await self._past_challenges(partial(open_upload_page, self._page, self._origin))

    async def start_upload(self, video: Path) -> None:
        """Hands the video to the page and sees the upload begin."""
        async with self._step("start_upload"):
            await choose_video(self._page, video)
            self._upload = UploadWatch(self._page, video, self._working_time)

    async def wait_form(self, progress: Progress | None = None) -> None:
        """Waits for the form. Where the site shows it after the upload only, this is the upload's time."""
        async with self._step("wait_form") as step:
            await self._uploading("form", progress or step.progress)

    async def wait_uploaded(self, progress: Progress | None = None) -> None:
        """Waits until the video is whole on the site. `progress` hears percentages."""
        async with self._step("wait_uploaded") as step:
            await self._uploading("uploaded", progress or step.progress)

    async def fill(self, work: Work) -> None:
        """Fills the form. FormMismatch names the field that the site does not take as asked."""
        page = self._page
        if work.claim_type is not None and work.claim_type not in CHOICES:
            raise FormMismatch(f"There is no declaration {work.claim_type!r}.", field="claim_type")
        async with self._timeline.step("fill"):
            # Not before: Chromium carries each part of an upload past it, at half as much CPU again.
            self._gate = await PublishGate.on(self._page)
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
                self._declared = await declare(page, work.claim_type, work.shooting)
            async with self._step("settings"):
                await form.choose_setting(page, form.VISIBILITY_LABELS[work.visibility])
                if work.allow_save is not None:
                    await form.choose_setting(page, form.SAVE_LABELS[work.allow_save])
                if work.publish_at is not None:
                    await form.choose_setting(page, form.SCHEDULED)
                    self._scheduled = await schedule.set_schedule(page, work.publish_at)

    async def read_back(self, work: Work) -> None:
        """Reads the whole form again. FormMismatch where it differs from what was asked: `context["field"]` is
        the first such field, `context["fields"]` all of them. ScheduleTooNear where the upload took so
        long that the site does not take the time any more.
        """
        async with self._step("read_back"):
            if work.publish_at is not None:
                schedule.refuse_impossible(work.publish_at)
            found = _differences(self._page, work, self._declared, self._scheduled)
            differences = [difference async for difference in found]
            if differences:
                raise FormMismatch(
                    "; ".join(text for _, text in differences),
                    field=differences[0][0],
                    fields=[field for field, _ in differences],
                )

    async def submit(self, before_click: Callable[[], Awaitable[None]]) -> Submitted:
        """Clicks 发布 after `before_click` has returned; where that raises, nothing is clicked.

        It clicks once. Only where the site asks for an SMS code instead (in the platform's own answer to the
        click, or in the page before anything is sent), and `next_code` gives it, the form has to be sent again:
        `before_click` is awaited before EACH click, and being awaited again means that no earlier click has
        published anything. One publish request leaves the page for each click and for each code, at most;
        whatever else the page sends by itself is stopped in the browser, as long as the page lives.

        What else it raises after a click means one of two things. OutcomeUnknown: nobody can tell. Any other
        error of our tree, or what `before_click` or `next_code` raises: nothing was published, nor can the page
        publish any more, for the platform or its page has refused (PlatformRejected and PlatformBusy in its
        words, FormMismatch, CaptchaRequired, VerificationRequired, SessionExpired).
        """
        async with self._timeline.step("submit"):
            if self._gate is None:
                raise RuntimeError("fill comes first")
            gate = self._gate
            async with asyncio.timeout(max(0.0, self._working_time())):
                button = await self._past_challenges(self._ready_to_click)
            try:
                return await self._click(button, before_click, gate)
            except OutcomeUnknown:
                raise
            except Exception as error:
                gate.shut()
                if gate.unanswered:
                    raise OutcomeUnknown("The page sent the work once more than it was answered.") from error
                raise
            finally:
                gate.shut()

    async def _click(
        self, button: Locator, before_click: Callable[[], Awaitable[None]], gate: PublishGate
    ) -> Submitted:
        left = gate.left
        for _ in range(_CLICKS):
            before = await look(self._page)
            # After a code the page may have sent the work by itself, until now or while the intent is written.
            if gate.left == left:
                await before_click()
            try:
                return await self._outcome(gate, before, left, click=button if gate.left == left else None)
            except VerificationRequired:
                gate.shut()
                if self._next_code is None or gate.unanswered:
                    raise
            left = gate.left
            button = await self._verify(self._next_code, gate)
        raise VerificationRequired(f"The site asked for an SMS code after each of {_CLICKS} clicks.")

    async def _ready_to_click(self) -> Locator:
        """Everything that could make the click miss is out of the way before the intent is written."""
        await topics.close_suggestions(self._page)
        await cover.dismiss_nag(self._page)
        await cover.close_residual(self._page)
        refuse_challenges(await look(self._page))
        button = await find(self._page, PUBLISH)
        if not await at_rest(button):
            await button.click(trial=True, timeout=ACTION_MS)
        return button

    async def _outcome(
        self, gate: PublishGate, before: Sight, left: int, *, click: Locator | None
    ) -> Submitted:
        """Clicks, where there is something to click, and waits for what comes of it. `before` and `left`: what
        the page had shown and sent until then.
        """
        try:
            async with asyncio.timeout(_ANSWER_SECONDS + _RESERVE_SECONDS):
                end = time.monotonic() + max(1.0, min(_ANSWER_SECONDS, self._working_time()))
                if click is not None:
                    gate.admit()
                    await click.click(timeout=ACTION_MS)
                    reach("clicked")
                return await self._judge(await self._answer(gate, before, left, end), before)
        except _PROOFS:
            raise
        except Exception as error:
            raise OutcomeUnknown(f"After the click: {first_line(error)}") from error

    async def _answer(self, gate: PublishGate, before: Sight, left: int, end: float) -> str:
        """The platform's answer. Raises where the page refuses to ask for one, and OutcomeUnknown."""
        answer = asyncio.create_task(gate.next())
        sight: Sight | None = before
        try:
            while (seconds := end - time.monotonic()) > 0:
                slice_ms = min(seconds * 1000, _SLICE_MS)
                looking = asyncio.create_task(look_again(self._page, sight, timeout_ms=slice_ms))
                try:
                    waiting: set[asyncio.Future[Any]] = {looking, answer}
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    if answer.done():
                        return answer.result()
                    sight = await looking or sight
                finally:
                    looking.cancel()
                    await asyncio.gather(looking, return_exceptions=True)
                refused = await self._refusal(sight, before) if sight is not None else None
                # The page's word counts while no request has left, and none can leave from here on.
                if refused is not None and gate.left == left:
                    gate.shut()
                    raise refused
        finally:
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)
        raise OutcomeUnknown(
            "The platform did not answer the publish request."
            if gate.left > left
            else "The click was made, but the page sent no publish request."
        )

    async def _judge(self, body: str, before: Sight) -> Submitted:
        """What an answer means. A refusal may be the first sign of a challenge, which the page then shows."""
        try:
            item_id = item_id_of(body)
        except OutcomeUnknown:
            raise
        except PublisherError:
            await self._look_for_challenge(before)
            raise
        try:
            await self._page.wait_for_url(f"**{MANAGE_PATH}**", wait_until="commit", timeout=_MANAGE_MS)
        except PlaywrightError:
            note("the platform said yes, but the page did not go on to the works")
        return Submitted(item_id)

    async def _look_for_challenge(self, before: Sight) -> None:
        """Raises where the page shows a challenge. Its own words for the refusal, in a toast, end the wait; the
        platform's in the answer decide nothing, for what they are with a challenge was never captured.
        """
        sight: Sight | None = None
        end = time.monotonic() + _CHALLENGE_SECONDS
        with contextlib.suppress(PlaywrightError):
            while (left := end - time.monotonic()) > 0:
                sight = await look_again(self._page, sight, timeout_ms=left * 1000)
                if sight is None:
                    return
                refuse_challenges(sight)
                if any(toast not in before.toasts and "验证" not in toast for toast in sight.toasts):
                    return

    async def _refusal(self, sight: Sight, before: Sight) -> PublisherError | None:
        """What the page shows where it will not publish."""
        try:
            await refuse_strangers(self._page, sight)
            refuse_challenges(sight)
        except PublisherError as refused:
            return refused
        if sight.shows("no_declaration"):
            return FormMismatch(
                "The site wants a declaration for this work: give a claim_type.", field="claim_type"
            )
        for toast in sight.toasts:
            if toast not in before.toasts and any(words in topics.squeeze(toast) for words in _REFUSALS):
                return refusal(toast)
        return None

    async def _verify(self, next_code: NextCode, gate: PublishGate) -> Locator:
        """Passes the challenge that came instead of a work. The button to click again, unless the page sends
        the work by itself then, as some of the platform's pages do.
        """
        left = gate.left

        async def give(phone: str | None) -> str | None:
            gate.shut()
            code = await next_code(phone)
            gate.admit()  # With the right one the page may go on by itself.
            return code

        challenge = Challenge(self._page, give)
        try:
            async with asyncio.timeout(max(0.0, self._working_time())):
                async with self._timeline.step("verification"):
                    await challenge.pass_by_sms()
                return await self._clickable_or_sent(gate, left)
        except _PAGE_FAULTS as error:
            # With a right code the page may have sent the work without our seeing it.
            if challenge.undecided or gate.left > left:
                raise OutcomeUnknown(f"After a code was given: {first_line(error)}") from error
            raise VerificationRequired(f"The site's panel for the SMS code: {first_line(error)}") from error

    async def _clickable_or_sent(self, gate: PublishGate, left: int) -> Locator:
        """Returns once the button takes clicks, or the page has sent more than `left` requests."""
        ready = asyncio.create_task(self._ready_to_click())
        sent = asyncio.create_task(gate.lets_more_than(left))
        try:
            await asyncio.wait({ready, sent}, return_when=asyncio.FIRST_COMPLETED)
            return PUBLISH.on(self._page).first if sent.done() else ready.result()
        finally:
            ready.cancel()
            sent.cancel()
            await asyncio.gather(ready, sent, return_exceptions=True)

    async def _past_challenges(self, do: Callable[[], Awaitable[T]]) -> T:
        """Does it; again where the site asked for an SMS code first and was given one."""
        for _ in range(_CLICKS):
            try:
                return await do()
            except VerificationRequired:
                if self._next_code is None:
                    raise
            async with self._timeline.step("verification"):
                await Challenge(self._page, self._next_code).pass_by_sms()
        return await do()

    @contextlib.asynccontextmanager
    async def _step(self, name: str) -> AsyncIterator[Step]:
        """A step before the click: it ends before the worker's time does, however little the page responds, and
        where it fails because the page shows something else altogether, or the session is over, it fails with
        that.
        """
        async with self._timeline.step(name) as step:
            left = self._working_time()
            if left <= 0:
                raise NoTimeLeft("The worker's time was over before the form was ready.")
            try:
                async with asyncio.timeout(left):
                    yield step
            except (FormMismatch, PageChanged, PageTimeout, PlaywrightError, TimeoutError):
                await self._say_what_else_is_wrong()
                raise

    async def _say_what_else_is_wrong(self) -> None:
        """A session that is over shows as whatever failed for want of it, such as a cover that is not taken."""
        with contextlib.suppress(PageChanged, PlaywrightError, TimeoutError):
            async with asyncio.timeout(_EXPLANATION_SECONDS):
                sight = await look_again(self._page, None, timeout_ms=_EXPLANATION_SECONDS * 1000)
                if sight is not None:
                    await refuse_strangers(self._page, sight)
                    refuse_challenges(sight)
                if await is_logged_in(self._page) is False:
                    raise SessionExpired("The session is over: the site says that nobody is logged in.")

    async def _uploading(self, mark: str, progress: Progress) -> None:
        if self._upload is None:
            raise RuntimeError("start_upload comes first")
        await self._past_challenges(partial(self._upload.until, mark, progress=progress))

    def _working_time(self) -> float:
        return self._deadline() - _RESERVE_SECONDS


async def _differences(
    page: Page, work: Work, declared: str | None, scheduled: str | None
) -> AsyncIterator[tuple[str, str]]:
    """(field, what differs), for each field of the form that is not as asked. `declared` and `scheduled` are
    what the form was made to show.
    """
    title = await form.read_title(page)
    if title.strip() != work.title.strip():
        yield "title", f"the title reads {title!r} instead of {work.title!r}"
    text = await topics.read_description(page)
    wanted = work.description + "".join(f"#{tag}" for tag in work.tags)
    if topics.squeeze(text) != topics.squeeze(wanted):
        yield "description", f"the description reads {text!r} instead of {wanted!r}"
    if counted := await topics.too_long(page):
        yield "description", f"the site counts {counted} characters, topics included; an emoji may count as two"
    taken = await topics.read_topics(page)
    if not set(work.tags) <= set(taken):
        yield "tags", f"the topics are {list(taken)} instead of {list(work.tags)}"
    empty = await cover.empty_slots(page)
    if work.cover is not None and empty:
        yield "cover_path", f"no picture stands in {'、'.join(empty)}"
    if declared is not None and not await is_declared(page, declared):
        yield "claim_type", f"the form does not show the declaration {declared}"
    visibility = form.VISIBILITY_LABELS[work.visibility]
    if not await form.is_chosen(page, visibility):
        yield "visibility", f"{visibility} is not chosen"
    if work.allow_save is not None and not await form.is_chosen(page, form.SAVE_LABELS[work.allow_save]):
        yield "allow_save", f"{form.SAVE_LABELS[work.allow_save]} is not chosen"
    when = form.AT_ONCE if work.publish_at is None else form.SCHEDULED
    if not await form.is_chosen(page, when):
        yield "schedule_time", f"{when} is not chosen"
    if work.publish_at is not None and (read := await schedule.read_schedule(page)) != scheduled:
        yield "schedule_time", f"the schedule reads {read!r} instead of {scheduled!r}"


async def _close_popover(popover: Locator) -> None:
    # What a handler raises reaches nobody; the step that the popover blocks will say so.
    with contextlib.suppress(PlaywrightError):
        await press(popover, timeout_ms=_POPOVER_MS)
        note("a popover about something new was closed")
