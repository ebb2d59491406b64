"""Events that an item owes to webhooks, stored with the very write that makes them true.

The item is its own outbox: `untold` lists what is still to be told, and stands in a sparse index until the
function `webhooks` has made deliveries of it. So no crash loses an event, and its id is the same however often
it is told. Nothing here ever fails a write, or holds one up: what cannot be asked is taken for a yes, and a
function that cannot be woken comes by itself within a minute.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.clock import to_rfc3339
from chalicelib.dynamodb import ConditionFailed, Update, decode, encode
from chalicelib.events import event_id
from chalicelib.trace import carried

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from chalicelib.dynamodb import Item, Table

logger = logging.getLogger(__name__)

INDEX: Final = "untold"
"""The sparse index that each table with an outbox has: hash key `teller`, range key `untold_since`."""

# An item that owes more than this is one that nobody tells of, for days: the oldest give way, so that it stays
# far below DynamoDB's 400 KB.
MAX_UNTOLD: Final = 200


@dataclass(frozen=True, slots=True)
class Outbox:
    """What a store owes its events with. `source` names the store's items to the function that tells them.

    `wanted` says whether anybody is to be told of anything; `ring` wakes the function for an item, by source
    and key. Left out, everything is owed, and the function finds it at its next tick.
    """

    source: str
    wanted: Callable[[], bool] = lambda: True
    ring: Callable[[str, str], None] = lambda *_: None

    def owe(self, update: Update, kind: str, at: datetime) -> None:
        """Makes the update owe an event of this kind."""
        if self.wanted():
            update.append("untold", _entry(kind, at)).set(teller=INDEX).default(untold_since=to_rfc3339(at))

    def owed_by_new(self, kind: str, at: datetime) -> Item:
        """The attributes that make a new item owe an event."""
        if not self.wanted():
            return {}
        return {"untold": [_entry(kind, at)], "teller": INDEX, "untold_since": to_rfc3339(at)}

    def written(self, table: Table, key: str, item: Item, update: Update | None = None) -> None:
        """To be called after a write, with the item as it is then. `update` is what was written, None where the
        item is new.
        """
        untold = item.get("untold")
        if not untold or (update is not None and not owes(update)):
            return
        self.ring(self.source, key)
        if len(untold) > MAX_UNTOLD:
            logger.error("an item owes too many events: the oldest give way", extra={"kind": self.source})
            try:
                forget(table, key, untold[: len(untold) - MAX_UNTOLD])
            except (BotoCoreError, ClientError):
                logger.warning("they stay for now", exc_info=True)


def owes(update: Update) -> bool:
    """Whether the update makes its item owe an event."""
    return "untold" in update.names.values()


def owing(table: Table) -> Iterator[str]:
    """Keys of the items that owe events, those that have longest first."""
    pages = table.client.get_paginator("query").paginate(
        TableName=table.name,
        IndexName=INDEX,
        KeyConditionExpression="teller = :teller",
        ExpressionAttributeValues={":teller": {"S": INDEX}},
    )
    for page in pages:
        for item in page["Items"]:
            yield str(decode(item)[table.key[0]])


def forget(table: Table, key: str, told: Sequence[dict[str, Any]]) -> bool:
    """Takes away the first events of an item, which are `told`; False where somebody has before."""
    some = Update()
    some.removals += [f"{some.name('untold')}[{place}]" for place in range(len(told))]
    some.conditions.append(f"{some.name('untold')}[0].{some.name('id')} = {some.value(told[0]['id'])}")
    some.conditions.append(f"size({some.name('untold')}) > {some.value(len(told))}")
    everything = Update().set(untold=None, teller=None, untold_since=None).when("untold", "=", list(told))
    for update in (everything, some):
        with contextlib.suppress(ConditionFailed):
            table.update(key, update)
            return True
    return False


def bury(table: Table, key: str, told: Sequence[dict[str, Any]], mark: str) -> None:
    """Deletes an item of which nothing is left but its events, which are told; one that has come back to life,
    with the attribute `mark`, stays.
    """
    try:
        table.client.delete_item(
            TableName=table.name,
            Key={table.key[0]: {"S": key}},
            ConditionExpression="attribute_not_exists(#mark) AND untold = :told",
            ExpressionAttributeNames={"#mark": mark},
            ExpressionAttributeValues=encode({":told": list(told)}),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise


def _entry(kind: str, at: datetime) -> dict[str, Any]:
    return {"id": event_id(at), "type": kind, "at": to_rfc3339(at), **carried()}
