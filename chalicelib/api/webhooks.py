"""Webhooks: who is told of what, the log of what was sent, a test and replays."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.api import wiring
from chalicelib.api.cursors import decode_cursor, encode_cursor
from chalicelib.api.edge import PathParameter, Routes, id_of, respond
from chalicelib.api.webhook_models import (
    DeletedWebhook,
    DeliveriesQuery,
    DeliveryAnswer,
    DeliveryAttempt,
    DeliveryList,
    RotationRequest,
    WebhookAnswer,
    WebhookDisabling,
    WebhookList,
    WebhookPatch,
    WebhookRequest,
    WebhookWithSecret,
)
from chalicelib.errors import (
    DeliveryNotFound,
    TooManyWebhooks,
    ValidationFailed,
    WebhookDisabled,
    WebhookNotFound,
)
from chalicelib.keys.scopes import Scope
from chalicelib.webhooks.deliveries import ID

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.webhooks.deliveries import Delivery
    from chalicelib.webhooks.endpoints import Endpoint

routes = Routes(__name__, "webhooks")

WEBHOOK_ID = PathParameter(
    "webhook_id", "The id of a webhook.", "0a4f1d5e-8f0b-4c3e-9a46-0f4c1f3a2b77", id_of(WebhookNotFound)
)


def _check_delivery_id(value: str) -> None:
    if not ID.fullmatch(value):
        raise DeliveryNotFound(f"{value[:64]!r} is no id of an event.")


DELIVERY_ID = PathParameter(
    "delivery_id",
    "The id of the event, as every try sends it: `webhook-id`.",
    "evt_019aa5b21c3f5d0e7a4c9b1f2e6d8a70",
    _check_delivery_id,
)


@routes.operation(
    "POST",
    "/api/v1/webhooks",
    scope=Scope.WEBHOOKS_WRITE,
    request=WebhookRequest,
    shown_once=True,
    answer=WebhookWithSecret,
    errors=(ValidationFailed, TooManyWebhooks),
    statuses={201: "Created: keep the secret, it is not shown again"},
    again="Makes another webhook.",
    headers={201: ("Location",)},
)
def create_webhook(body: WebhookRequest) -> Response:
    """Have a URL told of what happens.

    Each event is one POST, signed as Standard Webhooks 1.0 says. Whatever happens from now on is told.
    """
    desk = wiring.webhook_desk()
    endpoint, secret = desk.create(body.url, tuple(body.events), body.description)
    headers = {"Location": f"/api/v1/webhooks/{endpoint.id}"}
    return respond(WebhookWithSecret(**_shown(endpoint), secret=secret), status=201, headers=headers)


@routes.operation("GET", "/api/v1/webhooks", scope=Scope.WEBHOOKS_READ, answer=WebhookList)
def list_webhooks() -> WebhookList:
    """List all webhooks."""
    return WebhookList(data=[_answer(endpoint) for endpoint in wiring.webhook_desk().endpoints.list()])


@routes.operation(
    "GET",
    "/api/v1/webhooks/{webhook_id}",
    scope=Scope.WEBHOOKS_READ,
    answer=WebhookAnswer,
    errors=(WebhookNotFound,),
    parameters=(WEBHOOK_ID,),
)
def get_webhook(webhook_id: str) -> WebhookAnswer:
    """See one webhook: whether it is enabled, and how it answered lately."""
    return _answer(wiring.webhook_desk().endpoints.get(webhook_id))


@routes.operation(
    "PATCH",
    "/api/v1/webhooks/{webhook_id}",
    scope=Scope.WEBHOOKS_WRITE,
    request=WebhookPatch,
    answer=WebhookAnswer,
    errors=(ValidationFailed, WebhookNotFound),
    parameters=(WEBHOOK_ID,),
    again="Changes nothing more.",
)
def patch_webhook(body: WebhookPatch, webhook_id: str) -> WebhookAnswer:
    """Change a webhook, or enable or disable it.

    While it is disabled nothing is kept for it; what was owed to it before goes on once it is enabled.
    """
    changes: dict[str, Any] = body.model_dump(exclude_none=True)
    return _answer(wiring.webhook_desk().endpoints.change(webhook_id, **changes))


@routes.operation(
    "DELETE",
    "/api/v1/webhooks/{webhook_id}",
    scope=Scope.WEBHOOKS_WRITE,
    answer=DeletedWebhook,
    errors=(WebhookNotFound,),
    parameters=(WEBHOOK_ID,),
    again="404 `webhook.not_found`: it is gone.",
)
def delete_webhook(webhook_id: str) -> DeletedWebhook:
    """Remove a webhook, with its secret. What was owed to it is not sent any more."""
    wiring.webhook_desk().endpoints.delete(webhook_id)
    return DeletedWebhook(id=webhook_id)


@routes.operation(
    "POST",
    "/api/v1/webhooks/{webhook_id}/rotate-secret",
    scope=Scope.WEBHOOKS_WRITE,
    request=RotationRequest,
    body_optional=True,
    shown_once=True,
    answer=WebhookWithSecret,
    errors=(ValidationFailed, WebhookNotFound),
    parameters=(WEBHOOK_ID,),
    again="Makes yet another secret.",
)
def rotate_webhook_secret(body: RotationRequest, webhook_id: str) -> WebhookWithSecret:
    """Get a new secret for a webhook.

    For `overlap_hours` each message has two signatures, by the new and the old one: a receiver that knows
    either goes on. With 0 the old ones sign nothing any more.
    """
    endpoint, secret = wiring.webhook_desk().rotate(webhook_id, timedelta(hours=body.overlap_hours))
    return WebhookWithSecret(**_shown(endpoint), secret=secret)


@routes.operation(
    "POST",
    "/api/v1/webhooks/{webhook_id}/test",
    scope=Scope.WEBHOOKS_WRITE,
    answer=DeliveryAnswer,
    errors=(WebhookNotFound, WebhookDisabled),
    parameters=(WEBHOOK_ID,),
    statuses={202: "It is sent within seconds: look at the deliveries"},
    again="Sends another test.",
    headers={202: ("Location",)},
)
def test_webhook(webhook_id: str) -> Response:
    """Have an event of the type `webhook.test` sent to a webhook, whatever types it asks for."""
    return respond(_delivery(wiring.webhook_desk().test(webhook_id)), status=202, headers=_log_of(webhook_id))


@routes.operation(
    "GET",
    "/api/v1/webhooks/{webhook_id}/deliveries",
    scope=Scope.WEBHOOKS_READ,
    query=DeliveriesQuery,
    answer=DeliveryList,
    errors=(WebhookNotFound,),
    parameters=(WEBHOOK_ID,),
)
def list_deliveries(query: DeliveriesQuery, webhook_id: str) -> DeliveryList:
    """List what was sent to a webhook, or is still to be, the newest first; the last 30 days."""
    desk = wiring.webhook_desk()
    desk.endpoints.get(webhook_id)
    filters = {"webhook_id": webhook_id}
    before = None
    if query.cursor is not None:
        before = decode_cursor(query.cursor, filters, wiring.signer())
    deliveries, following = desk.deliveries.page(webhook_id, query.limit, before)
    return DeliveryList(
        data=[_delivery(delivery) for delivery in deliveries],
        next_cursor=encode_cursor(following, filters, wiring.signer()) if following else None,
    )


@routes.operation(
    "POST",
    "/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
    scope=Scope.WEBHOOKS_WRITE,
    answer=DeliveryAnswer,
    errors=(WebhookNotFound, DeliveryNotFound, WebhookDisabled),
    parameters=(WEBHOOK_ID, DELIVERY_ID),
    statuses={202: "It is sent within seconds: look at the deliveries"},
    again="Sends it once more.",
    headers={202: ("Location",)},
)
def replay_delivery(webhook_id: str, delivery_id: str) -> Response:
    """Have an event sent again: the same words, by the same `webhook-id`."""
    delivery = wiring.webhook_desk().replay(webhook_id, delivery_id)
    return respond(_delivery(delivery), status=202, headers=_log_of(webhook_id))


def _log_of(webhook_id: str) -> dict[str, str]:
    return {"Location": f"/api/v1/webhooks/{webhook_id}/deliveries"}


def _answer(endpoint: Endpoint) -> WebhookAnswer:
    return WebhookAnswer(**_shown(endpoint))


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "description": endpoint.description,
        "enabled": endpoint.enabled,
        "created_at": endpoint.created_at,
        "updated_at": endpoint.updated_at,
        "disabled": WebhookDisabling(**endpoint.disabled) if endpoint.disabled else None,
        "failing_since": endpoint.failing_since,
        "failures": endpoint.failures,
        "last_success_at": endpoint.last_success_at,
        "last_failure_at": endpoint.last_failure_at,
        "old_secrets_end_at": [secret.ends_at for secret in endpoint.secrets if secret.ends_at],
    }


def _delivery(delivery: Delivery) -> DeliveryAnswer:
    return DeliveryAnswer(
        id=delivery.id,
        type=delivery.type,
        status=delivery.status,
        tries=delivery.tries,
        created_at=delivery.created_at,
        next_try_at=delivery.due_at,
        attempts=[DeliveryAttempt(**attempt) for attempt in delivery.attempts],
        payload=delivery.body,
    )
