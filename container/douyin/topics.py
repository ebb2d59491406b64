"""The description and its topics, in the site's editor.

The editor (Slate) keeps a model of its own that follows the page with a delay, and moves the caret a moment
after it is focused: text is typed in one piece and looked at until it is there. A topic counts only once it was
chosen from the suggestions; typed text, even with a blank after it, does not (reported 2026-09).
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from chalicelib.errors import FormMismatch, PageChanged, PageTimeout
from container.douyin.act import ACTION_MS, expect, find, press, reaches, until
from container.douyin.form import clipped
from container.douyin.locators import (
    DESCRIPTION,
    DESCRIPTION_COUNT,
    SUGGESTION,
    SUGGESTION_LAYER,
    SUGGESTION_NAME,
    TOPIC_CHIP,
)
from container.evidence import note

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.async_api import Locator, Page, Response

_SUGGESTIONS_MS = 15_000
# Once the site has answered for a word, its topic is among the suggestions or it does not come.
_SETTLED_MS = 1_500
_BY_BLANK_MS = 1_500
_ATTEMPTS = 3


async def write_description(page: Page, text: str) -> None:
    """Replaces whatever the editor holds (at times the file's name) with the text.

    FormMismatch where the editor keeps something else.
    """
    editor = await find(page, DESCRIPTION)
    for _ in range(_ATTEMPTS):
        await close_suggestions(page)
        await editor.focus(timeout=ACTION_MS)
        if squeeze(await _text(editor)):
            await page.keyboard.press("ControlOrMeta+A")
            await page.keyboard.press("Delete")
            if not await _holds(editor, ""):
                continue
        await _type(page, text)
        if await _holds(editor, text):
            return
    kept = await _text(editor)
    if kept and text.startswith(kept):
        raise FormMismatch(clipped("description", kept, text), field="description")
    raise FormMismatch(f"The description reads {kept!r} instead of {text!r}.", field="description")


async def add_topics(page: Page, tags: Sequence[str]) -> None:
    """Adds each tag at the end of the description, as a topic of the site.

    FormMismatch where the site suggests no such topic, or does not take it; PageTimeout where it is too slow to
    suggest any.
    """
    editor = await find(page, DESCRIPTION)
    for number, tag in enumerate(tags, 1):
        await close_suggestions(page)
        await editor.focus(timeout=ACTION_MS)
        await page.keyboard.press("ControlOrMeta+End")
        text = await editor.inner_text(timeout=ACTION_MS)
        blank = "" if not text.strip() or text[-1].isspace() else " "
        # As with an input method: the sign by its key, the word in one piece.
        await page.keyboard.type(f"{blank}#")
        chip = TOPIC_CHIP.on(editor).nth(number - 1)
        with _listening(page, tag) as answered:
            await page.keyboard.insert_text(tag)
            offered = await _choose(page, tag, answered)
        if offered is not None:
            # Now and then a blank makes a topic of a word that was not suggested.
            await page.keyboard.press("Space")
            if await reaches(chip, "attached", timeout_ms=_BY_BLANK_MS):
                note(f"#{tag} was not suggested; a blank made it a topic")
                continue
            raise FormMismatch(
                f"The site suggests no topic #{tag}; it offers {', '.join(offered) or 'none'}.", field="tags"
            )
        if not await reaches(chip, "attached"):
            raise FormMismatch(f"The site did not take #{tag} as a topic.", field="tags")


async def leave_editor(page: Page) -> None:
    """Ends any choice of a topic: a `#` in the description opens one that may show at any later moment, and its
    layer would catch the click after it.
    """
    await page.keyboard.press("Escape")
    await page.add_locator_handler(SUGGESTION_LAYER.on(page).first, _escape, no_wait_after=True)


async def close_suggestions(page: Page) -> None:
    """Takes away the layer of suggestions, which would catch every later click."""
    layer = SUGGESTION_LAYER.on(page).first
    if not await layer.is_visible():
        return
    await page.keyboard.press("Escape")
    await expect(layer, "hidden", SUGGESTION_LAYER.purpose)


async def read_description(page: Page) -> str:
    """The text of the editor, topics included, as `#name`."""
    return await _text(await find(page, DESCRIPTION))


async def too_long(page: Page) -> str | None:
    """How many characters the site counts, of how many, such as `1012 / 1000`; None where it is content."""
    for text in await DESCRIPTION_COUNT.on(page).all_inner_texts():
        count, limit = (int(number) for number in re.findall(r"\d+", text))
        if count > limit:
            return f"{count} / {limit}"
    return None


async def read_topics(page: Page) -> tuple[str, ...]:
    """The topics that the site has taken as such, in order."""
    editor = await find(page, DESCRIPTION)
    names = await TOPIC_CHIP.on(editor).all_inner_texts()
    return tuple(squeeze(name).removeprefix("#") for name in names)


def squeeze(text: str) -> str:
    """Without blanks of any kind, the invisible ones of editors included: what is compared."""
    return re.sub(r"[\s\u200b\u200c\u200d\ufeff]+", "", text)


async def _escape(layer: Locator) -> None:
    # What a handler raises reaches nobody.
    with contextlib.suppress(PlaywrightError):
        await layer.page.keyboard.press("Escape")


@contextlib.contextmanager
def _listening(page: Page, word: str) -> Iterator[list[str]]:
    """The answers that come meanwhile to requests for this word, by their addresses."""
    answered: list[str] = []

    def listen(response: Response) -> None:
        if word in unquote_plus(response.url):
            answered.append(response.url)

    page.on("response", listen)
    try:
        yield answered
    finally:
        page.remove_listener("response", listen)


async def _choose(page: Page, tag: str, answered: Sequence[str]) -> list[str] | None:
    """Takes the suggestion; where there is none of this name, what is suggested instead.

    For a bare `#` the site shows topics that are hot, and they may stay until it has `answered` for the word.
    """
    names = SUGGESTION_NAME.on(page)
    name = names.filter(has_text=_whole(tag)).first

    async def suggested_or_answered() -> bool:
        return await name.is_visible() or bool(answered)

    await until(page, suggested_or_answered, timeout_ms=_SUGGESTIONS_MS)
    named = page.locator(":scope *", has_text=_whole(tag))
    for _ in range(_ATTEMPTS):
        if not await reaches(name, "visible", timeout_ms=_SETTLED_MS if answered else 0):
            break
        # Another list may take this one's place at any moment.
        with contextlib.suppress(PageChanged, PageTimeout, PlaywrightTimeout):
            item = await find(
                page, SUGGESTION, which=lambda items: items.filter(has=named), timeout_ms=_SETTLED_MS
            )
            await press(item)
            return None
    offered = [squeeze(text) for text in await names.all_inner_texts()]
    if not answered and not any(tag in other for other in offered):
        raise PageTimeout(f"The site did not say within {_SUGGESTIONS_MS / 1000:.0f} s what #{tag} may be.")
    return offered


def _whole(tag: str) -> re.Pattern[str]:
    return re.compile(rf"^\s*[#＃]?\s*{re.escape(tag)}\s*$")


async def _type(page: Page, text: str) -> None:
    """Line by line: a line break in one inserted piece may end a paragraph, or nothing at all."""
    for number, line in enumerate(text.splitlines()):
        if number:
            await close_suggestions(page)
            await page.keyboard.press("Enter")
        if line:
            await page.keyboard.insert_text(line)


async def _holds(editor: Locator, text: str) -> bool:
    expected = squeeze(text)
    try:
        await editor.page.wait_for_function(
            r"""([node, expected]) =>
                  node.innerText.replace(/[\s\u200b\u200c\u200d\ufeff]+/g, "") === expected""",
            arg=[await editor.element_handle(timeout=ACTION_MS), expected],
            polling=50,
            timeout=2_000,
        )
    except PlaywrightTimeout:
        return False
    return True


async def _text(editor: Locator) -> str:
    return (await editor.inner_text(timeout=ACTION_MS)).strip("\n")
