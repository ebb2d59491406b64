"""The platform's own word about a publish: the answer to `create_v2`."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any
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
    from collections.abc import AsyncIterator

    from playwright.async_api import CDPSession, Page, Request, Response

logger = logging.getLogger(__name__)

CREATE_PATH = "/web/api/media/aweme/create"  # create_v2 since 2025, create before.

# The platform's words for a passing fault of its own (toasts and status_msg, 2025-2026).
_BUSY = ("开小差", "系统异常", "系统繁忙", "网络异常", "服务异常", "服务繁忙", "稍后再试", "稍后重试", "频繁")


class CreateAnswers:
    """Listens for a page's publish requests and their answers, from before the click on.

    `sent` counts the requests. Each ends in a body or in OutcomeUnknown, which `next` gives in their order.

    An answer is read before the page gets it: a page that goes elsewhere because of the answer takes the body
    along, and Chromium would not tell it any more.
    """

    def __init__(self, page: Page, session: CDPSession) -> None:
        self._page = page
        self._session = session
        self.sent = 0
        self._given = 0
        self._read = 0
        self._passed = 0
        self._answers: asyncio.Queue[str | OutcomeUnknown] = asyncio.Queue()
        self._more = asyncio.Event()

    @classmethod
    @contextlib.asynccontextmanager
    async def listen(cls, page: Page) -> AsyncIterator[CreateAnswers]:
        """Listens as long as the context lasts."""
        session = await page.context.new_cdp_session(page)
        answers = cls(page, session)
        listeners: dict[Any, Any] = {
            "request": answers._on_request,
            "response": answers._on_response,
            "requestfailed": answers._on_failure,
            "close": answers._on_gone,
            "crash": answers._on_gone,
        }
        for event, listener in listeners.items():
            page.on(event, listener)
        session.on("Fetch.requestPaused", answers._on_held)
        held = {"urlPattern": f"*{CREATE_PATH}*", "requestStage": "Response"}
        await session.send("Fetch.enable", {"patterns": [held]})
        try:
            yield answers
        finally:
            for event, listener in listeners.items():
                page.remove_listener(event, listener)
            with contextlib.suppress(PlaywrightError):
                await session.detach()  # Lets go of what it holds.

    @property
    def unanswered(self) -> int:
        """How many requests have left the page of whose end nobody has been told yet."""
        return max(0, self.sent - self._given)

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

    def _on_request(self, request: Request) -> None:
        if _creates(request):
            self.sent += 1
            self._more.set()

    async def _on_held(self, event: dict[str, Any]) -> None:
        """An answer that the page has not seen yet."""
        held = {"requestId": event["requestId"]}
        with contextlib.suppress(PlaywrightError):
            if event["request"]["method"] == "POST" and "responseErrorReason" not in event:
                answer = await self._session.send("Fetch.getResponseBody", held)
                body = answer["body"]
                self._read += 1
                self._answers.put_nowait(
                    base64.b64decode(body).decode(errors="replace") if answer["base64Encoded"] else body
                )
        with contextlib.suppress(PlaywrightError):
            await self._session.send("Fetch.continueRequest", held)

    async def _on_response(self, response: Response) -> None:
        """An answer that the page has seen; read here only where it could not be held."""
        if not _creates(response.request):
            return
        self._passed += 1
        if self._passed <= self._read:
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
    return request.method == "POST" and urlsplit(request.url).path.startswith(CREATE_PATH)
