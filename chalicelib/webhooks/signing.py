"""The headers of a try (Standard Webhooks 1.0)."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from standardwebhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


def headers(message_id: str, body: str, secrets: Iterable[str], now: datetime) -> dict[str, str]:
    """The headers of a try at `now`; a signature a secret, in their order."""
    # The library takes whatever zone it is given for UTC.
    at = now.astimezone(UTC)
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, at, body) for secret in secrets),
    }
