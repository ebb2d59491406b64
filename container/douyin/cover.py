"""The two covers: one picture for both slots, or, where none was given, one that the site recommends.

The dialog is full of traps (facts of 2026-06…09): four file inputs of which the first two belong to an AI
panel, inputs that are built anew after each upload, a next-step button that bears the step's own name, and
second confirmations. A dialog left open would block the publish button.
"""

from __future__ import annotations

import asyncio
import base64
import re
from functools import partial
from typing import TYPE_CHECKING

from playwright.async_api import Error as PlaywrightError

from chalicelib.errors import FormMismatch, PageChanged, PageTimeout
from container.douyin.act import ACTION_MS, EFFECT_MS, click_until, expect, find, reaches, until
from container.douyin.locators import (
    CONFIRMATION,
    COVER_CHOOSE,
    COVER_CLOSE,
    COVER_DIALOG,
    COVER_DONE,
    COVER_INPUT,
    COVER_NAG,
    COVER_RECOMMENDED,
    COVER_SLOT,
    COVER_STEP,
    spaced,
)
from container.douyin.topics import squeeze
from container.evidence import note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from playwright.async_api import Locator, Page

_EMPTY = "选择封面"
_STEPS = ("设置竖封面", "设置横封面")
_TAKEN_AS_IS = (".png", ".jpg", ".jpeg")  # 支持 jpg、png 格式

_PROCESSING_MS = 60_000
_RECOMMENDATION_MS = 15_000
_OPTIONAL_MS = 1_500


async def set_cover(page: Page, cover: Path) -> None:
    """Puts the picture into both slots. FormMismatch where the site does not take it."""
    if cover.suffix not in _TAKEN_AS_IS:
        cover = await _as_jpeg(page, cover)
    for left in (1, 0):
        await click_until(await find(page, COVER_CHOOSE), COVER_DIALOG.on(page), COVER_CHOOSE.purpose)
        dialog = await find(page, COVER_DIALOG)
        both = await _fill(dialog, cover)
        filled = partial(_has_filled, page, 0 if both else left)
        await _finish(page, dialog, filled)
        await until(page, filled, timeout_ms=EFFECT_MS)
        await dismiss_nag(page)
        if await _has_filled(page, 0):
            break


async def recommend_cover(page: Page) -> None:
    """Takes the first cover that the site recommends: since 2025-12 no work goes out without one."""
    if not await reaches(COVER_RECOMMENDED.on(page), "attached", timeout_ms=_RECOMMENDATION_MS):
        note("no cover was given, and the site recommends none")
        return
    recommended = await find(page, COVER_RECOMMENDED)
    await click_until(recommended, CONFIRMATION.on(page), COVER_RECOMMENDED.purpose)
    await (await find(page, CONFIRMATION)).click(timeout=ACTION_MS)
    if not await reaches(_filled_slot(page), "visible", timeout_ms=_RECOMMENDATION_MS):
        raise PageChanged("The recommended cover does not show in its slot.")
    note("no cover was given: the first one that the site recommends")
    await dismiss_nag(page)


async def empty_slots(page: Page) -> list[str]:
    """What the slots without a picture say, such as `竖封面3:4`; an empty list where all are filled."""
    await find(page, COVER_SLOT)
    texts = [squeeze(text) for text in await COVER_SLOT.on(page).all_inner_texts()]
    return [text.replace(_EMPTY, "").strip("+") for text in texts if _EMPTY in text]


async def dismiss_nag(page: Page) -> None:
    """Takes away the reminder that a second cover is missing."""
    nag = COVER_NAG.on(page).first
    if await nag.is_visible():
        await page.keyboard.press("Escape")
        await expect(nag, "hidden", COVER_NAG.purpose)


async def close_residual(page: Page) -> None:
    """Takes away a cover dialog that stayed open, which would block the publish button."""
    dialog = COVER_DIALOG.on(page).first
    if await dialog.is_visible():
        note("a cover dialog stayed open; it was closed")
        await (await find(dialog, COVER_CLOSE)).click(timeout=ACTION_MS)
        await expect(dialog, "hidden", COVER_DIALOG.purpose)


