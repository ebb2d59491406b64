"""The platform's own word about a publish: the answer to `create_v2`."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from playwright.async_api import Error as PlaywrightError

from chalicelib.errors import OutcomeUnknown, PlatformBusy, PlatformRejected, PublisherError
from container.evidence import first_line

if TYPE_CHECKING:
    from playwright.async_api import Page, Request, Response

logger = logging.getLogger(__name__)

_CREATE = "/web/api/media/aweme/create"  # create_v2 since 2025, create before.

# The platform's words for a passing fault of its own (toasts and status_msg, 2025-2026).
_BUSY = ("开小差", "系统异常", "系统繁忙", "网络异常", "服务异常", "服务繁忙", "稍后再试", "稍后重试", "频繁")


class CreateAnswer:
    """Listens for the publish request of a page, from before the click on.

    `sent` counts the requests; `answer` ends with the first answer's body, or with OutcomeUnknown where the
    connection or the page was lost.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self.sent = 0
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        page.on("request", self._on_request)
        page.on("response", self._on_response)
        page.on("requestfailed", self._on_failure)
        page.on("close", self._on_gone)
        page.on("crash", self._on_gone)

    def stop(self) -> None:
        """No more listening. A failure that nobody asked for is not an unhandled one."""
        self._page.remove_listener("request", self._on_request)
        self._page.remove_listener("response", self._on_response)
        self._page.remove_listener("requestfailed", self._on_failure)
        self._page.remove_listener("close", self._on_gone)
        self._page.remove_listener("crash", self._on_gone)
        if not self.answer.cancel() and not self.answer.cancelled():
            self.answer.exception()

    def _on_request(self, request: Request) -> None:
        if _creates(request):
            self.sent += 1

    async def _on_response(self, response: Response) -> None:
        if not _creates(response.request):
            return
        try:
            body = await response.text()
        except PlaywrightError as error:
            self._lose(f"its answer could not be read ({first_line(error)})")
            return
        if not self.answer.done():
            self.answer.set_result(body)

    def _on_failure(self, request: Request) -> None:
        if _creates(request):
            self._lose(f"the connection was lost ({request.failure})")

    def _on_gone(self, _page: Page) -> None:
        self._lose("the page was lost")

    def _lose(self, how: str) -> None:
        if not self.answer.done():
            self.answer.set_exception(OutcomeUnknown(f"The publish request was sent, but {how}."))


def item_id_of(body: str) -> str | None:
    """The new work's id, as text, from an answer that says yes.

    PlatformBusy or PlatformRejected, with the platform's words, where it says no; OutcomeUnknown where the body
    is neither.
    """
    try:
        answer = json.loads(body, parse_int=str)
        status = answer["status_code"]
    except (ValueError, KeyError, TypeError) as error:
        raise OutcomeUnknown("The platform's answer to the publish request cannot be read.") from error
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
