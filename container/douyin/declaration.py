"""自主声明: what the creator declares about the work, in whichever dialog the site shows.

The site's six choices changed between spring and summer 2026, and two of the three that our API has always
taken went away; the table maps them. Failing to set what was asked for is an error, never a silent default:
labelling AI content is a legal duty in China since 2025-09-01.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from chalicelib.errors import FormMismatch, PageChanged
from container.douyin.act import ACTION_MS, click_until, find, reaches
from container.douyin.locators import DECLARATION_DIALOG, DECLARATION_ROW
from container.evidence import note

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

_AI = "内容由AI生成"
_OPINION = "内容为个人观点或见解"
_REPOST = "内容为转载信息"
_MARKETING = "内容含营销推广信息"
_FICTION = "虚构演绎，仅供娱乐"
_NONE = "无需添加自主声明"
_OUTSIDE = "取材站外"

_MENU_MS = 5_000


class Dialog(StrEnum):
    """The two sets of six, told apart by a choice that only one of them has."""

    NEW = _NONE
    OLD = "内容取材网络"


@dataclass(frozen=True, slots=True)
class Choice:
    """What to choose in the dialog, and the choice beneath it where there is one."""

    label: str
    source: str | None = None


# claim_type → choice, per dialog (facts of 2026-03, 2026-07 and 2026-09). A None is a declaration that this
# dialog cannot express.
CHOICES: dict[str, dict[Dialog, Choice | None]] = {
    _AI: {Dialog.NEW: Choice(_AI), Dialog.OLD: Choice(_AI)},
    "取材网络": {Dialog.NEW: Choice(_REPOST, _OUTSIDE), Dialog.OLD: Choice("内容取材网络", _OUTSIDE)},
    # The old dialog wants the place and date of the shooting, which our API does not ask for.
    "自行拍摄": {Dialog.NEW: Choice(_NONE), Dialog.OLD: None},
    _OPINION: {Dialog.NEW: Choice(_OPINION), Dialog.OLD: None},
    _REPOST: {Dialog.NEW: Choice(_REPOST, _OUTSIDE), Dialog.OLD: Choice("内容取材网络", _OUTSIDE)},
    _MARKETING: {Dialog.NEW: Choice(_MARKETING), Dialog.OLD: None},
    _FICTION: {Dialog.NEW: Choice(_FICTION), Dialog.OLD: Choice(_FICTION)},
    _NONE: {Dialog.NEW: Choice(_NONE), Dialog.OLD: None},
}

# Nothing to declare: what a work without a claim_type gets where the site insists on an answer (decision 032).
UNDECLARED = _NONE


async def declare(page: Page, claim_type: str | None) -> str | None:
    """Makes the declaration and returns the choice that the form then shows; None where none was made.

    FormMismatch where the dialog cannot express it, or does not take it.
    """
    row = DECLARATION_ROW.on(page).first
    if not await reaches(row, "visible", timeout_ms=_MENU_MS):
        if claim_type is None:
            note("the form asks for no declaration")
            return None
        raise PageChanged("The form has no row for the declaration.")
    if claim_type is None and "添加声明" in await row.inner_text():
        return None  # The old form's was voluntary.
    dialog = await _open(page, row)
    kind = await _kind(dialog)
    if claim_type is None:
        note(f"no claim_type was given: {UNDECLARED}")
    wanted = claim_type or UNDECLARED
    choice = CHOICES[wanted][kind]
    if choice is None:
        if wanted == UNDECLARED:
            await _close(dialog, "取消")
            return None
        raise FormMismatch(_cannot(wanted), field="claim_type")
    await _choose(dialog, choice)
    await _close(dialog, "确定")
    if not await reaches(page.get_by_text(choice.label, exact=True), "visible", timeout_ms=_MENU_MS):
        raise FormMismatch(f"The form does not show the declaration {choice.label!r}.", field="claim_type")
    if choice.label != wanted:
        note(f"claim_type {wanted} became {choice.label}{'/' + choice.source if choice.source else ''}")
    return choice.label


async def _open(page: Page, row: Locator) -> Locator:
    dialog = DECLARATION_DIALOG.on(page).first
    await click_until(row, dialog, "row of the declaration")
    return await find(page, DECLARATION_DIALOG)


async def _kind(dialog: Locator) -> Dialog:
    text = await dialog.inner_text(timeout=ACTION_MS)
    for kind in Dialog:
        if kind.value in text:
            return kind
    raise PageChanged("The dialog of the declarations offers choices that are not known.")


async def _choose(dialog: Locator, choice: Choice) -> None:
    await _check(dialog, choice.label)
    if choice.source is not None:
        # The dialog renders anew with the choices beneath; and 确定 is enabled before one of them is taken.
        if not await reaches(_label(dialog, choice.source), "visible", timeout_ms=_MENU_MS):
            raise PageChanged(f"The dialog offers no {choice.source} beneath {choice.label}.")
        await _check(dialog, choice.source)
        if not await _label(dialog, choice.label).locator("input:checked").count():
            raise FormMismatch(f"The dialog dropped {choice.label} for {choice.source}.", field="claim_type")


async def _check(dialog: Locator, text: str) -> None:
    """Takes one radio, by its label: the text itself takes no clicks."""
    label = _label(dialog, text)
    chosen = label.locator("input:checked")
    if await chosen.count():
        return
    await click_until(label, chosen, f"declaration {text}", state="attached")


def _label(dialog: Locator, text: str) -> Locator:
    return dialog.locator("label").filter(has_text=re.compile(rf"^\s*{re.escape(text)}")).first


async def _close(dialog: Locator, button: str) -> None:
    footer = dialog.get_by_role("button", name=button, exact=True).last
    await footer.click(timeout=ACTION_MS)
    if not await reaches(dialog, "hidden", timeout_ms=_MENU_MS):
        raise FormMismatch("The dialog of the declarations does not close.", field="claim_type")


def _cannot(claim_type: str) -> str:
    if claim_type == "自行拍摄":
        return (
            "The site shows this account its old declarations, where 内容自行拍摄 needs the place and date of "
            "the shooting, which cannot be set: choose another claim_type, or publish this one by hand."
        )
    return f"The declarations that the site shows this account do not have {claim_type!r}."
