"""Quick clicks on a page of our own: they reach what they are meant for, whatever it does at that moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from container.douyin import act
from container.douyin.act import at_rest, click_until, press

if TYPE_CHECKING:
    from playwright.async_api import Page

    from container.browser import Browser
    from tests.container.conftest import Run

pytestmark = pytest.mark.system

_PAGE = """
<style>
  @keyframes slide { from { transform: translateX(400px) } to { transform: none } }
  .sliding { animation: slide 300ms linear }
  .covered { position: fixed; inset: 0; background: white }
  .far { margin-top: 3000px }
</style>
<div id=scene>SCENE</div>
<script>
  window.clicks = [];
  addEventListener("click", ({target}) => clicks.push(target.id));
</script>
"""

_BUTTON = "<button id=wanted style='width:100px'>好</button>"
_COVER = "<div id=cover class=covered></div>"


@pytest.mark.parametrize(
    ("scene", "later", "rests"),
    [
        (_BUTTON, "", True),
        (f"<div class=far>{_BUTTON}</div>", "", True),
        (f"<div class=sliding>{_BUTTON}</div>", "", False),
        (_BUTTON + _COVER, "cover.remove()", False),
        (_BUTTON.replace("id", "disabled id"), "wanted.disabled = false", False),
        (f"<div id=box hidden>{_BUTTON}</div>", "box.hidden = false", False),
    ],
    ids=["at-rest", "far", "sliding", "covered", "disabled", "hidden"],
)
def test_a_click_arrives_once_and_waits_only_where_it_would_miss(
    run: Run, browser: Browser, scene: str, later: str, rests: bool
) -> None:
    async def go() -> tuple[bool, list[str]]:
        async with browser.context() as context:
            page = await _page(await context.new_page(), scene)
            target = page.locator("#wanted")
            rested = await at_rest(target)
            await page.evaluate("later => setTimeout(() => eval(later), 200)", later)
            await press(target)
            return rested, await page.evaluate("clicks")

    rested, clicks = run(go())

    assert rested is rests
    assert clicks == ["wanted"]


def test_a_target_that_is_built_anew_before_the_click_is_clicked_all_the_same(
    run: Run, browser: Browser
) -> None:
    scene = f"<div id=place>{_BUTTON}</div>"

    async def go() -> list[str]:
        async with browser.context() as context:
            page = await _page(await context.new_page(), scene)
            # Whoever looks whether it rests makes it go, and come again.
            await page.evaluate(
                """() => {
                  const look = Document.prototype.getAnimations;
                  Document.prototype.getAnimations = function () {
                    Document.prototype.getAnimations = look;
                    wanted.style.display = "none";
                    setTimeout(() => wanted.style.display = "", 200);
                    return [];
                  };
                }"""
            )
            await press(page.locator("#wanted"))
            return list(await page.evaluate("clicks"))

    assert run(go()) == ["wanted"]


def test_a_click_without_effect_is_made_again_event_by_event(run: Run, browser: Browser) -> None:
    effect = (
        "<p id=effect hidden>!</p><script>wanted.onpointerdown = (e) => effect.hidden = e.isTrusted</script>"
    )

    async def go() -> bool:
        async with browser.context() as context:
            page = await _page(await context.new_page(), _BUTTON + effect)
            await click_until(page.locator("#wanted"), page.locator("#effect"), "the effect")
            return await page.locator("#effect").is_visible()

    assert run(go())


def test_a_dialog_that_is_slow_to_close_is_closed(
    run: Run, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(act, "EFFECT_MS", 300)
    scene = f"<div id=dialog>{_BUTTON}</div><script>wanted.onclick = () => setTimeout(gone, 450)</script>"
    scene += "<script>const gone = () => dialog.remove()</script>"

    async def go() -> list[str]:
        async with browser.context() as context:
            page = await _page(await context.new_page(), scene)
            dialog = page.locator("#dialog")
            await click_until(page.locator("#wanted"), dialog, "its button", state="hidden")
            return list(await page.evaluate("clicks"))

    assert run(go())[0] == "wanted"


async def _page(page: Page, scene: str) -> Page:
    await page.set_content(_PAGE.replace("SCENE", scene))
    return page
