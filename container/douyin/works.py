"""The creator's works list: what proves, days later or at once, whether a work is on the site."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from playwright.async_api import Error as PlaywrightError

from chalicelib.errors import PageChanged, PageTimeout
from container.douyin.ask import ask, read_answer
from container.douyin.session import ensure_logged_in
from container.evidence import first_line, note

if TYPE_CHECKING:
    from playwright.async_api import Page

MANAGE_PATH = "/creator-micro/content/manage"

_LIST_PATH = "/janus/douyin/creator/pc/work_list"
_OPEN_MS = 30_000


@dataclass(frozen=True, slots=True)
class WorkSummary:
    """One work. `item_id` has 19 digits; `created_at` is when the site took it; `status` is the site's word for
    its state (审核中), where it has one.
    """

    item_id: str
    title: str
    created_at: datetime
    duration_ms: int | None
    status: str | None


async def list_works(page: Page, origin: str, *, newest: int = 20) -> list[WorkSummary]:
    """The account's newest works, newest first.

    A page that is on the site stays where it is (there may be a filled form on it); another one is taken to the
    works page. SessionExpired where the site says so, PageChanged where its answer cannot be read.
    """
    if not page.url.startswith(f"{origin}/"):
        await page.goto(f"{origin}{MANAGE_PATH}", wait_until="commit", timeout=_OPEN_MS)
        await ensure_logged_in(page, timeout_ms=_OPEN_MS)
    query = urlencode({"status": 0, "count": newest, "max_cursor": 0})
    try:
        return _works(await ask(page, f"{_LIST_PATH}?{query}"))[:newest]
    except (PageChanged, PageTimeout, PlaywrightError) as error:
        # The site may take only what its own pages have signed: let one of them ask.
        note(f"the works list was asked for by the works page: {first_line(error)}")
    return (await _asked_by_page(page, origin))[:newest]


def parse_works(text: str) -> list[WorkSummary]:
    """Reads an answer of work_list. Raises as `ask.read_answer` does."""
    return _works(read_answer(text, _LIST_PATH))


def _works(answer: dict[str, Any]) -> list[WorkSummary]:
    works = answer.get("aweme_list") or []
    try:
        return [_summary(work) for work in works]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PageChanged(f"{_LIST_PATH} describes works in a way that is not known.") from error


async def _asked_by_page(page: Page, origin: str) -> list[WorkSummary]:
    other = await page.context.new_page()
    try:
        async with other.expect_response(
            lambda response: urlsplit(response.url).path.rstrip("/") == _LIST_PATH, timeout=_OPEN_MS
        ) as caught:
            await other.goto(f"{origin}{MANAGE_PATH}", wait_until="commit", timeout=_OPEN_MS)
            await ensure_logged_in(other, timeout_ms=_OPEN_MS)
        return parse_works(await (await caught.value).text())
    finally:
        await other.close()


def _summary(work: dict[str, Any]) -> WorkSummary:
    duration = work.get("duration") or (work.get("video") or {}).get("duration")
    return WorkSummary(
        item_id=str(work.get("item_id") or work["aweme_id"]),
        title=str(work.get("item_title") or work.get("title") or work.get("desc") or ""),
        created_at=datetime.fromtimestamp(int(work["create_time"]), UTC),
        duration_ms=int(duration) if duration else None,
        status=str(work["status_desc"]) if work.get("status_desc") else None,
    )
