"""What an owner does with webhooks. Secrets are sealed here, and opened only where they sign."""

from __future__ import annotations

import base64
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chalicelib.clock import Clock, to_rfc3339, utc_now
from chalicelib.errors import WebhookDisabled
from chalicelib.events import event_id
from chalicelib.trace import request_id
from chalicelib.webhooks.endpoints import OVERLAP
from chalicelib.webhooks.events import Event
from chalicelib.webhooks.registry import TEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from chalicelib.sealing import Sealer
    from chalicelib.webhooks.deliveries import Delivery, DeliveryStore
    from chalicelib.webhooks.endpoints import Endpoint, EndpointStore


# Standard Webhooks 1.0 asks for 24 to 64.
_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """`whsec_` and the base64 of random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


@dataclass(frozen=True, slots=True)
class WebhookDesk:
    """The use cases of webhooks, over the stores that they need. `ring` wakes the sender for a delivery, by
    its endpoint's id and its own. WebhookNotFound for an unknown id.
    """

    endpoints: EndpointStore
    deliveries: DeliveryStore
    sealer: Sealer
    ring: Callable[[str, str], None]
    clock: Clock = utc_now

    def create(self, url: str, events: tuple[str, ...], description: str) -> tuple[Endpoint, str]:
        """A new endpoint, and its secret, which is not shown again. TooManyWebhooks."""
        endpoint_id, secret = str(uuid.uuid4()), new_secret()
        sealed = self.sealer.seal(secret, "webhook", endpoint_id)
        return self.endpoints.create(endpoint_id, url, events, description, sealed), secret

    def rotate(self, endpoint_id: str, overlap: timedelta = OVERLAP) -> tuple[Endpoint, str]:
        """A new secret, which signs from now on; the old one beside it until `overlap` is over."""
        self.endpoints.get(endpoint_id)
        secret = new_secret()
        sealed = self.sealer.seal(secret, "webhook", endpoint_id)
        return self.endpoints.rotate(endpoint_id, sealed, overlap), secret

    def test(self, endpoint_id: str) -> Delivery:
        """Has an event of the type `webhook.test` sent to this endpoint, whatever it wants. WebhookDisabled."""
        self._enabled(endpoint_id)
        now = self.clock()
        data = {
            "webhook_id": endpoint_id,
            "url": f"/api/v1/webhooks/{endpoint_id}",
            "request_id": request_id(),
        }
        event = Event(event_id(now), TEST, to_rfc3339(now), data)
        self.deliveries.owe(endpoint_id, event)
        self.ring(endpoint_id, event.id)
        return self.deliveries.get(endpoint_id, event.id)

    def replay(self, endpoint_id: str, delivery_id: str) -> Delivery:
        """Has a delivery sent again, the same words by the same id. DeliveryNotFound, WebhookDisabled."""
        self._enabled(endpoint_id)
        delivery = self.deliveries.replay(endpoint_id, delivery_id)
        self.ring(endpoint_id, delivery_id)
        return delivery

    def _enabled(self, endpoint_id: str) -> None:
        if not self.endpoints.get(endpoint_id).enabled:
            raise WebhookDisabled(f"The webhook {endpoint_id} is disabled, so nothing is sent to it.")
