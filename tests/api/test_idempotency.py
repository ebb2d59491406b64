"""A POST that is repeated with its Idempotency-Key has its effect once."""

from __future__ import annotations

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api.idempotency import parse_key
from chalicelib.api.meta import operations
from chalicelib.errors import IdempotencyKeyInvalid, IdempotencyKeyReused, RequestInProgress
from chalicelib.ledger import KEPT, LEASE, Answer, Attempt, Keyed, Ledger
from tests.conftest import Api
from tests.publishing.conftest import HandClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Cloud

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255)
CLIENTS = 64


def quoted(key: str) -> str:
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(PRINTABLE)
def test_every_printable_key_comes_through_as_a_structured_string(key: str) -> None:
    assert parse_key(quoted(key)) == key


@given(st.text(max_size=300))
def test_a_header_is_a_key_or_refused_and_nothing_else(value: str) -> None:
    try:
        key = parse_key(value)
    except IdempotencyKeyInvalid:
        return
    assert 1 <= len(key) <= 255
    assert key.isascii()
    assert key.isprintable()


def test_a_key_means_the_same_with_and_without_quotes() -> None:
    assert parse_key("0d8f-7c9e") == parse_key('"0d8f-7c9e"') == parse_key(' "0d8f-7c9e" ')


@pytest.mark.parametrize(
    "value",
    ["", '""', '"', '"a', 'a"', '"a" b', '"a";p=1', "a b", "a, b", '"a", "b"', "ключ", '"\t"', "x" * 256],
)
def test_what_is_no_key_is_refused(value: str) -> None:
    with pytest.raises(IdempotencyKeyInvalid):
        parse_key(value)


def test_every_post_takes_a_key_or_says_why_it_needs_none() -> None:
    posts = {operation.path: operation for operation in operations() if operation.method == "POST"}

    assert {path for path, operation in posts.items() if not operation.keyed} == {
        "/api/v1/sync/notifications",
        "/api/v1/uploads",
    }
    assert all(operation.unkeyed for operation in posts.values() if not operation.keyed)
    assert [path for path, operation in posts.items() if operation.key_in_transaction] == ["/api/v1/publish"]


def test_an_answer_that_holds_a_secret_is_kept_by_nobody() -> None:
    for operation in operations():
        if operation.keyed and operation.answer is not None:
            secret = [
                name
                for name in operation.answer.model_fields
                if name in ("key", "token", "api_key") or "secret" in name or "password" in name
            ]
            assert operation.shown_once or not secret, (operation.path, secret)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def ledger(cloud: Cloud, clock: HandClock) -> Ledger:
    return Ledger(cloud.client("dynamodb"), cloud.variable("REQUESTS_TABLE"), clock)


@pytest.fixture
def keyed() -> Keyed:
    return Keyed(f"key#{uuid.uuid4()}", "content")


FIRST = Answer(200, {"Location": "/there"}, "{}")


@pytest.mark.system
class TestLedger:
    def test_a_claimed_request_is_under_way_until_it_is_answered(self, ledger: Ledger, keyed: Keyed) -> None:
        attempt = ledger.begin(keyed)

        with pytest.raises(RequestInProgress) as told:
            ledger.begin(keyed)
        assert isinstance(attempt, Attempt)
        ledger.finish(attempt, FIRST)

        assert told.value.context["retry_after"] > 0
        assert ledger.begin(keyed) == ledger.find(keyed) == FIRST

    def test_a_request_whose_attempt_died_can_be_made_again(
        self, ledger: Ledger, keyed: Keyed, clock: HandClock
    ) -> None:
        died = ledger.begin(keyed)
        clock.advance(seconds=LEASE.total_seconds() - 1)
        with pytest.raises(RequestInProgress):
            ledger.begin(keyed)
        clock.advance(seconds=1)
        with pytest.raises(IdempotencyKeyReused):
            ledger.begin(Keyed(keyed.id, "other content"))

        again = ledger.begin(keyed)

        assert isinstance(died, Attempt)
        assert isinstance(again, Attempt)
        ledger.finish(died, Answer(500, {}, "late"))
        ledger.finish(again, FIRST)
        assert ledger.find(keyed) == FIRST

    def test_what_failed_may_come_again_with_another_content(self, ledger: Ledger, keyed: Keyed) -> None:
        attempt = ledger.begin(keyed)
        assert isinstance(attempt, Attempt)

        ledger.release(attempt)

        assert ledger.find(keyed) is None
        assert isinstance(ledger.begin(Keyed(keyed.id, "corrected")), Attempt)

    def test_another_content_is_told_apart_while_the_first_is_under_way_and_after(
        self, ledger: Ledger, keyed: Keyed
    ) -> None:
        other = Keyed(keyed.id, "other content")
        attempt = ledger.begin(keyed)
        assert isinstance(attempt, Attempt)
        with pytest.raises(IdempotencyKeyReused):
            ledger.begin(other)
        ledger.finish(attempt, FIRST)
        with pytest.raises(IdempotencyKeyReused):
            ledger.find(other)

    def test_a_key_is_new_again_after_a_day_whether_or_not_its_record_was_deleted(
        self, ledger: Ledger, keyed: Keyed, clock: HandClock
    ) -> None:
        attempt = ledger.begin(keyed)
        assert isinstance(attempt, Attempt)
        ledger.finish(attempt, FIRST)

        clock.advance(seconds=(KEPT - timedelta(seconds=1)).total_seconds())
        assert ledger.find(keyed) == FIRST
        clock.advance(seconds=1)

        assert ledger.find(keyed) is None
        assert isinstance(ledger.begin(Keyed(keyed.id, "other content")), Attempt)

    def test_one_of_many_at_once_has_the_request(self, ledger: Ledger, keyed: Keyed) -> None:
        def claim(_: int) -> Attempt | Answer | None:
            try:
                return ledger.begin(keyed)
            except RequestInProgress:
                return None

        with ThreadPoolExecutor(16) as pool:
            claims = list(pool.map(claim, range(16)))

        assert len([claim for claim in claims if claim is not None]) == 1


