"""From what items owe to deliveries: one for each endpoint that wants the event."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.outbox import bury, forget, owing
from chalicelib.webhooks.events import event_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.dynamodb import Table
    from chalicelib.webhooks.deliveries import DeliveryStore
    from chalicelib.webhooks.endpoints import EndpointStore
    from chalicelib.webhooks.events import Event

logger = logging.getLogger(__name__)

Fresh = defaultdict[str, list[str]]
"""Ids of new deliveries, by endpoint: an index may not show them yet."""

# Whoever else tells the same item, or adds to it, does so seldom.
_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Audience:
    """All endpoints: whoever may want to be told."""

    endpoints: EndpointStore
    deliveries: DeliveryStore

    def tell(self, event: Event, *, but: str | None = None) -> list[str]:
        """Makes a delivery for every endpoint that wants the event, `but` one; the ids of those that had none
        yet. Telling it again changes nothing.
        """
        return [
            endpoint.id
            for endpoint in self.endpoints.list()
            if endpoint.id != but and endpoint.wants(event.type) and self.deliveries.owe(endpoint.id, event)
        ]


@dataclass(frozen=True, slots=True)
class Relay:
    """`tables` are those with an outbox, by the source that their items name; `alive` names for a source the
    attribute that an item has unless it was deleted and stays for its last events alone.
    """

    tables: Mapping[str, Table]
    audience: Audience
    alive: Mapping[str, str]

    def sweep(self) -> None:
        """Tells whatever is owed. What cannot be told or asked, an item or a table, hides no other."""
        for source, table in self.tables.items():
            try:
                for key in owing(table):
                    self._guarded(source, key)
            except (BotoCoreError, ClientError):
                logger.exception("nobody says which items owe events", extra={"kind": source})

    def _guarded(self, source: str, key: str) -> None:
        try:
            self.relay(source, key)
        except Exception:
            logger.exception("what an item owes could not be told", extra={"kind": source})

    def relay(self, source: str, key: str) -> Fresh:
        """Tells what one item owes, in its order, and then takes it off the item: a crash in between tells it
        again, by the same ids. Returns the deliveries that came of it.
        """
        table, fresh = self.tables[source], Fresh(list)
        for _ in range(_ROUNDS):
            item = table.get(key)
            entries = (item or {}).get("untold")
            if not item or not entries:
                break
            for entry in entries:
                event = event_of(source, item, entry)
                for endpoint_id in self.audience.tell(event):
                    fresh[endpoint_id].append(event.id)
            mark = self.alive.get(source)
            if mark is not None and mark not in item:
                bury(table, key, entries, mark)
            else:
                forget(table, key, entries)
        return fresh
