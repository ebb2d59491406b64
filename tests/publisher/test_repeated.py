"""Lists of tasks, keys of idempotency and the guard against duplicates, through the command."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.publisher.conftest import Command

pytestmark = pytest.mark.system


@pytest.fixture
def name(log_in: Callable[[str], str]) -> str:
    return log_in(f"account-{uuid.uuid4().hex[:8]}")


def _publish(name: str, *arguments: str, video: str = "https://example.com/v.mp4") -> list[str]:
    return ["publish", video, "--account", name, "--title", "标题", "--json", *arguments]


def test_the_same_key_makes_one_task(publisher: Command, name: str) -> None:
    key = str(uuid.uuid4())
    first, again = (publisher(*_publish(name, "--idempotency-key", key)) for _ in range(2))
    assert (first.status, first.json) == (again.status, again.json) == (0, first.json)
    other = publisher(*_publish(name, "--tag", "b", "--idempotency-key", key))
    assert (other.status, other.json["error"]["code"]) == (1, "idempotency.key_reused")


def test_the_same_work_twice_needs_a_word(publisher: Command, name: str) -> None:
    first = publisher(*_publish(name))
    again = publisher(*_publish(name))
    assert (again.status, again.json["error"]["existing_task_id"]) == (1, first.json["id"])
    assert publisher(*_publish(name, "--allow-duplicate")).status == 0


def test_tasks_are_listed_by_account_state_and_time(publisher: Command, name: str) -> None:
    ids = [
        publisher(*_publish(name, video=f"https://example.com/{number}.mp4")).json["id"] for number in range(3)
    ]
    publisher("tasks", "cancel", ids[0])
    listed = publisher("tasks", "list", "--account", name, "--limit", "2", "--json").json
    assert [task["id"] for task in listed["data"]] == [ids[2], ids[1]]
    rest = publisher("tasks", "list", "--account", name, "--cursor", listed["next_cursor"], "--json").json
    assert [task["id"] for task in rest["data"]] == [ids[0]]
    everything = publisher("tasks", "list", "--account", name, "--all").out.splitlines()
    assert [line.split("\t")[0] for line in everything] == ids[::-1]
    canceled = publisher("tasks", "list", "--account", name, "--state", "canceled", "--json").json
    assert [task["id"] for task in canceled["data"]] == [ids[0]]
    none = publisher(
        "tasks", "list", "--account", name, "--created-from", "2099-01-01T00:00:00+08:00", "--json"
    )
    assert none.json["data"] == []
    assert publisher("tasks", "list", "--status", "nonsense").status == 1
