"""The outboxes of a process: whether anybody is to be told, and the bell of whoever tells it."""

from __future__ import annotations

import json
import logging
import time
import uuid
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import aws
from chalicelib.clock import to_rfc3339, utc_now
from chalicelib.outbox import Outbox
from chalicelib.settings import settings
from chalicelib.webhooks.deliveries import DeliveryStore
from chalicelib.webhooks.endpoints import EndpointStore
from chalicelib.webhooks.events import Event
from chalicelib.webhooks.relay import Audience

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mypy_boto3_lambda import LambdaClient

    from chalicelib.articles.news import Tell

logger = logging.getLogger(__name__)

_KEPT_SECONDS: Final = 60.0


@dataclass(slots=True)
class Interest:
    """Whether there is any endpoint. A yes is believed for a minute: what is owed for nothing does no harm. A
    no is asked for each time, so that an endpoint hears of everything from its creation on; and so is no
    answer, which counts as a yes.
    """

    ask: Callable[[], bool]
    time: Callable[[], float] = time.monotonic
    _yes_until: float = field(default=float("-inf"))

    def __call__(self) -> bool:
        if self.time() < self._yes_until:
            return True
        try:
            found = self.ask()
        except (BotoCoreError, ClientError):
            logger.warning("nobody says whether there are webhooks", exc_info=True)
            return True
        if found:
            self._yes_until = self.time() + _KEPT_SECONDS
        return found


@dataclass(slots=True)
class Bell:
    """Wakes the function `webhooks`, which comes by itself every minute. One that does not answer is left alone
    for a minute, so that nobody waits for it twice.
    """

    lambda_: LambdaClient
    function_name: str
    time: Callable[[], float] = time.monotonic
    _silent_until: float = field(default=float("-inf"))

    def ring(self, **detail: str) -> None:
        if self.time() < self._silent_until:
            return
        try:
            self.lambda_.invoke(FunctionName=self.function_name, InvocationType="Event", Payload=_event(detail))
        except (BotoCoreError, ClientError):
            logger.warning("the function of the webhooks could not be woken", exc_info=True)
            self._silent_until = self.time() + _KEPT_SECONDS


def outbox(source: str) -> Outbox:
    """The outbox of a store of this process."""
    return Outbox(source, wanted=_interest(), ring=lambda source, key: bell().ring(source=source, key=key))


def teller() -> Tell | None:
    """What tells webhooks of what no item of a table owes: by a delivery for each endpoint that wants it. None
    where nobody wants anything.
    """
    if not _interest()():
        return None
    endpoints = EndpointStore(aws.dynamodb(), settings.webhooks_table)
    audience = Audience(endpoints, DeliveryStore(aws.dynamodb(), settings.webhooks_table))

    def tell(event_id: str, kind: str, at: datetime, data: dict[str, Any]) -> None:
        for endpoint_id in audience.tell(Event(event_id, kind, to_rfc3339(at), data)):
            bell().ring(webhook=endpoint_id, delivery=event_id)

    return tell


@cache
def bell() -> Bell:
    return Bell(aws.bell(), settings.webhooks_function_name)


@cache
def _interest() -> Interest:
    return Interest(lambda: EndpointStore(aws.dynamodb(), settings.webhooks_table).any())


def _event(detail: dict[str, Any]) -> bytes:
    """An event as EventBridge sends it (EventBridge user guide, event structure)."""
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Webhooks owed",
        "source": "social-publisher",
        "account": "",
        "time": to_rfc3339(utc_now()),
        "region": "",
        "resources": [],
        "detail": detail,
    }
    return json.dumps(event).encode()
