"""What happens here that somebody outside wants to know, as events on EventBridge.

An event is owed from the write that makes it true: it is stored with that very write and stays there until the
bus has taken it. So none is lost; one may come twice, after a crash in between, and then has the same id.
"""

from __future__ import annotations

import json
import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from chalicelib.clock import from_rfc3339
from chalicelib.errors import EventNotTaken
from chalicelib.trace import carried

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

SOURCE = "social-publisher"
ACCOUNT_EXPIRED = "Account expired"
SYNC_BEHIND = "Sync behind"
SYNC_RECOVERED = "Sync recovered"
WEBHOOK_DISABLED = "Webhook disabled"

# As webhooks call what no table of states tells of (chalicelib/webhooks/registry.py).
BEHIND = "sync.behind"
RECOVERED = "sync.recovered"
ARTICLES_CHANGED = "articles.changed"


def event_id(at: datetime, *seed: object) -> str:
    """`evt_` and 32 hexadecimal digits: the milliseconds since 1970, so that ids sort by time, and then a
    random number; the same one for the same seed, where one is given.
    """
    tail = sha256(repr(seed).encode()).hexdigest()[:20] if seed else secrets.token_hex(10)
    return f"{first_id(at)}{tail}"


def first_id(at: datetime) -> str:
    """What every id of this millisecond begins with."""
    return f"evt_{int(at.timestamp() * 1000):012x}"


def event(named: str, kind: str, at: str, **detail: Any) -> dict[str, Any]:
    """An event as it is stored until it is sent. `at` is RFC 3339; `detail` is JSON-safe, without secrets. It
    names the request that has caused it, where one has.
    """
    return {"kind": kind, "detail": {"id": named, "at": at, **carried(), **detail}}


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
