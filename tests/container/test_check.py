"""The whole check in this process: plain requests, a real browser, the stand-in, the emulated AWS."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.accounts.checks import Herald
from chalicelib.accounts.preferences import sealed
from chalicelib.accounts.store import AccountState, AccountStore, Profile, storage_prefix
from chalicelib.accounts.vault import Vault
from chalicelib.clock import to_rfc3339, utc_now
from chalicelib.sealing import Sealer
from chalicelib.settings import Settings
from chalicelib.unsealing import Unsealer
from container.browser import Browser, open_page, platform_hosts
from container.douyin import plain, upload
from container.jobs.check import run_check
from container.jobs.session import session_version
from container.profile import BrowserProfile
from container.worker import Worker
from tests.accounts.support import BUS, EventQueue, events_of
from tests.container.proxies import PASSWORD, USERNAME, SocksProxy, proxy_server
from tests.container.support import XIAOMAN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.async_api import Page

    from chalicelib.accounts.store import Account
    from tests.conftest import Cloud
    from tests.container.conftest import Run
    from tests.container.support import Site

pytestmark = pytest.mark.system


class HandWorker(Worker):
    """The test's own event bus instead of the environment's."""

    outside: Herald

    def herald(self) -> Herald:
        return self.outside


class IdleBrowser(Browser):
    """Counts how often it was launched."""

    launched = 0

    async def start(self) -> None:
        self.launched += 1
        await super().start()


@dataclass(frozen=True)
class Ward:
    worker: HandWorker
    browser: IdleBrowser
    site: Site
    run: Run
    name: str
    told: EventQueue
    s3: Any

    @property
    def account(self) -> Account:
        return self.worker.accounts.get(self.name)

    def check(self) -> Account:
        """The account after a check that was asked for just now."""
        self.run(self.checking())
        return self.account

    async def checking(self) -> None:
        message: Any = SimpleNamespace(keep_invisible=lambda: None)
        await run_check(self.worker, self.name, to_rfc3339(utc_now()), message)

    def log_in(self, uid: str = XIAOMAN) -> Account:
        """A newer login, sealed and put in force."""
        version = session_version(self.worker)
        self.worker.vault.seal(self.name, version, self.site.log_in())
        return self.worker.accounts.log_in(self.name, Profile(uid, "小满同学", None), session_version=version)

    def end_sessions(self) -> None:
        self.site.post("/admin/logout", {"user": XIAOMAN})

    def sealed(self) -> list[str]:
        """What is kept of the account's sessions."""
        bucket, prefix = self.worker.vault.bucket, storage_prefix("sessions", self.name)
        listed = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for entry in listed.get("Contents", [])]


@pytest.fixture
def ward(cloud: Cloud, site: Site, run: Run, chromium_path: str) -> Iterator[Ward]:
    name = f"check-{uuid.uuid4().hex[:8]}"
    browser = IdleBrowser(chromium_path, allowed_hosts=platform_hosts(site.origin))
    accounts = AccountStore(cloud.client("dynamodb"), cloud.variable("ACCOUNTS_TABLE"))
    kms, key_id, s3 = cloud.client("kms"), cloud.variable("SESSION_KEY_ID"), cloud.client("s3")
    vault = Vault(s3, kms, cloud.variable("PRIVATE_BUCKET"), key_id)
    settings = Settings({"DOUYIN_ORIGIN": site.origin})
    worker = HandWorker(settings, browser, accounts, vault, Unsealer(kms, key_id))
    object.__setattr__(worker, "outside", Herald(accounts, cloud.client("events"), BUS))
    found = Ward(worker, browser, site, run, name, events_of(cloud, name), s3)
    found.log_in()
    yield found
    run(browser.close())


def test_a_session_that_is_alive_is_known_by_one_request_without_a_browser(ward: Ward) -> None:
    before = ward.account
    after = ward.check()

    assert (after.state, after.evidence) == (
        AccountState.LOGGED_IN,
        "The site named the account to its cookies.",
    )
    assert after.checked_at > before.checked_at
    assert after.session_version == before.session_version
    assert ward.browser.launched == 0


def test_a_session_that_is_over_is_expired_by_the_browsers_word_and_told_once(ward: Ward) -> None:
    ward.end_sessions()

    first, again = ward.check(), ward.check()

    assert first.state is again.state is AccountState.EXPIRED
    assert "login page" in first.evidence
    assert again.checked_at > first.checked_at
    (event,) = ward.told.take()
    assert event["detail"].items() >= {"account": ward.name, "evidence": first.evidence}.items()
    assert ward.browser.launched == 2  # Nobody believes a plain request any more.


