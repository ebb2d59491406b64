"""Lists of tasks: newest first, complete and stable, whatever happens to the tasks meanwhile."""

from __future__ import annotations

import base64
import random
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.clock import to_rfc3339
from chalicelib.publishing.listing import TaskList
from chalicelib.publishing.states import State
from chalicelib.publishing.store import TaskStore
from chalicelib.publishing.task import Submission, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Api, Cloud

pytestmark = pytest.mark.system

START = datetime(2026, 11, 1, tzinfo=UTC)
ACCOUNTS = ("first", "second", "第三")
COUNT = 60


@pytest.fixture
def store(cloud: Cloud, new_table: Callable[[str], str]) -> TaskStore:
    return TaskStore(cloud.client("dynamodb"), new_table("TASKS_TABLE"))


@pytest.fixture
def tasks(store: TaskStore) -> list[Task]:
    """Tasks of three accounts in every state, several of an instant; stored in no order."""
    order = random.Random(6)
    states = list(State)
    made = []
    for number in range(COUNT):
        at = to_rfc3339(START + timedelta(minutes=number // 3))
        submission = Submission("https://example.com/v.mp4", f"Title {number}", ACCOUNTS[number % 3])
        state = states[order.randrange(len(states))]
        made.append(Task(str(uuid.UUID(int=order.getrandbits(128))), state, submission, at, at))
    for task in order.sample(made, COUNT):
        store.create(task)
    return sorted(made, key=lambda task: (task.created_at, task.id), reverse=True)


@pytest.fixture
def listing(cloud: Cloud, store: TaskStore) -> TaskList:
    return TaskList(cloud.client("dynamodb"), store._table.name)


def walk(listing: TaskList, limit: int, **filters: Any) -> list[str]:
    """The ids of every page."""
    ids: list[str] = []
    after = None
    while True:
        entries, after = listing.page(after=after, limit=limit, **filters)
        assert len(entries) <= limit
        ids += [entry.id for entry in entries]
        if after is None:
            return ids


@pytest.mark.parametrize("limit", [1, 7, 20, 100])
@pytest.mark.parametrize("account_name", [None, "第三", "nobody"])
@pytest.mark.parametrize(
    "states", [tuple(State), (State.QUEUED,), (State.FAILED, State.CANCELED, State.RUNNING), ()]
)
def test_the_pages_are_the_whole_list_newest_first(
    listing: TaskList, tasks: list[Task], limit: int, account_name: str | None, states: tuple[State, ...]
) -> None:
    wanted = [
        task.id
        for task in tasks
        if account_name in (None, task.submission.account_name) and task.state in states
    ]

    assert walk(listing, limit, account_name=account_name, states=states) == wanted


@pytest.mark.parametrize("states", [tuple(State), (State.QUEUED, State.FAILED)])
@pytest.mark.parametrize("account_name", [None, "first"])
def test_a_list_can_be_of_some_time(
    listing: TaskList, tasks: list[Task], states: tuple[State, ...], account_name: str | None
) -> None:
    since, until = START + timedelta(minutes=5), START + timedelta(minutes=12)
    wanted = [
        task.id
        for task in tasks
        if to_rfc3339(since) <= task.created_at < to_rfc3339(until)
        and account_name in (None, task.submission.account_name)
        and task.state in states
    ]

    filters = {"states": states, "account_name": account_name, "created_from": since, "created_to": until}
    assert walk(listing, 4, **filters) == wanted


def test_tasks_that_come_while_one_reads_move_nothing(
    listing: TaskList, tasks: list[Task], store: TaskStore
) -> None:
    first, after = listing.page(limit=20)
    for number in range(5):
        at = to_rfc3339(START + timedelta(days=1))
        store.create(replace(tasks[number], id=str(uuid.uuid4()), created_at=at))

    rest = []
    while after:
        entries, after = listing.page(limit=20, after=after)
        rest += entries

    assert [entry.id for entry in (*first, *rest)] == [task.id for task in tasks]


def test_an_account_with_few_tasks_in_a_state_is_read_in_bounded_pages(
    listing: TaskList, store: TaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.publishing.listing._FILTERED_ENTRIES", 5)
    made = [
        Task(
            str(uuid.uuid4()),
            State.FAILED if number == 0 else State.PUBLISHED,
            Submission("https://example.com/v.mp4", "Title", "first"),
            to_rfc3339(START + timedelta(minutes=number)),
            to_rfc3339(START),
        )
        for number in range(45)
    ]
    for task in made:
        store.create(task)

    pages, after = [], None
    while True:
        entries, after = listing.page(account_name="first", states=(State.FAILED,), after=after)
        pages.append([entry.id for entry in entries])
        if after is None:
            break

    assert pages == [[], [], [made[0].id]]


def walk_http(api: Api, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = api.get("/api/v1/tasks", params=query)
        assert answer.status_code == 200, answer.text
        found += answer.json()["data"]
        query["cursor"] = answer.json()["next_cursor"]
        if query["cursor"] is None:
            return found


def test_a_list_shows_each_task_in_short(api: Api, body: dict[str, Any]) -> None:
    ids = [
        api.post("/api/v1/publish", {**body, "title": f"Title {number}"}).json()["id"] for number in range(5)
    ]
    api.post(f"/api/v1/tasks/{ids[1]}/cancel").raise_for_status()
    account = body["account_name"]

    shown = walk_http(api, account_name=account, limit=2)

    assert [task["id"] for task in shown] == ids[::-1]
    assert set(shown[0]) == {
        *("id", "status", "state", "account_name", "title", "created_at", "publish_at", "result", "error")
    }
    assert (shown[0]["title"], shown[0]["status"]) == ("Title 4", "pending")
    assert shown[3]["error"]["code"] == "publish.canceled"
    failed = walk_http(api, account_name=account, status="failed")
    assert [task["id"] for task in failed] == [ids[1]]
    assert walk_http(api, account_name=account, status="failed", state="queued") == []
    assert ids[1] in [task["id"] for task in walk_http(api, state="canceled", limit=100)]
    assert set(ids) <= {task["id"] for task in walk_http(api, limit=100)}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"limit": "0"}, "/limit"),
        ({"limit": "101"}, "/limit"),
        ({"state": "gone"}, "/state"),
        ({"status": "queued"}, "/status"),
        ({"created_from": "2026-01-01T00:00:00"}, "/created_from"),
        ({"colour": "red"}, "/colour"),
        ({"cursor": "x"}, "/cursor"),
        ({"cursor": "é"}, "/cursor"),
        ({"cursor": ""}, "/cursor"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_and_says_where(
    api: Api, query: dict[str, str], pointer: str
) -> None:
    answer = api.get("/api/v1/tasks", params=query)

    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_cursor_belongs_to_its_list_and_cannot_be_made_up(api: Api, body: dict[str, Any]) -> None:
    for number in range(3):
        api.post("/api/v1/publish", {**body, "title": f"Title {number}"}).raise_for_status()
    query = {"account_name": body["account_name"], "limit": 1}
    cursor = api.get("/api/v1/tasks", params=query).json()["next_cursor"]

    def status(**changes: Any) -> int:
        return api.get("/api/v1/tasks", params={**query, "cursor": cursor, **changes}).status_code

    assert status() == status(limit=2) == 200
    assert status(account_name="other") == status(status="failed") == 422
    text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    for forged in (text[:-1], text[:32], text[:32] + "2026-01-01T00:00:00.000Z#x", "0" * 32 + text[32:]):
        assert status(cursor=base64.urlsafe_b64encode(forged.encode()).decode().rstrip("=")) == 422
