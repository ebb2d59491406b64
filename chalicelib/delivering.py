"""The function that tells webhooks, and sends. The one of the zip that may open a seal, and only theirs: so it
stands apart from the other jobs.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from chalice.app import Blueprint

from chalicelib import aws
from chalicelib.logs import invocation
from chalicelib.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chalice.app import CloudWatchEvent

    from chalicelib.sealing import Purpose
    from chalicelib.webhooks.events import Event

delivering = Blueprint(__name__)


@delivering.schedule("rate(1 minute)", name="webhooks")
def webhooks(event: CloudWatchEvent) -> dict[str, Any]:
    """Makes deliveries of what items owe, and sends what is due.

    The detail of the event may name one item by `source` and `key`, or one delivery by `webhook` and
    `delivery`: whoever wrote it rang. For an item, only endpoints are asked that have answered lately. At a
    tick, whatever was left.
    """
    with invocation(event.context):
        return {"tries": _tell_and_send(event.detail, event.context)}


def _tell_and_send(detail: Mapping[str, Any], context: Any) -> int:
    from chalicelib.accounts.store import ALIVE
    from chalicelib.dynamodb import Table
    from chalicelib.events import WEBHOOK_DISABLED, emit
    from chalicelib.events import event as owed
    from chalicelib.webhooks.courier import Courier
    from chalicelib.webhooks.deliveries import DeliveryStore
    from chalicelib.webhooks.endpoints import EndpointStore
    from chalicelib.webhooks.relay import Audience, Relay

    dynamodb = aws.dynamodb()
    endpoints = EndpointStore(dynamodb, settings.webhooks_table)
    deliveries = DeliveryStore(dynamodb, settings.webhooks_table)
    audience = Audience(endpoints, deliveries)
    tables = {
        "task": Table(dynamodb, settings.tasks_table, "id"),
        "login": Table(dynamodb, settings.logins_table, "id"),
        "account": Table(dynamodb, settings.accounts_table, "name"),
    }
    relay = Relay(tables, audience, {"account": ALIVE})

    def tell_disabled(what: Event) -> None:
        audience.tell(what, but=what.data["webhook_id"])
        facts = {name: value for name, value in what.data.items() if name != "url"}
        emit(aws.events(), settings.event_bus, [owed(what.id, WEBHOOK_DISABLED, what.at, **facts)])

    courier = Courier(
        endpoints,
        deliveries,
        _unseal(),
        tell_disabled,
        loopback=settings.webhook_loopback,
    )
    fresh: Mapping[str, Sequence[str]] = {}
    match detail:
        case {"source": source, "key": key}:
            fresh = relay.relay(source, key)
        case {"webhook": webhook, "delivery": delivery}:
            fresh = {webhook: [delivery]}
        case _:
            relay.sweep()
    return courier.round(
        lambda: context.get_remaining_time_in_millis() / 1000, tick="source" not in detail, fresh=fresh
    )


@cache
def _unseal() -> Callable[[str, Purpose, str], str]:
    """Remembers what it has opened: a call of KMS costs as much as the rest of a delivery."""
    from chalicelib.unsealing import Unsealer

    return lru_cache(maxsize=64)(Unsealer(aws.kms(), settings.session_key_id).open)
