"""The packaged template on the emulated AWS, with every signature verified and every policy enforced."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.accounts.store import AccountStore, Profile, message_group
from chalicelib.clock import to_rfc3339, utc_now
from chalicelib.publishing.states import State
from chalicelib.publishing.store import DUE, TaskStore
from tests.deploy.support import Deployed, deployed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.package import Package

pytestmark = pytest.mark.system

_BODY = {
    "video_url": "https://example.com/video.mp4",
    "title": "打包之后",
    "description": "从压缩包里运行",
    "tags": ["打包"],
    "account_name": "packaged",
}


@pytest.fixture(scope="module")
def stack(packaged: Package, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployed(packaged, tmp_path_factory.mktemp("stack"), auth=True) as running:
        yield running


@pytest.fixture(scope="module")
def tasks(stack: Deployed) -> TaskStore:
    return TaskStore(stack.client("dynamodb"), stack.resources["TasksTable"])


@pytest.fixture(scope="module", autouse=True)
def _account(stack: Deployed) -> None:
    accounts = AccountStore(stack.client("dynamodb"), stack.resources["AccountsTable"])
    accounts.log_in("packaged", Profile(uid="7001", nickname="小明", avatar_url=None), session_version=1)


def test_the_stack_has_everything_that_the_package_has(stack: Deployed, packaged: Package) -> None:
    left_out = {
        name
        for name, resource in packaged.template["Resources"].items()
        if resource["Type"] == "AWS::S3::BucketPolicy"
        or resource.get("Condition") in ("VolcCredentialsGiven", "VolcCallbackGiven")
    }
    assert set(packaged.template["Resources"]) - set(stack.resources) == left_out


def test_without_the_bypass_the_stack_has_the_same_shape(
    packaged: Package, stack: Deployed, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with deployed(packaged, tmp_path_factory.mktemp("open"), auth=False) as other:
        assert set(other.resources) == set(stack.resources)
        assert other.api.get("/healthz").status_code == 200


def test_the_api_answers_behind_the_gateway(stack: Deployed) -> None:
    answer = stack.api.get("/healthz")

    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert answer.headers["X-Request-Id"]


def test_without_a_key_the_deployed_api_serves_nobody(stack: Deployed) -> None:
    answer = stack.api.get("/api/v1/accounts", headers={"Authorization": None})

    assert (answer.status_code, answer.json()["code"]) == (401, "auth.required")


def test_the_apis_role_allows_all_that_is_done_with_keys(stack: Deployed) -> None:
    made = stack.api.post("/api/v1/keys", {"name": "x", "scopes": ["accounts:read"]})
    assert made.status_code == 200, made.text
    assert made.headers["RateLimit"].startswith('"writes";r=')
    path = f"/api/v1/keys/{made.json()['id']}"
    used = stack.api.get("/api/v1/accounts", headers={"Authorization": f"Bearer {made.json()['key']}"})
    assert (used.status_code, used.headers["RateLimit"].partition(";")[0]) == (200, '"reads"')
    assert stack.api.get(path).json()["last_used_at"] is not None
    rotated = stack.api.post(f"{path}/rotate", {"overlap_hours": 1})
    assert rotated.status_code == 200, rotated.text
    listed = {key["id"] for key in stack.api.get("/api/v1/keys").json()["data"]}
    assert {made.json()["id"], rotated.json()["id"]} <= listed
    assert stack.api.delete(path).json()["live"] is False


def test_a_submitted_work_is_a_task_and_a_message_of_its_account(stack: Deployed, tasks: TaskStore) -> None:
    answer = stack.api.post("/api/v1/publish", _BODY)

    assert answer.status_code == 200, answer.text
    assert tasks.get(answer.json()["id"]).state is State.QUEUED
    message = _receive(stack)
    assert json.loads(message["Body"])["task_id"] == answer.json()["id"]
    assert message["Attributes"]["MessageGroupId"] == message_group("packaged")


def test_the_api_may_do_what_repetitions_lists_and_waits_need(stack: Deployed) -> None:
    body, headers = _BODY | {"title": "又一次"}, {"Idempotency-Key": '"packaged"'}
    first = stack.api.post("/api/v1/publish", body, headers=headers)
    again = stack.api.post("/api/v1/publish", body, headers=headers)
    assert (first.status_code, again.text) == (200, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert stack.api.post("/api/v1/publish", body).json()["existing_task_id"] == first.json()["id"]

    path = f"/api/v1/tasks/{first.json()['id']}"
    tag = stack.api.get(path).headers["ETag"]
    assert stack.api.get(path, params={"wait": 1}, headers={"If-None-Match": tag}).status_code == 304
    for _ in range(2):
        canceled = stack.api.post(f"{path}/cancel", headers=headers)
        assert canceled.json()["state"] == "canceled"
    for query in ({}, {"account_name": "packaged"}, {"state": "canceled"}):
        listed = stack.api.get("/api/v1/tasks", params=query).json()["data"]
        assert first.json()["id"] in [task["id"] for task in listed]
    assert json.loads(_receive(stack)["Body"])["task_id"] == first.json()["id"]


def test_the_schedule_sends_what_was_left_in_the_outbox(stack: Deployed, tasks: TaskStore) -> None:
    """A task whose submission died between the write and the message: the sweep, each minute, owes it."""
    answer = stack.api.post("/api/v1/publish", _BODY | {"title": "没有发出去"})
    task_id = answer.json()["id"]
    assert json.loads(_receive(stack)["Body"])["task_id"] == task_id
    stack.client("dynamodb").update_item(
        TableName=stack.resources["TasksTable"],
        Key={"id": {"S": task_id}},
        UpdateExpression="SET outbox = :due, due_at = :now",
        ExpressionAttributeValues={":due": {"S": DUE}, ":now": {"S": to_rfc3339(utc_now())}},
    )

    assert json.loads(_receive(stack, seconds=240)["Body"])["task_id"] == task_id


def test_a_sweep_by_hand_is_allowed_all_that_it_does(stack: Deployed) -> None:
    swept = stack.invoke("Sweep", _scheduled())

    assert set(swept) >= {"handled", "checks", "dead_publishes", "dead_logins"}


def test_the_api_may_keep_the_order_of_a_backfill_and_have_articles_looked_at(stack: Deployed) -> None:
    ordered = stack.api.post("/api/v1/sync/run", {"backfill": "november"})
    refreshed = stack.api.post("/api/v1/articles/refresh", {"group_ids": ["7251993249718480001"]})

    assert (ordered.status_code, refreshed.status_code) == (202, 202), (ordered.text, refreshed.text)
    assert (ordered.json()["run_id"] is None, refreshed.json()["run_id"] is None) == (False, False)
    (channel,) = stack.api.get("/api/v1/sync").json()["data"]
    assert [backfill["name"] for backfill in channel["backfills"]] == ["november"]


def test_a_scan_is_allowed_all_that_it_does_until_the_service_is_asked(stack: Deployed) -> None:
    outcome = stack.invoke("Scan", _scheduled())

    assert "AccessDenied" not in json.dumps(outcome)
    assert set(outcome["channels"]) == {"test_channel"}


def test_who_has_no_right_signature_gets_nothing(stack: Deployed) -> None:
    import boto3  # noqa: PLC0415

    stranger = boto3.client(
        "dynamodb",
        endpoint_url=stack.endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIASTRANGER00000000",
        aws_secret_access_key="wrong",
    )
    with pytest.raises(stranger.exceptions.ClientError):
        stranger.list_tables()


def _scheduled() -> dict[str, Any]:
    return {
        "version": "0",
        "id": "00000000-0000-4000-8000-000000000000",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": "2026-11-21T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {},
    }


def _receive(stack: Deployed, seconds: float = 60) -> dict[str, Any]:
    sqs, queue = stack.client("sqs"), stack.resources["PublishQueue"]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5, AttributeNames=["MessageGroupId"])
        for message in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return message  # type: ignore[no-any-return]
    raise AssertionError(f"no message came within {seconds} s")
