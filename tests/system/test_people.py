"""People who step in while a real worker publishes: a code by SMS, a cancel, a word about an uncertain work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.system.flows import log_in, outcome, submit, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.system import System
    from tests.conftest import Api
    from tests.system.conftest import Phone

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("user")]

ACCOUNT = "人来帮忙"


@pytest.fixture(scope="module")
def user(client: Api, phone: Phone) -> str:
    """Who is logged in as ACCOUNT."""
    uid: str = phone.users()[0]["uid"]
    assert log_in(client, phone, ACCOUNT, uid)["status"] == "success"
    return uid


def task_in(client: Api, task_id: str, *states: str) -> dict[str, Any]:
    task: dict[str, Any] = until(
        lambda: client.get(f"/api/v1/tasks/{task_id}").json(), lambda seen: seen["state"] in states
    )
    return task


def titled(phone: Phone, title: str) -> list[dict[str, Any]]:
    return [work for work in phone.works() if work["title"] == title]


def test_a_code_is_passed_on_to_the_page_and_a_wrong_one_can_be_corrected(
    client: Api, system: System, phone: Phone, user: str, scenario: Callable[..., None]
) -> None:
    scenario(second_verification="publish")
    title = "验证码到了"
    media = f"{system.douyin_origin}/media/demo.mp4"
    task_id = submit(client, video_url=media, title=title, account_name=ACCOUNT)

    asked = task_in(client, task_id, "needs_verification")
    assert asked["status"] == "running"
    assert "verification" in asked["allowed"]
    assert "*" in asked["verification"]["phone"]
    assert not titled(phone, title)
    client.post(f"/api/v1/tasks/{task_id}/verification", {"code": "000000"}).raise_for_status()
    until(
        lambda: client.get(f"/api/v1/tasks/{task_id}").json()["verification"],
        lambda seen: seen is not None and seen["tries"] == 1,
    )
    code = phone.sms(user)
    client.post(f"/api/v1/tasks/{task_id}/verification", {"code": code}).raise_for_status()

    task = outcome(client, task_id)
    assert task["status"] == "success", task
    assert code not in str(task)
    assert len(titled(phone, title)) == 1


def test_a_running_task_that_is_canceled_is_never_clicked(
    client: Api, system: System, phone: Phone, scenario: Callable[..., None]
) -> None:
    title = "还是算了"
    media = f"{system.douyin_origin}/media/demo.mp4"
    task_id = submit(client, video_url=media, title=title, account_name=ACCOUNT)
    task_in(client, task_id, "running")

    canceled = client.post(f"/api/v1/tasks/{task_id}/cancel").json()

    assert (canceled["status"], canceled["error"]["code"]) == ("failed", "publish.canceled")
    # The account's next task runs: the worker has let go.
    following = submit(client, video_url=media, title="下一条", account_name=ACCOUNT)
    assert outcome(client, following)["status"] == "success"
    assert not titled(phone, title)
    assert client.get(f"/api/v1/tasks/{task_id}").json()["state"] == "canceled"
    refused = client.post(f"/api/v1/tasks/{task_id}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "task.state_conflict")


def test_a_refused_task_is_retried_by_a_person(
    client: Api, system: System, phone: Phone, scenario: Callable[..., None]
) -> None:
    scenario(publish="rejected")
    title = "第二次就好"
    media = f"{system.douyin_origin}/media/demo.mp4"
    task_id = submit(client, video_url=media, title=title, account_name=ACCOUNT)
    refused = outcome(client, task_id)
    assert (refused["error"]["code"], refused["allowed"]) == ("platform.rejected", ["retry"])
    scenario(publish="ok")

    assert client.post(f"/api/v1/tasks/{task_id}/retry").json()["state"] == "queued"

    task = outcome(client, task_id)
    assert (task["status"], task["attempts"]) == ("success", 2)
    assert len(titled(phone, title)) == 1


def test_an_unanswered_click_is_settled_by_the_works_list_or_by_a_person(
    client: Api, system: System, phone: Phone, scenario: Callable[..., None]
) -> None:
    scenario(publish="lost")
    title = "没有回音"
    media = f"{system.douyin_origin}/media/demo.mp4"
    task_id = submit(client, video_url=media, title=title, account_name=ACCOUNT)
    doubted = task_in(client, task_id, "outcome_unknown")
    assert doubted["allowed"] == ["resolve"]
    assert client.post(f"/api/v1/tasks/{task_id}/retry").status_code == 409
    (work,) = titled(phone, title)

    body = {"live": True, "item_id": work["item_id"]}
    settled = client.post(f"/api/v1/tasks/{task_id}/resolve", body)

    assert settled.status_code in (200, 409)  # The works list may have been quicker.
    task = client.get(f"/api/v1/tasks/{task_id}").json()
    assert (task["status"], task["result"]["item_id"]) == ("success", work["item_id"])
    assert len(titled(phone, title)) == 1
