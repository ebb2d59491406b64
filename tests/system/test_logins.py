"""Every way in which a login goes, or does not: through the API, with real workers, a browser, and a phone."""

from __future__ import annotations

import re
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

from chalicelib.accounts.logins import LoginStore
from chalicelib.accounts.vault import Vault
from chalicelib.clock import from_rfc3339, utc_now
from container.points import LOGIN_POINTS
from tests.system.flows import outcome, submit, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.system import System
    from tests.conftest import Api
    from tests.system.conftest import Phone

pytestmark = pytest.mark.system

_COLD_SECONDS = 20.0
# Longer than any login that is left to itself goes on, or is said to.
_SILENCE_SECONDS = 60.0


class LoginPage:
    """A person's page that shows a login."""

    def __init__(self, api: Api, account: str) -> None:
        self.api, self.account = api, account
        began = time.monotonic()
        self.answer = api.post("/api/v1/accounts/login", {"account_name": account})
        self.seconds = time.monotonic() - began
        assert self.answer.status_code in (200, 202), self.answer.text
        self.qr: str | None = self.answer.json()["qr_code_base64"]
        self.id: str = self.answer.json()["login_id"]
        self.path = f"/api/v1/accounts/login/{self.id}"

    def look(self) -> dict[str, Any]:
        seen: dict[str, Any] = self.api.get(self.path).json()
        return seen

    def until(self, *states: str, seconds: float = 30) -> dict[str, Any]:
        seen: dict[str, Any] = until(self.look, lambda seen: seen["state"] in states, seconds)
        return seen

    def scan(self, phone: Phone) -> str:
        return phone.scan(self.qr or self.until("qr_ready")["qr_code_base64"])

    def ended(self) -> dict[str, Any]:
        return self.until("success", "failed", "expired")

    def give(self, **answer: Any) -> requests.Response:
        return self.api.post(f"{self.path}/verification", answer)


@pytest.fixture(scope="module")
def user(phone: Phone) -> dict[str, Any]:
    return phone.users()[0]


@pytest.mark.parametrize(
    "switches",
    [
        {"qr": "png"},
        {"qr": "svg"},
        {"login_lands": "front"},
        {"logged_out": "stay", "hashes": "random", "drift": "wrappers"},
    ],
    ids=lambda switches: "-".join(switches.values()),
)
def test_a_code_that_is_scanned_and_confirmed_logs_the_account_in(
    client: Api,
    phone: Phone,
    user: dict[str, Any],
    scenario: Callable[..., None],
    switches: dict[str, str],
) -> None:
    scenario(**switches)
    page = LoginPage(client, "扫码登录")
    token = page.scan(phone)

    scanned = page.until("scanned")
    assert (scanned["status"], scanned["qr_code_base64"]) == ("pending", None)
    phone.confirm(token, user["uid"])

    ended = page.ended()
    assert (ended["status"], ended["msg"], ended["error"]) == ("success", "Login successful", None)
    account = client.get("/api/v1/accounts/扫码登录").json()
    assert (account["state"], account["uid"], account["name"]) == ("logged_in", user["uid"], user["nickname"])


def test_a_code_that_expires_is_replaced_by_one_that_works(
    client: Api, phone: Phone, user: dict[str, Any], scenario: Callable[..., None]
) -> None:
    scenario(qr_life=2)
    page = LoginPage(client, "换码")
    scenario(qr_life=60)

    fresh = until(page.look, lambda seen: seen["qr_code_base64"] not in (None, page.qr), 30)

    assert from_rfc3339(fresh["qr_expires_at"]) > utc_now()
    phone.confirm(phone.scan(fresh["qr_code_base64"]), user["uid"])
    assert page.ended()["status"] == "success"


def test_a_login_that_was_refused_on_the_phone_shows_a_fresh_code(
    client: Api, phone: Phone, user: dict[str, Any]
) -> None:
    page = LoginPage(client, "点错了")
    token = page.scan(phone)
    page.until("scanned")

    phone.refuse(token)

    fresh = page.until("qr_ready")
    assert fresh["qr_code_base64"] != page.qr
    phone.confirm(phone.scan(fresh["qr_code_base64"]), user["uid"])
    assert page.ended()["status"] == "success"


