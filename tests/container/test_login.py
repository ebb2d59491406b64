"""The login page of the stand-in, as events."""

from __future__ import annotations

import contextlib
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import PageTimeout, SessionExpired
from container.browser import open_page
from container.douyin import verification
from container.douyin.login import LoginEvent, QrLogin, QrState, fetch_profile
from container.douyin.verification import Challenge
from container.evidence import Timeline
from tests.container.support import XIAOMAN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from container.browser import Browser
    from tests.container.conftest import Run
    from tests.container.support import Site

pytestmark = pytest.mark.system

_PNG = b"\x89PNG\r\n\x1a\n"
_SECONDS = 60.0


async def _forget(_: dict[str, Any]) -> None:
    pass


@contextlib.asynccontextmanager
async def _login(browser: Browser, site: Site) -> AsyncIterator[tuple[QrLogin, LoginEvent]]:
    """The login page with its first code on show."""
    async with browser.context() as context:
        login = QrLogin(await open_page(context), site.origin, Timeline(_forget))
        await login.open()
        event = await login.next_event(None, _SECONDS)
        assert event.state == "qr_ready"
        yield login, event


@pytest.mark.parametrize("scenario", [{"qr": "png"}, {"qr": "svg"}], ids=["png", "svg"])
def test_a_scanned_and_confirmed_code_logs_in(
    run: Run, browser: Browser, site: Site, scenario: dict[str, str]
) -> None:
    site.scenario(**scenario)

    async def log_in() -> None:
        async with _login(browser, site) as (login, event):
            assert event.qr_png is not None
            assert event.qr_png.startswith(_PNG)
            token = site.scan(event.qr_png)
            scanned = await login.next_event(event, _SECONDS)
            assert scanned.state is QrState.SCANNED
            site.confirm(token)
            assert (await login.next_event(scanned, _SECONDS)).state is QrState.LOGGED_IN
            profile = await login.profile()
            assert (profile.uid, profile.nickname) == (XIAOMAN, "小满同学")
            assert str(profile.avatar_url).startswith(site.origin)

    run(log_in())


def test_nothing_new_gives_the_known_event_again(run: Run, browser: Browser, site: Site) -> None:
    async def wait() -> None:
        async with _login(browser, site) as (login, event):
            assert await login.next_event(event, 0.3) is event

    run(wait())


def test_an_expired_code_is_replaced_by_another_one(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(qr_life=1)

    async def outlive() -> None:
        async with _login(browser, site) as (login, first):
            expired = await login.next_event(first, _SECONDS)
            assert expired.state is QrState.EXPIRED
            site.scenario(qr_life=60)
            await login.refresh()
            second = await login.next_event(expired, _SECONDS)
            assert second.state is QrState.QR_READY
            assert second.qr_sha != first.qr_sha

    run(outlive())


def test_risk_control_is_told_apart_from_expiry(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(qr_refused="risk")

    async def scan() -> None:
        async with _login(browser, site) as (login, event):
            with pytest.raises(Exception, match="409"):
                site.scan(event.qr_png or b"")
            refused = await login.next_event(event, _SECONDS)
            assert refused.state is QrState.REFUSED
            assert "该二维码异常" in refused.detail

    run(scan())


def test_a_second_verification_names_the_masked_phone(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(second_verification="login")

    async def scan() -> None:
        async with _login(browser, site) as (login, event):
            token = site.scan(event.qr_png or b"")
            # The phone form beside the code, with its input for an SMS code, is no sign of it.
            scanned = await login.next_event(event, _SECONDS)
            assert scanned.state is QrState.SCANNED
            site.confirm(token)
            wanted = await login.next_event(scanned, _SECONDS)
            assert wanted.state is QrState.VERIFICATION_REQUIRED

    run(scan())


def test_a_stranger_has_no_profile(run: Run, browser: Browser, site: Site) -> None:
    async def ask() -> None:
        async with browser.context() as context:
            page = await open_page(context)
            await page.goto(f"{site.origin}/")
            with pytest.raises(SessionExpired):
                await fetch_profile(page)

    run(ask())


def test_a_code_that_cannot_be_typed_stands_in_no_error(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.scenario(second_verification="login")
    monkeypatch.setattr(verification, "ACTION_MS", 500)

    async def type_into_a_dead_field() -> None:
        async with browser.context() as context:
            page = await open_page(context)
            login = QrLogin(page, site.origin, Timeline(_forget))
            await login.open()
            event = await login.next_event(None, _SECONDS)
            site.confirm(site.scan(event.qr_png or b""))
            while event.state is not QrState.VERIFICATION_REQUIRED:
                event = await login.next_event(event, _SECONDS)

            async def next_code(_: str | None) -> str:
                await page.locator("#uc-second-verify input").evaluate("field => field.readOnly = true")
                return "918273"

            with pytest.raises(PageTimeout) as failure:
                await Challenge(page, next_code).pass_by_sms()
            assert "918273" not in "".join(traceback.format_exception(failure.value))

    run(type_into_a_dead_field())
