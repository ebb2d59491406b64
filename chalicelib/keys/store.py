"""API keys in DynamoDB.

A key is `sp_live_<id>_<secret>`. The id finds it; of the secret, 256 random bits, only the SHA-256 is stored:
nothing that is guessed needs a slower hash. Whoever makes a key sees it once.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.clock import Clock, from_rfc3339, to_rfc3339, utc_now
from chalicelib.dynamodb import ConditionFailed, Table, Update, decode, encode
from chalicelib.errors import KeyConflict, KeyInvalid, KeyNotFound
from chalicelib.keys.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

logger = logging.getLogger(__name__)

KEY_ID: Final = re.compile(r"[0-9a-f]{16}")
_TOKEN: Final = re.compile(r"sp_live_([0-9a-f]{16})_([0-9a-f]{64})")

# `last_used_at` is right to this much: more would cost a write a request.
LAST_USED_WITHIN: Final = timedelta(hours=1)

# A key that has ended stays in the list for this long, then DynamoDB's TTL deletes it.
KEPT: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Key:
    """Instants are RFC 3339 text in UTC. `created_by` is the id of the key that made it, or who else did.

    A rotated key names its `successor`, which names its `predecessor`.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    secret_sha256: str = field(repr=False)
    created_at: str
    created_by: str
    expires_at: str | None = None
    last_used_at: str | None = None
    revoked_at: str | None = None
    predecessor: str | None = None
    successor: str | None = None

    def end(self, now: datetime) -> str | None:
        """Why the key is not live; None where it is."""
        if self.revoked_at is not None:
            return f"The key {self.id} was revoked at {self.revoked_at}."
        if self.expires_at is not None and from_rfc3339(self.expires_at) <= now:
            return f"The key {self.id} expired at {self.expires_at}."
        return None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key with its secret, which nobody can tell again."""

    key: Key
    token: str = field(repr=False)


class KeyStore:
    """Raises KeyNotFound for an unknown id, and KeyConflict for what the key's state does not allow."""

    def __init__(self, client: DynamoDBClient, table: str, clock: Clock = utc_now) -> None:
        self._table = Table(client, table, "id")
        self._clock = clock

    def create(
        self, name: str, scopes: Iterable[Scope], *, expires_at: datetime | None, created_by: str
    ) -> NewKey:
        new = _new_key(name, frozenset(scopes), self._clock(), expires_at, created_by)
        self._table.put_new(_item(new.key))
        return new

    def check(self, token: str) -> Key:
        """The live key that this is. KeyInvalid where it is none; only who has the secret is told more."""
        given = _TOKEN.fullmatch(token)
        if given is None:
            raise KeyInvalid("This is no key: one looks like sp_live_<16 characters>_<64 characters>.")
        key_id, secret = given.groups()
        item = self._table.get(key_id)
        stored = item["secret_sha256"] if item else _sha256("")
        if not hmac.compare_digest(stored, _sha256(secret)) or item is None:
            raise KeyInvalid("There is no such key.")
        key = _key(item)
        if end := key.end(self._clock()):
            raise KeyInvalid(end)
        self._note_use(key)
        return key

    def get(self, key_id: str) -> Key:
        item = self._table.get(key_id)
        if item is None:
            raise KeyNotFound(f"There is no key {key_id!r}.")
        return _key(item)

    def list(self) -> list[Key]:
        """Every key, the newest first. There are tens of them: the whole table is a page or two."""
        pages = self._table.client.get_paginator("scan").paginate(
            TableName=self._table.name, ConsistentRead=True
        )
        keys = [_key(decode(item)) for page in pages for item in page["Items"]]
        return sorted(keys, key=lambda key: (key.created_at, key.id), reverse=True)

    def revoke(self, key_id: str) -> Key:
        """Ends the key at once. A key that was revoked before stays as it is."""
        now = self._clock()
        update = Update().default(revoked_at=to_rfc3339(now)).set(ttl=_ttl(now)).when_exists("secret_sha256")
        try:
            return _key(self._table.update(key_id, update))
        except ConditionFailed as gone:
            raise KeyNotFound(f"There is no key {key_id!r}.") from gone

    def rotate(self, key: Key, *, overlap: timedelta, expires_at: datetime | None, created_by: str) -> NewKey:
        """Makes the key's successor, with its name and scopes. The key itself ends when `overlap` is over, or
        sooner where it would have anyway.

        Two of a line live at most: a key that has a successor is not rotated again, and neither is one whose
        predecessor is still live.
        """
        now = self._clock()
        if end := key.end(now):
            raise KeyConflict(f"{end} Make a new key.")
        if key.successor is not None:
            raise KeyConflict(f"The key {key.id} has a successor already: {key.successor}.")
        if key.predecessor is not None and self._is_live(key.predecessor, now):
            raise KeyConflict(f"The key {key.id} still has a live predecessor: revoke {key.predecessor} first.")
        end_at = now + overlap
        if key.expires_at is not None:
            end_at = min(end_at, from_rfc3339(key.expires_at))
        new = _new_key(key.name, key.scopes, now, expires_at, created_by, predecessor=key.id)
        update = Update().set(successor=new.key.id, expires_at=to_rfc3339(end_at), ttl=_ttl(end_at))
        update.when_exists("secret_sha256").when_absent("successor").when_absent("revoked_at")
        try:
            self._table.client.transact_write_items(
                TransactItems=[
                    {"Put": {"TableName": self._table.name, "Item": encode(_item(new.key))}},
                    {
                        "Update": {
                            "TableName": self._table.name,
                            "Key": {"id": {"S": key.id}},
                            "UpdateExpression": "SET " + ", ".join(update.assignments),
                            "ConditionExpression": " AND ".join(update.conditions),
                            "ExpressionAttributeNames": update.names,
                            "ExpressionAttributeValues": encode(update.values),
                        }
                    },
                ]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "TransactionCanceledException":
                raise
            raise KeyConflict(f"The key {key.id} was rotated or revoked in this moment.") from error
        return new

    def _is_live(self, key_id: str, now: datetime) -> bool:
        item = self._table.get(key_id)
        return item is not None and _key(item).end(now) is None

    def _note_use(self, key: Key) -> None:
        now = self._clock()
        if key.last_used_at is not None and now < from_rfc3339(key.last_used_at) + LAST_USED_WITHIN:
            return
        update = Update().set(last_used_at=to_rfc3339(now)).when_exists("secret_sha256")
        try:
            self._table.update(key.id, update)
        except (ClientError, BotoCoreError, ConditionFailed):  # It fails nobody's request.
            logger.warning("the use of a key could not be noted", extra={"key_id": key.id}, exc_info=True)


def _new_key(
    name: str,
    scopes: frozenset[Scope],
    now: datetime,
    expires_at: datetime | None,
    created_by: str,
    predecessor: str | None = None,
) -> NewKey:
    key_id, secret = secrets.token_hex(8), secrets.token_hex(32)
    key = Key(
        id=key_id,
        name=name,
        scopes=scopes,
        secret_sha256=_sha256(secret),
        created_at=to_rfc3339(now),
        created_by=created_by,
        expires_at=to_rfc3339(expires_at) if expires_at else None,
        predecessor=predecessor,
    )
    return NewKey(key, f"sp_live_{key_id}_{secret}")


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _ttl(end: datetime) -> int:
    return int((end + KEPT).timestamp())


def _item(key: Key) -> dict[str, Any]:
    item = {name: getattr(key, name) for name in Key.__dataclass_fields__}
    ttl = _ttl(from_rfc3339(key.expires_at)) if key.expires_at else None
    return {**item, "scopes": sorted(map(str, key.scopes)), "ttl": ttl}


def _key(item: dict[str, Any]) -> Key:
    """A scope that there is no more, or not yet, gives nothing."""
    known = {name: item[name] for name in Key.__dataclass_fields__ if name in item}
    return Key(**{**known, "scopes": frozenset(scope for scope in Scope if scope in item["scopes"])})
