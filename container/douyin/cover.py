"""The two covers: one picture for both slots, or, where none was given, one that the site recommends.

The dialog is full of traps (facts of 2026-06…09): four file inputs of which the first two belong to an AI
panel, inputs that are built anew after each upload, a next-step button that bears the step's own name, and
second confirmations. A dialog left open would block the publish button.
"""

from __future__ import annotations

import asyncio
import base64
import re
from typing import TYPE_CHECKING

from playwright.async_api import Error as PlaywrightError

from chalicelib.errors import FormMismatch, PageChanged
from container.douyin.act import ACTION_MS, click_until, expect, find, reaches
from container.douyin.locators import (
    COVER_CHOOSE,
    COVER_DIALOG,
    COVER_DONE,
    COVER_INPUT,
    COVER_NAG,
    COVER_RECOMMENDED,
    COVER_SLOT,
)
from container.evidence import note

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Locator, Page

_EMPTY = "选择封面"
_STEPS = ("设置竖封面", "设置横封面")
_TAKEN_AS_IS = (".png", ".jpg", ".jpeg")  # 支持 jpg、png 格式
_CONFIRMATIONS = ("仍然完成", "仍要完成", "确定", "确认", "继续")

_PROCESSING_MS = 60_000
_RECOMMENDATION_MS = 15_000
_OPTIONAL_MS = 1_500


async def set_cover(page: Page, cover: Path) -> None:
    """Puts the picture into both slots. FormMismatch where the site does not take it."""
    if cover.suffix not in _TAKEN_AS_IS:
        cover = await _as_jpeg(page, cover)
    empty = COVER_CHOOSE.on(page)
    for _ in _STEPS:
        await click_until(empty.first, COVER_DIALOG.on(page), COVER_CHOOSE.purpose)
        dialog = await find(page, COVER_DIALOG)
        await _fill(dialog, cover)
        await _finish(page, dialog)
        # One dialog fills both slots, or only its own.
        if await reaches(empty, "hidden"):
            break
    await dismiss_nag(page)


async def recommend_cover(page: Page) -> None:
    """Takes the first cover that the site recommends: since 2025-12 no work goes out without one."""
    recommended = COVER_RECOMMENDED.on(page).first
    if not await reaches(recommended, "visible", timeout_ms=_RECOMMENDATION_MS):
        note("no cover was given, and the site recommends none")
        return
    confirm = page.get_by_role("button", name="确定", exact=True).filter(visible=True).first
    await click_until(recommended, confirm, "recommended cover")
    await confirm.click(timeout=ACTION_MS)
    if not await reaches(_filled_slot(page), "visible", timeout_ms=_RECOMMENDATION_MS):
        raise PageChanged("The recommended cover does not show in its slot.")
    note("no cover was given: the first one that the site recommends")
    await dismiss_nag(page)


async def empty_slots(page: Page) -> list[str]:
    """What the slots without a picture say, such as `竖封面3:4`; an empty list where all are filled."""
    slots = COVER_SLOT.on(page).filter(has_text=_EMPTY)
    return [text.replace(_EMPTY, "").strip() for text in await slots.all_inner_texts()]


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
        await dialog.locator('[aria-label="close"], [class*="modal-close"]').first.click(timeout=ACTION_MS)
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


async def _fill(dialog: Locator, cover: Path) -> None:
    await _upload(dialog, cover)
    # In the footer stands a button that leads to the other shape, and bears that step's name.
    following = dialog.get_by_role("button", name=re.compile("|".join(_STEPS))).first
    if not await following.count():
        return
    name = (await following.inner_text()).strip()
    await click_until(
        following,
        dialog.get_by_role("button", name=_other(name), exact=True),
        f"the dialog's step {name}",
    )
    await _upload(dialog, cover)


async def _upload(dialog: Locator, cover: Path) -> None:
    field = await find(dialog, COVER_INPUT, visible=False)
    handle = await field.element_handle(timeout=ACTION_MS)
    await field.set_input_files(cover, timeout=ACTION_MS)
    page = dialog.page
    # The panel builds its inputs anew once it has the picture, and lets 完成 go again.
    await page.wait_for_function(
        "field => !field.isConnected || field.files.length === 0",
        arg=handle,
        polling=50,
        timeout=_PROCESSING_MS,
    )
    done = await find(dialog, COVER_DONE)
    await page.wait_for_function(
        "button => !button.disabled",
        arg=await done.element_handle(timeout=ACTION_MS),
        polling=50,
        timeout=_PROCESSING_MS,
    )


async def _finish(page: Page, dialog: Locator) -> None:
    done = await find(dialog, COVER_DONE)
    await done.click(timeout=ACTION_MS)
    confirmation = page.get_by_role("button", name=re.compile(f"^({'|'.join(_CONFIRMATIONS)})$")).filter(
        visible=True
    )
    # Either the dialog goes, or it asks once more.
    hidden = await reaches(dialog, "hidden", timeout_ms=_OPTIONAL_MS)
    if not hidden and await confirmation.count():
        note("the cover dialog asked once more")
        await confirmation.first.click(timeout=ACTION_MS)
    if not hidden and not await reaches(dialog, "hidden", timeout_ms=ACTION_MS):
        raise FormMismatch("The cover dialog does not close.", field="cover_path")


def _filled_slot(page: Page) -> Locator:
    return COVER_SLOT.on(page).filter(has_not_text=_EMPTY).first


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