def test_a_code_by_sms_is_asked_for_and_a_wrong_one_can_be_corrected(
    client: Api, system: System, phone: Phone, user: dict[str, Any], scenario: Callable[..., None]
) -> None:
    scenario(second_verification="login")
    page = LoginPage(client, "短信验证")
    refused = page.give(code="123456")
    assert (refused.status_code, refused.json()["code"]) == (409, "login.state_conflict")
    phone.confirm(page.scan(phone), user["uid"])

    asked = page.until("verification_required")
    first = asked["verification"]
    assert (asked["status"], first["tries"], first["complaint"]) == ("pending", 0, None)
    assert re.fullmatch(r"1\d\d\*+\d\d", first["phone"])
    assert user["phone"] not in str(asked)
    assert first["expires_at"] == asked["expires_at"]
    assert first["asked_at"] < first["resend_at"] < first["expires_at"]
    for malformed in ({"code": "12 34"}, {"code": "123456", "resend": True}, {}):
        assert page.give(**malformed).status_code == 422
    code = phone.sms(user["uid"])
    page.give(code=f"{(int(code) + 1) % 1_000_000:06d}").raise_for_status()

    again = until(page.look, lambda seen: (seen["verification"] or first)["tries"] == 1)["verification"]
    assert again["complaint"] == "验证码错误，请重新输入"
    page.give(code=code).raise_for_status()

    assert page.ended()["status"] == "success"
    assert page.give(code=code).status_code == 409
    for log in (system.options.data / "logs").iterdir():
        if log.stem in ("api", "login"):
            assert not re.search(rf"(?<![\d.]){code}(?!\d)", log.read_text("utf-8")), log


def test_the_sms_is_sent_again_when_the_platforms_countdown_allows_it(
    client: Api, system: System, phone: Phone, user: dict[str, Any], scenario: Callable[..., None]
) -> None:
    scenario(second_verification="login", sms_pause=3)
    sent = _sms_sent(system)
    page = LoginPage(client, "再发一次")
    phone.confirm(page.scan(phone), user["uid"])
    first = page.until("verification_required")["verification"]

    early = page.give(resend=True)
    assert (early.status_code, first["resend_at"] in early.json()["detail"]) == (409, True)
    until(utc_now, lambda now: now >= from_rfc3339(first["resend_at"]), 10)
    page.give(resend=True).raise_for_status()

    again = until(page.look, lambda seen: (seen["verification"] or first)["asked_at"] > first["asked_at"])
    assert (again["verification"]["tries"], again["verification"]["complaint"]) == (0, None)
    assert _sms_sent(system) == sent + 2
    page.give(code=phone.sms(user["uid"])).raise_for_status()
    assert page.ended()["status"] == "success"


def test_a_look_at_the_face_is_beyond_us_and_said_so(
    client: Api, phone: Phone, user: dict[str, Any], scenario: Callable[..., None]
) -> None:
    scenario(second_verification="login", verification="face")
    page = LoginPage(client, "刷脸")
    phone.confirm(page.scan(phone), user["uid"])

    failed = page.ended()

    assert (failed["status"], failed["error"]["code"]) == ("failed", "account.verification_required")
    assert "face" in failed["msg"]
    assert "your own browser" in failed["error"]["next_step"]


def test_what_risk_control_refuses_ends_with_the_ways_that_are_left(
    client: Api, phone: Phone, scenario: Callable[..., None]
) -> None:
    scenario(qr_refused="risk")
    page = LoginPage(client, "风控")
    with pytest.raises(requests.HTTPError, match="409"):
        page.scan(phone)

    failed = page.ended()

    assert (failed["status"], failed["error"]["code"]) == ("failed", "platform.login_refused")
    assert "该二维码异常" in failed["msg"]
    for way in ("network", "BROWSER_MODE=headed", "PUT /api/v1/accounts/{account_name}/session"):
        assert way in failed["error"]["next_step"]


