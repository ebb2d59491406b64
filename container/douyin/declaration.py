"""自主声明: what the creator declares about the work, in whichever dialog the site shows.

The site's six choices changed between spring and summer 2026, and two of the three that our API has always
taken went away; the table maps them. Failing to set what was asked for is an error, never a silent default:
labelling AI content is a legal duty in China since 2025-09-01.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from chalicelib.errors import FormMismatch, PageChanged
from container.douyin.act import ACTION_MS, click_until, find, reaches, until
from container.douyin.locators import (
    DECLARATION_CANCEL,
    DECLARATION_CHOICE,
    DECLARATION_CHOSEN,
    DECLARATION_DIALOG,
    DECLARATION_FIELD,
    DECLARATION_LINK,
    DECLARATION_OK,
    DECLARATION_PANEL,
    DECLARATION_ROW,
    PLACE_FIELD,
    PLACE_LIST,
    PLACE_OPTION,
    SHOT_ON,
    spaced,
)
from container.douyin.topics import squeeze
from container.evidence import note

if TYPE_CHECKING:
    import re

    from playwright.async_api import Locator, Page

    from container.douyin.locators import Target

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
    """What to choose in the dialog, the choice beneath it where there is one, and whether the dialog wants the
    place and date of the shooting with it.
    """

    label: str
    source: str | None = None
    shooting: bool = False


@dataclass(frozen=True, slots=True)
class Shooting:
    """Where (one name a level, as the site's list shows them) and when (YYYY-MM-DD) the work was shot."""

    place: tuple[str, ...]
    date: str


# claim_type → choice, per dialog (facts of 2026-03, 2026-07 and 2026-09). A None is a declaration that this
# dialog cannot express.
CHOICES: dict[str, dict[Dialog, Choice | None]] = {
    _AI: {Dialog.NEW: Choice(_AI), Dialog.OLD: Choice(_AI)},
    "取材网络": {Dialog.NEW: Choice(_REPOST, _OUTSIDE), Dialog.OLD: Choice("内容取材网络", _OUTSIDE)},
    "自行拍摄": {Dialog.NEW: Choice(_NONE), Dialog.OLD: Choice("内容自行拍摄", shooting=True)},
    _OPINION: {Dialog.NEW: Choice(_OPINION), Dialog.OLD: None},
    _REPOST: {Dialog.NEW: Choice(_REPOST, _OUTSIDE), Dialog.OLD: Choice("内容取材网络", _OUTSIDE)},
    _MARKETING: {Dialog.NEW: Choice(_MARKETING), Dialog.OLD: None},
    _FICTION: {Dialog.NEW: Choice(_FICTION), Dialog.OLD: Choice(_FICTION)},
    _NONE: {Dialog.NEW: Choice(_NONE), Dialog.OLD: None},
}

# Nothing to declare: what a work without a claim_type gets where the site insists on an answer (decision 032).
UNDECLARED = _NONE


async def declare(page: Page, claim_type: str | None, shooting: Shooting | None = None) -> str | None:
    """Makes the declaration and returns the choice that the form then shows; None where none was made.

    FormMismatch where the dialog cannot express it, or does not take it.
    """
    row, link = DECLARATION_ROW.on(page), DECLARATION_LINK.on(page)
    if not await reaches(row.or_(link), "attached", timeout_ms=_MENU_MS):
        if claim_type is None:
            note("the form asks for no declaration")
            return None
        raise PageChanged("The form has no row for the declaration.")
    entry = DECLARATION_ROW if await row.count() else DECLARATION_LINK
    if claim_type is None and entry is DECLARATION_LINK:
        return None  # The old form's was voluntary.
    await click_until(await find(page, entry), DECLARATION_DIALOG.on(page), entry.purpose)
    dialog = await find(page, DECLARATION_DIALOG)
    kind = await _kind(dialog)
    if claim_type is None:
        note(f"no claim_type was given: {UNDECLARED}")
    wanted = claim_type or UNDECLARED
    choice = CHOICES[wanted][kind]
    if choice is None:
        if wanted == UNDECLARED:
            await _close(dialog, DECLARATION_CANCEL)
            return None
        raise FormMismatch(
            f"The declarations that the site shows this account do not have {wanted!r}.", field="claim_type"
        )
    await _choose(dialog, choice)
    if choice.shooting:
        await _tell_shooting(page, dialog, shooting)
    elif shooting is not None:
        note("claim_place and claim_date are not needed: the site does not ask this account for them")
    await _close(dialog, DECLARATION_OK)
    if not await reaches(_shown(page, choice.label), "visible", timeout_ms=_MENU_MS):
        raise FormMismatch(f"The form does not show the declaration {choice.label!r}.", field="claim_type")
    if choice.label != wanted:
        note(f"claim_type {wanted} became {choice.label}{'/' + choice.source if choice.source else ''}")
    return choice.label


async def is_declared(page: Page, label: str) -> bool:
    """Whether the form shows this choice."""
    return await _shown(page, label).filter(visible=True).count() > 0


def _shown(page: Page, label: str) -> Locator:
    # The same words may stand in the description.
    return DECLARATION_FIELD.on(page).or_(DECLARATION_PANEL.on(page)).get_by_text(spaced(label))


async def _kind(dialog: Locator) -> Dialog:
    text = squeeze(await dialog.inner_text(timeout=ACTION_MS))
    for kind in Dialog:
        if kind.value in text:
            return kind
    raise PageChanged("The dialog of the declarations offers choices that are not known.")


async def _choose(dialog: Locator, choice: Choice) -> None:
    await _check(dialog, choice.label)
    if choice.source is not None:
        # The dialog renders anew with the choices beneath; and 确定 is enabled before one of them is taken.
        if not await reaches(_labels(dialog, choice.source), "visible", timeout_ms=_MENU_MS):
            raise PageChanged(f"The dialog offers no {choice.source} beneath {choice.label}.")
        await _check(dialog, choice.source)
        if not await _chosen(dialog, choice.label).count():
            raise FormMismatch(f"The dialog dropped {choice.label} for {choice.source}.", field="claim_type")


async def _check(dialog: Locator, text: str) -> None:
    """Takes one radio, by its label: the text itself takes no clicks."""
    label = await find(dialog, DECLARATION_CHOICE, text=_beginning(text))
    chosen = _chosen(dialog, text)
    if not await chosen.count():
        await click_until(label, chosen, f"declaration {text}", state="attached")


def _labels(dialog: Locator, text: str) -> Locator:
    return DECLARATION_CHOICE.on(dialog).filter(has_text=_beginning(text))


def _chosen(dialog: Locator, text: str) -> Locator:
    return DECLARATION_CHOSEN.on(dialog).filter(has_text=_beginning(text))


def _beginning(text: str) -> re.Pattern[str]:
    # 取材站内 is followed by a link.
    return spaced(text, whole=False)


async def _tell_shooting(page: Page, dialog: Locator, shooting: Shooting | None) -> None:
    """Fills in place and date, and reads both back: once the dialog is closed, the form shows neither."""
    if shooting is None:
        raise FormMismatch(
            "The site shows this account its old declarations, where 内容自行拍摄 needs the place and date of "
            "the shooting: give claim_place and claim_date, or choose another claim_type.",
            field="claim_type",
        )
    place = await find(dialog, PLACE_FIELD)
    await click_until(place, PLACE_OPTION.on(page), PLACE_FIELD.purpose)
    for level, name in enumerate(shooting.place):
        await _take_place(PLACE_LIST.on(page).nth(level), name)
    date = await find(dialog, SHOT_ON)
    await date.fill(shooting.date, timeout=ACTION_MS)
    await date.press("Enter", timeout=ACTION_MS)
    wanted = [squeeze(name) for name in shooting.place]

    async def place_reads() -> bool:
        return squeeze(await place.inner_text(timeout=ACTION_MS)).split("/") == wanted

    if not await until(page, place_reads, timeout_ms=_MENU_MS):
        raise FormMismatch(
            f"The place reads {squeeze(await place.inner_text())!r} instead of {'/'.join(shooting.place)!r}: "
            "name one place for each level of the site's list, down to the last.",
            field="claim_place",
        )
    if (reads := await date.input_value(timeout=ACTION_MS)) != shooting.date:
        raise FormMismatch(
            f"The date reads {reads!r} instead of {shooting.date!r}.",
            field="claim_date",
        )
    confirm = await find(dialog, DECLARATION_OK)
    if not await until(page, confirm.is_enabled, timeout_ms=_MENU_MS):
        raise FormMismatch(
            "The dialog does not take the place and date of the shooting.",
            field="claim_date",
        )


async def _take_place(level: Locator, name: str) -> None:
    option = PLACE_OPTION.on(level).filter(has_text=spaced(name)).first
    if not await reaches(option, "visible", timeout_ms=_MENU_MS):
        offered = [squeeze(text) for text in await PLACE_OPTION.on(level).all_inner_texts()]
        raise FormMismatch(
            f"The site's list of places has no {name!r} here; it has {', '.join(offered) or 'nothing'}.",
            field="claim_place",
        )
    await option.click(timeout=ACTION_MS)


async def _close(dialog: Locator, button: Target) -> None:
    await click_until(await find(dialog, button), dialog, button.purpose, state="hidden")
