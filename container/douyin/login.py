"""Logging in by QR code: what the login page shows, as events; and whose session it became."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from playwright.async_api import Error as PlaywrightError

from chalicelib.errors import CaptchaRequired, PageChanged, PageTimeout
from container.douyin.act import ACTION_MS, expect, find
from container.douyin.ask import ask
from container.douyin.locators import QR_DRAWING, QR_EXPIRED
from container.douyin.sight import Sight, look_again

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page, Response

    from container.evidence import Timeline

logger = logging.getLogger(__name__)

_OPEN_MS = 30_000
# At most this long between two looks at what only the network says.
_SLICE_SECONDS = 1.0

_PNG = "data:image/png;base64,"
_CHECK = "/passport/web/check_qrconnect"
USER_INFO = "/web/api/media/user/info/"


class QrState(StrEnum):
    LOADING = "loading"
    QR_READY = "qr_ready"
    SCANNED = "scanned"
    EXPIRED = "expired"
    REFUSED = "refused"
    VERIFICATION_REQUIRED = "verification_required"
    LOGGED_IN = "logged_in"


@dataclass(frozen=True, slots=True)
class LoginEvent:
    """What the page shows. `qr_png` and `qr_sha` (SHA-256, hex) stand with QR_READY, `phone` (183******91) with
    VERIFICATION_REQUIRED, `detail` for people with REFUSED and VERIFICATION_REQUIRED.
    """

    state: QrState
    qr_png: bytes | None = field(default=None, repr=False)
    qr_sha: str | None = None
    phone: str | None = None
    detail: str = ""
    sight: Sight | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Profile:
    """Who is logged in. `uid` is stable over logins."""

    uid: str
    nickname: str
    avatar_url: str | None


class QrLogin:
    """One visit of the login page. The caller says how long it lasts and whether a code is worth refreshing."""

    def __init__(self, page: Page, origin: str, timeline: Timeline) -> None:
        self._page = page
        self._origin = origin
        self._timeline = timeline
        # The site's own word that the code on show was scanned; its texts for that are unverified.
        self._scanned = False
        page.on("response", self._listen)

    async def open(self) -> None:
        """Opens the login page and waits until it shows something that is known.

        Raises PageTimeout, PlatformUnreachable, CaptchaRequired.
        """
        async with self._timeline.step("open_login"):
            await self._page.goto(f"{self._origin}/", wait_until="commit", timeout=_OPEN_MS)
            if (await self.next_event(None, timeout=_OPEN_MS / 1000)).state is QrState.LOADING:
                raise PageTimeout(f"The login page showed no QR code within {_OPEN_MS // 1000} s.")

    async def next_event(self, known: LoginEvent | None, timeout: float) -> LoginEvent:  # noqa: ASYNC109
        """The next event that differs from `known`; `known` itself where nothing changes for `timeout` seconds.

        Raises CaptchaRequired.
        """
        end = time.monotonic() + timeout
        sight: Sight | None = None
        while (left := end - time.monotonic()) > 0:
            sight = await look_again(self._page, sight, timeout_ms=min(left, _SLICE_SECONDS) * 1000) or sight
            if sight is None:
                continue
            state = await self._state(sight)
            if state is not QrState.LOADING and _differs(known, state, sight):
                return await self._event(state, sight)
        return known or LoginEvent(QrState.LOADING)

    async def refresh(self) -> None:
        """Asks for a new code in the place of an expired or refused one; `next_event` says when it is there."""
        async with self._timeline.step("refresh_qr"):
            self._scanned = False
            notice = await find(self._page, QR_EXPIRED)
            await notice.click(timeout=ACTION_MS)
            await expect(notice, "hidden", QR_EXPIRED.purpose)

    async def profile(self) -> Profile:
        """Whose session it is, by the site's own answer. SessionExpired where it says: nobody's."""
        async with self._timeline.step("profile"):
            return await fetch_profile(self._page)

    async def _state(self, sight: Sight) -> QrState:
        if await self._logged_in(sight):
            return QrState.LOGGED_IN
        if sight.shows("captcha"):
            raise CaptchaRequired("The login page asks for a captcha.")
        by_mark = {
            "identity": QrState.VERIFICATION_REQUIRED,
            "qr_refused": QrState.REFUSED,
            "qr_expired": QrState.EXPIRED,
            "qr_scanned": QrState.SCANNED,
        }
        for mark, state in by_mark.items():
            if sight.shows(mark):
                return state
        if sight.qr is None:
            return QrState.LOADING
        return QrState.SCANNED if self._scanned else QrState.QR_READY

    async def _logged_in(self, sight: Sight) -> bool:
        """All three: the creator's pages, no login text, the session's cookie. Each alone has misled others."""
        if sight.shows("login"):
            return False
        cookies = await self._page.context.cookies(self._origin)
        if not any(cookie.get("name") == "sessionid" and cookie.get("value") for cookie in cookies):
            return False
        if sight.path.startswith("/creator-micro"):
            return True
        if "is_new_connect=" in urlsplit(sight.url).query:
            # Now and then the site leaves a fresh login on its front page (social-auto-upload #76).
            await self._page.goto(f"{self._origin}/creator-micro/home", wait_until="commit")
        return False

    async def _event(self, state: QrState, sight: Sight) -> LoginEvent:
        match state:
            case QrState.QR_READY:
                png = await self._qr_png(sight)
                return LoginEvent(state, qr_png=png, qr_sha=hashlib.sha256(png).hexdigest(), sight=sight)
            case QrState.VERIFICATION_REQUIRED:
                detail = f"The platform wants an SMS code sent to {sight.phone or 'the account’s phone'}."
                return LoginEvent(state, phone=sight.phone, detail=detail, sight=sight)
            case QrState.REFUSED:
                detail = "The platform's risk control refused the QR code (该二维码异常)."
                return LoginEvent(state, detail=detail, sight=sight)
            case _:
                return LoginEvent(state, sight=sight)

    async def _qr_png(self, sight: Sight) -> bytes:
        """The code as a PNG: the page's own where it is one, else a picture of what the page draws."""
        if sight.qr is not None and sight.qr.startswith(_PNG):
            return base64.b64decode(sight.qr.removeprefix(_PNG))
        if sight.qr_is_image:
            image = self._page.locator(f"img[src={json.dumps(sight.qr)}]").first
            return await image.screenshot(type="png", timeout=ACTION_MS)
        drawing = await find(self._page, QR_DRAWING)
        return await (await _largest(drawing)).screenshot(type="png", timeout=ACTION_MS)

    async def _listen(self, response: Response) -> None:
        if not urlsplit(response.url).path.startswith(_CHECK):
            return
        try:
            status = json.loads(await response.text())["data"]["status"]
        except (PlaywrightError, ValueError, KeyError, TypeError):
            return  # Not every answer has one, and the page may be gone by now.
        self._scanned = str(status) in ("scanned", "2")