def test_a_captcha_before_the_code_is_the_answer_to_the_request(
    client: Api, scenario: Callable[..., None]
) -> None:
    scenario(captcha="login")

    refused = client.post("/api/v1/accounts/login", {"account_name": "滑块"})

    assert (refused.status_code, refused.json()["code"]) == (502, "platform.captcha_required")
    assert refused.json()["next_step"]


def test_a_newer_login_takes_the_place_of_one_that_nobody_finished(
    client: Api, phone: Phone, user: dict[str, Any]
) -> None:
    first, second = LoginPage(client, "再来一次"), LoginPage(client, "再来一次")

    phone.confirm(second.scan(phone), user["uid"])

    assert second.ended()["status"] == "success"
    superseded = first.look()
    assert (superseded["status"], superseded["error"]["code"]) == ("expired", "login.superseded")


def test_a_canceled_login_gives_its_browser_back(client: Api, phone: Phone, user: dict[str, Any]) -> None:
    pages = [LoginPage(client, f"取消-{number}") for number in range(2)]  # As many as work at a time.
    for page in pages:
        canceled = client.delete(page.path).json()
        assert (canceled["status"], canceled["error"]["code"]) == ("failed", "login.canceled")

    page = LoginPage(client, "取消-0")
    assert page.answer.status_code == 200
    client.delete(page.path)


def test_two_accounts_log_in_while_a_third_publishes(
    client: Api, system: System, phone: Phone, scenario: Callable[..., None]
) -> None:
    first, second, third = phone.users()
    busy = LoginPage(client, "发布中")
    phone.confirm(busy.scan(phone), third["uid"])
    assert busy.ended()["status"] == "success"
    scenario(upload="hold")
    media = f"{system.douyin_origin}/media/demo.mp4"
    task_id = submit(client, video_url=media, title="同时进行", account_name="发布中")
    until(
        lambda: client.get(f"/api/v1/tasks/{task_id}").json(),
        lambda task: any(entry["name"] == "start_upload" for entry in task["timeline"]),
    )

    with ThreadPoolExecutor(2) as pool:
        pages = list(pool.map(lambda name: LoginPage(client, name), ("同时-甲", "同时-乙")))
        for page, owner in zip(pages, (first, second), strict=True):
            phone.confirm(page.scan(phone), owner["uid"])
        ended = list(pool.map(LoginPage.ended, pages))
    scenario(upload="ok")

    assert [login["status"] for login in ended] == ["success", "success"]
    for page, owner in zip(pages, (first, second), strict=True):
        assert client.get(f"/api/v1/accounts/{page.account}").json()["uid"] == owner["uid"]
    task = outcome(client, task_id)
    assert task["status"] == "success", task
    (work,) = [work for work in phone.works() if work["title"] == "同时进行"]
    assert work["user"] == third["uid"]


# Workers that are killed, and people who go away ------------------------------------------------------------


class Aftermath:
    """Logins that were killed at each point, left alone, kept waiting: what became of them."""

    def __init__(self) -> None:
        self.killed: dict[str, LoginPage] = {}
        self.abandoned: dict[str, LoginPage] = {}
        self.waited: LoginPage


@pytest.fixture(scope="module")
def aftermath(client: Api, system: System, phone: Phone, orders: Path) -> Aftermath:
    """All of it at once, for each takes half a minute of silence."""
    asked, plain, _ = (user["uid"] for user in phone.users())
    address = f"{system.douyin_origin}/admin/scenario"
    requests.post(address, json={"user": asked, "second_verification": "login"}, timeout=10)
    seen = Aftermath()

    def kill(point: str) -> None:
        account = f"killed-{point}"
        order = orders / f"{account}.{point}"
        order.touch()
        page = seen.killed[point] = LoginPage(client, account)
        if point not in LOGIN_POINTS[:2]:
            token = page.scan(phone)
            if point not in ("qr_shown", "qr_scanned"):
                owner = asked if point.startswith("code_") else plain
                phone.confirm(token, owner)
            if point == "code_taken":
                page.until("verification_required")
                page.give(code=phone.sms(asked)).raise_for_status()
        until(order.exists, lambda waits: not waits, 30)

    # The first two never show a code, so that their requests wait 20 s; the others go on meanwhile.
    early = [threading.Thread(target=kill, args=(point,)) for point in LOGIN_POINTS[:2]]
    for thread in early:
        thread.start()
    for point in LOGIN_POINTS[2:]:
        kill(point)
    for thread in early:
        thread.join()

    for name in ("qr", "code"):
        page = seen.abandoned[name] = LoginPage(client, f"abandoned-{name}")
        if name == "code":
            phone.confirm(page.scan(phone), asked)
            page.until("verification_required")
    # Both workers are waiting for somebody now.
    seen.waited = LoginPage(client, "in-the-queue")
    seen.waited.until("qr_ready", seconds=_SILENCE_SECONDS)
    logins = LoginStore(system.client("dynamodb"), system.variables["LOGINS_TABLE"])
    # Not by the API: that would be somebody who asks.
    left_alone = [page.id for page in seen.abandoned.values()]
    until(lambda: all(logins.get(id_).state.terminal for id_ in left_alone), bool, _SILENCE_SECONDS)
    requests.delete(address, timeout=10).raise_for_status()
    return seen