@pytest.mark.parametrize("fault", ["error", "slow"])
def test_a_passing_fault_leaves_the_state_and_launches_no_browser(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(plain, "_TIMEOUTS", (1.0, 0.2))
    if fault == "error":
        ward.site.scenario(user_info="error")
    else:
        ward.site.scenario(user_info="slow:2000")
    before = ward.account
    after = ward.check()

    assert (after.state, after.checked_at) == (before.state, before.checked_at)
    assert after.doubt is not None
    assert "user/info" in after.doubt["seen"]
    assert ward.browser.launched == 0
    assert ward.told.take() == []


def test_a_site_that_cannot_be_reached_proves_nothing(ward: Ward) -> None:
    object.__setattr__(ward.worker, "settings", Settings({"DOUYIN_ORIGIN": "http://127.0.0.1:9"}))
    after = ward.check()

    assert (after.state, (after.doubt or {})["looks"]) == (AccountState.LOGGED_IN, 1)
    again = ward.check()  # The browser's turn, which cannot reach it either.
    assert (again.state, (again.doubt or {})["looks"]) == (AccountState.LOGGED_IN, 2)


@pytest.mark.parametrize(
    "answer",
    [{"user_info": "browser_only"}, {"user_info": "slow:400"}],
    ids=["as to a stranger", "too late, twice"],
)
def test_a_doubt_that_the_browser_dispels_leaves_the_account_logged_in_with_fresh_cookies(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, answer: dict[str, str]
) -> None:
    monkeypatch.setattr(plain, "_TIMEOUTS", (1.0, 0.2))
    ward.site.scenario(**answer)
    before = ward.account
    if "slow" in answer["user_info"]:
        assert ward.check().doubt is not None
    after = ward.check()

    assert (after.state, after.doubt) == (AccountState.LOGGED_IN, None)
    assert after.evidence == "The upload page opened, and the site named the account."
    assert ward.browser.launched == 1
    assert after.session_version > before.session_version
    assert len(ward.sealed()) == 1
    opened = ward.worker.vault.open(ward.name, after.session_version)
    assert any(cookie["name"] == "sessionid" for cookie in opened["cookies"])


@pytest.mark.parametrize(
    "answer",
    [{"user_info": "html"}, {"user_info": "captcha"}, {"user_info": "stranger"}],
    ids=lambda answer: answer["user_info"],
)
def test_an_answer_that_nobody_understands_is_doubt_and_never_the_end(
    ward: Ward, answer: dict[str, str]
) -> None:
    """The page opens, and yet the site's answer names nobody."""
    ward.site.scenario(**answer)
    after = ward.check()

    assert (after.state, ward.browser.launched) == (AccountState.LOGGED_IN, 1)
    assert after.doubt is not None


def test_a_captcha_in_the_browser_is_doubt(ward: Ward) -> None:
    ward.site.scenario(user_info="html", captcha="enter")

    after = ward.check()

    assert after.state is AccountState.LOGGED_IN
    assert "captcha" in (after.doubt or {})["seen"]


def test_a_page_that_shows_nothing_is_doubt(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    ward.site.scenario(user_info="html", pace=5000)
    monkeypatch.setattr(upload, "_OPEN_MS", 500)

    after = ward.check()

    assert after.state is AccountState.LOGGED_IN
    assert after.doubt is not None


def test_an_owner_who_has_to_verify_the_identity_is_known_by_the_upload_page(ward: Ward) -> None:
    ward.site.scenario(second_verification="enter", user_info="browser_only")
    asked = ward.check()
    assert asked.state is AccountState.NEEDS_VERIFICATION
    assert "SMS" in asked.evidence
    asked.require_login()

    # A plain yes says nothing about that; the page does.
    ward.site.scenario(user_info="ok")
    assert ward.check().state is AccountState.NEEDS_VERIFICATION
    ward.site.scenario(second_verification="off")
    assert ward.check().state is AccountState.LOGGED_IN
    assert ward.told.take() == []


def test_what_only_browsers_know_is_not_known_to_a_plain_yes_until_a_publish_finds_out(ward: Ward) -> None:
    ward.site.scenario(user_info="http_only")
    ward.end_sessions()
    assert ward.check().state is AccountState.LOGGED_IN

    ward.worker.accounts.mark_expired(ward.account, "The session ended before the work was sent.")
    assert ward.check().state is AccountState.EXPIRED


def test_a_session_that_has_become_another_accounts_is_not_used(ward: Ward) -> None:
    ward.log_in(uid="1234567890123456")

    after = ward.check()

    assert after.state is AccountState.EXPIRED
    assert "another" in after.evidence
    assert len(ward.told.take()) == 1


def test_an_expired_account_whose_session_lives_after_all_is_logged_in_again(ward: Ward) -> None:
    ward.worker.accounts.mark_expired(ward.account, "The page asks to log in.")

    assert ward.check().state is AccountState.LOGGED_IN
    assert ward.browser.launched == 1


def test_an_account_that_was_looked_at_since_is_not_looked_at_again(ward: Ward) -> None:
    asked_at = to_rfc3339(utc_now())
    ward.log_in()
    before = ward.account
    ward.end_sessions()
    message: Any = SimpleNamespace(keep_invisible=lambda: None)

    ward.run(run_check(ward.worker, ward.name, asked_at, message))

    assert ward.account == before


# What comes in between


def during(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Does it while the browser is about to open the upload page."""
    visit = upload.visit_upload_page

    async def visit_later(page: Page, origin: str) -> None:
        await asyncio.to_thread(act)
        await visit(page, origin)

    monkeypatch.setattr("container.jobs.check.visit_upload_page", visit_later)


@pytest.mark.parametrize("alive", [True, False], ids=["alive", "over"])
def test_a_newer_login_in_between_wins(ward: Ward, monkeypatch: pytest.MonkeyPatch, alive: bool) -> None:
    ward.site.scenario(user_info="browser_only")
    if not alive:
        ward.end_sessions()
    during(monkeypatch, ward.log_in)

    after = ward.check()

    assert (after.state, after.evidence) == (AccountState.LOGGED_IN, "A login succeeded.")
    assert ward.worker.vault.open(ward.name, after.session_version)["cookies"]
    assert ward.told.take() == []


@pytest.mark.parametrize("alive", [True, False], ids=["alive", "over"])
def test_an_account_that_is_deleted_meanwhile_stays_deleted(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, alive: bool
) -> None:
    ward.site.scenario(user_info="browser_only")
    if not alive:
        ward.end_sessions()

    def delete() -> None:
        version = ward.account.session_version
        ward.worker.accounts.delete(ward.name)
        ward.worker.vault.discard(ward.name, version)

    during(monkeypatch, delete)
    ward.run(ward.checking())

    assert ward.worker.accounts.find(ward.name) is None
    assert ward.sealed() == []
    assert ward.told.take() == []


def test_a_check_of_an_account_that_is_gone_ends(ward: Ward) -> None:
    ward.worker.accounts.delete(ward.name)
    ward.run(ward.checking())
    assert ward.worker.accounts.find(ward.name) is None


def test_a_session_that_cannot_be_opened_is_doubt(ward: Ward) -> None:
    ward.worker.vault.discard(ward.name, ward.account.session_version)

    assert "gone" in (ward.check().doubt or {})["seen"]


# The plain request


def test_the_plain_request_names_the_same_browser_as_the_browser(
    ward: Ward, run: Run, browser: Browser, chromium_path: str, site: Site
) -> None:
    async def names() -> tuple[str, str]:
        idle = Browser(chromium_path, allowed_hosts=platform_hosts(site.origin))
        async with browser.context() as context:
            page = await open_page(context)
            await page.goto(f"{site.origin}/phone")
            said: str = await page.evaluate("navigator.userAgent")
            return await idle.user_agent(BrowserProfile()), said

    asked, said = run(names())
    assert asked == said
    assert ward.browser.launched == 0


def test_an_account_with_a_proxy_is_asked_after_through_it_or_not_at_all(
    ward: Ward, chromium_path: str, site: Site
) -> None:
    with proxy_server(SocksProxy) as proxy:
        browser = IdleBrowser(
            chromium_path, allowed_hosts=platform_hosts(site.origin), proxy_allow_loopback={proxy.host}
        )
        object.__setattr__(ward.worker, "browser", browser)
        sealer = Sealer(ward.worker.unsealer.kms, ward.worker.unsealer.key_id)
        given = {"proxy": {"url": proxy.url, "username": USERNAME, "password": PASSWORD}}
        ward.worker.accounts.prefer(ward.name, sealed(given, ward.name, sealer))

        alive = ward.check()
        through = list(proxy.asked)
        proxy.stop_listening()
        down = ward.check()

    assert (alive.doubt, through) == (None, [site.origin.removeprefix("http://")])
    assert down.state is AccountState.LOGGED_IN
    assert "proxy" in (down.doubt or {})["seen"]
    assert browser.launched == 0


COOKIE = {
    "name": "a",
    "value": "1",
    "domain": "creator.douyin.com",
    "path": "/",
    "expires": -1,
    "secure": False,
}
URL = "https://creator.douyin.com/web/api/media/user/info/"


@pytest.mark.parametrize(
    ("cookie", "url", "goes"),
    [
        ({}, URL, True),
        ({"domain": ".douyin.com"}, URL, True),
        ({"domain": ".creator.douyin.com"}, URL, True),
        ({"domain": "douyin.com"}, URL, False),
        ({"domain": ".evil-douyin.com"}, URL, False),
        ({"domain": ".uyin.com"}, URL, False),
        ({"path": "/web/api"}, URL, True),
        ({"path": "/web/api/"}, URL, True),
        ({"path": "/web/ap"}, URL, False),
        ({"path": "/passport"}, URL, False),
        ({"secure": True}, URL, True),
        ({"secure": True}, URL.replace("https", "http"), False),
        ({"expires": 1001}, URL, True),
        ({"expires": 1000}, URL, False),
    ],
)
def test_only_the_cookies_of_an_address_go_there(cookie: dict[str, Any], url: str, goes: bool) -> None:
    state = {"cookies": [{**COOKIE, **cookie}]}
    assert plain.cookie_header(state, url, 1000.0) == ("a=1" if goes else "")
