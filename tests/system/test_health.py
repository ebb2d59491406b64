"""Whether a session is alive, found out by real workers; accounts that are deleted while jobs of them run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.accounts.store import storage_prefix
from local.emulator import make_client
from tests.accounts.support import EventQueue, event_queue
from tests.system.flows import log_in, outcome, submit, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.system import System
    from tests.conftest import Api
    from tests.system.conftest import Phone

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def user(phone: Phone) -> str:
    """Nobody else of this folder logs in with this phone's account."""
    uid: str = phone.users()[2]["uid"]
    return uid


def told(system: System, name: str) -> EventQueue:
    return event_queue(system.client("events"), system.client("sqs"), name)


def checked(client: Api, name: str) -> dict[str, Any]:
    """The account after a check, however long that takes on a busy machine."""
    before = client.get(f"/api/v1/accounts/{name}").json()
    answer = client.post(f"/api/v1/accounts/{name}/check")
    assert answer.status_code in (200, 202)
    seen: dict[str, Any] = until(
        lambda: client.get(f"/api/v1/accounts/{name}").json(),
        lambda account: account["checked_at"] > before["checked_at"] or account["doubt"],
    )
    return seen


def test_a_live_session_is_told_and_a_dead_one_is_told_once_to_everybody(
    client: Api, system: System, phone: Phone, user: str
) -> None:
    name = "体检"
    assert log_in(client, phone, name, user)["status"] == "success"
    events = told(system, name)
    alive = checked(client, name)
    assert (alive["state"], alive["evidence"]) == ("logged_in", "The site named the account to its cookies.")

    phone.log_out_everywhere(user)
    dead = checked(client, name)

    assert dead["state"] == "expired"
    (event,) = until(events.take, bool, 60)
    assert event["detail-type"] == "Account expired"
    assert event["detail"]["account"] == name
    refused = client.post(
        "/api/v1/publish", {"video_url": "https://example.com/v.mp4", "title": "t", "account_name": name}
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "account.login_required")
    assert checked(client, name)["state"] == "expired"
    assert events.take() == []
    client.delete(f"/api/v1/accounts/{name}").raise_for_status()


def test_a_publish_that_finds_the_session_over_tells_it_too(
    client: Api, system: System, phone: Phone, user: str
) -> None:
    name = "发布时才知道"
    assert log_in(client, phone, name, user)["status"] == "success"
    events = told(system, name)
    phone.log_out_everywhere(user)

    media = f"{system.douyin_origin}/media/demo.mp4"
    task = outcome(client, submit(client, video_url=media, title="晚了", account_name=name))

    assert task["error"]["code"] == "account.session_expired"
    account = client.get(f"/api/v1/accounts/{name}").json()
    assert (account["state"], account["evidence"]) == ("expired", task["error"]["detail"])
    (event,) = until(events.take, bool, 60)
    assert event["detail"]["evidence"] == account["evidence"]
    client.delete(f"/api/v1/accounts/{name}").raise_for_status()


def test_an_account_that_is_deleted_while_it_publishes_publishes_nothing_and_its_task_says_why(
    client: Api, system: System, phone: Phone, user: str, scenario: Callable[..., None]
) -> None:
    name, title = "边发边删", "删了就不发"
    assert log_in(client, phone, name, user)["status"] == "success"
    scenario(upload="hold")
    media = f"{system.douyin_origin}/media/demo.mp4"
    task_id = submit(client, video_url=media, title=title, account_name=name)
    until(
        lambda: client.get(f"/api/v1/tasks/{task_id}").json(),
        lambda task: any(entry["name"] == "start_upload" for entry in task["timeline"]),
    )

    client.delete(f"/api/v1/accounts/{name}").raise_for_status()
    scenario(upload="ok")

    task = outcome(client, task_id)
    assert (task["status"], task["error"]["code"]) == ("failed", "account.not_found")
    assert (task["title"], task["account_name"]) == (title, name)
    assert not [work for work in phone.works() if work["title"] == title]
    assert client.get(f"/api/v1/tasks/{task_id}/evidence").json()["data"] == []
    assert left_of(system, name) == []
    assert client.get(f"/api/v1/accounts/{name}").status_code == 404


def test_an_account_that_is_deleted_while_it_logs_in_again_stays_deleted(
    client: Api, system: System, phone: Phone, user: str
) -> None:
    name = "边登边删"
    assert log_in(client, phone, name, user)["status"] == "success"
    login = client.post("/api/v1/accounts/login", {"account_name": name}).json()

    client.delete(f"/api/v1/accounts/{name}").raise_for_status()

    path = f"/api/v1/accounts/login/{login['login_id']}"
    ended = client.get(path).json()
    assert (ended["status"], ended["error"]["code"]) == ("failed", "login.canceled")
    # The worker has let go: the next login gets it, and nothing of the account has come back.
    following = client.post("/api/v1/accounts/login", {"account_name": f"{name}-2"})
    assert following.status_code == 200
    client.delete(f"/api/v1/accounts/login/{following.json()['login_id']}").raise_for_status()
    assert client.get(f"/api/v1/accounts/{name}").status_code == 404
    assert left_of(system, name) == []


def test_the_sweeper_has_accounts_checked_that_nobody_asked_about(
    client: Api, system: System, phone: Phone, user: str
) -> None:
    name = "没人问起"
    assert log_in(client, phone, name, user)["status"] == "success"
    before = client.get(f"/api/v1/accounts/{name}").json()
    long_ago = system.client("dynamodb").update_item(
        TableName=system.variables["ACCOUNTS_TABLE"],
        Key={"name": {"S": name}},
        UpdateExpression="SET due_at = :long_ago",
        ConditionExpression="attribute_exists(due_at)",
        ExpressionAttributeValues={":long_ago": {"S": "2026-01-01T00:00:00.000Z"}},
        ReturnValues="ALL_NEW",
    )["Attributes"]["due_at"]

    members = ("version", "id", "detail-type", "source", "account", "time", "region")
    tick = {**dict.fromkeys(members, ""), "resources": [], "detail": {}}
    functions = make_client("lambda", system.functions_endpoint)
    swept = functions.invoke(FunctionName="sweep", Payload=json.dumps(tick).encode())
    assert "FunctionError" not in swept, swept["Payload"].read()

    after = until(
        lambda: client.get(f"/api/v1/accounts/{name}").json(),
        lambda account: account["checked_at"] > before["checked_at"],
    )
    assert (after["state"], after["evidence"]) == ("logged_in", "The site named the account to its cookies.")
    item = system.client("dynamodb").get_item(
        TableName=system.variables["ACCOUNTS_TABLE"], Key={"name": {"S": name}}, ConsistentRead=True
    )["Item"]
    assert item["due_at"]["S"] > after["checked_at"] > long_ago["S"]
    client.delete(f"/api/v1/accounts/{name}").raise_for_status()


def left_of(system: System, name: str) -> list[str]:
    """What the private bucket holds of an account."""
    s3, bucket = system.client("s3"), system.variables["PRIVATE_BUCKET"]
    return [
        entry["Key"]
        for kind in ("sessions", "evidence")
        for entry in s3.list_objects_v2(Bucket=bucket, Prefix=storage_prefix(kind, name)).get("Contents", [])
    ]
