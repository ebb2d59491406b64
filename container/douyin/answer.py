"""The platform's own word about a publish: the answer to `create_v2`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from playwright.async_api import Error as PlaywrightError

from chalicelib.errors import (
    OutcomeUnknown,
    PlatformBusy,
    PlatformRejected,
    PublisherError,
    SessionExpired,
)
from container.douyin.ask import LOGGED_OUT
from container.evidence import first_line

if TYPE_CHECKING:
    from playwright.async_api import Page, Request, Response

logger = logging.getLogger(__name__)

_CREATE = "/web/api/media/aweme/create"  # create_v2 since 2025, create before.

# The platform's words for a passing fault of its own (toasts and status_msg, 2025-2026).
_BUSY = ("开小差", "系统异常", "系统繁忙", "网络异常", "服务异常", "服务繁忙", "稍后再试", "稍后重试", "频繁")


class CreateAnswers:
    """Listens for a page's publish requests and their answers, from before the click on.

    `sent` counts the requests. Each ends in a body or in OutcomeUnknown, which `next` gives in their order.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self.sent = 0
        self._given = 0
        self._answers: asyncio.Queue[str | OutcomeUnknown] = asyncio.Queue()
        self._more = asyncio.Event()
        page.on("request", self._on_request)
        page.on("response", self._on_response)
        page.on("requestfailed", self._on_failure)
        page.on("close", self._on_gone)
        page.on("crash", self._on_gone)

    @property
    def unanswered(self) -> int:
        """How many requests have left the page of whose end nobody has been told yet."""
        return self.sent - self._given

    async def next(self) -> str:
        """The next answer's body. OutcomeUnknown where the connection or the page was lost instead."""
        answer = await self._answers.get()
        self._given += 1
        if isinstance(answer, OutcomeUnknown):
            raise answer
        return answer

    async def sends_more_than(self, known: int, *, within: float) -> bool:
        """Whether the page sends another request by itself: more than `known`, within so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.sent <= known:
                    self._more.clear()
                    await self._more.wait()
        return self.sent > known

    def stop(self) -> None:
        """No more listening."""
        self._page.remove_listener("request", self._on_request)
        self._page.remove_listener("response", self._on_response)
        self._page.remove_listener("requestfailed", self._on_failure)
        self._page.remove_listener("close", self._on_gone)
        self._page.remove_listener("crash", self._on_gone)

    def _on_request(self, request: Request) -> None:
        if _creates(request):
            self.sent += 1
            self._more.set()

    async def _on_response(self, response: Response) -> None:
        if not _creates(response.request):
            return
        try:
            body = await response.text()
        except PlaywrightError as error:
            self._lose(f"its answer could not be read ({first_line(error)})")
            return
        self._answers.put_nowait(body)

    def _on_failure(self, request: Request) -> None:
        if _creates(request):
            self._lose(f"the connection was lost ({request.failure})")

    def _on_gone(self, _page: Page) -> None:
        self._lose("the page was lost")

    def _lose(self, how: str) -> None:
        self._answers.put_nowait(OutcomeUnknown(f"The publish request was sent, but {how}."))


def item_id_of(body: str) -> str | None:
    """The new work's id, as text, from an answer that says yes.

    PlatformBusy or PlatformRejected, with the platform's words, where it says no; SessionExpired where it says
    that nobody is logged in; OutcomeUnknown where the body is none of these.
    """
    try:
        answer = json.loads(body, parse_int=str)
        status = answer["status_code"]
    except (ValueError, KeyError, TypeError) as error:
        raise OutcomeUnknown("The platform's answer to the publish request cannot be read.") from error
    if str(status) == LOGGED_OUT:
        raise SessionExpired(
            "The session is over: the site answered the publish request as it does to strangers."
        )
    if str(status) != "0":
        raise refusal(str(answer.get("status_msg") or f"status {status}"))
    item_id = answer.get("item_id")
    return str(item_id) if item_id else None


def refusal(words: str) -> PublisherError:
    """The error that stands for a refusal in the platform's own words."""
    if any(sign in words for sign in _BUSY):
        return PlatformBusy(f"The platform says: {words}")
    return PlatformRejected(f"The platform says: {words}")


def _creates(request: Request) -> bool:
    return request.method == "POST" and urlsplit(request.url).path.startswith(_CREATE)
