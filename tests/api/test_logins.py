"""What the API says of logins; the worker is played by the test."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib import errors
from chalicelib.accounts.logins import Login, LoginState, LoginStore
from chalicelib.clock import from_rfc3339, utc_now
from chalicelib.errors import CaptchaRequired, PublisherError, restored

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Api, Cloud

LOGIN = "/api/v1/accounts/login"


@pytest.fixture
def logins(cloud: Cloud) -> LoginStore:
    return LoginStore(cloud.client("dynamodb"), cloud.variable("LOGINS_TABLE"))


@pytest.fixture
def asked(logins: LoginStore) -> Login:
    """A login that waits for a code."""
    login = logins.claim(logins.create(f"asked-{uuid.uuid4().hex[:8]}").id, "worker-1")
    resend_at = utc_now() + timedelta(seconds=50)
    return logins.ask(login, phone="183******91", resend_at=resend_at, tries=2, complaint="验证码错误")


@pytest.mark.system
def test_a_poll_shows_what_whoever_gives_the_code_must_know(api: Api, asked: Login) -> None:
    answer = api.get(f"{LOGIN}/{asked.id}").json()

    assert (answer["status"], answer["state"], answer["msg"]) == (
        *("pending", "verification_required"),
        "Give the code that Douyin has sent by SMS",
    )
    shown = answer["verification"]
    assert set(shown) == {"phone", "asked_at", "expires_at", "resend_at", "tries", "complaint"}
    assert (shown["phone"], shown["tries"], shown["complaint"]) == ("183******91", 2, "验证码错误")
    assert shown["expires_at"] == answer["expires_at"]


@pytest.mark.system
def test_a_code_reaches_the_worker_and_no_answer_shows_it(api: Api, logins: LoginStore, asked: Login) -> None:
    given = api.post(f"{LOGIN}/{asked.id}/verification", {"code": "918273"})

    assert given.status_code == 200
    assert "918273" not in given.text
    answer = logins.take_answer(asked)
    assert answer is not None
    assert answer.sealed_code
    assert "918273" not in answer.sealed_code
    polled = api.get(f"{LOGIN}/{asked.id}")
    assert polled.json()["state"] == "verifying"
    again = api.post(f"{LOGIN}/{asked.id}/verification", {"code": "918273"})
    assert (again.status_code, again.json()["code"]) == (409, "login.state_conflict")


@pytest.mark.system
def test_another_sms_that_is_wanted_too_early_is_refused_with_the_time(api: Api, asked: Login) -> None:
    answer = api.post(f"{LOGIN}/{asked.id}/verification", {"resend": True})

    assert (answer.status_code, answer.json()["code"]) == (409, "login.state_conflict")
    assert asked.verification is not None
    assert asked.verification["resend_at"] in answer.json()["detail"]
    assert from_rfc3339(asked.verification["resend_at"]) > utc_now()


@pytest.mark.system
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"code": "12a456"}, "/code"),
        ({"code": "123"}, "/code"),
        ({"code": 123456}, "/code"),
        ({"resend": False}, "/resend"),
        ({"code": "123456", "resend": True}, ""),
        ({}, ""),
        ({"sms": "123456"}, "/sms"),
    ],
)
def test_an_answer_is_one_code_or_the_wish_for_another_sms(
    api: Api, asked: Login, body: dict[str, Any], pointer: str
) -> None:
    refused = api.post(f"{LOGIN}/{asked.id}/verification", body)

    assert (refused.status_code, refused.json()["code"]) == (422, "request.invalid")
    assert pointer in [error["pointer"] for error in refused.json()["errors"]]
    assert str(body.get("code")) not in refused.text


@pytest.mark.system
def test_nobody_waits_for_a_code_of_an_unknown_login(api: Api) -> None:
    answer = api.post(f"{LOGIN}/unknown/verification", {"code": "123456"})

    assert (answer.status_code, answer.json()["code"]) == (404, "login.not_found")


@pytest.mark.system
def test_a_login_that_fails_before_its_qr_code_is_the_answer_to_the_request(
    api: Api, logins: LoginStore, queued: Callable[[str, str], list[dict[str, Any]]]
) -> None:
    def play_the_worker() -> None:
        while not (messages := queued("LOGIN_QUEUE_URL", "login_id")):
            pass
        login = logins.claim(messages[0]["login_id"], "worker-1")
        logins.end(login, LoginState.FAILED, CaptchaRequired("拖动滑块"))

    worker = threading.Thread(target=play_the_worker)
    worker.start()
    answer = api.post(LOGIN, {"account_name": "captcha"})
    worker.join()

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["detail"]) == (
        *(502, "platform.captcha_required"),
        "拖动滑块",
    )
    assert problem["next_step"] == CaptchaRequired.next_step


def _leaves(error: type[PublisherError]) -> list[type[PublisherError]]:
    below = [leaf for child in error.__subclasses__() for leaf in _leaves(child)]
    return below or [error]


@pytest.mark.parametrize(
    "error",
    [leaf for leaf in _leaves(errors.PublisherError) if leaf.__module__ == errors.__name__],
    ids=lambda error: error.__name__,
)
def test_a_described_error_can_be_told_again(error: type[PublisherError]) -> None:
    again = restored(error("what happened").describe())

    assert (type(again), again.detail) == (error, "what happened")


@pytest.mark.system
def test_preferences_that_come_with_a_login_are_kept_for_its_worker_and_no_password_in_clear(
    api: Api, logins: LoginStore, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"wished-{uuid.uuid4().hex[:8]}"
    proxy = {"url": "socks5://proxy.example.com:1080", "username": "u", "password": "canary-password"}
    worker = threading.Thread(target=_end_the_login_of, args=(logins, cloud, name))
    worker.start()
    api.post(LOGIN, {"account_name": name, "preferences": {"proxy": proxy, "locale": "zh-HK"}})
    worker.join()

    (item,) = _items_of(cloud, name)
    assert "canary-password" not in str(item)
    login = logins.get(item["id"]["S"])
    assert login.preferences["locale"] == "zh-HK"
    assert login.preferences["proxy"].keys() == {"url", "credentials"}
    refused = api.post(LOGIN, {"account_name": name, "preferences": {"proxy": {"url": "http://127.0.0.1:1"}}})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/preferences/proxy/url")


def _end_the_login_of(logins: LoginStore, cloud: Cloud, name: str) -> None:
    """Plays the worker: ends the login as soon as there is one, so that nobody waits for its code."""
    deadline = time.monotonic() + 20
    while not (found := _items_of(cloud, name)):
        assert time.monotonic() < deadline
    logins.abort(found[0]["id"]["S"], LoginState.FAILED, CaptchaRequired("as a test wants it"))


def _items_of(cloud: Cloud, name: str) -> list[dict[str, Any]]:
    pages = cloud.client("dynamodb").get_paginator("scan").paginate(TableName=cloud.variable("LOGINS_TABLE"))
    return [
        item
        for page in pages
        for item in page["Items"]
        if item.get("account_name") == {"S": name} and "state" in item
    ]
