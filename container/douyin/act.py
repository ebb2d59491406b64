"""Finding, waiting and clicking: what Playwright offers, made quick and made sure.

Playwright looks for a change at growing intervals, up to half a second; here a wait looks again whenever the
page has changed. And clicks on Semi's components are at times silently without effect (reported 2026-08), so
that each is checked by what it should bring about.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Literal

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from chalicelib.errors import PageChanged, PageTimeout
from container.douyin.sight import look
from container.evidence import note

if TYPE_CHECKING:
    import re
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Locator, Page

    from container.douyin.locators import Scope, Target

State = Literal["visible", "hidden", "attached"]

ACTION_MS = 10_000
EFFECT_MS = 3_000

# What no mutation tells of, such as the end of a transition, is seen at the latest after this long.
_UNSEEN_MS = 100

# What Playwright says of a target that has gone in the moment before the click.
_NOT_CLICKED = ("not visible", "not attached", "outside of the viewport")

# What a person's click is made of.
_POINTER_SEQUENCE = ("pointerover", "pointerdown", "mousedown", "pointerup", "mouseup", "click")


async def find(
    scope: Scope,
    target: Target,
    *,
    text: re.Pattern[str] | None = None,
    which: Callable[[Locator], Locator] | None = None,
    timeout_ms: float | None = None,
    visible: bool = True,
) -> Locator:
    """The target, once it is there: by its primary way, else by the first fallback that leads anywhere. `text`
    or `which` says which one, where there are several.

    A fallback that was needed is noted on the timeline. Where nothing appears: PageChanged where the rest of a
    creator's page stands there and has stopped moving, so that another try would be in vain; else PageTimeout.
    """

    def by(locator: Locator) -> Locator:
        locator = locator if text is None else locator.filter(has_text=text)
        return locator if which is None else which(locator)

    ways = [by(way.on(scope).filter(visible=True) if visible else way.on(scope)) for way in target.ways]
    # Most are there at once.
    if await ways[0].count():
        return ways[0].first
    looked_for = by(target.on(scope, visible=visible))
    timeout_ms = ACTION_MS if timeout_ms is None else timeout_ms
    await _expect_there(looked_for, target.purpose, timeout_ms)
    for number, locator in enumerate(ways):
        if await locator.count():
            if number:
                note(f"{target.purpose}: found only by fallback {number}, {target.ways[number]}")
            return locator.first
    # It went away again between the two looks; whoever acts on it waits for it once more.
    return looked_for.first


async def _expect_there(looked_for: Locator, purpose: str, timeout_ms: float) -> None:
    if await reaches(looked_for, "attached", timeout_ms=timeout_ms / 2):
        return
    page, moved = looked_for.page, False
    end = time.monotonic() + timeout_ms / 2000
    while not await looked_for.count():
        left_ms = (end - time.monotonic()) * 1000
        if left_ms > 0:
            moved |= await _change(page, min(left_ms, _UNSEEN_MS))
        elif not moved and (await look(page)).shows("creator", "form"):
            raise PageChanged(f"The page is there, but not this on it: {purpose}.")
        else:
            raise PageTimeout(f"It did not appear within {timeout_ms / 1000:.0f} s: {purpose}.")


async def reaches(locator: Locator, state: State, *, timeout_ms: float | None = None) -> bool:
    """Whether some match is `visible` or `attached`, or none is visible (`hidden`), within the time."""
    looked_for = locator if state == "attached" else locator.filter(visible=True)

    async def reached() -> bool:
        return bool(await looked_for.count()) is (state != "hidden")

    return await until(locator.page, reached, timeout_ms=EFFECT_MS if timeout_ms is None else timeout_ms)


async def until(page: Page, condition: Callable[[], Awaitable[bool]], *, timeout_ms: float) -> bool:
    """Whether the condition comes true within the time. It is asked again whenever the page has changed."""
    end = time.monotonic() + timeout_ms / 1000
    while not await condition():
        left_ms = (end - time.monotonic()) * 1000
        if left_ms <= 0:
            return False
        await _change(page, min(left_ms, _UNSEEN_MS))
    return True


async def expect(locator: Locator, state: State, purpose: str, *, timeout_ms: float = ACTION_MS) -> None:
    """As `reaches`, but PageTimeout where it does not."""
    if not await reaches(locator, state, timeout_ms=timeout_ms):
        verb = {"visible": "appear", "attached": "appear", "hidden": "go away"}[state]
        raise PageTimeout(f"It did not {verb} within {timeout_ms / 1000:.0f} s: {purpose}.")


async def press(target: Locator, *, timeout_ms: float = ACTION_MS) -> None:
    """Clicks: at once where nothing moves, covers or disables the target, else as Playwright does, which waits
    for all that, and for two frames in any case. For what is looked at afterwards: nobody makes sure that the
    target still lies there when the click arrives.
    """
    if await at_rest(target):
        try:
            await target.click(timeout=timeout_ms, force=True)
        except PlaywrightError as error:
            if not any(words in str(error) for words in _NOT_CLICKED):
                raise
        else:
            return
    await target.click(timeout=timeout_ms)


async def at_rest(target: Locator) -> bool:
    """Whether a click would reach the target now: it is there, and nothing moves, covers or disables it."""
    # Not `evaluate`: that waits for a frame of its own.
    return bool(await target.evaluate_all(_AT_REST))


async def click_until(target: Locator, effect: Locator, purpose: str, *, state: State = "visible") -> None:
    """Clicks, and sees to it that the click did something: `effect` reaches its state.

    Where it did not, the same click is dispatched event by event. PageChanged where that is in vain, too.
    """
    await press(target)
    if await reaches(effect, state):
        return
    with contextlib.suppress(PlaywrightTimeout):  # Gone: it may only have been slow to take effect.
        for event in _POINTER_SEQUENCE:
            await target.dispatch_event(event, timeout=EFFECT_MS)
    if not await reaches(effect, state):
        raise PageChanged(f"Clicking has no effect: {purpose}.")
    note(f"{purpose}: a plain click had no effect, dispatched events had")


async def _change(page: Page, timeout_ms: float) -> bool:
    """Returns when anything in the page has changed, or the time is over; whether it is the former."""
    try:
        return bool(await page.evaluate(_NEXT_CHANGE, timeout_ms))
    except PlaywrightError as error:
        # A navigation is a change, too.
        if "context was destroyed" not in str(error):
            raise
        return True


_AT_REST = """
([node]) => {
  if (!node) return false;
  const hit = () => {
    const {left, top, width, height} = node.getBoundingClientRect();
    return width && height ? document.elementFromPoint(left + width / 2, top + height / 2) : null;
  };
  if (!hit()) node.scrollIntoViewIfNeeded();
  return (
    node.contains(hit()) &&
    !node.closest(":disabled, [aria-disabled=true]") &&
    !document.getAnimations().some(({effect}) => effect?.target?.contains(node)));
}
"""

_NEXT_CHANGE = """
(timeout) => new Promise((resolve) => {
  const observer = new MutationObserver(() => end(true));
  const timer = setTimeout(() => end(false), timeout);
  const end = (changed) => { observer.disconnect(); clearTimeout(timer); resolve(changed); };
  observer.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
})
"""
