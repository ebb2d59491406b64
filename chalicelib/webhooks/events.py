"""An event as webhooks carry it: thin. It says what has changed and where to ask for the rest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_BODY_BYTES: Final = 20 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """`id` is the same however often it is told; `at` is RFC 3339. `data` holds ids, states, counts and paths
    of the API, and nothing that anybody would have to keep secret.
    """

    id: str
    type: str
    at: str
    data: Mapping[str, Any]

    @property
    def body(self) -> str:
        """What is sent, and signed (Standard Webhooks 1.0, Payload structure)."""
        return json.dumps(
            {"type": self.type, "timestamp": self.at, "data": dict(self.data)}, ensure_ascii=False
        )


def _of_task(item: Mapping[str, Any]) -> dict[str, Any]:
    account_name = item["submission"]["account_name"]
    return {"task_id": item["id"], "account_name": account_name, "url": f"/api/v1/tasks/{item['id']}"}


def _of_login(item: Mapping[str, Any]) -> dict[str, Any]:
    url = f"/api/v1/accounts/login/{item['id']}"
    return {"login_id": item["id"], "account_name": item["account_name"], "url": url}


def _of_account(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"account_name": item["name"], "url": f"/api/v1/accounts/{quote(item['name'])}"}


DESCRIPTIONS: Final[dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "task": _of_task,
    "login": _of_login,
    "account": _of_account,
}
"""What an event says of the item that owes it, by its source: what never changes of it."""


def event_of(source: str, item: Mapping[str, Any], entry: Mapping[str, Any]) -> Event:
    """The event that an entry of the item's outbox stands for."""
    data = {
        **DESCRIPTIONS[source](item),
        "state": entry["type"].partition(".")[2],
        "request_id": entry.get("request_id"),
    }
    return Event(entry["id"], entry["type"], entry["at"], data)