async def fetch_profile(page: Page) -> Profile:
    """Asks the site who is logged in, from within its own page.

    SessionExpired where it answers that nobody is, PageChanged where the answer cannot be read.
    """
    return profile_of(await ask(page, USER_INFO))


def profile_of(answer: dict[str, Any]) -> Profile:
    """The user that USER_INFO's answer names. PageChanged where it names none."""
    user = answer.get("user")
    if not isinstance(user, dict) or not user.get("uid"):
        raise PageChanged(f"{USER_INFO} named no user.")
    avatar = user.get("avatar_thumb")
    urls = avatar.get("url_list") if isinstance(avatar, dict) else [avatar]
    return Profile(
        uid=str(user["uid"]),
        nickname=str(user.get("nickname", "")),
        avatar_url=str(urls[0]) if urls and urls[0] else None,
    )


def _differs(known: LoginEvent | None, state: QrState, sight: Sight) -> bool:
    if known is None or known.state is not state:
        return True
    if state is QrState.QR_READY:
        return known.sight is None or known.sight.qr != sight.qr
    return state is QrState.VERIFICATION_REQUIRED and known.phone != sight.phone


async def _largest(container: Locator) -> Locator:
    """The largest drawing in it: the logo over the code is a drawing, too."""
    drawings = await container.locator("svg, canvas").filter(visible=True).all()
    areas = [
        box["width"] * box["height"] if (box := await drawing.bounding_box()) else 0.0 for drawing in drawings
    ]
    return drawings[areas.index(max(areas))] if areas else container
