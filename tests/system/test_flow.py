"""The way through all the rooms: real HTTP, real Chromium, real signatures, the emulated AWS over the wire."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from chalicelib.articles.reader import iter_rows
from chalicelib.clock import SHANGHAI
from tests.system.flows import log_in, outcome, submit, until

if TYPE_CHECKING:
    from local.system import System
    from tests.conftest import Api
    from tests.system.conftest import Phone

pytestmark = [pytest.mark.system]


@pytest.fixture(scope="session")
def account(client: Api, phone: Phone) -> str:
    user = phone.users()[0]
    assert log_in(client, phone, "default_user", user["uid"])["status"] == "success"
    return "default_user"


@pytest.fixture
def media(system: System) -> str:
    return f"{system.douyin_origin}/media"


def test_a_client_of_the_reference_page_logs_in_publishes_polls_and_deletes(
    client: Api, phone: Phone, media: str
) -> None:
    user = phone.users()[1]
    login = log_in(client, phone, "new_user_id", user["uid"])
    assert (login["status"], login["msg"]) == ("success", "Login successful")
    listed = {entry["id"]: entry for entry in client.get("/api/v1/accounts").json()["data"]}
    assert listed["new_user_id"]["name"] == user["nickname"]

    at = (datetime.now(SHANGHAI) + timedelta(days=3)).replace(second=0, microsecond=0)
    task = outcome(
        client,
        submit(
            client,
            video_url=f"{media}/demo.mp4",
            title="九个字段都在",
            description="第一行\n第二行 #不是话题",
            tags=["tag1", "话题二"],
            cover_path=f"{media}/demo.png",
            claim_type="取材网络",
            schedule_time=f"{at:%Y-%m-%d %H:%M}",
            account_name="new_user_id",
            manual_review=False,
        ),
    )

    assert (task["status"], task["error_msg"]) == ("success", None), task
    (work,) = [work for work in phone.works() if work["title"] == "九个字段都在"]
    assert (work["item_id"], work["user"]) == (task["result"]["item_id"], user["uid"])
    assert work["description"].startswith("第一行\n第二行 #不是话题")
    assert work["topics"] == ["tag1", "话题二"]
    assert set(work["cover"]["slots"]) == {"竖封面3:4", "横封面4:3"}
    assert work["declaration"]["choice"] == "内容为转载信息"
    assert work["declaration"]["sub_choice"] == "取材站外"
    assert work["timing"] == int(at.timestamp())

    assert client.delete("/api/v1/accounts/new_user_id").status_code == 200
    assert client.delete("/api/v1/accounts/new_user_id").status_code == 404


def test_only_the_required_fields_are_needed(client: Api, phone: Phone, account: str, media: str) -> None:
    task_id = submit(client, video_url=f"{media}/demo.mp4", title="只有必填字段", account_name=account)

    task = outcome(client, task_id)

    assert task["status"] == "success", task
    (work,) = [work for work in phone.works() if work["title"] == "只有必填字段"]
    assert work["timing"] == -1
    assert work["topics"] == []


def test_the_timeline_tells_what_happened_and_how_long_it_took(client: Api, account: str, media: str) -> None:
    task_id = submit(client, video_url=f"{media}/demo.mp4", title="时间线", account_name=account)

    task = outcome(client, task_id)

    names = [entry["name"] for entry in task["timeline"]]
    for step in ("fetch_video", "open_session", "open_upload", "wait_uploaded", "fill", "submit"):
        assert step in names
    assert all(entry["duration_ms"] >= 0 and entry["outcome"] == "ok" for entry in task["timeline"])


def test_two_tasks_of_one_account_run_one_after_the_other(
    client: Api, phone: Phone, account: str, media: str
) -> None:
    ids = [
        submit(client, video_url=f"{media}/demo.mp4", title=f"第{number}条", account_name=account)
        for number in (1, 2)
    ]

    first, second = (outcome(client, task_id) for task_id in ids)

    assert (first["status"], second["status"]) == ("success", "success")
    assert first["timeline"][-1]["started_at"] < second["timeline"][0]["started_at"]
    assert len([work for work in phone.works() if work["title"] in ("第1条", "第2条")]) == 2


def test_a_reviewed_task_stops_before_the_click_and_goes_on_when_approved(
    client: Api, phone: Phone, account: str, media: str
) -> None:
    title = "先看再发"
    task_id = submit(
        client, video_url=f"{media}/demo.mp4", title=title, account_name=account, manual_review=True
    )
    until(
        lambda: client.get(f"/api/v1/tasks/{task_id}").json(), lambda seen: seen["state"] == "awaiting_review"
    )
    assert not [work for work in phone.works() if work["title"] == title]

    client.post(f"/api/v1/tasks/{task_id}/approve").raise_for_status()

    assert outcome(client, task_id)["status"] == "success"
    assert len([work for work in phone.works() if work["title"] == title]) == 1


def test_an_accounts_preferences_reach_the_form_and_its_cap_holds_the_next_task(
    client: Api, phone: Phone, media: str
) -> None:
    user = phone.users()[1]
    assert log_in(client, phone, "有偏好的账号", user["uid"])["status"] == "success"
    preferences = {"visibility": "private", "allow_save": False, "default_tags": ["日常"], "daily_cap": 1}
    client("PATCH", "/api/v1/accounts/有偏好的账号", json={"preferences": preferences}).raise_for_status()
    body = {"video_url": f"{media}/demo.mp4", "account_name": "有偏好的账号"}

    first = outcome(client, submit(client, title="按偏好", **body))
    second = submit(client, title="超过上限", **body)

    assert first["status"] == "success", first
    (work,) = [work for work in phone.works() if work["title"] == "按偏好"]
    assert (work["visibility"], work["save_permission"], work["topics"]) == ("仅自己可见", "不允许", ["日常"])
    held = until(
        lambda: client.get(f"/api/v1/tasks/{second}").json(), lambda seen: seen["state"] == "scheduled"
    )
    assert (held["status"], held["error_msg"]) == ("pending", None)


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        ("/media/nothing-here.mp4", "media.not_served", "404"),
        ("/media/demo.png", "media.type", "video"),
        ("/", "media.type", "video"),
    ],
)
def test_media_that_cannot_be_used_fail_the_task_and_say_what_to_do(
    client: Api, system: System, account: str, path: str, code: str, says: str
) -> None:
    task_id = submit(client, video_url=f"{system.douyin_origin}{path}", title="坏的视频", account_name=account)

    task = outcome(client, task_id, 200)

    assert task["status"] == "failed"
    assert task["error"]["code"] == code
    assert says in task["error_msg"]
    assert task["error"]["next_step"]


def test_media_on_a_private_address_are_refused(client: Api, system: System, account: str) -> None:
    task_id = submit(client, video_url=f"{system.endpoint}/demo.mp4", title="内网视频", account_name=account)

    task = outcome(client, task_id)

    assert (task["status"], task["error"]["code"]) == ("failed", "media.forbidden_address")


def test_a_session_that_the_platform_ended_fails_the_task_and_marks_the_account(
    client: Api, phone: Phone, media: str
) -> None:
    user = phone.users()[2]
    assert log_in(client, phone, "会过期的账号", user["uid"])["status"] == "success"
    phone.log_out_everywhere(user["uid"])

    body: dict[str, Any] = {
        "video_url": f"{media}/demo.mp4",
        "title": "过期",
        "account_name": "会过期的账号",
    }
    task = outcome(client, submit(client, **body))

    assert (task["status"], task["error"]["code"]) == ("failed", "account.session_expired")
    refused = client.post("/api/v1/publish", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "account.login_required")


def test_the_sync_writes_every_article_once_and_then_only_what_is_new(client: Api, system: System) -> None:
    def run() -> dict[str, Any]:
        run_id = client.post("/api/v1/sync/run").json()["run_id"]
        record: dict[str, Any] = until(
            lambda: [
                entry
                for entry in client.get("/api/v1/sync").json()["data"][0]["runs"]
                if entry["run_id"] == run_id and entry["status"] != "running"
            ],
            bool,
        )[0]
        return record

    assert run()["caught_up"] is True
    upstream = system.volcengine.endpoint
    requests.post(f"{upstream}/admin/articles", json={"count": 7}, timeout=10).raise_for_status()
    second = run()

    assert second["rows"] == 7
    channel = system.volcengine.utm_sources
    counts = Counter(row.group_id for row in iter_rows(system.client("s3"), system.content_bucket, channel))
    truth = requests.get(f"{upstream}/admin/articles", timeout=10).json()["articles"]
    # Other tests edit or withdraw articles, which adds rows.
    expected = [entry["group_id"] for entry in truth if entry["scannable"] and not entry["revision"]]
    assert len(expected) > 7
    assert {group_id: counts[group_id] for group_id in expected} == dict.fromkeys(expected, 1)
    assert set(counts) <= {entry["group_id"] for entry in truth}


def test_only_loopback_is_bound(system: System) -> None:
    listening = {
        inode: address
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for _, address, _, state, *_, inode in (
            (*line.split()[:4], line.split()[9]) for line in Path(table).read_text().splitlines()[1:]
        )
        if state == "0A"
    }
    bound = {listening[inode] for pid in descendants(os.getpid()) for inode in sockets(pid) & set(listening)}

    assert len(bound) >= 4  # The API, the emulator and the two stand-ins at least.
    assert {address.partition(":")[0] for address in bound} == {"0100007F"}, bound


def descendants(pid: int) -> set[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while grown := {child for child, parent in parents.items() if parent in found} - found:
        found |= grown
    return found


def sockets(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(entry.readlink())
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found