def publish(api: Api, body: Any, key: str | None = None) -> Any:
    return api.post("/api/v1/publish", body, headers={"Idempotency-Key": quoted(key)} if key else {})


def new_key() -> str:
    return str(uuid.uuid4())


@pytest.mark.system
def test_a_repeated_submission_gets_the_first_answer_again(api: Api, body: dict[str, Any]) -> None:
    key = new_key()
    first = publish(api, body, key)

    api.post(f"/api/v1/tasks/{first.json()['id']}/cancel").raise_for_status()
    again = api(
        "POST",
        "/api/v1/publish",
        data=json.dumps(dict(reversed(body.items())), indent=2),
        headers={"Content-Type": "application/json", "Idempotency-Key": key},
    )

    assert first.status_code == again.status_code == 200
    assert again.text == first.text
    assert again.headers["Location"] == first.headers["Location"]
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]


@pytest.mark.system
def test_a_key_belongs_to_its_content(api: Api, body: dict[str, Any]) -> None:
    key = new_key()
    publish(api, body, key).raise_for_status()

    answer = publish(api, {**body, "title": "Another"}, key)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency.key_reused")


@pytest.mark.system
@pytest.mark.parametrize("value", ["a b", '"a', '""', "x" * 256])
def test_a_bad_key_is_refused_before_anything_happens(api: Api, body: dict[str, Any], value: str) -> None:
    answer = api.post("/api/v1/publish", body, headers={"Idempotency-Key": value})

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency.key_invalid")
    assert "255" in answer.json()["next_step"]
    assert publish(api, body).status_code == 200


@pytest.mark.system
def test_what_was_refused_is_not_kept(api: Api, body: dict[str, Any]) -> None:
    key = new_key()
    assert publish(api, {**body, "title": ""}, key).status_code == 422
    assert publish(api, {**body, "account_name": "nobody"}, key).status_code == 404

    assert publish(api, body, key).status_code == 200


@pytest.mark.system
def test_a_repetition_comes_before_the_guard_against_duplicates(api: Api, body: dict[str, Any]) -> None:
    key = new_key()
    first = publish(api, body, key)

    assert publish(api, body, key).json() == first.json()
    assert publish(api, body, new_key()).json()["existing_task_id"] == first.json()["id"]


@pytest.mark.system
def test_what_a_person_does_to_a_task_is_repeated_safely(api: Api, body: dict[str, Any]) -> None:
    task_id, key = publish(api, body).json()["id"], new_key()
    other_id = publish(api, {**body, "title": "Another"}).json()["id"]

    def cancel(task_id: str) -> Any:
        return api.post(f"/api/v1/tasks/{task_id}/cancel", headers={"Idempotency-Key": key})

    first, again = cancel(task_id), cancel(task_id)

    assert first.json()["state"] == "canceled"
    assert (again.status_code, again.text) == (200, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert cancel(other_id).json()["code"] == "idempotency.key_reused"
    assert api.get(f"/api/v1/tasks/{other_id}").json()["state"] == "queued"
    refused = api.post(f"/api/v1/tasks/{task_id}/approve", headers={"Idempotency-Key": key})
    assert refused.json()["code"] == "task.state_conflict"  # Another operation: another key.


@pytest.mark.system
def test_neither_the_key_nor_what_was_said_stands_in_the_record(
    api: Api, body: dict[str, Any], cloud: Cloud
) -> None:
    key = f"canary-{new_key()}"
    publish(api, {**body, "description": "canary-description"}, key).raise_for_status()

    pages = cloud.client("dynamodb").get_paginator("scan").paginate(TableName=cloud.variable("REQUESTS_TABLE"))
    stored = repr([page["Items"] for page in pages])

    assert key not in stored
    assert "canary-description" not in stored


@pytest.mark.system
def test_64_clients_with_the_same_keys_make_one_task_a_key(
    api: Api, body: dict[str, Any], tasks_of: Callable[[str], list[str]]
) -> None:
    keys = [new_key() for _ in range(8)]
    start = threading.Barrier(CLIENTS)

    def client(number: int) -> list[tuple[str, str, bool]]:
        own = Api(api.origin)
        answers = []
        start.wait()
        for turn in range(len(keys)):
            place = (number + turn) % len(keys)
            answer = publish(own, {**body, "title": f"Title {place}"}, keys[place])
            assert answer.status_code == 200, answer.text
            answers.append((keys[place], answer.json()["id"], "Idempotent-Replayed" in answer.headers))
        own.session.close()
        return answers

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = [answer for answers in pool.map(client, range(CLIENTS)) for answer in answers]

    ids = {(key, task_id) for key, task_id, _ in answers}
    assert len(answers) == CLIENTS * len(keys)
    assert len(ids) == len({key for key, _ in ids}) == len(keys)
    assert len([1 for *_, replayed in answers if not replayed]) == len(keys)
    assert sorted(tasks_of(body["account_name"])) == sorted(task_id for _, task_id in ids)
