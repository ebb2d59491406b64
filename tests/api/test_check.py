"""POST /api/v1/accounts/{account_name}/check, with the test in the place of the worker."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.accounts.logins import LoginState, LoginStore
from chalicelib.accounts.store import Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.accounts.store import Account, AccountStore
    from tests.conftest import Api, Cloud

    Queued = Callable[[str, str], list[dict[str, Any]]]

pytestmark = pytest.mark.system


def answered(
    api: Api, queued: Queued, accounts: AccountStore, name: str, look: Callable[[Account], object]
) -> Any:
    """The answer to a check whose worker sees what `look` writes down."""

    def play_the_worker() -> None:
        while not queued("PUBLISH_QUEUE_URL", name):
            pass
        look(accounts.get(name))

    worker = threading.Thread(target=play_the_worker)
    worker.start()
    answer = api.post(f"/api/v1/accounts/{name}/check")
    worker.join()
    return answer


def test_a_check_waits_for_the_worker_and_tells_what_was_seen(
    api: Api, queued: Queued, accounts: AccountStore, account_name: str
) -> None:
    before = api.get(f"/api/v1/accounts/{account_name}").json()
    assert (before["state"], before["evidence"], before["doubt"]) == ("logged_in", "A login succeeded.", None)

    answer = answered(
        api, queued, accounts, account_name, lambda account: accounts.mark_expired(account, "用户未登录")
    )

    assert answer.status_code == 200
    seen = answer.json()
    assert (seen["state"], seen["evidence"]) == ("expired", "用户未登录")
    assert seen["checked_at"] > before["checked_at"]
    assert "owed" not in seen


def test_a_check_that_could_not_tell_says_so(
    api: Api, queued: Queued, accounts: AccountStore, account_name: str
) -> None:
    answer = answered(api, queued, accounts, account_name, lambda account: accounts.doubt(account, "HTTP 503"))

    assert answer.status_code == 200
    assert answer.json()["state"] == "logged_in"
    assert answer.json()["doubt"].items() >= {"looks": 1, "seen": "HTTP 503"}.items()


def test_a_check_that_nobody_can_carry_out_in_time_says_where_to_look(
    api: Api, queued: Queued, accounts: AccountStore
) -> None:
    accounts.log_in("正在发布", Profile("7001", "小明", None), session_version=1)
    try:
        started = time.monotonic()
        answer = api.post("/api/v1/accounts/正在发布/check")

        assert (answer.status_code, answer.json()["state"]) == (202, "logged_in")
        assert 14 < time.monotonic() - started < 25
        assert api.get(answer.headers["Location"]).json() == answer.json()
        assert int(answer.headers["Retry-After"]) > 0
        (message,) = queued("PUBLISH_QUEUE_URL", "check")
        assert message["check"] == "正在发布"
    finally:
        accounts.delete("正在发布")


def test_an_account_that_does_not_exist_cannot_be_checked(api: Api) -> None:
    answer = api.post("/api/v1/accounts/nobody/check")

    assert (answer.status_code, answer.json()["code"]) == (404, "account.not_found")


@pytest.mark.parametrize("state", ["needs_verification", "unknown"])
def test_what_is_not_known_to_be_over_may_publish(
    api: Api, accounts: AccountStore, account_name: str, body: dict[str, Any], state: str, cloud: Cloud
) -> None:
    if state == "unknown":
        _set_state(cloud, account_name, state)
    else:
        accounts.ask_for_verification(accounts.get(account_name), "身份验证")
    assert api.get(f"/api/v1/accounts/{account_name}").json()["state"] == state

    assert api.post("/api/v1/publish", body).status_code == 200


def test_delete_ends_a_login_of_the_account_that_is_under_way(
    api: Api, cloud: Cloud, account_name: str
) -> None:
    logins = LoginStore(cloud.client("dynamodb"), cloud.variable("LOGINS_TABLE"))
    login = logins.claim(logins.create(account_name).id, "worker-1")

    assert api.delete(f"/api/v1/accounts/{account_name}").status_code == 200

    ended = logins.get(login.id)
    assert (ended.state, (ended.error or {})["code"]) == (LoginState.FAILED, "login.canceled")


def _set_state(cloud: Cloud, name: str, state: str) -> None:
    cloud.client("dynamodb").update_item(
        TableName=cloud.variable("ACCOUNTS_TABLE"),
        Key={"name": {"S": name}},
        UpdateExpression="SET #state = :state",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":state": {"S": state}},
    )
