"""Deliveries: one event for one endpoint, what is still to be done about it, and the log of what was.

One item each, whose key is the endpoint and the event's id: telling an event twice makes one delivery. What is
to be tried stands in a sparse index, one partition an endpoint, so that none stands in another's way. The log
is what is left: 30 days, then DynamoDB's TTL deletes it.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from chalicelib.clock import Clock, from_rfc3339, to_rfc3339, utc_now
from chalicelib.dynamodb import ConditionFailed, Table, Update, decode
from chalicelib.errors import DeliveryNotFound
from chalicelib.events import first_id
from chalicelib.webhooks.schedule import GIVE_UP_AFTER, MAX_TRIES, delay_after

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from chalicelib.webhooks.events import Event

KEPT: Final = timedelta(days=30)

# Of the tries, those of earlier series included: the item must not grow with each replay.
ATTEMPTS_KEPT: Final = 2 * MAX_TRIES

ID: Final = re.compile(r"evt_[0-9a-f]{32}")


class Status(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """`id` is the event's, which every try sends as `webhook-id`; `body` the very text that is sent. `tries`
    counts those since it was owed, or replayed. `attempts` has the last ones, oldest first: {"at",
    "status_code" or None, "duration_ms", "error" or None, "answer"}. `version` goes up with every write.
    """

    endpoint_id: str
    id: str
    type: str
    body: str
    status: Status
    created_at: str
    give_up_at: str
    ttl: int
    version: int = 1
    tries: int = 0
    attempts: tuple[dict[str, Any], ...] = ()
    due_at: str | None = None

    def is_due(self, now: datetime) -> bool:
        return self.due_at is not None and from_rfc3339(self.due_at) <= now


class DeliveryStore:
    """Raises DeliveryNotFound for an unknown id."""

    def __init__(self, client: DynamoDBClient, table: str, clock: Clock = utc_now) -> None:
        self._table = Table(client, table, "kind", "id")
        self._clock = clock

    def owe(self, endpoint_id: str, event: Event) -> bool:
        """A delivery of the event, due at once; False where there is one."""
        now = self._clock()
        item = {
            "kind": _kind(endpoint_id),
            "id": event.id,
            "endpoint_id": endpoint_id,
            "type": event.type,
            "body": event.body,
            "status": str(Status.PENDING),
            "created_at": to_rfc3339(now),
            "give_up_at": to_rfc3339(now + GIVE_UP_AFTER),
            "ttl": int((now + KEPT).timestamp()),
            "version": 1,
            "outbox": _outbox(endpoint_id),
            "due_at": to_rfc3339(now),
        }
        try:
            self._table.put_new(item)
        except ConditionFailed:
            return False
        return True

    def get(self, endpoint_id: str, delivery_id: str) -> Delivery:
        delivery = self.find(endpoint_id, delivery_id)
        if delivery is None:
            raise DeliveryNotFound(f"The webhook {endpoint_id} has no delivery {delivery_id!r}.")
        return delivery

    def find(self, endpoint_id: str, delivery_id: str) -> Delivery | None:
        item = self._table.get((_kind(endpoint_id), delivery_id))
        if item is None or item["ttl"] < self._clock().timestamp():  # TTL deletes late.
            return None
        return _delivery(item)

    def page(
        self, endpoint_id: str, limit: int, before: str | None = None
    ) -> tuple[list[Delivery], str | None]:
        """The newest deliveries, or those older than the id `before`; and the id after which the next page
        begins, None at the end.
        """
        # Ids sort by time: what is older than the log is kept is out of the range.
        oldest = first_id(self._clock() - KEPT)
        answer = self._table.client.query(
            TableName=self._table.name,
            KeyConditionExpression="kind = :kind AND id BETWEEN :oldest AND :newest",
            ExpressionAttributeValues={
                ":kind": {"S": _kind(endpoint_id)},
                ":oldest": {"S": oldest},
                ":newest": {"S": before or "evt_~"},
            },
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=limit + 2,  # BETWEEN includes its ends.
        )
        found = [_delivery(decode(item)) for item in answer["Items"]]
        fitting = [delivery for delivery in found if delivery.id != before]
        shown = fitting[:limit]
        return shown, shown[-1].id if len(fitting) > limit else None

    def due(self, endpoint_id: str, now: datetime) -> Iterator[str]:
        """Ids of the deliveries that are to be tried now, the longest overdue first."""
        pages = self._table.client.get_paginator("query").paginate(
            TableName=self._table.name,
            IndexName="due",
            KeyConditionExpression="outbox = :outbox AND due_at <= :now",
            ExpressionAttributeValues={
                ":outbox": {"S": _outbox(endpoint_id)},
                ":now": {"S": to_rfc3339(now)},
            },
        )
        for page in pages:
            for item in page["Items"]:
                yield item["id"]["S"]

    def delivered(self, delivery: Delivery, attempt: dict[str, Any]) -> None:
        self._log(delivery, attempt, Status.DELIVERED, None)

    def failed(self, delivery: Delivery, attempt: dict[str, Any], *, lasting: bool = False) -> None:
        """Notes a try that failed, and when the next one is due; none where the failure is `lasting`."""
        now = self._clock()
        pause = delay_after(delivery.tries + 1)
        over = lasting or pause is None or now >= from_rfc3339(delivery.give_up_at)
        due_at = None if over or pause is None else now + pause
        self._log(delivery, attempt, Status.FAILED if over else Status.PENDING, due_at)

    def give_up(self, delivery: Delivery) -> None:
        """Ends a delivery for which there was no time."""
        self._write(delivery, Update().set(status=str(Status.FAILED), outbox=None, due_at=None))

    def replay(self, endpoint_id: str, delivery_id: str) -> Delivery:
        """Makes a delivery due again, with all its tries before it."""
        now = self._clock()
        delivery = self.get(endpoint_id, delivery_id)
        update = Update().set(
            status=str(Status.PENDING),
            tries=0,
            outbox=_outbox(endpoint_id),
            due_at=to_rfc3339(now),
            give_up_at=to_rfc3339(now + GIVE_UP_AFTER),
        )
        try:
            return self._write(delivery, update)
        except ConditionFailed:
            return self.replay(endpoint_id, delivery_id)  # A try has ended in this moment.

    def _log(
        self, delivery: Delivery, attempt: dict[str, Any], status: Status, due_at: datetime | None
    ) -> None:
        """Where somebody has asked for a replay meanwhile, the try stands in no log, and the replay comes."""
        attempts = [*delivery.attempts, attempt][-ATTEMPTS_KEPT:]
        update = Update().set(
            status=str(status),
            tries=delivery.tries + 1,
            attempts=attempts,
            outbox=_outbox(delivery.endpoint_id) if due_at else None,
            due_at=to_rfc3339(due_at) if due_at else None,
        )
        with contextlib.suppress(ConditionFailed):
            self._write(delivery, update)

    def _write(self, delivery: Delivery, update: Update) -> Delivery:
        update.add("version", 1).when("version", "=", delivery.version)
        return _delivery(self._table.update((_kind(delivery.endpoint_id), delivery.id), update))


def _kind(endpoint_id: str) -> str:
    return f"delivery#{endpoint_id}"


def _outbox(endpoint_id: str) -> str:
    return f"due#{endpoint_id}"


def _delivery(item: dict[str, Any]) -> Delivery:
    known = {member.name: item[member.name] for member in fields(Delivery) if member.name in item}
    return Delivery(**{**known, "status": Status(item["status"]), "attempts": tuple(item.get("attempts", ()))})
