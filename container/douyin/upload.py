"""The video's way to the site: chosen in a hidden input, sent by the page, watched until it is whole."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chalicelib.errors import PageTimeout, PlatformBusy, PlatformRejected
from container.douyin.act import ACTION_MS, EFFECT_MS, expect, find, until
from container.douyin.locators import DRAFT_GIVE_UP, RETRY_INPUT, UPLOAD_CANCEL, VIDEO_INPUT
from container.douyin.session import refuse_challenges, refuse_strangers, wait_past_challenges
from container.douyin.sight import Sight, look_again
from container.evidence import note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from playwright.async_api import Page

UPLOAD_PATH = "/creator-micro/content/upload"

_OPEN_MS = 30_000
# An upload of which nothing has been heard for so long does not move any more.
_SILENCE_SECONDS = 120.0
_RETRIES = 2
# Kept of the worker's time, so that an upload that it ends is canceled.
_CANCEL_SECONDS = 5.0


async def open_upload_page(page: Page, origin: str) -> None:
    """Opens the upload page; drops a draft of an earlier visit.

    SessionExpired on proof; VerificationRequired or CaptchaRequired where the site asks for one first.
    """
    await visit_upload_page(page, origin)
    draft = DRAFT_GIVE_UP.on(page).first
    if await draft.is_visible():
        await (await find(page, DRAFT_GIVE_UP)).click(timeout=ACTION_MS)
        await expect(draft, "hidden", DRAFT_GIVE_UP.purpose)
        note("an unfinished video of an earlier visit was dropped")


async def visit_upload_page(page: Page, origin: str) -> None:
    """Opens the upload page and changes nothing. Raises as `open_upload_page` does."""
    await page.goto(f"{origin}{UPLOAD_PATH}", wait_until="commit", timeout=_OPEN_MS)
    await wait_past_challenges(page, "upload_input", timeout_ms=_OPEN_MS)


async def choose_video(page: Page, video: Path) -> None:
    """Hands the file to the page, which starts to upload it. Raises PlatformRejected where it turns it away."""
    field = await find(page, VIDEO_INPUT, visible=False)
    await field.set_input_files(video, timeout=ACTION_MS)
    sight: Sight | None = None
    end = time.monotonic() + _OPEN_MS / 1000
    while (left := end - time.monotonic()) > 0:
        sight = await look_again(page, sight, timeout_ms=left * 1000)
        if sight is None:
            break
        await refuse_strangers(page, sight)
        if sight.path != UPLOAD_PATH or sight.percent is not None or sight.shows("form", "uploaded"):
            return
        refusal = [toast for toast in sight.toasts if any(word in toast for word in ("不支持", "超过", "失败"))]
        if refusal:
            raise PlatformRejected(f"The platform does not take the video: {refusal[0]}.")
    raise PageTimeout("The page did not begin to upload the video.")


class UploadWatch:
    """Follows the upload, whichever page shows it, and chooses the file again where the upload failed."""

    def __init__(self, page: Page, video: Path, deadline: Callable[[], float]) -> None:
        self._page = page
        self._video = video
        self._deadline = deadline
        self._retries = 0

    async def until(self, *marks: str, progress: Callable[[int], Awaitable[None]]) -> None:
        """Waits until the page shows one of the marks and no failure. `progress` hears each new percentage.

        Raises PageTimeout where the upload stands still or the deadline is near, PlatformBusy where it fails
        again and again, SessionExpired, CaptchaRequired and VerificationRequired where the page says so.
        """
        sight: Sight | None = None
        while (left := min(self._deadline() - _CANCEL_SECONDS, _SILENCE_SECONDS)) > 0:
            sight = await look_again(self._page, sight, timeout_ms=left * 1000)
            if sight is None:
                break
            await refuse_strangers(self._page, sight)
            refuse_challenges(sight)
            if sight.percent is not None:
                await progress(sight.percent)
            if sight.shows("upload_failed"):
                await self._retry()
                sight = None  # The next failure may look the same.
            elif sight.shows(*marks):
                return
        await self._cancel()
        raise PageTimeout("The upload stands still, or did not end before the worker's time did.")

    async def _cancel(self) -> None:
        """Leaves no half of an upload behind: the next attempt starts with a whole page."""
        if await UPLOAD_CANCEL.on(self._page).count():
            note("the upload stood still; it was canceled")
            await (await find(self._page, UPLOAD_CANCEL)).click(timeout=ACTION_MS)
            await expect(UPLOAD_CANCEL.on(self._page), "hidden", UPLOAD_CANCEL.purpose)

    async def _retry(self) -> None:
        if self._retries == _RETRIES:
            raise PlatformBusy(f"The upload of the video failed {_RETRIES + 1} times.")
        self._retries += 1
        note(f"the upload failed; it was begun again (retry {self._retries})")
        field = await find(self._page, RETRY_INPUT, visible=False)
        failure = await field.element_handle(timeout=ACTION_MS)
        await field.set_input_files(self._video, timeout=ACTION_MS)

        async def begun() -> bool:
            return not await failure.evaluate("field => field.isConnected")

        await until(self._page, begun, timeout_ms=EFFECT_MS)
