"""What happens here that somebody outside wants to know, as events on EventBridge.

An event is owed from the write that makes it true: it is stored with that very write and stays there until the
bus has taken it. So none is lost; one may come twice, after a crash in between, and then has the same id.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from chalicelib.clock import from_rfc3339
from chalicelib.errors import EventNotTaken

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCE = "social-publisher"
ACCOUNT_EXPIRED = "Account expired"
SYNC_BEHIND = "Sync behind"
SYNC_RECOVERED = "Sync recovered"
WEBHOOK_DISABLED = "Webhook disabled"

# As webhooks call what no table of states tells of (chalicelib/webhooks/registry.py).
BEHIND = "sync.behind"
RECOVERED = "sync.recovered"
ARTICLES_CHANGED = "articles.changed"


def event(event_id: str, kind: str, at: str, **detail: Any) -> dict[str, Any]:
    """An event as it is stored until it is sent. `at` is RFC 3339; `detail` is JSON-safe, without secrets."""
    return {"kind": kind, "detail": {"id": event_id, "at": at, **detail}}


def emit(eventbridge: Any, bus: str, events: Sequence[dict[str, Any]]) -> None:
    """Puts the events on the bus. EventNotTaken where it did not take each of them.

    `eventbridge` is a boto3 client.
    """
    for owed in events:
        answer = eventbridge.put_events(
            Entries=[
                {
                    "Source": SOURCE,
                    "DetailType": owed["kind"],
                    "Detail": json.dumps(owed["detail"], ensure_ascii=False),
                    "Time": from_rfc3339(owed["detail"]["at"]),
                    "EventBusName": bus,
                }
            ]
        )
        if answer["FailedEntryCount"]:
            entry = answer["Entries"][0]
            raise EventNotTaken(f"{entry.get('ErrorCode')}: {entry.get('ErrorMessage')}")
