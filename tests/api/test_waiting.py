"""Asking only for what has changed: ETag, If-None-Match, `wait` and Retry-After."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.accounts.logins import LoginState, LoginStore
from chalicelib.errors import LoginCanceled
from local.emulator import client_environment
from local.processes import free_port
from local.template import API_HANDLER
from tests.conftest import Api, running_api

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Cloud

pytestmark = pytest.mark.system


@pytest.fixture
def task_id(api: Api, body: dict[str, Any]) -> str:
    made: str = api.post("/api/v1/publish", body).json()["id"]
    return made


@pytest.fixture
def login_id(cloud: Cloud) -> str:
    logins = LoginStore(cloud.client("dynamodb"), cloud.variable("LOGINS_TABLE"))
    return logins.create(f"account-{uuid.uuid4().hex[:8]}").id


@pytest.fixture
def path(request: pytest.FixtureRequest, task_id: str, login_id: str, account_name: str) -> str:
    return str(request.param).format(task_id=task_id, login_id=login_id, account_name=account_name)


@pytest.mark.parametrize(
    "path",
    ["/api/v1/tasks/{task_id}", "/api/v1/accounts/login/{login_id}", "/api/v1/accounts/{account_name}"],
    indirect=True,
)
def test_what_has_not_changed_is_not_sent_again(api: Api, path: str) -> None:
    first = api.get(path)
    tag = first.headers["ETag"]

    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = api.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
        assert again.headers.get("Retry-After") == first.headers.get("Retry-After")
    changed = api.get(path, headers={"If-None-Match": '"other"'})
    assert (changed.status_code, changed.json()) == (200, first.json())


def test_a_change_has_another_tag(api: Api, task_id: str) -> None:
    path = f"/api/v1/tasks/{task_id}"
    tag = api.get(path).headers["ETag"]

    api.post(f"{path}/cancel").raise_for_status()

    answer = api.get(path, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json()["state"]) == (200, "canceled")
    assert answer.headers["ETag"] != tag


def test_what_goes_on_says_when_to_ask_again(api: Api, task_id: str, login_id: str) -> None:
    path = f"/api/v1/tasks/{task_id}"
    assert 1 <= int(api.get(path).headers["Retry-After"]) <= 60
    assert 1 <= int(api.get(f"/api/v1/accounts/login/{login_id}").headers["Retry-After"]) <= 10

    api.post(f"{path}/cancel").raise_for_status()

    assert "Retry-After" not in api.get(path).headers


def test_a_wait_ends_with_the_change_of_a_task(api: Api, task_id: str) -> None:
    path = f"/api/v1/tasks/{task_id}"

    answer = waited(api, path, lambda: api.post(f"{path}/cancel").raise_for_status())

    assert (answer.status_code, answer.json()["state"]) == (200, "canceled")


def test_a_wait_ends_with_the_change_of_a_login(api: Api, login_id: str, cloud: Cloud) -> None:
    logins = LoginStore(cloud.client("dynamodb"), cloud.variable("LOGINS_TABLE"))

    answer = waited(
        api,
        f"/api/v1/accounts/login/{login_id}",
        lambda: logins.abort(login_id, LoginState.FAILED, LoginCanceled()),
    )

    assert (answer.status_code, answer.json()["status"]) == (200, "failed")


def waited(api: Api, path: str, change: Callable[[], object]) -> Any:
    """The answer to a wait of 20 s, far longer than the change takes."""
    waiting = Api(api.origin)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(waiting.get, path, params={"wait": 20})
        change()
        seen = answer.result()
    waiting.session.close()
    return seen


def test_a_wait_that_sees_nothing_new_answers_in_the_end(api: Api, task_id: str) -> None:
    path = f"/api/v1/tasks/{task_id}"
    tag = api.get(path).headers["ETag"]

    assert api.get(path, params={"wait": 1}).json()["state"] == "queued"
    assert api.get(path, params={"wait": 1}, headers={"If-None-Match": tag}).status_code == 304


def test_a_cloud_that_does_not_answer_is_told_as_a_fault_that_passes(cloud: Cloud, tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    variables = {**cloud.functions[API_HANDLER].environment, **client_environment(nowhere)}

    with running_api(tmp_path, variables) as api:
        answer = api.get(f"/api/v1/tasks/{uuid.uuid4()}")

    assert (answer.status_code, answer.json()["code"]) == (503, "internal.unavailable")
    assert answer.json()["retryable"]
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("wait", ["-1", "21", "soon", "1.5"])
def test_a_wait_has_its_limits(api: Api, task_id: str, wait: str) -> None:
    answer = api.get(f"/api/v1/tasks/{task_id}", params={"wait": wait})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/wait")
