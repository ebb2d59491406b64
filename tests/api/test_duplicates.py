"""The same work for the same account is taken once a day, unless it is meant."""

from __future__ import annotations

import hashlib
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import DuplicateContent
from chalicelib.publishing import states
from chalicelib.publishing.duplicates import url_identity
from chalicelib.publishing.states import State
from tests.conftest import Api
from tests.publishing.support import task_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.publishing.conftest import Desk

SIGNATURES = [
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2Fb&X-Amz-Date=2026&X-Amz-Expires=900&X-Amz-Signature=1f",
    "Expires=1&Signature=a%2Bb&Key-Pair-Id=K",
    "X-Goog-Algorithm=a&X-Goog-Signature=b",
    "OSSAccessKeyId=a&Expires=1&Signature=b",
    "q-sign-algorithm=sha1&q-ak=a&q-sign-time=1;2&q-key-time=1;2&q-header-list=&q-url-param-list=&q-signature=c",
    "X-Tos-Algorithm=TOS4-HMAC-SHA256&X-Tos-Signature=d",
    "sv=2024&se=2026&sr=b&sp=r&sig=e",
    "e=1451491200&token=f",
    "x-expires=1&x-signature=g",
    "auth_key=1-0-0-h",
    "t=5&us=6&sign=i",
]


@pytest.mark.parametrize("signature", SIGNATURES)
def test_a_signed_url_is_known_without_its_signature(signature: str) -> None:
    plain = "https://media.example.com/a%20b/video.mp4"

    assert url_identity(f"{plain}?{signature}") == url_identity(plain)
    assert url_identity(f"{plain}?id=7&{signature}") == url_identity(f"{plain}?id=7")
    assert url_identity(f"{plain}?{signature}&id=7") != url_identity(f"{plain}?id=8")


@pytest.mark.parametrize(
    "other",
    [
        "https://example.com/Video.mp4?id=1",
        "https://example.com/video.mp4?id=2",
        "https://example.com/video.mp4",
        "https://example.com:8443/video.mp4?id=1",
        "https://example.com/video.mp4?id=1&e=2",
        "https://example.com/video.mp4?id=1&t=2",
    ],
)
def test_what_may_be_another_file_is_told_apart(other: str) -> None:
    assert url_identity(other) != url_identity("https://example.com/video.mp4?id=1")


def test_the_form_of_a_url_does_not_matter() -> None:
    forms = ["https://Example.com:443/v?a=1", "http://example.com/v?a=1#part", "http://example.com:80/v?&a=1"]

    assert len({url_identity(form) for form in forms}) == 1


@given(st.text(st.characters(blacklist_categories=["Cs", "Zs", "Cc"]), max_size=50))
def test_every_url_has_an_identity(path: str) -> None:
    assert url_identity(f"https://example.com/{path}")


