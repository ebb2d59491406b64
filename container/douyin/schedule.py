"""The site's own schedule: a date and time, chosen in its panel and read back.

The field starts at now + 2 h and fills itself again when it is cleared; typing and Enter may silently keep that
default (social-auto-upload #17, #142), so that a time is typed only to be confirmed in the panel, and is
believed only once it was read back.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from playwright.async_api import TimeoutError as PlaywrightTimeout

from chalicelib.clock import SHANGHAI, utc_now
from chalicelib.errors import FormMismatch, PageChanged, PageTimeout, ScheduleTooNear
from chalicelib.publishing.schedule import PLATFORM_EARLIEST, PLATFORM_LATEST
from container.douyin.act import ACTION_MS, find, press, reaches
from container.douyin.locators import (
    DATE_CELL,
    DATE_DEAD,
    DATE_NEXT_MONTH,
    PANEL_CONFIRM,
    SCHEDULE_INPUT,
    SCHEDULE_PANEL,
    TIME_HOUR,
    TIME_MINUTE,
    TIME_SWITCH,
)
from container.evidence import first_line, note

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

_FORMAT = "%Y-%m-%d %H:%M"
_READ_MS = 3_000
_MONTH_MS = 500

# How far the field's start may be from two hours ahead. Time zones are a quarter of an hour apart, or more.
_START_SKEW = timedelta(minutes=7)

_CLOCK = """
(_, time) => {
  const clock = new Date(time);
  return [clock.getFullYear(), clock.getMonth() + 1, clock.getDate(), clock.getHours(), clock.getMinutes()];
}
"""


async def set_schedule(page: Page, publish_at: datetime) -> str:
    """Sets the time in the open schedule field, and returns how the field shows it. FormMismatch where it keeps
    another one, and what `refuse_impossible` raises.
    """
    refuse_impossible(publish_at)
    field = await find(page, SCHEDULE_INPUT)
    wanted = await _as_written(field, publish_at)
    for way in (_by_panel, _by_typing):
        try:
            await way(page, field, wanted)
        except (PlaywrightTimeout, PageChanged, PageTimeout) as error:
            note(f"schedule: {way.__name__.strip('_')} failed: {first_line(error)}")
            await page.keyboard.press("Escape")
        if await _reads(field, wanted):
            return wanted
    raise FormMismatch(
        f"The schedule reads {await field.input_value()!r} instead of {wanted!r}.", field="schedule_time"
    )


def refuse_impossible(publish_at: datetime) -> None:
    """ScheduleTooNear where the site does not take the time any more, FormMismatch where not yet."""
    ahead = publish_at - utc_now()
    when = f"{_in_shanghai(publish_at):{_FORMAT}} (Asia/Shanghai)"
    if ahead < PLATFORM_EARLIEST:
        raise ScheduleTooNear(f"{when} is less than 2 hours ahead by now.")
    if ahead > PLATFORM_LATEST:
        raise FormMismatch(f"{when} is more than the 14 days ahead that the site takes.", field="schedule_time")


async def read_schedule(page: Page) -> str:
    """What the field shows, `YYYY-MM-DD HH:mm`; empty where there is no such field."""
    field = SCHEDULE_INPUT.on(page).first
    return (await field.input_value()).strip() if await field.count() else ""


async def _as_written(field: Locator, instant: datetime) -> str:
    """The instant as the field writes it: by the clock of Asia/Shanghai, or by the browser's.

    Nobody has told how the site looks from another time zone, so the field is asked: it starts at the soonest
    time that it takes. FormMismatch where that does not tell.
    """
    shanghai, browser = _in_shanghai(instant), await _in_browser(field, instant)
    if shanghai == browser:
        return shanghai.strftime(_FORMAT)
    start = (await field.input_value()).strip()
    soonest = utc_now() + PLATFORM_EARLIEST
    starts = [(_in_shanghai(soonest), shanghai), (await _in_browser(field, soonest), browser)]
    fitting = [written for clock, written in starts if _near(start, clock)]
    if len(fitting) != 1:
        raise FormMismatch(
            f"The schedule starts at {start!r}, which does not tell its time zone. Take the account's "
            "preference time_zone away, or give a time outside of Douyin's own schedule.",
            field="schedule_time",
        )
    return fitting[0].strftime(_FORMAT)


def _in_shanghai(instant: datetime) -> datetime:
    """What a clock in Asia/Shanghai shows at the instant, to the minute."""
    return instant.astimezone(SHANGHAI).replace(second=0, microsecond=0, tzinfo=None)


async def _in_browser(field: Locator, instant: datetime) -> datetime:
    """What a clock in the browser's time zone shows at the instant, to the minute."""
    return datetime(*await field.evaluate(_CLOCK, instant.timestamp() * 1000))  # noqa: DTZ001 - a clock's face


def _near(start: str, clock: datetime) -> bool:
    try:
        return abs(datetime.strptime(start, _FORMAT) - clock) <= _START_SKEW  # noqa: DTZ007 - as above
    except ValueError:
        return False


async def _by_panel(page: Page, field: Locator, wanted: str) -> None:
    day, _, time = wanted.partition(" ")
    panel = await _open_panel(page, field)
    titled = page.locator(f'[title="{day}"]')
    if not await reaches(DATE_CELL.on(panel).and_(titled), "visible", timeout_ms=_MONTH_MS):
        await press(await find(panel, DATE_NEXT_MONTH, timeout_ms=_READ_MS), timeout_ms=_READ_MS)
    cell = await find(panel, DATE_CELL, which=lambda days: days.and_(titled), timeout_ms=_READ_MS)
    if await cell.and_(DATE_DEAD.on(panel, visible=False)).count():
        raise FormMismatch(f"The site does not let {day} be chosen.", field="schedule_time")
    await press(cell, timeout_ms=_READ_MS)
    await press(await find(panel, TIME_SWITCH, timeout_ms=_READ_MS), timeout_ms=_READ_MS)
    for target, value in zip((TIME_HOUR, TIME_MINUTE), time.split(":"), strict=True):
        wheel = await find(panel, target, timeout_ms=_READ_MS)
        # The chosen one carries its unit: 08时.
        line = re.compile(rf"^\s*{value}\s*[时分点]?\s*$")
        await press(wheel.get_by_text(line).first, timeout_ms=_READ_MS)
    await press(await find(panel, PANEL_CONFIRM, timeout_ms=_READ_MS), timeout_ms=_READ_MS)


async def _by_typing(page: Page, field: Locator, wanted: str) -> None:
    panel = await _open_panel(page, field)
    await field.press("ControlOrMeta+A")
    await page.keyboard.insert_text(wanted)
    confirm = PANEL_CONFIRM.on(panel).first
    if await confirm.is_visible():
        await press(confirm, timeout_ms=_READ_MS)
    else:
        await field.press("Enter")


async def _open_panel(page: Page, field: Locator) -> Locator:
    await press(field)
    return await find(page, SCHEDULE_PANEL, timeout_ms=_READ_MS)


async def _reads(field: Locator, wanted: str) -> bool:
    try:
        await field.page.wait_for_function(
            "([field, wanted]) => field.value.trim() === wanted",
            arg=[await field.element_handle(timeout=ACTION_MS), wanted],
            polling=50,
            timeout=_READ_MS,
        )
    except PlaywrightTimeout:
        return False
    return True
