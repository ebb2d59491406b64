"""Importing a session over HTTP: what is taken, what is refused before anything is stored, what is answered."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.accounts.imports import ImportBox, of_platform
from chalicelib.accounts.logins import Login, LoginState, LoginStore
from chalicelib.accounts.store import AccountStore, Profile, storage_prefix
from chalicelib.clock import utc_now
from chalicelib.errors import PublisherError, SessionOfAnother, SessionRefused, ValidationFailed
from chalicelib.unsealing import Unsealer
from tests.api.test_bad_input import assert_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Api, Cloud

    Queued = Callable[[str, str], list[dict[str, Any]]]

pytestmark = pytest.mark.system

CANARY = "canary0session0cookie"
ORIGIN = "https://creator.douyin.com"


def cookie(**members: Any) -> dict[str, Any]:
    return {"name": "sessionid", "value": CANARY, "domain": ".douyin.com", "path": "/", **members}


# A number in JSON that is none for a browser.
ENDLESS = "1e999"
RECORD = "/storage_state/origins/0/indexedDB/0/stores/0/records/0"
DATABASE = {
    "origin": ORIGIN,
    "indexedDB": [
        {
            "name": "d",
            "version": 1,
            "stores": [{"name": "s", "autoIncrement": False, "indexes": [], "records": [{"value": [ENDLESS]}]}],
        }
    ],
}
STATE: dict[str, Any] = {
    "cookies": [
        cookie(expires=-1, httpOnly=True, secure=True, sameSite="Lax"),
        cookie(name="tracker", domain=".example.com"),
    ],
    "origins": [
        {"origin": ORIGIN, "localStorage": [{"name": "device", "value": "设备"}]},
        {"origin": "https://ads.example.com", "localStorage": []},
    ],
}


@pytest.fixture
def logins(cloud: Cloud) -> LoginStore:
    return LoginStore(cloud.client("dynamodb"), cloud.variable("LOGINS_TABLE"))


@pytest.fixture
def box(cloud: Cloud) -> ImportBox:
    return ImportBox(cloud.client("s3"), cloud.variable("PRIVATE_BUCKET"))


@pytest.fixture
def worker(logins: LoginStore, queued: Queued) -> Callable[..., Any]:
    """Plays the worker: does `work` with the next import, then ends its login."""

    @contextmanager
    def play(
        work: Callable[[Login], Any] = lambda _: None, error: PublisherError | None = None
    ) -> Iterator[None]:
        def run() -> None:
            deadline = time.monotonic() + 15
            messages: list[dict[str, Any]] = []
            while not messages and time.monotonic() < deadline:
                messages = queued("LOGIN_QUEUE_URL", '"kind": "import"')
            login = logins.claim(messages[-1]["login_id"], "worker-1")
            work(login)
            logins.end(login, LoginState.FAILED if error else LoginState.SUCCESS, error)

        queued("LOGIN_QUEUE_URL", "login_id")
        thread = threading.Thread(target=run)
        thread.start()
        yield
        thread.join()

    return play


def put(api: Api, name: str, state: Any = STATE) -> Any:
    content = json.dumps({"storage_state": state})  # requests' own would refuse what one test sends.
    headers = {"Content-Type": "application/json"}
    return api("PUT", f"/api/v1/accounts/{name}/session", data=content, headers=headers)


def test_an_import_is_sealed_for_the_worker_and_answers_with_the_account_once_it_is_accepted(
    api: Api, cloud: Cloud, accounts: AccountStore, box: ImportBox, worker: Callable[..., Any]
) -> None:
    found: list[str] = []

    def accept(login: Login) -> None:
        found.append(box.take(login))
        found.append(login.id)
        accounts.log_in(login.account_name, Profile("7002", "小红", None), session_version=1)

    with worker(accept):
        answer = put(api, "浏览器账号")

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["status"], body["login_id"]) == ("success", found[1])
    assert (body["account"]["id"], body["account"]["name"]) == ("浏览器账号", "小红")
    assert body["left_out"] == ["ads.example.com", "example.com"]
    assert CANARY not in answer.text + found[0]
    unsealer = Unsealer(cloud.client("kms"), cloud.variable("SESSION_KEY_ID"))
    handed_over = json.loads(unsealer.open(found[0], "session_import", found[1]))
    assert handed_over == {"cookies": STATE["cookies"][:1], "origins": STATE["origins"][:1]}


@pytest.mark.parametrize(
    ("error", "status"), [(SessionRefused("用户未登录"), 422), (SessionOfAnother("小明"), 409)]
)
def test_an_import_that_fails_answers_with_the_cause(
    api: Api, worker: Callable[..., Any], error: PublisherError, status: int
) -> None:
    with worker(error=error):
        answer = put(api, "refused")

    problem = assert_problem(answer, status, error.code)
    assert (problem["detail"], problem["next_step"]) == (error.detail, error.next_step)


def test_an_import_that_takes_longer_is_polled_like_a_login_and_ends_with_the_account(
    api: Api, cloud: Cloud, logins: LoginStore, box: ImportBox, queued: Queued
) -> None:
    answer = put(api, "slow")

    assert answer.status_code == 202
    body = answer.json()
    assert (body["status"], body["account"]) == ("pending", None)
    status = api.get(answer.headers["Location"]).json()
    assert (status["status"], status["account_name"], status["qr_code_base64"]) == ("pending", "slow", None)
    assert "checked" in status["msg"]

    assert api.delete("/api/v1/accounts/slow").status_code == 404  # It is no account yet, and shall be none.

    ended = api.get(answer.headers["Location"]).json()
    assert (ended["status"], ended["error"]["code"]) == ("failed", "login.canceled")
    listed = box.s3.list_objects_v2(Bucket=box.bucket, Prefix=storage_prefix("imports", "slow"))
    assert listed["KeyCount"] == 0


@pytest.mark.parametrize(
    ("state", "pointer", "says"),
    [
        ({"origins": []}, "/storage_state/cookies", "required"),
        ({"cookies": [], "origins": []}, "/storage_state/cookies", "sessionid"),
        ({"cookies": [cookie(value="")]}, "/storage_state/cookies", "sessionid"),
        ({"cookies": [cookie(domain=".example.com")]}, "/storage_state/cookies", "douyin.com"),
        ({"cookies": [cookie(domain="notdouyin.com")]}, "/storage_state/cookies", "douyin.com"),
        ({"cookies": [cookie(domain="www.douyin.com")]}, "/storage_state/cookies", "sessionid"),
        ({"cookies": [cookie(expires=1_700_000_000)]}, "/storage_state/cookies", "expired"),
        ({"cookies": [cookie(value=f"{CANARY}; x=1")]}, "/storage_state/cookies/0/value", "match"),
        ({"cookies": [cookie(name="a b")]}, "/storage_state/cookies/0/name", "match"),
        ({"cookies": [cookie(path="")]}, "/storage_state/cookies/0/path", "match"),
        ({"cookies": [cookie(sameSite="lax")]}, "/storage_state/cookies/0/sameSite", "Strict"),
        ({"cookies": [cookie(expires="never")]}, "/storage_state/cookies/0/expires", "number"),
        ({"cookies": [cookie(colour="red")]}, "/storage_state/cookies/0/colour", "not known"),
        ({"cookies": f"sessionid={CANARY}"}, "/storage_state/cookies", "array"),
        ({"cookies": [cookie()], "credentials": []}, "/storage_state/credentials", "not known"),
        ({"cookies": [cookie()], "origins": [{"origin": "x"}]}, "/storage_state/origins/0/origin", "origin"),
    ],
)
def test_a_state_that_logs_nobody_in_is_refused_by_its_field_and_never_repeated(
    api: Api, queued: Queued, state: dict[str, Any], pointer: str, says: str
) -> None:
    queued("LOGIN_QUEUE_URL", "login_id")

    answer = put(api, "nobody", state)

    problem = assert_problem(answer, 422, "request.invalid")
    (error,) = problem["errors"]
    assert error["pointer"] == pointer
    assert says in error["detail"]
    assert CANARY not in answer.text
    assert queued("LOGIN_QUEUE_URL", "login_id") == []


@pytest.mark.parametrize(
    ("state", "pointer", "says"),
    [
        ({"cookies": [cookie(expires=ENDLESS)]}, "/storage_state/cookies/0/expires", "finite"),
        ({"cookies": [cookie()], "origins": [DATABASE]}, f"{RECORD}/value", "plain JSON"),
    ],
)
def test_a_number_beyond_what_a_browser_can_hold_is_refused(
    api: Api, state: dict[str, Any], pointer: str, says: str
) -> None:
    text = json.dumps({"storage_state": state}).replace(f'"{ENDLESS}"', ENDLESS)
    headers = {"Content-Type": "application/json"}

    answer = api("PUT", "/api/v1/accounts/nobody/session", data=text, headers=headers)

    (error,) = assert_problem(answer, 422, "request.invalid")["errors"]
    assert error["pointer"] == pointer
    assert says in error["detail"]


def test_a_name_that_no_account_can_have_is_refused(api: Api) -> None:
    for name in ("two words", "x" * 65):
        problem = assert_problem(put(api, name), 422, "request.invalid")
        assert "1 to 64 letters" in problem["detail"]


def test_this_route_takes_256_kib_and_the_others_do_not(
    api: Api, worker: Callable[..., Any], accounts: AccountStore
) -> None:
    def filled(size: int) -> dict[str, Any]:
        storage = [{"name": "fill", "value": "x" * size}]
        return {"cookies": STATE["cookies"], "origins": [{"origin": ORIGIN, "localStorage": storage}]}

    def accept(login: Login) -> None:
        accounts.log_in(login.account_name, Profile("7003", "大号", None), session_version=1)

    with worker(accept):
        assert put(api, "large", filled(260_000)).status_code == 200
    problem = assert_problem(put(api, "large", filled(262_144)), 413, "request.too_large")
    assert "262144" in problem["detail"]
    other = api.post("/api/v1/accounts/login", {"account_name": "x" * 70_000})
    assert_problem(other, 413, "request.too_large")


def test_a_cookie_of_a_host_above_the_platform_or_beside_it_is_left_out() -> None:
    state = {
        "cookies": [cookie(), cookie(domain=".com"), cookie(domain="creator.douyin.com.evil.example")],
        "origins": [{"origin": "https://www.douyin.com"}, {"origin": "https://douyin.com.evil.example"}],
    }

    kept, left_out = of_platform(state, ORIGIN, utc_now())

    assert [entry["domain"] for entry in kept["cookies"]] == [".douyin.com"]
    assert [entry["origin"] for entry in kept["origins"]] == ["https://www.douyin.com"]
    assert left_out == ["com", "creator.douyin.com.evil.example", "douyin.com.evil.example"]


def test_at_a_stand_in_only_its_own_host_is_the_platform() -> None:
    state = {"cookies": [cookie(domain="127.0.0.1"), cookie()], "origins": []}

    kept, left_out = of_platform(state, "http://127.0.0.1:8990", utc_now())

    assert [entry["domain"] for entry in kept["cookies"]] == ["127.0.0.1"]
    assert left_out == ["douyin.com"]
    with pytest.raises(ValidationFailed):
        of_platform({"cookies": [cookie()], "origins": []}, "http://127.0.0.1:8990", utc_now())
