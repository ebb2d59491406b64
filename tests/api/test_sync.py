"""Starting runs, and the content service's signed notifications."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from chalicelib.articles.index import RUN_LOST_AFTER
from chalicelib.articles.mirror_state import MirrorState, save_mirror
from chalicelib.articles.runs import RunSummary, save_run
from chalicelib.articles.state import CursorState, commit_state, create_state, load_state, state_key
from chalicelib.clock import to_rfc3339, utc_now
from local.standins.volcengine.notifications import Notifier
from tests.api.conftest import CALLBACK_SECRET, CHANNELS

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from tests.api.conftest import Functions, Shelf
    from tests.conftest import Api

pytestmark = pytest.mark.system

FIRST, SECOND = CHANNELS
PATH = "/api/v1/sync/notifications"
NONCE = "aB3dE6gH"


def signed(body: bytes, *, secret: str = CALLBACK_SECRET, age: int = 0, nonce: str = NONCE) -> dict[str, str]:
    timestamp = str(int(time.time()) - age)
    text = timestamp.encode() + nonce.encode() + body
    return {
        "Content-Type": "application/json",
        "X-Content-Timestamp": timestamp,
        "X-Content-Nonce": nonce,
        "X-Content-Signature": hmac.new(secret.encode(), text, hashlib.sha256).hexdigest(),
    }


def notify(api: Api, payload: Any, **options: Any) -> requests.Response:
    body = json.dumps(payload).encode()
    return api("POST", PATH, data=body, headers=signed(body, **options))


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (None, {}),
        ({}, {}),
        ({"channel": FIRST}, {"channel": FIRST}),
        ({"group_ids": ["7001"], "channel": SECOND}, {"channel": SECOND}),
    ],
)
def test_a_run_is_started_as_asked(
    content_api: Api, functions: Functions, body: dict[str, Any] | None, detail: dict[str, Any]
) -> None:
    answer = content_api.post("/api/v1/sync/run", body)

    assert answer.status_code == 202
    ids = {"run_id": answer.json()["run_id"], "request_id": answer.headers["X-Request-Id"]}
    assert functions.details == [{**ids, **detail}]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"channel": "somebody_elses"}, 404),
        ({"backfill": "live"}, 422),
        ({"backfill": "../state"}, 422),
        ({"backfill": ""}, 422),
        ({"backfill": "x", "group_ids": ["1"]}, 422),
        ({"group_ids": []}, 422),
        ({"dry": True}, 422),
        ([], 422),
    ],
)
def test_a_run_that_makes_no_sense_is_not_started(
    content_api: Api, functions: Functions, body: Any, status: int
) -> None:
    assert content_api.post("/api/v1/sync/run", body).status_code == status
    assert functions.events == []


def test_the_sync_tells_how_each_channel_stands(
    content_api: Api, shelf: Shelf, new_id: Callable[[], str]
) -> None:
    group_id = new_id()
    shelf.index.request_refresh(SECOND, [group_id], utc_now())
    long_ago = to_rfc3339(utc_now() - timedelta(days=5))
    lately = to_rfc3339(utc_now() - timedelta(days=1))
    state = CursorState(SECOND, cursor="7", objects=2, rows=9, caught_up_at=long_ago, last_success_at=lately)
    commit_state(shelf.store, state, load_state(shelf.store, SECOND).etag)
    create_state(shelf.store, SECOND, "told", utc_now())
    save_mirror(shelf.store, SECOND, MirrorState(copied=3, retries={"7001": (1, long_ago)}), None)
    save_run(shelf.store, RunSummary("run", SECOND, "failed", to_rfc3339(utc_now()), "", ""))

    first, second = content_api.get("/api/v1/sync").json()["data"]

    assert (first["channel"], first["cursor_age_seconds"], first["lag_seconds"]) == (FIRST, None, None)
    assert (first["alarms"], first["runs"]) == ([], [])
    assert second["counts"] == {"objects": 2, "rows": 9, "waiting": 1}
    assert second["lag_seconds"] == pytest.approx(5 * 86400, abs=3600)
    assert second["cursor_age_seconds"] == pytest.approx(86400, abs=3600)
    assert second["alarms"] == ["cursor_ageing"]
    backfills = {one["name"]: (one["pending"], one["caught_up"]) for one in second["backfills"]}
    assert backfills["told"] == (True, False)
    assert first["mirror"] is None
    assert (second["mirror"]["copied"], second["mirror"]["waiting"]) == (3, 1)
    assert [(run["run_id"], run["status"]) for run in second["runs"]] == [("run", "failed")]


def test_a_function_that_cannot_be_started_is_told_as_worth_another_try(
    content_api: Api, functions: Functions
) -> None:
    functions.down = True

    answer = content_api.post("/api/v1/sync/run")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal.cloud")
    assert answer.json()["retryable"] is True


def test_a_list_of_articles_is_remembered_before_the_run_that_asks_for_them(
    content_api: Api, functions: Functions, shelf: Shelf, new_id: Callable[[], str]
) -> None:
    functions.down = True
    group_id = new_id()

    answer = content_api.post("/api/v1/sync/run", {"group_ids": [group_id]})

    assert (answer.status_code, answer.json()) == (202, {"run_id": None})
    entry = shelf.index.get(SECOND, group_id)
    assert entry is not None
    assert entry.refresh_requested_at is not None


@pytest.mark.parametrize("down", [False, True])
def test_a_backfill_is_kept_before_the_run_that_begins_it_and_once(
    content_api: Api, functions: Functions, shelf: Shelf, *, down: bool
) -> None:
    functions.down = down
    name = f"ordered-{uuid4().hex[:8]}"

    answer = content_api.post("/api/v1/sync/run", {"backfill": name})

    assert answer.status_code == 202
    assert (answer.json()["run_id"] is None) == down
    states = {channel: load_state(shelf.store, channel, name) for channel in CHANNELS}
    assert all(stored.etag and not stored.state.last_run_id for stored in states.values())
    # Ordered again while it is under way, it is not begun anew.
    going = replace(states[FIRST].state, cursor="7", last_run_id="run")
    commit_state(shelf.store, going, states[FIRST].etag)
    assert content_api.post("/api/v1/sync/run", {"backfill": name, "channel": FIRST}).status_code == 202
    assert load_state(shelf.store, FIRST, name).state == going


def test_a_backfill_of_one_channel_is_ordered_there_alone(content_api: Api, shelf: Shelf) -> None:
    name = f"ordered-{uuid4().hex[:8]}"

    assert content_api.post("/api/v1/sync/run", {"backfill": name, "channel": SECOND}).status_code == 202

    assert shelf.store.get(state_key("", FIRST, name)) is None
    assert shelf.store.get(state_key("", SECOND, name)) is not None


def test_requests_of_the_same_moment_share_a_run_and_none_is_forgotten(
    content_api: Api, functions: Functions, shelf: Shelf, new_id: Callable[[], str]
) -> None:
    ids = [new_id() for _ in range(6)]
    runs = [
        content_api.post("/api/v1/articles/refresh", {"group_ids": [one]}).json()["run_id"] for one in ids[:3]
    ]
    for one in ids[3:5]:
        assert notify(content_api, {"GroupId": one}).status_code == 200

    assert [detail["run_id"] for detail in functions.details] == runs[:1]
    assert set(runs) == {runs[0]}
    # That run has begun, and may have looked at what is due: whoever comes now needs another one.
    shelf.index.run_begins()
    later = content_api.post("/api/v1/articles/refresh", {"group_ids": ids[5:]}).json()["run_id"]
    assert [detail["run_id"] for detail in functions.details] == [runs[0], later]
    assert later != runs[0]
    waiting = {entry.group_id for entry in shelf.index.due(FIRST, utc_now(), 1000)}
    assert set(ids) <= waiting


def test_a_run_that_was_lost_keeps_nobody_waiting_for_ever(
    content_api: Api, functions: Functions, shelf: Shelf, new_id: Callable[[], str]
) -> None:
    assert shelf.index.ask_for_run("lost", utc_now() - RUN_LOST_AFTER) == "lost"

    content_api.post("/api/v1/articles/refresh", {"group_ids": [new_id()]})

    assert len(functions.events) == 1


def test_a_run_that_could_not_be_started_is_not_taken_for_one_that_is_coming(
    content_api: Api, functions: Functions, new_id: Callable[[], str]
) -> None:
    functions.down = True
    assert notify(content_api, {"GroupId": new_id()}).status_code == 200
    functions.down = False

    assert notify(content_api, {"GroupId": new_id()}).status_code == 200

    assert len(functions.events) == 1


def test_numbers_that_are_no_ids_are_passed_over(
    content_api: Api, functions: Functions, shelf: Shelf, new_id: Callable[[], str]
) -> None:
    group_id = new_id()
    body = f'{{"GroupIds": ["{group_id}", {"7" * 3000}, "{"7" * 3000}", -{"7" * 18}, 1{"0" * 20}]}}'.encode()

    answer = content_api("POST", PATH, data=body, headers=signed(body))

    assert (answer.status_code, answer.json()) == (200, {"group_ids": [group_id]})


def test_a_signed_notification_marks_its_articles_and_starts_a_run(
    content_api: Api, functions: Functions, shelf: Shelf, new_id: Callable[[], str]
) -> None:
    known, unknown = new_id(), new_id()
    shelf.put((known, "upsert", {"GroupId": known}), channel=SECOND)

    answer = notify(content_api, {"EventType": "ArticleChange", "GroupIds": [known, unknown]})

    assert (answer.status_code, answer.json()) == (200, {"group_ids": [known, unknown]})
    assert [set(detail) for detail in functions.details] == [{"run_id", "request_id"}]
    for channel, group_id in ((SECOND, known), (FIRST, unknown), (SECOND, unknown)):
        entry = shelf.index.get(channel, group_id)
        assert entry is not None
        assert entry.refresh_requested_at is not None
    assert shelf.index.get(FIRST, known) is None


def test_the_stand_ins_notification_is_taken(
    content_api: Api, functions: Functions, new_id: Callable[[], str]
) -> None:
    group_id = new_id()

    status, body = Notifier(CALLBACK_SECRET, FIRST, utc_now).push(content_api.origin + PATH, [group_id])

    assert (status, json.loads(body)) == (200, {"group_ids": [group_id]})


def test_a_burst_of_notifications_starts_one_run_and_forgets_nothing(
    content_api: Api, functions: Functions, shelf: Shelf, new_id: Callable[[], str]
) -> None:
    ids = [new_id() for _ in range(5)]
    for group_id in ids:
        assert notify(content_api, {"GroupId": group_id}).status_code == 200

    assert len(functions.events) == 1
    waiting = {entry.group_id for entry in shelf.index.due(FIRST, utc_now(), 1000)}
    assert set(ids) <= waiting


def test_a_replayed_notification_does_no_harm(
    content_api: Api, functions: Functions, shelf: Shelf, new_id: Callable[[], str]
) -> None:
    body = json.dumps({"GroupId": new_id()}).encode()
    headers = signed(body, age=3500)

    answers = [content_api("POST", PATH, data=body, headers=headers) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {200}
    assert len(functions.events) == 1


def test_a_notification_is_taken_where_no_run_can_be_started(
    content_api: Api, functions: Functions, shelf: Shelf, new_id: Callable[[], str]
) -> None:
    functions.down = True
    group_id = new_id()

    assert notify(content_api, {"GroupId": group_id}).status_code == 200
    entry = shelf.index.get(FIRST, group_id)
    assert entry is not None
    assert entry.refresh_requested_at is not None


def test_the_test_button_of_the_service_is_answered(content_api: Api, functions: Functions) -> None:
    answer = notify(content_api, {"test": True})

    assert (answer.status_code, answer.json(), functions.events) == (200, {"group_ids": []}, [])


@pytest.mark.parametrize(
    "forge",
    [
        lambda headers: headers.pop("X-Content-Signature"),
        lambda headers: headers.pop("X-Content-Timestamp"),
        lambda headers: headers.pop("X-Content-Nonce"),
        lambda headers: headers.update({"X-Content-Signature": "0" * 64}),
        lambda headers: headers.update({"X-Content-Nonce": "another1"}),
        lambda headers: headers.update(signed(b"{}", secret="another")),
        lambda headers: headers.update(signed(b'{"GroupId": "7001"} ')),
        lambda headers: headers.update(signed(b'{"GroupId": "7001"}', age=3700)),
        lambda headers: headers.update(signed(b'{"GroupId": "7001"}', age=-3700)),
    ],
)
def test_a_forged_or_stale_notification_is_refused_and_changes_nothing(
    content_api: Api, functions: Functions, shelf: Shelf, forge: Callable[[dict[str, str]], object]
) -> None:
    body = b'{"GroupId": "7001000"}'.replace(b"7001000", b"7001")
    headers = signed(body)
    forge(headers)

    answer = content_api("POST", PATH, data=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "sync.notification_refused")
    assert CALLBACK_SECRET not in answer.text
    assert functions.events == []


def test_without_a_callback_secret_no_notification_is_taken(api: Api) -> None:
    answer = notify(api, {"GroupId": "7001000"}, secret="")

    assert (answer.status_code, answer.json()["code"]) == (404, "sync.notifications_off")
