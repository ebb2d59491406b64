"""Acting on Semi's components, whose clicks are at times silently without effect (reported 2026-08)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.async_api import TimeoutError as PlaywrightTimeout

from chalicelib.errors import PageChanged
from container.evidence import note

if TYPE_CHECKING:
    from playwright.async_api import Locator

ACTION_MS = 10_000
_EFFECT_MS = 3_000

# What a person's click is made of.
_POINTER_SEQUENCE = ("pointerover", "pointerdown", "mousedown", "pointerup", "mouseup", "click")


async def click_until(target: Locator, effect: Locator, purpose: str, *, state: str = "visible") -> None:
    """Clicks, and sees to it that the click did something: `effect` reaches its state.

    Where it did not, the same click is dispatched event by event. PageChanged where that is in vain, too.
    """
    await target.click(timeout=ACTION_MS)
    if await reaches(effect, state):
        return
    for event in _POINTER_SEQUENCE:
        await target.dispatch_event(event, timeout=ACTION_MS)
    if not await reaches(effect, state):
        raise PageChanged(f"Clicking has no effect: {purpose}.")
    note(f"{purpose}: a plain click had no effect, dispatched events had")


async def reaches(locator: Locator, state: str, *, timeout_ms: float = _EFFECT_MS) -> bool:
    """Whether the first match becomes `visible`, `hidden` or `attached` within the time."""
    try:
        await locator.first.wait_for(state=state, timeout=timeout_ms)  # type: ignore[arg-type]
    except PlaywrightTimeout:
        return False
    return True
