"""One id finds everything that a request has caused: the stored thing, the worker's lines, the event."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.flows import outcome, until

if TYPE_CHECKING:
    from local.system import System
    from tests.conftest import Api
    from tests.system.conftest import Phone

pytestmark = pytest.mark.system


def lines(system: System, function: str, request: str) -> list[str]:
    """What a function has logged for a request."""
    log = (system.options.data / "logs" / f"{function}.log").read_text()
    return [line for line in log.splitlines() if re.search(rf" request_id={request}( |$)", line)]


def test_one_id_goes_with_a_request_to_the_end_of_what_it_caused(
    system: System, client: Api, phone: Phone
) -> None:
    def call(method: str, path: str, request: str, body: Any = None) -> dict[str, Any]:
        answer = client(method, path, json=body, headers={"X-Request-Id": request})
        assert answer.headers["X-Request-Id"] == request
        assert answer.status_code in (200, 202), answer.text
        found: dict[str, Any] = answer.json()
        return found

    name, user = "追踪", phone.users()[0]["uid"]
    started = call("POST", "/api/v1/accounts/login", "trace-login", {"account_name": name})
    phone.confirm(phone.scan(started["qr_code_base64"]), user)
    where = f"/api/v1/accounts/login/{started['login_id']}"
    logged_in = until(lambda: client.get(where).json(), lambda seen: seen["status"] != "pending")
    assert logged_in["status"] == "success", logged_in
    assert f"account={name}" in lines(system, "login", "trace-login")[-1]
    stored = system.client("dynamodb").get_item(
        TableName=system.variables["LOGINS_TABLE"], Key={"id": {"S": started["login_id"]}}
    )
    assert stored["Item"]["request_id"]["S"] == "trace-login"

    body = {
        "video_url": f"{system.douyin_origin}/media/demo.mp4",
        "title": "有迹可循",
        "account_name": name,
        "manual_review": True,
    }
    submitted = call("POST", "/api/v1/publish", "trace-publish", body)
    path = f"/api/v1/tasks/{submitted['id']}"
    until(lambda: client.get(path).json(), lambda seen: seen["state"] == "awaiting_review")
    call("POST", f"{path}/cancel", "trace-cancel")
    ended = outcome(client, submitted["id"])
    assert ended["request_id"] == "trace-cancel"
    assert ended["timeline"][-1]["request_id"] == "trace-cancel"
    failing = call("POST", "/api/v1/publish", "trace-fail", {**body, "video_url": f"{system.douyin_origin}/no"})
    assert outcome(client, failing["id"])["request_id"] == "trace-fail"
    told = lines(system, "publish", "trace-fail")
    assert told
    assert all(f"task_id={failing['id']}" in line for line in told)

    phone.log_out_everywhere(user)
    call("POST", f"/api/v1/accounts/{name}/check", "trace-check")
    until(lambda: client.get(f"/api/v1/accounts/{name}").json(), lambda seen: seen["state"] == "expired")
    account = system.client("dynamodb").get_item(
        TableName=system.variables["ACCOUNTS_TABLE"], Key={"name": {"S": name}}
    )
    assert account["Item"]["request_id"]["S"] == "trace-check"
    assert lines(system, "publish", "trace-check")

    run = call("POST", "/api/v1/sync/run", "trace-sync")["run_id"]

    def found() -> list[dict[str, Any]]:
        runs = client.get("/api/v1/sync").json()["data"][0]["runs"]
        return [entry for entry in runs if entry["run_id"] == run and entry["status"] == "succeeded"]

    assert until(found, bool)[0]["request_id"] == "trace-sync"
    assert f"run_id={run}" in lines(system, "scan", "trace-sync")[0]
    for request in ("trace-login", "trace-publish", "trace-check", "trace-sync"):
        assert "a request was answered" in lines(system, "api", request)[-1]