@pytest.mark.parametrize("point", LOGIN_POINTS)
def test_a_login_whose_worker_was_killed_ends_with_the_truth(
    aftermath: Aftermath, system: System, client: Api, point: str
) -> None:
    page = aftermath.killed[point]

    ended = page.look()

    if point in ("session_in_force", "before_login_end"):
        assert (ended["status"], ended["error"]) == ("success", None)
        assert client.get(f"/api/v1/accounts/{page.account}").json()["state"] == "logged_in"
        assert any(cookie["name"] == "sessionid" for cookie in _session(system, page.account)["cookies"])
    else:
        assert (ended["status"], ended["error"]["code"]) == ("expired", "login.worker_lost")
        assert ended["error"]["next_step"]
        assert client.get(f"/api/v1/accounts/{page.account}").status_code == 404


@pytest.mark.parametrize("point", ["code_taken", "session_sealed"])
def test_an_account_whose_worker_was_killed_logs_in_later(
    aftermath: Aftermath, client: Api, phone: Phone, user: dict[str, Any], point: str
) -> None:
    page = LoginPage(client, aftermath.killed[point].account)
    phone.confirm(page.scan(phone), user["uid"])

    assert page.ended()["status"] == "success"


@pytest.mark.parametrize("name", ["qr", "code"])
def test_a_login_that_nobody_asks_after_is_ended_by_its_worker(aftermath: Aftermath, name: str) -> None:
    ended = aftermath.abandoned[name].look()

    assert (ended["status"], ended["error"]["code"]) == ("expired", "login.abandoned")


def test_a_login_that_waits_for_a_worker_is_accepted_and_shows_its_code_later(
    aftermath: Aftermath, phone: Phone, user: dict[str, Any]
) -> None:
    page = aftermath.waited
    assert (page.answer.status_code, page.answer.headers["Retry-After"]) == (202, "2")
    assert (page.answer.json()["qr_code_base64"], page.answer.json()["state"]) == (None, "starting")

    phone.confirm(phone.scan(page.until("qr_ready")["qr_code_base64"]), user["uid"])

    assert page.ended()["status"] == "success"


def test_a_cold_worker_shows_its_code_before_the_request_is_over(aftermath: Aftermath) -> None:
    # Their predecessors were killed, and no more than two are kept: whoever came third was started for it.
    cold = [aftermath.killed[point] for point in LOGIN_POINTS[4:]]

    assert statistics.median(page.seconds for page in cold) < _COLD_SECONDS


def _session(system: System, account: str) -> dict[str, Any]:
    """What the account's sealed session holds."""
    key = {"name": {"S": account}}
    table = system.variables["ACCOUNTS_TABLE"]
    item = system.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    bucket, key_id = system.variables["PRIVATE_BUCKET"], system.variables["SESSION_KEY_ID"]
    vault = Vault(system.client("s3"), system.client("kms"), bucket, key_id)
    return vault.open(account, int(item["session_version"]["N"]))


def _sms_sent(system: System) -> int:
    counters = requests.get(f"{system.douyin_origin}/admin/state", timeout=10).json()["counters"]
    return int(counters.get("sms_sent", 0))