async def _as_jpeg(page: Page, picture: Path) -> Path:
    """The picture as a JPEG beside it, made by a page of the browser's own. FormMismatch where it is broken."""
    workshop = await page.context.new_page()
    try:
        content = await asyncio.to_thread(picture.read_bytes)
        jpeg = await workshop.evaluate(_TO_JPEG, base64.b64encode(content).decode())
    except PlaywrightError as error:
        raise FormMismatch("The cover cannot be read as a picture.", field="cover_path") from error
    finally:
        await workshop.close()
    converted = picture.with_suffix(".jpg")
    await asyncio.to_thread(converted.write_bytes, base64.b64decode(jpeg))
    note(f"the cover was converted from {picture.suffix.removeprefix('.').upper()} to JPEG")
    return converted


async def _fill(dialog: Locator, cover: Path) -> bool:
    """Whichever step the dialog opens at: the button in its footer leads to the other one. Where there is none,
    the dialog fills one slot only: False.
    """
    await _upload(dialog, cover)
    if not await COVER_STEP.on(dialog).count():
        return False
    following = await find(dialog, COVER_STEP)
    name = squeeze(await following.inner_text())
    back = COVER_STEP.on(dialog).filter(has_text=spaced(_other(name)))
    await click_until(following, back, f"the cover dialog's step {name}")
    await _upload(dialog, cover)
    return True


async def _upload(dialog: Locator, cover: Path) -> None:
    field = await find(dialog, COVER_INPUT, visible=False)
    handle = await field.element_handle(timeout=ACTION_MS)
    await field.set_input_files(cover, timeout=ACTION_MS)

    async def taken() -> bool:
        # The panel builds its inputs anew once it has the picture, and lets 完成 go again.
        rebuilt = bool(await handle.evaluate("field => !field.isConnected || field.files.length === 0"))
        return rebuilt and await (await find(dialog, COVER_DONE)).is_enabled()

    if not await until(dialog.page, taken, timeout_ms=_PROCESSING_MS):
        raise PageTimeout("The cover dialog did not take the picture.")


async def _finish(page: Page, dialog: Locator, filled: Callable[[], Awaitable[bool]]) -> None:
    """Ends the dialog: it goes at once, or asks once more, or stays behind although its work is done."""
    await (await find(dialog, COVER_DONE)).click(timeout=ACTION_MS)
    question = CONFIRMATION.on(page)

    async def answered() -> bool:
        return not await dialog.is_visible() or await question.count() > 0

    await until(page, answered, timeout_ms=_OPTIONAL_MS)
    if await question.count():
        note("the cover dialog asked once more")
        await (await find(page, CONFIRMATION)).click(timeout=ACTION_MS)
        await reaches(dialog, "hidden", timeout_ms=_OPTIONAL_MS)
    if await dialog.is_visible() and await filled():
        await close_residual(page)
    if not await reaches(dialog, "hidden", timeout_ms=ACTION_MS):
        raise FormMismatch("The cover dialog does not close.", field="cover_path")


async def _has_filled(page: Page, left: int) -> bool:
    """Whether at most so many slots are empty."""
    return await COVER_CHOOSE.on(page).count() <= left


def _filled_slot(page: Page) -> Locator:
    return COVER_SLOT.on(page).filter(has_not_text=re.compile(r"选\s*择\s*封\s*面")).first


def _other(step: str) -> str:
    return _STEPS[1 - _STEPS.index(step)]


# On white: a JPEG knows no transparency.
_TO_JPEG = """
async (base64) => {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const picture = await createImageBitmap(new Blob([bytes]));
  const {width, height} = picture;
  const canvas = Object.assign(document.createElement("canvas"), {width, height});
  const brush = canvas.getContext("2d");
  brush.fillStyle = "#fff";
  brush.fillRect(0, 0, width, height);
  brush.drawImage(picture, 0, 0);
  return canvas.toDataURL("image/jpeg", 0.95).split(",")[1];
}
"""
