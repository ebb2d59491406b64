"""The plain fields of the form: the title, and the settings that are chosen by a label."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from container.douyin.act import ACTION_MS, click_until, expect, find
from container.douyin.locators import SETTING, TITLE

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

VISIBILITY_LABELS = {"public": "公开", "friends": "好友可见", "private": "仅自己可见"}
SAVE_LABELS = {True: "允许", False: "不允许"}
SCHEDULED, AT_ONCE = "定时发布", "立即发布"


async def write_title(page: Page, title: str) -> None:
    field = await find(page, TITLE)
    await field.fill(title, timeout=ACTION_MS)


async def read_title(page: Page) -> str:
    return await TITLE.on(page).first.input_value(timeout=ACTION_MS)


async def choose_setting(page: Page, label: str) -> None:
    """Takes the choice with exactly this label. PageChanged where clicking it has no effect."""
    choice = _setting(page, label)
    checked = choice.and_(page.locator('[data-checked="true"], :has(input:checked)'))
    await expect(choice, "visible", f"the setting {label}")
    if not await checked.count():
        await click_until(choice.first, checked, f"the setting {label}", state="attached")


async def is_chosen(page: Page, label: str) -> bool:
    return (
        await _setting(page, label).and_(page.locator('[data-checked="true"], :has(input:checked)')).count() > 0
    )


def _setting(page: Page, label: str) -> Locator:
    # 允许 is a part of 不允许, so that the whole text has to match.
    return SETTING.on(page).filter(has_text=re.compile(rf"^\s*{re.escape(label)}\s*$"))
