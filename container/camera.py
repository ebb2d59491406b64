"""Pictures of a page as evidence: all of it, without what gives access or names a person."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from playwright.async_api import Error as PlaywrightError

from container.douyin.sight import look

if TYPE_CHECKING:
    from playwright.async_api import Page, ViewportSize

    from container.douyin.sight import Sight

logger = logging.getLogger(__name__)

MAX_BYTES = 400_000
_QUALITIES = (70, 45, 20)  # of a JPEG; the stand-in's form, 1440 x 1500 pixels, takes 76 KB at 70.
_MAX_HEIGHT = 4000
# A page that hangs answers nothing, and its step has failed already.
_SECONDS = 8.0
_RESTORE_SECONDS = 2.0
_TRIES = 3


async def photograph(page: Page) -> bytes:
    """What the page shows, with what one would have to scroll to, as a JPEG of at most MAX_BYTES.

    QR codes, phone numbers, codes and frames are blacked out. Empty where the page waits for a QR code to be
    scanned (whoever scans it is logged in), and where no picture could be taken: no job fails for want of one.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            sight = await look(page)
            if _admits_whoever_scans(sight):
                logger.info("A page that shows a login is not photographed.")
                return b""
            return await _whole(page)
    except (PlaywrightError, TimeoutError) as error:
        logger.warning("No picture could be taken.", exc_info=error)
        return b""


def _admits_whoever_scans(sight: Sight) -> bool:
    """A login, that is. The code of a look at the face admits nobody, and is masked like any other."""
    if sight.shows("login"):
        return sight.qr is not None or not sight.shows("creator", "form")
    return sight.qr is not None and not sight.shows("face")


async def _whole(page: Page) -> bytes:
    """The form scrolls inside a box of the page, which a full-page picture would cut off. A window that is high
    enough shows all of it.
    """
    usual = page.viewport_size
    hidden: int = await page.evaluate(_HIDDEN_HEIGHT)
    if usual is None or hidden == 0:
        return await _masked(page)
    higher: ViewportSize = {"width": usual["width"], "height": min(usual["height"] + hidden, _MAX_HEIGHT)}
    await page.set_viewport_size(higher)
    try:
        return await _masked(page)
    finally:
        async with asyncio.timeout(_RESTORE_SECONDS):
            await page.set_viewport_size(usual)


async def _masked(page: Page) -> bytes:
    """A picture of a page that showed the same secrets before and after it: none has come in between."""
    for _ in range(_TRIES):
        before: list[str] = await page.evaluate(_SECRETS)
        picture = await _smallest(page, [page.locator(f"xpath={path}") for path in before])
        if await page.evaluate(_SECRETS) == before:
            return picture
    logger.warning("No picture could be taken: the page does not stand still.")
    return b""


async def _smallest(page: Page, masks: list[Any]) -> bytes:
    picture = b""
    for quality in _QUALITIES:
        picture = await page.screenshot(
            type="jpeg",
            quality=quality,
            full_page=True,
            mask=masks,
            mask_color="#000000",
            animations="disabled",
            caret="hide",
            scale="css",
            timeout=_SECONDS * 1000,
        )
        if len(picture) <= MAX_BYTES:
            return picture
    logger.warning("A picture was dropped: it is too large.", extra={"bytes": len(picture)})
    return b""


# How many pixels the most hidden scrolling box has below its edge.
_HIDDEN_HEIGHT = """
() => Math.max(0, ...[...document.querySelectorAll('body *')]
  .filter((node) => node.scrollHeight > node.clientHeight + 1 && node.clientHeight > 300
    && ['auto', 'scroll', 'overlay'].includes(getComputedStyle(node).overflowY))
  .map((node) => node.scrollHeight - node.clientHeight))
"""

# XPaths of the elements that no picture may show. A phone number may be spread over several elements
# (138 **** 1234) or stand in a field; of a QR code, the words beside it tell where neither name nor label does.
_SECRETS = r"""
() => {
  const squeeze = (text) => text.replace(/[\s\-()（）]/g, '');
  const phone = (text) => /(?<!\d)(?:86)?1[3-9]\d[\d*•]{4,6}\d{2,4}(?!\d)/.test(squeeze(text));
  const named = `[aria-label*="二维码"], [alt*="二维码"], [id*="qrcode" i], [class*="qrcode" i], iframe,
    input[type="tel"], input[type="password"], input[placeholder*="手机号"], input[placeholder*="验证码"],
    [class*="verify_input"] input`;
  const drawn = 'img, canvas, svg';
  const path = (node) => {
    const steps = [];
    for (; node; node = node.parentElement) {
      let place = 1;
      for (let before = node.previousElementSibling; before; before = before.previousElementSibling) place++;
      steps.unshift(`/*[${place}]`);
    }
    return steps.join('');
  };
  const found = new Set(document.querySelectorAll(named));
  for (const node of document.querySelectorAll('input, textarea')) if (phone(node.value)) found.add(node);
  const own = (node) =>
    [...node.childNodes].filter((child) => child.nodeType === 3).map((child) => child.data).join('');
  for (const node of document.body.querySelectorAll('*')) {
    if (['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(node.tagName)) continue;
    const text = node.textContent;
    const inner = [...node.children].some((child) => phone(child.textContent));
    if ((text.length <= 60 && phone(text) && !inner) || phone(own(node))) found.add(node);
    if (text.length <= 200 && /扫码|扫一扫|二维码/.test(squeeze(text)))
      for (const picture of node.querySelectorAll(drawn)) found.add(picture);
  }
  return [...found].map(path).sort();
}
"""
