"""Lists of tasks, the newest first. Three indexes hold what a list shows, and nothing that changes with every
write of a worker; a page reads a bounded part of one of them, whatever there is.

| filter | index | read for a page |
|---|---|---|
| none | `by_created`, all tasks in one partition | a page |
| account, with or without a state | `by_account` | a page; with a state 2,000 entries at most |
| state or status | `by_state` | a page of each state that is shown with the status |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.clock import to_rfc3339
from chalicelib.dynamodb import decode, encode
from chalicelib.publishing.states import State

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from chalicelib.dynamodb import Item
    from chalicelib.publishing.task import Task

# The value of `by_created`'s hash key. One partition takes 1,000 writes a second, as that of `due`.
_LISTED = "task"

# How much is read for a page of an account's tasks in some states.
_FILTERED_QUERIES = 4
_FILTERED_ENTRIES = 500


def listed(task: Task) -> dict[str, str]:
    """The attributes by which a new task stands in the lists."""
    return {
        "listed": _LISTED,
        "created": f"{task.created_at}#{task.id}",
        "account_name": task.submission.account_name,
        "title": task.submission.title,
    }


@dataclass(frozen=True, slots=True)
class Entry:
    """What a list shows of a task. `created` is its place: no two tasks share one, and none ever moves."""

    id: str
    created: str
    created_at: str
    account_name: str
    title: str
    state: State
    publish_at: str | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    @classmethod
    def from_item(cls, item: Item) -> Entry:
        known = {name: item[name] for name in cls.__slots__ if name in item}
        return cls(**{**known, "state": State(item["state"])})


class TaskList:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def page(
        self,
        *,
        account_name: str | None = None,
        states: Collection[State] = tuple(State),
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> tuple[list[Entry], str | None]:
        """A page, and where the next one starts; None at the end. `created_from` is included, `created_to` is
        not. `after` is what the last page returned.

        Where both an account and states are given, a page may be short, or even empty, and have a next one. A
        write of the last moment may not show yet.
        """
        lower = to_rfc3339(created_from) if created_from else ""
        # Of an instant's tasks every one sorts behind the instant itself.
        upper = min(after or "~", to_rfc3339(created_to) if created_to else "~")
        if not states:
            return [], None
        if account_name is not None:
            return self._of_account(account_name, states, lower, upper, limit)
        if len(states) == len(State):
            found, more = self._read("by_created", "listed", _LISTED, lower, upper, limit)
            return found, found[-1].created if found and more else None
        return self._of_states(states, lower, upper, limit)

    def _of_states(
        self, states: Collection[State], lower: str, upper: str, limit: int
    ) -> tuple[list[Entry], str | None]:
        merged: list[Entry] = []
        # What was not read of a state lies before its last entry: nothing older can be shown yet.
        oldest = ""
        for state in states:
            part, more = self._read("by_state", "state", str(state), lower, upper, limit)
            merged += part
            if part and more:
                oldest = max(oldest, part[-1].created)
        merged.sort(key=lambda entry: entry.created, reverse=True)
        found = [entry for entry in merged if entry.created >= oldest][:limit]
        return found, found[-1].created if oldest or len(merged) > len(found) else None

    def _of_account(
        self, account_name: str, states: Collection[State], lower: str, upper: str, limit: int
    ) -> tuple[list[Entry], str | None]:
        if len(states) == len(State):
            found, more = self._read("by_account", "account_name", account_name, lower, upper, limit)
            return found, found[-1].created if found and more else None
        found = []
        for _ in range(_FILTERED_QUERIES):
            part, more = self._read("by_account", "account_name", account_name, lower, upper, _FILTERED_ENTRIES)
            found += [entry for entry in part if entry.state in states]
            if len(found) > limit:
                return found[:limit], found[limit - 1].created
            if not more:
                return found, None
            upper = part[-1].created
        return found, upper

    def _read(
        self, index: str, key: str, value: str, lower: str, upper: str, limit: int
    ) -> tuple[list[Entry], bool]:
        """At most `limit` entries before `upper`, and whether there may be more. DynamoDB ends an answer at
        1 MB, too.
        """
        answer = self._client.query(
            TableName=self._table,
            IndexName=index,
            KeyConditionExpression="#key = :key AND created < :upper",
            ExpressionAttributeNames={"#key": key},
            ExpressionAttributeValues=encode({":key": value, ":upper": upper}),
            ScanIndexForward=False,
            Limit=limit,
        )
        entries = [Entry.from_item(decode(item)) for item in answer["Items"]]
        found = [entry for entry in entries if entry.created >= lower]
        return found, "LastEvaluatedKey" in answer and len(found) == len(entries)
