"""What tests do with the stand-in: its phone, its switches, its ground truth; and forms ready to be filled."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from playwright.async_api import Error as PlaywrightError

from container.browser import open_page
from container.douyin.publish import Publication, Work
from container.evidence import Timeline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from playwright.async_api import Page, Route

    from container.browser import Browser
    from container.douyin.publish import Submitted
    from container.douyin.verification import NextCode
    from container.profile import BrowserProfile

MEDIA = Path(__file__).parents[2] / "local" / "standins" / "douyin" / "media"
VIDEO, COVER = MEDIA / "demo.mp4", MEDIA / "demo.png"

XIAOMAN = "3820146579012345"

_SECONDS = 120.0


class Site:
    """The stand-in over HTTP."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        self._session.close()

    def get(self, path: str) -> Any:
        return self._answer(self._session.get(self.origin + path, timeout=10))

    def post(self, path: str, body: Any = None) -> Any:
        return self._answer(self._session.post(self.origin + path, json=body or {}, timeout=10))

    def scenario(self, **switches: str | int) -> None:
        self.post("/admin/scenario", switches)

    def works(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/admin/works")
        return found

    def publish_requests(self) -> int:
        return int(self.get("/admin/state")["counters"].get("create_v2_requests", 0))

    def sms(self, user: str = XIAOMAN) -> str:
        """The code that the phone got last."""
        return str(self.get(f"/phone/api/sms?user={user}")[0]["code"])

    def scan(self, png: bytes) -> str:
        """The phone looks at a code; the code's token."""
        return str(self.post("/phone/api/scan", {"qr_png_base64": base64.b64encode(png).decode()})["token"])

    def confirm(self, token: str, user: str = XIAOMAN) -> None:
        self.post("/phone/api/confirm", {"token": token, "user": user})

    def log_in(self, user: str = XIAOMAN) -> dict[str, Any]:
        """A session as Playwright stores one, got without a browser."""
        with requests.Session() as session:
            session.trust_env = False
            token = session.get(f"{self.origin}/passport/web/get_qrcode/", timeout=10).json()["data"]["token"]
            self.post("/phone/api/scan", {"token": token})
            self.confirm(token, user)
            session.get(f"{self.origin}/passport/web/check_qrconnect/?token={token}", timeout=10)
            cookies = [
                {
                    "name": cookie.name,
                    "value": cookie.value,
                    "domain": "127.0.0.1",
                    "path": "/",
                    "expires": -1,
                    "httpOnly": True,
                    "secure": False,
                    "sameSite": "Lax",
                }
                for cookie in session.cookies
            ]
        assert any(cookie["name"] == "sessionid" for cookie in cookies)
        return {"cookies": cookies, "origins": []}

    @staticmethod
    def _answer(response: requests.Response) -> Any:
        response.raise_for_status()
        return response.json()


@dataclass
class Visit:
    """A page of a logged-in creator, and what its steps said."""

    page: Page
    publication: Publication
    timeline: Timeline
    entries: list[dict[str, Any]] = field(default_factory=list)

    def entry(self, name: str) -> dict[str, Any]:
        return next(entry for entry in self.entries if entry["name"] == name)

    @property
    def notes(self) -> list[str]:
        return [note for entry in self.entries for note in entry["notes"]]


@contextlib.asynccontextmanager
async def visit(
    browser: Browser,
    site: Site,
    *,
    session: dict[str, Any] | None = None,
    next_code: NextCode | None = None,
    seconds: float = _SECONDS,
    profile: BrowserProfile | None = None,
) -> AsyncIterator[Visit]:
    """A page with a session (a fresh one unless given), nowhere yet."""
    async with browser.context(storage_state=session or site.log_in(), profile=profile) as context:
        page = await open_page(context)
        entries: list[dict[str, Any]] = []

        async def keep(entry: dict[str, Any]) -> None:
            entries.append(entry)

        end = time.monotonic() + seconds
        timeline = Timeline(keep)
        publication = Publication(page, site.origin, timeline, lambda: end - time.monotonic(), next_code)
        yield Visit(page, publication, timeline, entries)


@contextlib.asynccontextmanager
async def open_form(browser: Browser, site: Site) -> AsyncIterator[Visit]:
    """A page whose form waits to be filled."""
    async with visit(browser, site) as visited:
        await visited.publication.open_upload()
        await visited.publication.start_upload(VIDEO)
        await visited.publication.wait_form()
        yield visited


@contextlib.asynccontextmanager
async def held(page: Page, pattern: str) -> AsyncIterator[None]:
    """Requests to these addresses are not answered."""
    over = asyncio.Event()

    async def hold(route: Route) -> None:
        await over.wait()
        with contextlib.suppress(PlaywrightError):
            await route.abort()

    await page.route(pattern, hold)
    try:
        yield
    finally:
        over.set()
        await page.unroute_all(behavior="wait")


async def prepare(visited: Visit, work: Work) -> None:
    """Everything up to the click."""
    publication = visited.publication
    await publication.open_upload()
    await publication.start_upload(work.video)
    await publication.wait_form()
    await publication.fill(work)
    await publication.wait_uploaded()
    await publication.read_back(work)


async def publish(
    visited: Visit, work: Work, *, before_click: Callable[[], Awaitable[None]] | None = None
) -> Submitted:
    async def agree() -> None:
        pass

    await prepare(visited, work)
    return await visited.publication.submit(before_click or agree)
