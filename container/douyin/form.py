"""The plain fields of the form: the title, and the settings that are chosen by a label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.errors import FormMismatch
from container.douyin.act import ACTION_MS, click_until, find
from container.douyin.locators import SETTING, SETTING_CHOSEN, TITLE, spaced

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

VISIBILITY_LABELS = {"public": "公开", "friends": "好友可见", "private": "仅自己可见"}
SAVE_LABELS = {True: "允许", False: "不允许"}
SCHEDULED, AT_ONCE = "定时发布", "立即发布"


async def write_title(page: Page, title: str) -> None:
    """FormMismatch where the field keeps only a part of it."""
    field = await find(page, TITLE)
    await field.fill(title, timeout=ACTION_MS)
    kept = await field.input_value(timeout=ACTION_MS)
    if kept != title and title.startswith(kept):
        raise FormMismatch(clipped("title", kept, title), field="title")


async def read_title(page: Page) -> str:
    return await (await find(page, TITLE)).input_value(timeout=ACTION_MS)


async def choose_setting(page: Page, label: str) -> None:
    """Takes the choice with exactly this label. PageChanged where clicking it has no effect."""
    choice = await find(page, SETTING, text=spaced(label))
    checked = _checked(page, label)
    if not await checked.count():
        await click_until(choice, checked, f"the setting {label}", state="attached")


async def is_chosen(page: Page, label: str) -> bool:
    return await _checked(page, label).count() > 0


def clipped(name: str, kept: str, whole: str) -> str:
    """What to say of a text of which the site keeps only the beginning."""
    return (
        f"The site keeps {len(kept)} of the {len(whole)} characters of the {name}, up to {kept[-10:]!r}: "
        "shorten it; an emoji may count as two."
    )


def _checked(page: Page, label: str) -> Locator:
    # 允许 is a part of 不允许, so that the whole text has to match.
    choice = SETTING.on(page).filter(has_text=spaced(label))
    return choice.and_(SETTING_CHOSEN.on(page, visible=False))
