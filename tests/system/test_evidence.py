"""The pictures of real tasks: found through the API, looked at through their URLs, gone with their account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from chalicelib.clock import from_rfc3339
from tests.system.flows import log_in, outcome, submit, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.system import System
    from tests.conftest import Api
    from tests.system.conftest import Phone

pytestmark = [pytest.mark.system]


@pytest.fixture
def account(client: Api, phone: Phone) -> Iterator[str]:
    assert log_in(client, phone, "photographed", phone.users()[1]["uid"])["status"] == "success"
    yield "photographed"
    client.delete("/api/v1/accounts/photographed")


def _evidence(client: Api, task_id: str) -> dict[str, Any]:
    answer = client.get(f"/api/v1/tasks/{task_id}/evidence")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_reviewer_sees_the_form_and_the_timeline_names_its_picture(
    client: Api, system: System, account: str
) -> None:
    body = {"video_url": f"{system.douyin_origin}/media/demo.mp4", "title": "给人看", "account_name": account}
    task_id = submit(client, **body, manual_review=True)
    path = f"/api/v1/tasks/{task_id}"
    task = until(lambda: client.get(path).json(), lambda seen: seen["state"] == "awaiting_review")

    evidence = _evidence(client, task_id)

    (picture,) = evidence["data"]
    assert (picture["step"], picture["name"]) == ("photograph_form", "1-photograph_form.jpg")
    named = [entry["screenshot"] for entry in task["timeline"] if entry["screenshot"]]
    assert named == [picture["name"]]
    jpeg = requests.get(picture["url"], timeout=10)
    assert jpeg.headers["Content-Type"] == "image/jpeg"
    assert jpeg.content.startswith(b"\xff\xd8\xff")
    assert 10_000 < len(jpeg.content) <= 400_000
    assert parse_qs(urlsplit(picture["url"]).query)["X-Amz-Expires"] == ["300"]
    assert from_rfc3339(evidence["expires_at"]) - datetime.now(UTC) <= timedelta(minutes=5)
    client.post(f"{path}/reject").raise_for_status()


def test_a_failed_step_comes_first_and_all_goes_with_the_account(
    client: Api, system: System, account: str, scenario: Callable[..., None]
) -> None:
    scenario(publish="rejected")
    task = outcome(
        client,
        submit(
            client,
            video_url=f"{system.douyin_origin}/media/demo.mp4",
            title="会被拒绝",
            account_name=account,
        ),
    )
    assert (task["status"], task["error"]["step"]) == ("failed", "submit"), task

    pictures = _evidence(client, task["id"])["data"]

    assert [picture["step"] for picture in pictures] == ["submit", "photograph_form"]
    for entry in task["timeline"]:
        assert (entry["outcome"] == "failed") <= (entry["screenshot"] is not None), entry
    assert client.delete(f"/api/v1/accounts/{account}").status_code == 200
    assert _evidence(client, task["id"])["data"] == []
    assert requests.get(pictures[0]["url"], timeout=10).status_code == 404


def test_an_unknown_task_has_no_evidence(client: Api) -> None:
    answer = client.get("/api/v1/tasks/nobody/evidence")
    assert (answer.status_code, answer.json()["code"]) == (404, "task.not_found")
