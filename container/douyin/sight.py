"""What a page shows, in one look: which of the known marks, how far an upload is, which QR code.

One evaluation in the page answers for all marks at once, and a wait ends a few hundredths of a second after the
change that it waits for; Playwright's own waits look twice a second.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from playwright.async_api import Error as PlaywrightError

from container.douyin.locators import MARKS, QR_DRAWING, QR_IMAGE, TOAST, Css, Target

if TYPE_CHECKING:
    from playwright.async_api import Page

# A page that does not even say in time that nothing has changed.
_UNRESPONSIVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Sight:
    """`marks` are names of MARKS. `percent` is of a running upload. `qr` is the source of the QR's image, or
    the markup of its drawing. `phone` is a masked number such as 183******91. `signature` differs where any of
    it does.
    """

    url: str
    marks: frozenset[str]
    percent: int | None
    qr: str | None = field(repr=False)
    qr_is_image: bool
    phone: str | None
    toasts: tuple[str, ...]
    signature: str = field(repr=False)

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def shows(self, *marks: str) -> bool:
        """Whether any of them is shown."""
        return not self.marks.isdisjoint(marks)


async def look(page: Page) -> Sight:
    """The page as it is now. Playwright's Error where it is navigating away at this moment."""
    return _sight(await page.evaluate(_LOOK, _TABLE))


async def look_again(page: Page, known: Sight | None, *, timeout_ms: float) -> Sight | None:
    """The page once it differs from `known`; None where it does not within the time, or does not respond."""
    end = time.monotonic() + timeout_ms / 1000
    while (left := end - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(left + _UNRESPONSIVE_SECONDS):
                seen = await page.evaluate(_LOOK_AGAIN, [_TABLE, known.signature if known else "", left * 1000])
            return _sight(seen) if seen else None
        except TimeoutError:
            return None
        except PlaywrightError as error:
            # The page that was looked at is going, another one is coming: the next look will find it.
            if "context was destroyed" not in str(error):
                raise
    return None


def _sight(seen: dict[str, Any]) -> Sight:
    return Sight(
        url=seen["url"],
        marks=frozenset(seen["marks"]),
        percent=seen["percent"],
        qr=seen["qr"],
        qr_is_image=seen["qrIsImage"],
        phone=seen["phone"],
        toasts=tuple(seen["toasts"]),
        signature=seen["signature"],
    )


def _selectors(target: Target) -> list[str]:
    return [way.selector for way in target.ways if isinstance(way, Css)]


_TABLE: dict[str, Any] = {
    "marks": [
        {
            "name": mark.name,
            "texts": mark.texts,
            "selectors": mark.selectors,
            "hidden": mark.hidden,
            "slack": mark.slack,
        }
        for mark in MARKS
    ],
    "images": _selectors(QR_IMAGE),
    "drawings": _selectors(QR_DRAWING),
    "toasts": _selectors(TOAST),
}

# A mark is shown where a line of the visible text holds one of its texts and little else, or where one of its
# selectors leads to something visible. What the creator typed into an editor is not the site's text.
_LOOK = r"""
(table) => {
  const squeeze = (text) => text.replace(/\s+/g, "");
  const visible = (node) =>
    node.getClientRects().length > 0 && node.checkVisibility({visibilityProperty: true});
  const first = (selectors) => {
    for (const selector of selectors)
      for (const node of document.querySelectorAll(selector)) if (visible(node)) return node;
    return null;
  };
  let text = document.body ? document.body.innerText : "";
  for (const editor of document.querySelectorAll('[contenteditable="true"]')) {
    const typed = editor.innerText;
    if (typed.trim()) text = text.replace(typed, () => "");
  }
  const lines = text.split("\n").map(squeeze).filter(Boolean);
  const said = (mark) =>
    mark.texts.some((t) => lines.some((line) => line.includes(t) && line.length <= t.length + mark.slack));
  const there = (mark) => mark.hidden.some((selector) => document.querySelector(selector));
  const marks = table.marks
    .filter((mark) => said(mark) || first(mark.selectors) || there(mark))
    .map((mark) => mark.name);
  const all = lines.join("\n");
  const percent = /上传中\D{0,3}(\d{1,3})%/.exec(all);
  const phone = /1\d{2}\*{4,6}\d{2,4}/.exec(all);
  const image = first(table.images);
  const drawing = image ? null : first(table.drawings);
  const toasts = [...new Set(table.toasts.flatMap((s) => [...document.querySelectorAll(s)]).filter(visible)
    .map((node) => node.innerText.trim()).filter(Boolean))];
  const seen = {
    url: location.href,
    marks,
    percent: percent ? Math.min(100, Number(percent[1])) : null,
    qr: image ? image.src : drawing ? drawing.innerHTML : null,
    qrIsImage: Boolean(image),
    phone: phone ? phone[0] : null,
    toasts,
  };
  return {...seen, signature: JSON.stringify(seen)};
}
"""

# Looks again a moment after the page has changed (a change seldom comes alone), and now and then without that.
_LOOK_AGAIN = (
    r"""
async ([table, known, timeout]) => {
  const look = """
    + _LOOK
    + r""";
  const end = performance.now() + timeout;
  for (;;) {
    const seen = look(table);
    if (seen.signature !== known) return seen;
    const left = end - performance.now();
    if (left <= 0) return null;
    await new Promise((resolve) => {
      const over = () => { observer.disconnect(); clearTimeout(timer); resolve(); };
      const timer = setTimeout(over, Math.min(left, 100));
      const observer = new MutationObserver(() => { observer.disconnect(); setTimeout(over, 20); });
      observer.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
    });
  }
}
"""
)
