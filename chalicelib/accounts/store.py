"""Accounts in DynamoDB: who they are, and whether they are logged in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from chalicelib.accounts.preferences import merged
from chalicelib.clock import Clock, to_rfc3339, utc_now
from chalicelib.dynamodb import ConditionFailed, Table, Update, decode
from chalicelib.errors import AccountNotFound, LoginRequired

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

PLATFORM: Final = "douyin"


class AccountState(StrEnum):
    LOGGED_IN = "logged_in"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Account:
    """`name` is the caller's own name for the account; `nickname`, `uid` and `avatar_url` are the platform's.
    `session_version` names the sealed session that is in force: the milliseconds since 1970 at which it was
    sealed, so that a deleted and re-made account never meets a version of its former life.
    """

    name: str
    state: AccountState
    nickname: str
    uid: str
    session_version: int
    created_at: str
    logged_in_at: str
    checked_at: str
    avatar_url: str | None = None
    preferences: dict[str, Any] = field(default_factory=dict)
    # When which task was last let through to publish: {task id: RFC 3339}. The version goes up with each write.
    bookings: dict[str, str] = field(default_factory=dict)
    bookings_version: int = 0

    def require_login(self) -> None:
        """Raises LoginRequired where the account is logged out."""
        if self.state is not AccountState.LOGGED_IN:
            raise LoginRequired(f"The account {self.name!r} is logged out.")


@dataclass(frozen=True, slots=True)
class Profile:
    """Who logged in, as the platform says."""

    uid: str
    nickname: str
    avatar_url: str | None


class AccountStore:
    """Raises AccountNotFound for a name that is not known."""

    def __init__(self, client: DynamoDBClient, table: str, clock: Clock = utc_now) -> None:
        self._table = Table(client, table, "name")
        self._clock = clock

    def get(self, name: str) -> Account:
        account = self.find(name)
        if account is None:
            raise AccountNotFound(f"There is no account {name!r}.")
        return account

    def find(self, name: str) -> Account | None:
        item = self._table.get(name)
        return _account(item) if item else None

    def list(self) -> list[Account]:
        """Every account, by name. A team has tens of accounts, so the whole table is a few pages at most."""
        pages = self._table.client.get_paginator("scan").paginate(
            TableName=self._table.name, ConsistentRead=True
        )
        accounts = [_account(decode(item)) for page in pages for item in page["Items"]]
        return sorted(accounts, key=lambda account: account.name)

    def log_in(self, name: str, profile: Profile, *, session_version: int) -> Account:
        """Registers the account, or puts a newer session in force. The session is sealed and stored already.

        ConditionFailed where a session of this version or a newer one is in force: another login was quicker.
        """
        now = to_rfc3339(self._clock())
        update = Update().set(
            state=str(AccountState.LOGGED_IN),
            nickname=profile.nickname,
            uid=profile.uid,
            avatar_url=profile.avatar_url,
            session_version=session_version,
            logged_in_at=now,
            checked_at=now,
        )
        created, preferences = update.name("created_at"), update.name("preferences")
        update.assignments += [
            f"{created} = if_not_exists({created}, {update.value(now)})",
            f"{preferences} = if_not_exists({preferences}, {update.value({})})",
        ]
        version = update.name("session_version")
        update.conditions.append(
            f"(attribute_not_exists({version}) OR {version} < {update.value(session_version)})"
        )
        return _account(self._table.update(name, update))

    def refresh_session(self, account: Account, *, session_version: int) -> bool:
        """Puts a session that a job has refreshed in force; False where a newer login got in between."""
        update = Update().set(session_version=session_version, checked_at=to_rfc3339(self._clock()))
        return self._write(account, update)

    def mark_expired(self, account: Account) -> bool:
        """Takes note that the session is over; False where a newer login got in between."""
        update = Update().set(state=str(AccountState.EXPIRED), checked_at=to_rfc3339(self._clock()))
        return self._write(account, update)

    def book(self, account: Account, bookings: dict[str, str]) -> bool:
        """Replaces the bookings; False where somebody else has since, or the account is gone."""
        update = Update().set(bookings=bookings).add("bookings_version", 1).when_exists("name")
        version = update.name("bookings_version")
        update.conditions.append(
            f"(attribute_not_exists({version}) OR {version} = {update.value(account.bookings_version)})"
        )
        try:
            self._table.update(account.name, update)
        except ConditionFailed:
            return False
        return True

    def prefer(self, name: str, changes: Mapping[str, Any]) -> Account:
        """Merges the changes into the account's preferences; a None takes one away."""
        account = self.get(name)
        update = Update().set(preferences=merged(account.preferences, changes))
        update.when("preferences", "=", account.preferences).when("created_at", "=", account.created_at)
        try:
            return _account(self._table.update(name, update))
        except ConditionFailed:
            return self.prefer(name, changes)  # Somebody else changed them in between, or the account is gone.

    def delete(self, name: str) -> Account:
        item = self._table.delete(name)
        if item is None:
            raise AccountNotFound(f"There is no account {name!r}.")
        return _account(item)

    def _write(self, account: Account, update: Update) -> bool:
        try:
            self._table.update(account.name, update.when("session_version", "=", account.session_version))
        except ConditionFailed:
            return False
        return True


def storage_prefix(kind: str, account_name: str) -> str:
    """Where an account's objects of a kind stand in the private bucket, e.g. `sessions/<hash>/`.

    A hash, so that a name in any script makes a plain key and no name can reach into another's prefix.
    """
    return f"{kind}/{hashlib.sha256(account_name.encode()).hexdigest()}/"


def _account(item: dict[str, Any]) -> Account:
    return Account(**{**item, "state": AccountState(item["state"])})
