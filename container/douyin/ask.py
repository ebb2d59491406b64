"""The site's own APIs, asked from within its pages: their scripts sign what leaves the page."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from chalicelib.errors import PageChanged, PageTimeout, SessionExpired

if TYPE_CHECKING:
    from playwright.async_api import Page

_ANSWER_SECONDS = 20.0

# What the site's APIs answer to a stranger: 用户未登录.
LOGGED_OUT = "8"

_FETCH = "url => fetch(url, {credentials: 'include'}).then(answer => answer.text())"


async def ask(page: Page, url: str) -> dict[str, Any]:
    """The answer to a GET of `url` (path and query). Raises as `read_answer` does, and PageTimeout."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            text = await page.evaluate(_FETCH, url)
    except TimeoutError as error:
        raise PageTimeout(f"The site did not answer {_path(url)} within {_ANSWER_SECONDS:.0f} s.") from error
    return read_answer(text, url)


def read_answer(text: str, url: str) -> dict[str, Any]:
    """The object that the site answered with; its numbers are text, for ids do not fit a float.

    SessionExpired where the site says that nobody is logged in, PageChanged where it says anything but yes.
    """
    try:
        answer = json.loads(text, parse_int=str)
        status = str(answer["status_code"])
    except (ValueError, KeyError, TypeError) as error:
        raise PageChanged(f"The site's answer to {_path(url)} cannot be read.") from error
    if status == LOGGED_OUT:
        raise SessionExpired(f"The session is over: the site answered {_path(url)} as it does to strangers.")
    if status != "0":
        raise PageChanged(f"The site answered {_path(url)} with status {status}.")
    return dict(answer)


def _path(url: str) -> str:
    return url.partition("?")[0]
