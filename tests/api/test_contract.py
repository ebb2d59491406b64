"""The six routes of the reference, literally."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from chalicelib.accounts.logins import LoginState, LoginStore
from chalicelib.accounts.store import Profile, storage_prefix
from chalicelib.clock import SHANGHAI, to_rfc3339, utc_now
from chalicelib.errors import LoginRefused, SealBroken
from chalicelib.publishing import states
from chalicelib.publishing.store import TaskStore
from chalicelib.unsealing import Unsealer

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.accounts.store import AccountStore
    from tests.conftest import Api, Cloud

pytestmark = pytest.mark.system


@pytest.fixture
def logins(cloud: Cloud) -> LoginStore:
    return LoginStore(cloud.client("dynamodb"), cloud.variable("LOGINS_TABLE"))


@pytest.fixture
def tasks(cloud: Cloud) -> TaskStore:
    return TaskStore(cloud.client("dynamodb"), cloud.variable("TASKS_TABLE"))


def test_publish_answers_with_an_id_and_pending(
    api: Api, body: dict[str, Any], queued: Callable[[str, str], list[dict[str, Any]]]
) -> None:
    answer = api.post("/api/v1/publish", body)

    assert answer.status_code == 200
    assert answer.json()["status"] == "pending"
    task_id = answer.json()["id"]
    assert str(uuid.UUID(task_id)) == task_id
    assert answer.headers["Location"] == f"/api/v1/tasks/{task_id}"
    message = {"task_id": task_id, "request_id": answer.headers["X-Request-Id"]}
    assert queued("PUBLISH_QUEUE_URL", task_id) == [message]


def test_a_task_is_stored_with_every_field_as_submitted(
    api: Api, body: dict[str, Any], tasks: TaskStore
) -> None:
    task = tasks.get(api.post("/api/v1/publish", body).json()["id"])

    stored = {name: getattr(task.submission, name) for name in body}
    assert stored == body


def test_own_footage_may_say_where_and_when(api: Api, body: dict[str, Any], tasks: TaskStore) -> None:
    place = ["中国大陆", "北京市", "朝阳区"]
    today = utc_now().astimezone(SHANGHAI).date().isoformat()

    answer = api.post(
        "/api/v1/publish", {**body, "claim_type": "自行拍摄", "claim_place": place, "claim_date": today}
    )

    submission = tasks.get(answer.json()["id"]).submission
    assert (submission.claim_place, submission.claim_date) == (place, today)


def test_a_task_can_be_polled_until_success(api: Api, body: dict[str, Any], tasks: TaskStore) -> None:
    task_id = api.post("/api/v1/publish", body).json()["id"]
    assert (
        api.get(f"/api/v1/tasks/{task_id}").json().items()
        >= {
            "id": task_id,
            "status": "pending",
            "result": None,
            "error_msg": None,
        }.items()
    )

    task = tasks.claim(task_id, lease_until=utc_now())
    assert api.get(f"/api/v1/tasks/{task_id}").json()["status"] == "running"

    intent = {"at": "2026-11-21T00:00:00.000Z", "works": []}
    tasks.move(task_id, states.INTEND, epoch=task.epoch, due_at=utc_now(), intent=intent)
    assert api.get(f"/api/v1/tasks/{task_id}").json()["status"] == "running"

    tasks.move(task_id, states.PROVE, epoch=task.epoch, result={"item_id": "7412345678901234567"})
    answer = api.get(f"/api/v1/tasks/{task_id}").json()
    assert answer["status"] == "success"
    assert answer["result"] == {"item_id": "7412345678901234567"}
    assert answer["error_msg"] is None


def test_a_failed_task_says_why_and_what_to_do(api: Api, body: dict[str, Any], tasks: TaskStore) -> None:
    task_id = api.post("/api/v1/publish", body).json()["id"]
    task = tasks.claim(task_id, lease_until=utc_now())
    tasks.move(task_id, states.FAIL, epoch=task.epoch, error=LoginRefused("该二维码异常").describe())

    answer = api.get(f"/api/v1/tasks/{task_id}").json()

    assert answer["status"] == "failed"
    assert answer["error_msg"] == "该二维码异常"
    assert answer["error"]["code"] == "platform.login_refused"
    assert answer["error"]["next_step"]


def test_accounts_are_listed_with_their_nickname_and_platform(api: Api, account_name: str) -> None:
    listed = api.get("/api/v1/accounts").json()["data"]

    account = next(entry for entry in listed if entry["id"] == account_name)
    assert account.items() >= {"name": "小明", "platform": "douyin", "preferences": {}}.items()


def test_preferences_stand_in_for_fields_that_a_request_leaves_out(
    api: Api, account_name: str, tasks: TaskStore
) -> None:
    path = f"/api/v1/accounts/{account_name}"
    preferences = {"default_tags": ["日常"], "default_claim_type": "内容由AI生成", "visibility": "private"}
    assert api("PATCH", path, json={"preferences": preferences}).json()["preferences"] == preferences
    body = {"video_url": "https://example.com/v.mp4", "title": "t", "account_name": account_name}

    silent = api.post("/api/v1/publish", body).json()["id"]
    outspoken = api.post("/api/v1/publish", {**body, "title": "u", "tags": [], "claim_type": None}).json()["id"]

    task = tasks.get(silent).submission
    assert (task.tags, task.claim_type, task.visibility) == (["日常"], "内容由AI生成", "private")
    assert api.get(f"/api/v1/tasks/{silent}").json()["applied"] == {
        "tags": ["日常"],
        "claim_type": "内容由AI生成",
        "visibility": "private",
    }
    said = tasks.get(outspoken).submission
    assert (said.tags, said.claim_type, said.visibility) == ([], None, "private")


def test_a_proxys_credentials_are_sealed_and_never_shown(api: Api, account_name: str, cloud: Cloud) -> None:
    path, password = f"/api/v1/accounts/{account_name}", "canary-proxy-password"
    proxy = {"url": "socks5://proxy.example.com:1080", "username": "canary-user", "password": password}

    answers = [
        api("PATCH", path, json={"preferences": {"proxy": proxy}}),
        api("PATCH", path, json={"preferences": {"daily_cap": 3}}),
        api.get(path),
        api.get("/api/v1/accounts"),
    ]

    assert answers[2].json()["preferences"]["proxy"] == {"url": proxy["url"], "has_credentials": True}
    items = cloud.client("dynamodb").scan(TableName=cloud.variable("ACCOUNTS_TABLE"))["Items"]
    (item,) = [item for item in items if item["name"]["S"] == account_name]
    sealed = item["preferences"]["M"]["proxy"]["M"]["credentials"]["S"]
    for text in (*(answer.text for answer in answers), repr(items)):
        assert password not in text
        assert "canary-user" not in text
        assert base64.b64encode(password.encode()).decode().rstrip("=") not in text
    unsealer = Unsealer(cloud.client("kms"), cloud.variable("SESSION_KEY_ID"))
    assert json.loads(unsealer.open(sealed, "proxy", account_name)) == proxy
    with pytest.raises(SealBroken):
        unsealer.open(sealed, "proxy", "another account")
    # They go to no other proxy.
    other = {"url": "socks5://elsewhere.example.com:1080"}
    changed = api("PATCH", path, json={"preferences": {"proxy": other}}).json()["preferences"]
    assert changed == {"daily_cap": 3, "proxy": {**other, "has_credentials": False}}


def test_a_schedule_time_is_read_in_the_accounts_time_zone(api: Api, body: dict[str, Any]) -> None:
    path = f"/api/v1/accounts/{body['account_name']}"
    api("PATCH", path, json={"preferences": {"time_zone": "America/New_York"}}).raise_for_status()
    at = (utc_now() + timedelta(days=3)).replace(second=0, microsecond=0)
    there = at.astimezone(ZoneInfo("America/New_York"))

    local = api.post("/api/v1/publish", {**body, "schedule_time": f"{there:%Y-%m-%d %H:%M}"}).json()
    offset = api.post("/api/v1/publish", {**body, "title": "u", "schedule_time": at.isoformat()}).json()

    assert local["publish_at"] == offset["publish_at"] == to_rfc3339(at)
    applied = [api.get(f"/api/v1/tasks/{task['id']}").json()["applied"] for task in (local, offset)]
    assert applied == [{"time_zone": "America/New_York"}, {}]


def test_preferences_are_merged_and_taken_away(api: Api, account_name: str) -> None:
    path = f"/api/v1/accounts/{account_name}"
    api("PATCH", path, json={"preferences": {"daily_cap": 3, "allow_save": False}})

    api("PATCH", path, json={"preferences": {"daily_cap": None, "min_spacing_minutes": 30}})

    assert api.get(path).json()["preferences"] == {"allow_save": False, "min_spacing_minutes": 30}


def test_login_waits_for_the_qr_code_that_the_worker_shows(
    api: Api, logins: LoginStore, queued: Callable[[str, str], list[dict[str, Any]]]
) -> None:
    def play_the_worker() -> None:
        message = None
        while message is None:
            message = next(iter(queued("LOGIN_QUEUE_URL", "login_id")), None)
        login = logins.claim(message["login_id"], "worker-1")
        logins.show_qr(login, base64.b64encode(b"png").decode(), expires_at=utc_now())

    worker = threading.Thread(target=play_the_worker)
    worker.start()
    answer = api.post("/api/v1/accounts/login", {"account_name": "new_user_id"})
    worker.join()

    assert answer.status_code == 200
    assert base64.b64decode(answer.json()["qr_code_base64"]) == b"png"
    login_id = answer.json()["login_id"]
    assert api.get(f"/api/v1/accounts/login/{login_id}").json()["status"] == "pending"

    login = logins.get(login_id)
    logins.end(login, LoginState.SUCCESS)
    done = api.get(f"/api/v1/accounts/login/{login_id}").json()
    assert (done["status"], done["msg"]) == ("success", "Login successful")


def test_a_login_whose_worker_refuses_it_fails_with_the_cause(api: Api, logins: LoginStore) -> None:
    login = logins.claim(logins.create("someone").id, "worker-1")
    logins.end(login, LoginState.FAILED, LoginRefused("该二维码异常"))

    answer = api.get(f"/api/v1/accounts/login/{login.id}").json()

    assert (answer["status"], answer["msg"]) == ("failed", "该二维码异常")
    assert answer["error"]["code"] == "platform.login_refused"


def test_a_login_can_be_canceled_once(api: Api, logins: LoginStore) -> None:
    login = logins.claim(logins.create("someone-else").id, "worker-1")

    canceled = api.delete(f"/api/v1/accounts/login/{login.id}").json()

    assert (canceled["status"], canceled["error"]["code"]) == ("failed", "login.canceled")
    assert api.delete(f"/api/v1/accounts/login/{login.id}").status_code == 409
    assert api.delete("/api/v1/accounts/login/unknown").status_code == 404


def test_delete_removes_the_account_with_its_sessions_and_evidence(
    api: Api, cloud: Cloud, accounts: AccountStore, account_name: str
) -> None:
    s3, bucket = cloud.client("s3"), cloud.variable("PRIVATE_BUCKET")
    for kind in ("sessions", "evidence"):
        s3.put_object(Bucket=bucket, Key=f"{storage_prefix(kind, account_name)}1", Body=b"secret")

    answer = api.delete(f"/api/v1/accounts/{account_name}")

    assert answer.status_code == 200
    assert accounts.find(account_name) is None
    for kind in ("sessions", "evidence"):
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=storage_prefix(kind, account_name))
        assert listed["KeyCount"] == 0
    assert api.delete(f"/api/v1/accounts/{account_name}").status_code == 404


def test_an_account_name_in_chinese_works_in_body_and_path(api: Api, accounts: AccountStore) -> None:
    accounts.log_in("我的账号", Profile("7", "七", None), session_version=1)

    assert any(entry["id"] == "我的账号" for entry in api.get("/api/v1/accounts").json()["data"])
    assert api.delete("/api/v1/accounts/我的账号").status_code == 200


def test_a_reviewed_task_is_approved_or_rejected_once(
    api: Api, body: dict[str, Any], tasks: TaskStore, queued: Callable[[str, str], list[dict[str, Any]]]
) -> None:
    task_id = api.post("/api/v1/publish", {**body, "manual_review": True}).json()["id"]
    assert api.post(f"/api/v1/tasks/{task_id}/approve").status_code == 409

    task = tasks.claim(task_id, lease_until=utc_now())
    tasks.move(task_id, states.REHEARSE, epoch=task.epoch)
    assert api.get(f"/api/v1/tasks/{task_id}").json()["status"] == "pending"
    queued("PUBLISH_QUEUE_URL", task_id)

    approved = api.post(f"/api/v1/tasks/{task_id}/approve")
    assert approved.json()["state"] == "queued"
    message = {"task_id": task_id, "request_id": approved.headers["X-Request-Id"]}
    assert queued("PUBLISH_QUEUE_URL", task_id) == [message]
    refused = api.post(f"/api/v1/tasks/{task_id}/reject")
    assert (refused.status_code, refused.json()["code"]) == (409, "task.state_conflict")


def test_what_may_be_done_to_a_task_is_told_and_anything_else_is_refused(
    api: Api, body: dict[str, Any], tasks: TaskStore
) -> None:
    task_id = api.post("/api/v1/publish", body).json()["id"]
    path = f"/api/v1/tasks/{task_id}"
    shown = api.get(path).json()
    assert (shown["allowed"], shown["attempts"], shown["verification"], shown["held"]) == (
        ["cancel"],
        0,
        None,
        None,
    )
    for refused in (
        api.post(f"{path}/approve"),
        api.post(f"{path}/reject"),
        api.post(f"{path}/retry"),
        api.post(f"{path}/verification", {"code": "123456"}),
        api.post(f"{path}/resolve", {"live": True}),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "task.state_conflict")
        assert "is queued" in refused.json()["detail"]
        assert "allows: cancel" in refused.json()["detail"]

    canceled = api.post(f"{path}/cancel").json()

    assert (canceled["status"], canceled["state"], canceled["allowed"]) == ("failed", "canceled", [])
    assert canceled["error"]["code"] == "publish.canceled"
    assert api.post(f"{path}/cancel").status_code == 409


def test_a_code_is_handed_over_and_never_told(
    api: Api, body: dict[str, Any], tasks: TaskStore, cloud: Cloud
) -> None:
    task_id = api.post("/api/v1/publish", body).json()["id"]
    task = tasks.claim(task_id, lease_until=utc_now())
    wanted = {
        "phone": "183******91",
        "asked_at": "2026-11-21T00:00:00.000Z",
        "expires_at": "2026-11-21T00:05:00.000Z",
        "tries": 0,
    }
    tasks.move(task_id, states.ASK, epoch=task.epoch, due_at=utc_now(), verification=wanted)

    shown = api.get(f"/api/v1/tasks/{task_id}").json()
    assert (shown["status"], shown["verification"]) == ("running", wanted)
    answer = api.post(f"/api/v1/tasks/{task_id}/verification", {"code": "918273"})

    assert answer.status_code == 200
    assert "918273" not in answer.text
    unsealer = Unsealer(cloud.client("kms"), cloud.variable("SESSION_KEY_ID"))
    assert unsealer.open(tasks.get(task_id).sealed_code or "", "sms_code", task_id) == "918273"


@pytest.mark.parametrize(
    ("action", "sent", "pointer"),
    [
        ("verification", {"code": "12 34"}, "/code"),
        ("verification", {"code": 123456}, "/code"),
        ("verification", {}, "/code"),
        ("resolve", {}, "/live"),
        ("resolve", {"live": "yes"}, "/live"),
        ("resolve", {"live": True, "item_id": "abc"}, "/item_id"),
        ("resolve", {"live": False, "item_id": "7412345678901234567"}, ""),
    ],
)
def test_what_a_person_says_wrongly_is_pointed_at_without_repeating_it(
    api: Api, body: dict[str, Any], action: str, sent: dict[str, Any], pointer: str
) -> None:
    task_id = api.post("/api/v1/publish", body).json()["id"]

    answer = api.post(f"/api/v1/tasks/{task_id}/{action}", sent)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert "12 34" not in answer.text


@pytest.mark.parametrize("action", ["approve", "reject", "cancel", "retry", "verification", "resolve"])
def test_there_is_nothing_to_do_to_a_task_that_does_not_exist(api: Api, action: str) -> None:
    sent = {"verification": {"code": "123456"}, "resolve": {"live": True}}.get(action)

    answer = api.post(f"/api/v1/tasks/work:7412345678901234567/{action}", sent)

    assert (answer.status_code, answer.json()["code"]) == (404, "task.not_found")
