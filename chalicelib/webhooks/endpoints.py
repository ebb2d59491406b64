"""Endpoints: who is to be told of what, and how that has gone lately.

The same table holds, as one item, how many there are: created and deleted in one transaction with each, so that
whoever owes events asks for one item alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from chalicelib.clock import Clock, from_rfc3339, to_rfc3339, utc_now
from chalicelib.dynamodb import ConditionFailed, Table, TransactionRefused, Update, decode, transact
from chalicelib.errors import TooManyWebhooks, WebhookNotFound
from chalicelib.webhooks.registry import chooses

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from chalicelib.dynamodb import Write

MAX_ENDPOINTS: Final = 20

# After a rotation the old secret signs, too, for this long at most.
OVERLAP: Final = timedelta(hours=24)
# The newest, and those that still sign beside it.
MAX_SECRETS: Final = 3

# An endpoint that has answered nothing but failures for this long is disabled.
FAILING_FOR: Final = timedelta(days=5)

_ENDPOINT: Final = "endpoint"
_COUNT: Final = ("count", "endpoints")

Reason = Literal["gone", "failing"]


@dataclass(frozen=True, slots=True)
class Secret:
    """Sealed. `ends_at` is until when one that was rotated away signs."""

    sealed: str = field(repr=False)
    ends_at: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`events` are the patterns of the types that it is told of. `secrets` has the newest first. Instants are
    RFC 3339 text in UTC. `disabled` is {"reason", "at", "detail"} of one that was disabled by itself.

    `failing_since` is the first failure since the last success, `failures` how many there were. The one sender
    that works on it holds its lease: `lease_owner`, `lease_until`; `again` is set by another one that came
    meanwhile.
    """

    id: str
    url: str
    events: tuple[str, ...]
    description: str
    enabled: bool
    created_at: str
    updated_at: str
    secrets: tuple[Secret, ...]
    disabled: dict[str, str] | None = None
    failing_since: str | None = None
    failures: int = 0
    last_success_at: str | None = None
    last_failure_at: str | None = None
    lease_owner: str | None = None
    lease_until: str | None = None
    again: bool = False

    def wants(self, kind: str) -> bool:
        return self.enabled and chooses(self.events, kind)

    def signing(self, now: datetime) -> list[str]:
        """The sealed secrets that sign now, the newest first."""
        return [
            secret.sealed
            for secret in self.secrets
            if secret.ends_at is None or from_rfc3339(secret.ends_at) > now
        ]

    def failing_too_long(self, now: datetime) -> bool:
        return self.failing_since is not None and now - from_rfc3339(self.failing_since) >= FAILING_FOR


