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

from container.douyin.locators import MARKS, OWN_WORDS, PANELS, QR_DRAWING, QR_IMAGE, TOAST, Css, Target

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


_CREATORS_PAGE = ("creator", "form")

_TABLE: dict[str, Any] = {
    "marks": [
        {
            "name": mark.name,
            "texts": mark.texts,
            "selectors": mark.selectors,
            "hidden": mark.hidden,
            "slack": mark.slack,
            "within": mark.within,
        }
        for mark in MARKS
    ],
    "page": [selector for mark in MARKS if mark.name in _CREATORS_PAGE for selector in mark.selectors],
    "own": OWN_WORDS,
    "panels": PANELS,
    "images": _selectors(QR_IMAGE),
    "drawings": _selectors(QR_DRAWING),
    "toasts": _selectors(TOAST),
}

# A mark is shown where a line of the site's own visible text holds one of its texts and little else, or where
# one of its selectors leads to something visible.
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
  const outermost = (nodes) =>
    nodes.filter((node) => !nodes.some((other) => other !== node && other.contains(node)));
  const all = (selectors, scope = document) => [...scope.querySelectorAll(selectors.join())];
  const linesOf = (node) => (node ? node.innerText : "").split("\n").map(squeeze).filter(Boolean);
  // A region that holds a part of the page that we know is more than somebody's words.
  const known = all([...table.page, ...table.panels]);
  const own = outermost(all(table.own)).filter(
    (region) =>
      visible(region) &&
      (region.isContentEditable ||
        (region.innerText.length <= 300 && !known.some((node) => region !== node && region.contains(node)))));
  const without = (lines, regions) => {
    const left = [...lines];
    for (const line of regions.flatMap(linesOf)) {
      const at = left.indexOf(line);
      if (at >= 0) left.splice(at, 1);
    }
    return left;
  };
  const lines = linesOf(document.body);
  const page = first(table.page);
  const panels = page
    ? outermost([...[...document.body.children].filter((node) => !node.contains(page)), ...all(table.panels)])
    : [];
  const inPanels = own.filter((region) => panels.some((panel) => panel.contains(region)));
  const site = without(lines, own);
  const read = {
    anything: lines,
    page: site,
    panels: page ? without(panels.filter(visible).flatMap(linesOf), inPanels) : site,
  };
  const says = (mark, text) =>
    read[mark.within].some((line) => line.includes(text) && line.length <= text.length + mark.slack);
  const said = (mark) => mark.texts.some((text) => says(mark, text));
  const there = (mark) => mark.hidden.some((selector) => document.querySelector(selector));
  const marks = table.marks
    .filter((mark) => said(mark) || first(mark.selectors) || there(mark))
    .map((mark) => mark.name);
  const text = site.join("\n");
  const percent = /上传中\D{0,3}(\d{1,3})%/.exec(text);
  const phone = /1\d{2}\*{4,6}\d{2,4}/.exec(text);
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
