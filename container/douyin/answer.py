"""The publish request, `create_v2`: what lets it leave the page, and the platform's own word about it."""

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
    from playwright.async_api import CDPSession, Page, Request

logger = logging.getLogger(__name__)

CREATE_PATH = "/web/api/media/aweme/create"  # create_v2 since 2025, create before.

_REDIRECTS = (301, 302, 303, 307, 308)

# The platform's words for a passing fault of its own (toasts and status_msg, 2025-2026).
_BUSY = ("开小差", "系统异常", "系统繁忙", "网络异常", "服务异常", "服务繁忙", "稍后再试", "稍后重试", "频繁")


class PublishGate:
    """Where a page's publish requests leave it: one for each `admit`, and none without. All others are stopped
    in the browser as long as the page lives, whether a script, a frame, a worker or a beacon sends them.

    `left` counts those that have left. Each ends in a body or in OutcomeUnknown, which `next` gives in their
    order. An answer is read before the page gets it: a page that goes elsewhere because of the answer takes the
    body along, and Chromium would not tell it any more.
    """

    def __init__(self, session: CDPSession) -> None:
        self._session = session
        self._admits = False
        self._through: set[str] = set()
        self._given = 0
        self._answers: asyncio.Queue[str | OutcomeUnknown] = asyncio.Queue()
        self._change = asyncio.Event()

    @classmethod
    async def on(cls, page: Page) -> PublishGate:
        """A gate on the page, shut until `admit`."""
        session = await page.context.new_cdp_session(page)
        gate = cls(session)
        page.on("requestfailed", gate._on_failure)
        page.on("close", gate._on_gone)
        page.on("crash", gate._on_gone)
        session.on("Fetch.requestPaused", gate._on_paused)
        stages = [
            {"urlPattern": f"*{CREATE_PATH}*", "requestStage": stage} for stage in ("Request", "Response")
        ]
        await session.send("Fetch.enable", {"patterns": stages})
        return gate

    @property
    def left(self) -> int:
        return len(self._through)

    @property
    def unanswered(self) -> int:
        """How many requests have left the page of whose end nobody has been told yet."""
        return max(0, self.left - self._given)

    def admit(self) -> None:
        """One more request may leave: the next one."""
        self._admits = True

    def shut(self) -> None:
        """Nothing may leave any more, from this instant on."""
        self._admits = False

    async def lets_more_than(self, known: int) -> None:
        """Returns once more than `known` have left."""
        while self.left <= known:
            self._change.clear()
            await self._change.wait()

    async def next(self) -> str:
        """The next answer's body. OutcomeUnknown where the connection or the page was lost instead."""
        answer = await self._answers.get()
        self._given += 1
        if isinstance(answer, OutcomeUnknown):
            raise answer
        return answer

    async def _on_paused(self, event: dict[str, Any]) -> None:
        """A request on its way out, or its answer on its way in."""
        paused = {"requestId": event["requestId"]}
        name = event["networkId"]
        verdict = "Fetch.continueRequest"
        if event["request"]["method"] != "POST" or "responseErrorReason" in event:
            pass
        elif "responseStatusCode" in event:
            if event["responseStatusCode"] not in _REDIRECTS:
                await self._keep_answer(paused)
        elif name in self._through:
            pass  # It comes again, redirected.
        elif self._admits:
            self._admits = False
            self._through.add(name)
            self._change.set()
        else:
            verdict = "Fetch.failRequest"
            paused["errorReason"] = "BlockedByClient"
            logger.warning("The page sent the work without being asked to; the request was stopped.")
        with contextlib.suppress(PlaywrightError):
            await self._session.send(verdict, paused)

    async def _keep_answer(self, paused: dict[str, Any]) -> None:
        try:
            answer = await self._session.send("Fetch.getResponseBody", paused)
        except PlaywrightError as error:
            self._lose(f"its answer could not be read ({first_line(error)})")
            return
        body = answer["body"]
        self._answers.put_nowait(
            base64.b64decode(body).decode(errors="replace") if answer["base64Encoded"] else body
        )

    def _on_failure(self, request: Request) -> None:
        if _creates(request) and "ERR_BLOCKED_BY_CLIENT" not in (request.failure or ""):
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