class EndpointStore:
    """Raises WebhookNotFound for an unknown id."""

    def __init__(self, client: DynamoDBClient, table: str, clock: Clock = utc_now) -> None:
        self._table = Table(client, table, "kind", "id")
        self._clock = clock

    def any(self) -> bool:
        """Whether there is an endpoint at all: one small read, which is never behind."""
        item = self._table.get(_COUNT)
        return bool(item and item["endpoints"])

    def create(
        self, endpoint_id: str, url: str, events: tuple[str, ...], description: str, sealed: str
    ) -> Endpoint:
        """A new endpoint. TooManyWebhooks."""
        now = to_rfc3339(self._clock())
        endpoint = Endpoint(
            id=endpoint_id,
            url=url,
            events=events,
            description=description,
            enabled=True,
            created_at=now,
            updated_at=now,
            secrets=(Secret(sealed),),
        )
        counted = Update().add("endpoints", 1)
        count, limit = counted.name("endpoints"), counted.value(MAX_ENDPOINTS)
        counted.conditions.append(f"(attribute_not_exists({count}) OR {count} < {limit})")
        try:
            self._transact(self._table.putting(_to_item(endpoint)), counted)
        except TransactionRefused as refusal:
            if refusal.failed == (1,):
                raise TooManyWebhooks(f"There are {MAX_ENDPOINTS} already.") from refusal
            raise
        return endpoint

    def list(self) -> list[Endpoint]:
        """All of them, the oldest first."""
        answer = self._table.client.query(
            TableName=self._table.name,
            KeyConditionExpression="kind = :kind",
            ExpressionAttributeValues={":kind": {"S": _ENDPOINT}},
            ConsistentRead=True,
        )
        return sorted(
            (_endpoint(decode(item)) for item in answer["Items"]), key=lambda one: (one.created_at, one.id)
        )

    def get(self, endpoint_id: str) -> Endpoint:
        endpoint = self.find(endpoint_id)
        if endpoint is None:
            raise WebhookNotFound(f"There is no webhook {endpoint_id!r}.")
        return endpoint

    def find(self, endpoint_id: str) -> Endpoint | None:
        item = self._table.get((_ENDPOINT, endpoint_id))
        return _endpoint(item) if item else None

    def change(self, endpoint_id: str, **changes: Any) -> Endpoint:
        """Sets what is given of url, events, description and enabled. An endpoint that is enabled, or moves to
        another url, has no failures behind it.
        """
        update = Update().set(**changes, updated_at=to_rfc3339(self._clock()))
        if changes.get("enabled") or "url" in changes:
            update.set(disabled=None, failing_since=None, failures=None)
        return self._write(endpoint_id, update)

    def rotate(self, endpoint_id: str, sealed: str, overlap: timedelta) -> Endpoint:
        """Puts a new secret in force; the one before signs beside it for as long as `overlap`."""
        now, before = self._clock(), self.get(endpoint_id)
        newest, *older = before.secrets
        older = [secret for secret in older if secret.ends_at and from_rfc3339(secret.ends_at) > now]
        if overlap:
            older.insert(0, replace(newest, ends_at=to_rfc3339(now + overlap)))
        else:
            older = []  # It is not to be trusted any more, and so are those before.
        secrets = (Secret(sealed), *older)[:MAX_SECRETS]
        update = Update().set(secrets=_secrets(secrets), updated_at=to_rfc3339(now))
        try:
            return self._write(endpoint_id, update.when("secrets", "=", _secrets(before.secrets)))
        except ConditionFailed:
            return self.rotate(endpoint_id, sealed, overlap)  # Another rotation was quicker.

    def delete(self, endpoint_id: str) -> None:
        deletion: Any = {
            "TableName": self._table.name,
            "Key": {"kind": {"S": _ENDPOINT}, "id": {"S": endpoint_id}},
            "ConditionExpression": "attribute_exists(id)",
        }
        try:
            self._transact({"Delete": deletion}, Update().add("endpoints", -1))
        except TransactionRefused as refusal:
            if refusal.failed == (0,):
                raise WebhookNotFound(f"There is no webhook {endpoint_id!r}.") from refusal
            raise

    # Of the sender

    def lease(self, endpoint_id: str, owner: str, until: datetime) -> Endpoint | None:
        """Takes an enabled endpoint for a sender; None where another one has it, which looks again for us."""
        now = to_rfc3339(self._clock())
        update = Update().set(lease_owner=owner, lease_until=to_rfc3339(until), again=None)
        held = update.name("lease_until")
        update.conditions.append(f"(attribute_not_exists({held}) OR {held} < {update.value(now)})")
        try:
            return self._write(endpoint_id, update.when("enabled", "=", True))
        except (ConditionFailed, WebhookNotFound):
            pass
        try:
            self._write(
                endpoint_id, Update().set(again=True).when("enabled", "=", True).when("lease_until", ">=", now)
            )
        except WebhookNotFound:
            return None
        except ConditionFailed as failure:
            if failure.item and failure.item["enabled"]:
                return self.lease(endpoint_id, owner, until)  # It was released in this moment.
        return None

    def succeeded(self, leased: Endpoint, until: datetime) -> Endpoint | None:
        """Notes a success, and goes on with the lease; None where that is lost, or the endpoint gone."""
        update = Update().set(last_success_at=to_rfc3339(self._clock()), failing_since=None, failures=None)
        return self._held(leased, update.set(lease_until=to_rfc3339(until)))

    def failed(self, leased: Endpoint, until: datetime) -> Endpoint | None:
        """Notes a failure; the rest as `succeeded`."""
        now = to_rfc3339(self._clock())
        update = Update().set(last_failure_at=now).default(failing_since=now).add("failures", 1)
        return self._held(leased, update.set(lease_until=to_rfc3339(until)))

    def disable(self, leased: Endpoint, reason: Reason, detail: str) -> None:
        """Disables an endpoint by itself, unless somebody has changed it since."""
        now = to_rfc3339(self._clock())
        disabled = {"reason": reason, "at": now, "detail": detail}
        update = Update().set(enabled=False, disabled=disabled, updated_at=now)
        self._held(leased, update.when("updated_at", "=", leased.updated_at))

    def release(self, leased: Endpoint, *, finished: bool = True) -> bool:
        """Gives the lease back; False where it is kept, because another sender came meanwhile and there may be
        more to do. One that has not `finished` gives it back all the same.
        """
        update = Update().set(lease_owner=None, lease_until=None, again=None)
        if finished:
            update.when_absent("again")
        if self._held(leased, update) is not None:
            return True
        return self._held(leased, Update().set(again=None).when("again", "=", True)) is None

    def _held(self, leased: Endpoint, update: Update) -> Endpoint | None:
        try:
            return self._write(leased.id, update.when("lease_owner", "=", leased.lease_owner))
        except (ConditionFailed, WebhookNotFound):
            return None

    def _write(self, endpoint_id: str, update: Update) -> Endpoint:
        try:
            return _endpoint(self._table.update((_ENDPOINT, endpoint_id), update.when_exists("id")))
        except ConditionFailed as failure:
            if failure.item is None:
                raise WebhookNotFound(f"There is no webhook {endpoint_id!r}.") from failure
            raise

    def _transact(self, write: Write, counted: Update) -> None:
        """Makes a write together with that of the count, or neither. TransactionRefused."""
        transact(self._table.client, [write, self._table.updating(_COUNT, counted)])


def _to_item(endpoint: Endpoint) -> dict[str, Any]:
    item = {member.name: getattr(endpoint, member.name) for member in fields(endpoint)}
    return {
        **item,
        "kind": _ENDPOINT,
        "events": list(endpoint.events),
        "secrets": _secrets(endpoint.secrets),
    }


def _secrets(secrets: tuple[Secret, ...]) -> list[dict[str, str]]:
    return [
        {"sealed": secret.sealed, **({"ends_at": secret.ends_at} if secret.ends_at else {})}
        for secret in secrets
    ]


def _endpoint(item: dict[str, Any]) -> Endpoint:
    known = {member.name: item[member.name] for member in fields(Endpoint) if member.name in item}
    secrets = tuple(Secret(**secret) for secret in item["secrets"])
    return Endpoint(**{**known, "events": tuple(item["events"]), "secrets": secrets})