@pytest.mark.system
class TestGuard:
    def test_the_second_submission_names_the_first(self, api: Api, body: dict[str, Any]) -> None:
        first = api.post("/api/v1/publish", body).json()["id"]

        again = api.post("/api/v1/publish", {**body, "description": "other words", "tags": []})

        assert (again.status_code, again.json()["code"]) == (409, "publish.duplicate_content")
        assert again.json()["existing_task_id"] == first
        assert "allow_duplicate" in again.json()["next_step"]

    def test_another_title_video_or_account_is_another_work(
        self, api: Api, body: dict[str, Any], account_name: str
    ) -> None:
        for changes in ({}, {"title": "Another"}, {"video_url": "https://example.com/other.mp4"}):
            assert api.post("/api/v1/publish", {**body, **changes}).status_code == 200

    def test_a_duplicate_that_is_meant_is_taken_and_watched(self, api: Api, body: dict[str, Any]) -> None:
        first = api.post("/api/v1/publish", body).json()["id"]
        second = api.post("/api/v1/publish", {**body, "allow_duplicate": True}).json()["id"]

        assert first != second
        assert api.post("/api/v1/publish", body).json()["existing_task_id"] == second
        api.post(f"/api/v1/tasks/{second}/cancel").raise_for_status()
        assert api.post("/api/v1/publish", body).json()["existing_task_id"] == first
        api.post(f"/api/v1/tasks/{first}/cancel").raise_for_status()
        assert api.post("/api/v1/publish", body).status_code == 200

    def test_a_link_that_is_signed_anew_is_the_same_video(self, api: Api, body: dict[str, Any]) -> None:
        def submit(signature: str) -> Any:
            url = f"https://example.com/v.mp4?X-Amz-Date=2026&X-Amz-Signature={signature}"
            return api.post("/api/v1/publish", {**body, "video_url": url})

        assert (submit("a").status_code, submit("b").status_code) == (200, 409)

    def test_the_same_file_uploaded_twice_is_the_same_video(self, api: Api, body: dict[str, Any]) -> None:
        content = uuid.uuid4().bytes

        def submit() -> Any:
            ticket = api.post(
                "/api/v1/uploads",
                {
                    "file_name": "v.mp4",
                    "content_type": "video/mp4",
                    "size": len(content),
                    "sha256": hashlib.sha256(content).hexdigest(),
                },
            ).json()
            sent = requests.put(ticket["url"], data=content, headers=ticket["headers"], timeout=30)
            sent.raise_for_status()
            return api.post("/api/v1/publish", {**body, "video_url": ticket["media_url"]})

        first, second = submit(), submit()

        assert (first.status_code, second.status_code) == (200, 409), first.text
        assert second.json()["existing_task_id"] == first.json()["id"]

    def test_one_of_many_at_once_is_taken(
        self, api: Api, body: dict[str, Any], tasks_of: Callable[[str], list[str]]
    ) -> None:
        clients = 16
        start = threading.Barrier(clients)

        def submit(number: int) -> tuple[int, Any]:
            own = Api(api.origin)
            headers = {"Idempotency-Key": f"{number}-{uuid.uuid4()}"} if number % 2 else {}
            start.wait()
            answer = own.post("/api/v1/publish", body, headers=headers)
            own.session.close()
            return answer.status_code, answer.json()

        with ThreadPoolExecutor(clients) as pool:
            answers = list(pool.map(submit, range(clients)))

        (taken,) = [answer for status, answer in answers if status == 200]
        assert {answer["existing_task_id"] for status, answer in answers if status == 409} == {taken["id"]}
        assert len(answers) == clients
        assert tasks_of(body["account_name"]) == [taken["id"]]


SUBMITTED = (State.SUBMITTING, State.OUTCOME_UNKNOWN, State.PUBLISHED)
TASKS = [*((state, state in SUBMITTED) for state in State), (State.FAILED, True)]


@pytest.mark.system
@pytest.mark.parametrize(("state", "intended"), TASKS)
def test_a_work_is_free_again_once_its_task_has_ended_without_submitting_it(
    desk: Desk, state: State, intended: bool
) -> None:
    task = task_in(desk, state, intended=intended)

    if state in (State.FAILED, State.CANCELED) and not intended:
        assert desk.desk.submit(task.submission).id != task.id
    else:
        with pytest.raises(DuplicateContent) as told:
            desk.desk.submit(task.submission)
        assert told.value.context["existing_task_id"] == task.id


@pytest.mark.system
def test_a_work_is_free_again_once_a_person_has_said_that_it_is_not_live_or_a_day_has_passed(
    desk: Desk,
) -> None:
    missed = task_in(desk, State.FAILED, intended=True)
    published = task_in(desk, State.PUBLISHED, intended=True)

    desk.desk.resolve(missed.id, live=False)
    assert desk.tasks.get(missed.id).state is states.DENY.target
    desk.desk.submit(missed.submission)
    desk.clock.advance(hours=24)
    desk.desk.submit(published.submission)
