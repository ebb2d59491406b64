"""Which locators still hold: opens each page of the creator center, looks for everything, publishes nothing.

The form is reached by a small upload, which is abandoned. Requests that would publish are barred in the
browser.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from playwright.async_api import Error as PlaywrightError

from chalicelib.errors import PageChanged, PageTimeout
from container.douyin import form, topics
from container.douyin import locators as table
from container.douyin.act import ACTION_MS, find, reaches
from container.douyin.answer import PublishGate
from container.douyin.session import refuse_challenges, wait_past_challenges
from container.douyin.sight import look
from container.douyin.upload import UploadWatch, choose_video, open_upload_page
from container.evidence import first_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from playwright.async_api import Locator, Page

    from container.douyin.locators import Scope, Target

_LOOK_MS = 5_000
_OPEN_MS = 30_000
_TOPIC = "日常"

# Shown at moments only that a probe does not bring about: a failure, a challenge, a first visit.
OCCASIONAL: tuple[Target, ...] = (
    *(table.QR_EXPIRED, table.POPOVER_OK, table.TOAST, table.DRAFT_GIVE_UP, table.UPLOAD_CANCEL),
    *(table.RETRY_INPUT, table.COVER_NAG, table.CONFIRMATION, table.DATE_DEAD),
    *(table.CHALLENGE, table.CHALLENGE_SMS, table.CHALLENGE_CODE, table.CHALLENGE_SEND),
    *(table.CHALLENGE_CONFIRM, table.CHALLENGE_ERROR),
    *(table.PLACE_FIELD, table.PLACE_LIST, table.PLACE_OPTION, table.SHOT_ON),
)
# Of each pair the site shows one.
EITHER: tuple[tuple[Target, Target], ...] = (
    (table.QR_IMAGE, table.QR_DRAWING),
    (table.DECLARATION_ROW, table.DECLARATION_LINK),
    (table.DECLARATION_FIELD, table.DECLARATION_PANEL),
)
_HIDDEN = (table.VIDEO_INPUT, table.COVER_INPUT)


@dataclass(frozen=True, slots=True)
class Finding:
    """How one target was found: `way` is 0 for the primary way, n for the nth fallback, None for none; `how` is
    the way, or why nothing was found. `shown` is false where the page need not show it.
    """

    target: Target
    way: int | None
    how: str
    shown: bool = True

    @property
    def broken(self) -> bool:
        return self.shown and self.way is None


async def probe_login(page: Page, origin: str) -> AsyncIterator[Finding]:
    """What the login page shows to a stranger. CaptchaRequired where that is a captcha."""
    await page.goto(f"{origin}/", wait_until="commit", timeout=_OPEN_MS)
    await reaches(table.QR_IMAGE.on(page).or_(table.QR_DRAWING.on(page)), "visible", timeout_ms=_OPEN_MS)
    refuse_challenges(await look(page))
    for finding in await _either(page, table.QR_IMAGE, table.QR_DRAWING):
        yield finding


async def probe_creator(page: Page, origin: str, video: Path) -> AsyncIterator[Finding]:
    """What the pages of a logged-in creator show. SessionExpired and challenges as the driver raises them."""
    await PublishGate.on(page)
    await page.add_locator_handler(table.POPOVER_OK.on(page).first, _click, no_wait_after=True)
    await open_upload_page(page, origin)
    for target in (table.VIDEO_INPUT, table.UPLOAD_INVITATION):
        yield await _look_for(page, target)
    await choose_video(page, video)
    upload = UploadWatch(page, video, lambda: _OPEN_MS / 1000)
    await upload.until("form", progress=_ignore)
    await upload.until("uploaded", progress=_ignore)
    for probe in (_form, _topics, _cover, _declaration, _schedule):
        for finding in await probe(page):
            yield finding
    yield await _look_for(page, table.LEAVE)
    await _abandon(page)


async def _form(page: Page) -> list[Finding]:
    targets = (table.TITLE, table.DESCRIPTION, table.DESCRIPTION_COUNT, table.PUBLISH)
    covers = (table.COVER_CHOOSE, table.COVER_SLOT, table.COVER_RECOMMENDED)
    settings = (table.SETTING, table.SETTING_CHOSEN)
    return [await _look_for(page, target) for target in (*targets, *settings, *covers)]


async def _topics(page: Page) -> list[Finding]:
    async def type_one() -> Scope:
        editor = await find(page, table.DESCRIPTION)
        await editor.focus(timeout=ACTION_MS)
        await page.keyboard.type("#")
        await page.keyboard.insert_text(_TOPIC)
        return page

    async def take_one() -> Scope:
        await table.SUGGESTION_NAME.on(page).first.click(timeout=ACTION_MS)
        return page

    found = await _after(type_one, table.SUGGESTION, table.SUGGESTION_NAME, table.SUGGESTION_LAYER)
    found += await _after(take_one, table.TOPIC_CHIP)
    with contextlib.suppress(PlaywrightError):
        await topics.leave_editor(page)
    return found


async def _cover(page: Page) -> list[Finding]:
    async def open_dialog() -> Scope:
        await (await find(page, table.COVER_CHOOSE)).click(timeout=ACTION_MS)
        return await find(page, table.COVER_DIALOG)

    found = [
        *await _after(open_dialog, table.COVER_INPUT, table.COVER_STEP, table.COVER_DONE, table.COVER_CLOSE),
        await _look_for(page, table.COVER_DIALOG),
    ]
    await _close(page, table.COVER_CLOSE, table.COVER_DIALOG)
    return found


async def _declaration(page: Page) -> list[Finding]:
    entries = await _either(page, table.DECLARATION_ROW, table.DECLARATION_LINK)
    entry = next((finding.target for finding in entries if finding.way is not None), table.DECLARATION_ROW)

    async def open_dialog() -> Scope:
        await (await find(page, entry)).click(timeout=ACTION_MS)
        return await find(page, table.DECLARATION_DIALOG)

    async def choose_one() -> Scope:
        dialog = await find(page, table.DECLARATION_DIALOG)
        await (await find(dialog, table.DECLARATION_CHOICE)).click(timeout=ACTION_MS)
        return dialog

    inside = (table.DECLARATION_CHOICE, table.DECLARATION_OK, table.DECLARATION_CANCEL)
    found = [
        *entries,
        *await _either(page, table.DECLARATION_FIELD, table.DECLARATION_PANEL),
        *await _after(open_dialog, *inside),
        *await _after(choose_one, table.DECLARATION_CHOSEN),
        await _look_for(page, table.DECLARATION_DIALOG),
    ]
    await _close(page, table.DECLARATION_CANCEL, table.DECLARATION_DIALOG)
    return found


async def _schedule(page: Page) -> list[Finding]:
    async def choose() -> Scope:
        await form.choose_setting(page, form.SCHEDULED)
        return page

    async def open_panel() -> Scope:
        await (await find(page, table.SCHEDULE_INPUT)).click(timeout=ACTION_MS)
        return await find(page, table.SCHEDULE_PANEL)

    async def turn_to_time() -> Scope:
        panel = await find(page, table.SCHEDULE_PANEL)
        await (await find(panel, table.TIME_SWITCH, timeout_ms=_LOOK_MS)).click(timeout=ACTION_MS)
        return panel

    inside = (table.DATE_CELL, table.DATE_NEXT_MONTH, table.TIME_SWITCH, table.PANEL_CONFIRM)
    found = [
        *await _after(choose, table.SCHEDULE_INPUT),
        *await _after(open_panel, *inside),
        *await _after(turn_to_time, table.TIME_HOUR, table.TIME_MINUTE),
        await _look_for(page, table.SCHEDULE_PANEL),
    ]
    await page.keyboard.press("Escape")
    return found


async def _after(do: Callable[[], Awaitable[Scope]], *targets: Target) -> list[Finding]:
    """What is found in the scope that an action opens; nothing of it where the action fails."""
    try:
        scope = await do()
    except (PageChanged, PageTimeout, PlaywrightError) as error:
        return [Finding(target, None, f"not reached: {first_line(error)}") for target in targets]
    return [await _look_for(scope, target) for target in targets]


async def _either(page: Page, one: Target, other: Target) -> list[Finding]:
    found = [await _look_for(page, target, within_ms=_LOOK_MS / 2) for target in (one, other)]
    shown = [finding for finding in found if finding.way is not None]
    absent = [Finding(finding.target, None, "the site shows the other one", shown=False) for finding in found]
    return [
        finding if finding in shown or not shown else absent[number] for number, finding in enumerate(found)
    ]


async def _look_for(scope: Scope, target: Target, *, within_ms: float = _LOOK_MS) -> Finding:
    visible = target not in _HIDDEN
    await reaches(target.on(scope, visible=visible), "attached", timeout_ms=within_ms)
    for number, way in enumerate(target.ways):
        locator = way.on(scope).filter(visible=True) if visible else way.on(scope)
        if await locator.count():
            return Finding(target, number, str(way))
    return Finding(target, None, "nothing leads to it")


async def _close(page: Page, button: Target, dialog: Target) -> None:
    opened = dialog.on(page)
    if await opened.count():
        with contextlib.suppress(PlaywrightError):
            await button.on(opened.first).first.click(timeout=ACTION_MS)
        await reaches(opened, "hidden")


async def _abandon(page: Page) -> None:
    """Leaves the form, and drops the draft that this leaves behind."""
    await (await find(page, table.LEAVE)).click(timeout=ACTION_MS)
    await wait_past_challenges(page, "upload_input", timeout_ms=_OPEN_MS)
    draft = table.DRAFT_GIVE_UP.on(page)
    if await reaches(draft, "visible"):
        await draft.first.click(timeout=ACTION_MS)
        await reaches(draft, "hidden")


async def _click(popover: Locator) -> None:
    # What a handler raises reaches nobody.
    with contextlib.suppress(PlaywrightError):
        await popover.click(timeout=ACTION_MS)


async def _ignore(_: int) -> None:
    pass


def all_targets(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, and the rest of the table as not on show."""
    found = {finding.target for finding in findings}
    rest = [target for target in table.TABLE if target not in found]
    return [
        *findings,
        *(Finding(target, None, "not on show", shown=target not in OCCASIONAL) for target in rest),
    ]
