"""What was answered to requests with an Idempotency-Key, so that a repetition gets the first answer again.

A record goes by caller, operation and key. It is either written whole, answer included, in the transaction
that has the effect (`entry`); or it is claimed before the effect (`begin`) and completed after it (`finish`). A
claim has a lease: where an attempt died, the request can be made again.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.clock import Clock, to_rfc3339, utc_now
from chalicelib.dynamodb import ConditionFailed, Table, Update
from chalicelib.errors import IdempotencyKeyReused, RequestInProgress

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from chalicelib.dynamodb import Item, Write

# How long a key is honoured. DynamoDB's TTL deletes later; every reader goes by `expires_at`.
KEPT = timedelta(hours=24)

# The API's function is ended after 29 s: once this is over, nobody works on the attempt any more.
LEASE = timedelta(seconds=35)

# When to ask again after an attempt that is under way.
_RETRY_AFTER = 2


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request with a key: the id of its record, and what its content is recognised by."""

    id: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is None where it held what is shown once: that is not kept."""

    status: int
    headers: dict[str, str]
    body: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    keyed: Keyed
    token: str


class Ledger:
    """Raises IdempotencyKeyReused where the key came with another content, and RequestInProgress where an
    attempt is under way.
    """

    def __init__(self, client: DynamoDBClient, table: str, clock: Clock = utc_now) -> None:
        self._table = Table(client, table, "id")
        self._clock = clock

    def find(self, keyed: Keyed) -> Answer | None:
        """The first answer; None where the request is new, or an attempt of it has died."""
        item = self._table.get(keyed.id)
        if item is None or item["expires_at"] <= self._now():
            return None
        return self._standing(item, keyed)

    def begin(self, keyed: Keyed) -> Attempt | Answer:
        """Claims the request, or says what was answered to it."""
        attempt = Attempt(keyed, str(uuid.uuid4()))
        update = self._claim(keyed, attempt.token)
        update.set(lease_until=to_rfc3339(self._clock() + LEASE), answer=None)
        died = (
            f"attribute_not_exists({update.name('answer')})"
            f" AND {update.name('lease_until')} <= {update.value(self._now())}"
            f" AND {update.name('fingerprint')} = {update.value(keyed.fingerprint)}"
        )
        update.conditions.append(f"({self._free(update)} OR {died})")
        try:
            self._table.update(keyed.id, update)
        except ConditionFailed as failure:
            item = failure.item or {}
            if item.get("attempt") == attempt.token:
                return attempt  # botocore has repeated a write whose answer was lost.
            found = self._standing(item, keyed) if item else None
            if found is None:  # It has ended in this moment.
                raise _in_progress() from failure
            return found
        return attempt

    def finish(self, attempt: Attempt, answer: Answer) -> None:
        """Keeps the answer, unless the attempt has lost its lease."""
        self._end(attempt, Update().set(answer=_kept(answer)))

    def release(self, attempt: Attempt) -> None:
        """Forgets the attempt: it has failed, and the request may come again, also with another content."""
        self._end(attempt, Update().set(expires_at=self._now()))

    def entry(self, keyed: Keyed, answer: Answer, token: str) -> Write:
        """The record as one write of a transaction. Its condition fails where the key is taken."""
        update = self._claim(keyed, token).set(answer=_kept(answer), lease_until=None)
        update.conditions.append(f"({self._free(update)})")
        return self._table.updating(keyed.id, update)

    def _claim(self, keyed: Keyed, token: str) -> Update:
        until = self._clock() + KEPT
        return Update().set(
            fingerprint=keyed.fingerprint,
            attempt=token,
            expires_at=to_rfc3339(until),
            ttl=int(until.timestamp()),
        )

    def _free(self, update: Update) -> str:
        """The condition that no record stands."""
        expired = f"{update.name('expires_at')} <= {update.value(self._now())}"
        return f"attribute_not_exists({update.name('id')}) OR {expired}"

    def _standing(self, item: Item, keyed: Keyed) -> Answer | None:
        if item["fingerprint"] != keyed.fingerprint:
            raise IdempotencyKeyReused
        if "answer" in item:
            kept = item["answer"]
            return Answer(kept["status"], kept["headers"], kept.get("body"))
        if item["lease_until"] > self._now():
            raise _in_progress()
        return None

    def _end(self, attempt: Attempt, update: Update) -> None:
        try:
            self._table.update(attempt.keyed.id, update.when("attempt", "=", attempt.token))
        except ConditionFailed:
            return  # The lease has lapsed, and somebody else has the request now.

    def _now(self) -> str:
        return to_rfc3339(self._clock())


def _in_progress() -> RequestInProgress:
    return RequestInProgress(retry_after=_RETRY_AFTER)


def _kept(answer: Answer) -> dict[str, Any]:
    kept: dict[str, Any] = {"status": answer.status, "headers": answer.headers}
    return kept if answer.body is None else {**kept, "body": answer.body}
