"""Sends what is due: the endpoints side by side, the deliveries of each one after the other.

One sender at a time works on an endpoint: it holds a lease on it, for as long as a try may take. So two sweeps
send nothing twice, an endpoint hears of events in their order while nothing fails, and a slow one keeps nobody
waiting but itself. A sender that dies leaves a lease that lapses, and deliveries that are due.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from chalicelib.addresses import loopback_pair
from chalicelib.clock import Clock, from_rfc3339, to_rfc3339, utc_now
from chalicelib.errors import MediaError, SealBroken
from chalicelib.events import event_id
from chalicelib.fetching import post
from chalicelib.webhooks.endpoints import FAILING_FOR, MAX_ENDPOINTS
from chalicelib.webhooks.events import Event
from chalicelib.webhooks.registry import DISABLED
from chalicelib.webhooks.signing import headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chalicelib.sealing import Purpose
    from chalicelib.webhooks.deliveries import Delivery, DeliveryStore
    from chalicelib.webhooks.endpoints import Endpoint, EndpointStore, Reason

logger = logging.getLogger(__name__)

TRY_SECONDS: Final = 20.0
"""How long an endpoint has to answer."""

_MARGIN_SECONDS: Final = 5.0
LEASE: Final = timedelta(seconds=TRY_SECONDS + 2 * _MARGIN_SECONDS)

# An endpoint that has failed so often in a row is asked once a minute, at the tick, until it answers.
FAILURES_IN_A_ROW: Final = 3

_ANSWER_BYTES: Final = 500
# What an answer may hold that nobody should read in a log: keys, tokens and signatures, and phone numbers.
_SECRET: Final = re.compile(r"[A-Za-z0-9+/=_.~-]{24,}|(?<!\d)1\d{10}(?!\d)")


@dataclass(frozen=True, slots=True)
class Courier:
    """`unseal` is `Unsealer.open`. `tell_disabled` is told of an endpoint that is about to be disabled, as an
    event. `loopback` allows http and loopback addresses.
    """

    endpoints: EndpointStore
    deliveries: DeliveryStore
    unseal: Callable[[str, Purpose, str], str]
    tell_disabled: Callable[[Event], None]
    loopback: bool = False
    clock: Clock = utc_now

    def round(
        self,
        deadline: Callable[[], float],
        *,
        tick: bool = True,
        fresh: Mapping[str, Sequence[str]] | None = None,
    ) -> int:
        """Sends what is due, as far as the time allows; returns how many tries were made. `deadline` returns
        the seconds left. Only at a `tick` endpoints are asked that have not answered lately. `fresh` are ids of
        deliveries, by endpoint, that the index may not show yet; they come first.
        """
        endpoints = [
            endpoint
            for endpoint in self.endpoints.list()
            if endpoint.enabled and (tick or endpoint.failures < FAILURES_IN_A_ROW)
        ]
        if not endpoints:
            return 0
        with ThreadPoolExecutor(MAX_ENDPOINTS, "webhooks") as threads:
            new = fresh or {}
            return sum(threads.map(lambda one: self._guarded(one, new.get(one.id, ()), deadline), endpoints))

    def _guarded(self, endpoint: Endpoint, fresh: Sequence[str], deadline: Callable[[], float]) -> int:
        try:
            return self._serve(endpoint, fresh, deadline)
        except Exception:  # One endpoint's fault is not the others'.
            logger.exception("a webhook could not be served", extra={"webhook_id": endpoint.id})
            return 0

    def _serve(self, endpoint: Endpoint, fresh: Sequence[str], deadline: Callable[[], float]) -> int:
        if not fresh and next(self.deliveries.due(endpoint.id, self.clock()), None) is None:
            return 0
        tries = 0
        leased = self.endpoints.lease(endpoint.id, str(uuid.uuid4()), self.clock() + LEASE)
        if leased is None:
            return 0
        while True:
            for delivery_id in chain(fresh, self.deliveries.due(leased.id, self.clock())):
                if deadline() < TRY_SECONDS + _MARGIN_SECONDS:
                    self.endpoints.release(leased, finished=False)
                    return tries
                delivery = self._still_due(leased, delivery_id)
                if delivery is None:
                    continue
                if not self._ours(leased):
                    self.endpoints.release(leased, finished=False)
                    return tries
                after = self._try(leased, delivery)
                tries += 1
                if after is None:
                    return tries
                leased = after
                if leased.failures >= FAILURES_IN_A_ROW:
                    self.endpoints.release(leased, finished=False)
                    return tries
            if self.endpoints.release(leased):
                return tries

    def _ours(self, leased: Endpoint) -> bool:
        """Whether the lease outlasts another try, and nobody has disabled the endpoint."""
        end = self.clock() + timedelta(seconds=TRY_SECONDS)
        return leased.enabled and leased.lease_until is not None and end < from_rfc3339(leased.lease_until)

    def _still_due(self, endpoint: Endpoint, delivery_id: str) -> Delivery | None:
        """The delivery, where it is still to be tried: the index lags behind the table."""
        now, delivery = self.clock(), self.deliveries.find(endpoint.id, delivery_id)
        if delivery is None or not delivery.is_due(now):
            return None
        if delivery.tries and now >= from_rfc3339(delivery.give_up_at):
            self.deliveries.give_up(delivery)
            return None
        return delivery

    def _try(self, endpoint: Endpoint, delivery: Delivery) -> Endpoint | None:
        """Sends once, and notes how it went; None where the endpoint is not ours any more."""
        attempt = self._send(endpoint, delivery)
        status, until = attempt["status_code"], self.clock() + LEASE
        if status is not None and 200 <= status < 300:
            self.deliveries.delivered(delivery, attempt)
            return self.endpoints.succeeded(endpoint, until)
        self.deliveries.failed(delivery, attempt, lasting=status == 410)
        after = self.endpoints.failed(endpoint, until)
        if after is None:
            return None
        if status == 410:
            self._disable(after, "gone", "It answered 410 Gone.")
            return None
        if after.failing_too_long(self.clock()):
            self._disable(after, "failing", f"There were nothing but failures for {FAILING_FOR.days} days.")
            return None
        return after

    def _disable(self, endpoint: Endpoint, reason: Reason, detail: str) -> None:
        """Told first: a crash in between tells it again, by the same id."""
        since = endpoint.failing_since or endpoint.updated_at
        now = self.clock()
        event = Event(
            event_id(from_rfc3339(since), endpoint.id, reason),
            DISABLED,
            to_rfc3339(now),
            {"webhook_id": endpoint.id, "reason": reason, "url": f"/api/v1/webhooks/{endpoint.id}"},
        )
        self.tell_disabled(event)
        self.endpoints.disable(endpoint, reason, detail)
        self.endpoints.release(endpoint, finished=False)

    def _send(self, endpoint: Endpoint, delivery: Delivery) -> dict[str, Any]:
        """One try, as it stands in the log."""
        now, started = self.clock(), time.monotonic()
        status, error, answer = None, None, ""
        try:
            secrets = [self.unseal(sealed, "webhook", endpoint.id) for sealed in endpoint.signing(now)]
            reply = post(
                endpoint.url,
                delivery.body.encode(),
                headers(delivery.id, delivery.body, secrets, now),
                lambda: started + TRY_SECONDS - time.monotonic(),
                allow_loopback=loopback_pair(endpoint.url) if self.loopback else frozenset(),
                head_bytes=_ANSWER_BYTES,
            )
        except (MediaError, SealBroken) as failure:
            error = failure.detail
        else:
            status, answer = reply.status, shown(reply.head)
            if 300 <= status < 400:
                error = "It answered with a redirect, which is not followed."
        return {
            "at": to_rfc3339(now),
            "status_code": status,
            "duration_ms": round((time.monotonic() - started) * 1000),
            "error": error,
            "answer": answer,
        }


def shown(head: bytes) -> str:
    """The beginning of an answer as a log may hold it."""
    text = head.decode(errors="replace")
    plain = "".join(character if character.isprintable() else " " for character in text)
    return _SECRET.sub("…", plain)
