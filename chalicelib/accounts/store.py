"""Accounts in DynamoDB: who they are, and whether they are logged in."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field, fields
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from chalicelib.accounts.health import doubted, lasts, next_check, next_check_in_doubt
from chalicelib.accounts.preferences import merged
from chalicelib.clock import Clock, to_rfc3339, utc_now
from chalicelib.dynamodb import ConditionFailed, Table, Update, decode
from chalicelib.errors import AccountNotFound, LoginRequired
from chalicelib.events import ACCOUNT_EXPIRED, event
from chalicelib.outbox import Outbox, owes
from chalicelib.trace import request_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

PLATFORM: Final = "douyin"

# Every account has it; what is left of a deleted one until its end is told has not.
ALIVE: Final = "created_at"

# The value of the sparse index' hash key: an account for which something is to be done at `due_at`.
_DUE: Final = "due"


# Whoever finds a session over sends the event at once; the sweeper sends what is left after this.
_ANNOUNCING: Final = timedelta(seconds=30)


class AccountState(StrEnum):
    LOGGED_IN = "logged_in"
    # The platform itself says that the session is over. Nothing but proof leads here.
    EXPIRED = "expired"
    # Nobody could tell for long (chalicelib/accounts/health.py).
    UNKNOWN = "unknown"
    # The platform wants the owner to verify the identity; a publish may get past that with a code by SMS.
    NEEDS_VERIFICATION = "needs_verification"

    @property
    def event(self) -> str:
        """The type of the event that tells that an account has come to this state."""
        return f"account.{self}"


DELETED: Final = "account.deleted"


@dataclass(frozen=True, slots=True)
class Account:
    """`name` is the caller's own name for the account; `nickname`, `uid` and `avatar_url` are the platform's.
    `session_version` names the sealed session that is in force: the milliseconds since 1970 at which it was
    sealed, so that a deleted and re-made account never meets a version of its former life.

    `state` is what `evidence` proved at `checked_at`, for the request `request_id` where one had asked; `doubt`
    are the looks since then that could not tell (`health.doubted`). `due_at` is when something is to be done
    about the account: a check, or sending the events that are `owed`.
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
    evidence: str = ""
    request_id: str | None = None
    doubt: dict[str, Any] | None = None
    outbox: str | None = None
    due_at: str | None = None
    owed: list[dict[str, Any]] = field(default_factory=list)
    preferences: dict[str, Any] = field(default_factory=dict)
    # When which task was last let through to publish: {task id: RFC 3339}. The version goes up with each write.
    bookings: dict[str, str] = field(default_factory=dict)
    bookings_version: int = 0

    @property
    def looked_at(self) -> str:
        """When somebody last looked whether the session is alive, with or without an answer."""
        return max(self.checked_at, self.doubt["at"]) if self.doubt else self.checked_at

    def require_login(self) -> None:
        """Raises LoginRequired where the account is known to be logged out. What is merely not known, or asks
        for a code, is found out by trying.
        """
        if self.state is AccountState.EXPIRED:
            raise LoginRequired(f"The account {self.name!r} is logged out: {self.evidence}")


@dataclass(frozen=True, slots=True)
class Profile:
    """Who logged in, as the platform says."""

    uid: str
    nickname: str
    avatar_url: str | None


class AccountStore:
    """Raises AccountNotFound for a name that is not known. `check_every` is how often an account's session is
    looked at by itself; 0 is never.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        clock: Clock = utc_now,
        *,
        check_every: timedelta = timedelta(),
        outbox: Outbox | None = None,
    ) -> None:
        self._table = Table(client, table, "name")
        self._clock = clock
        self._check_every = check_every
        self._outbox = outbox or Outbox("account")

    def get(self, name: str) -> Account:
        account = self.find(name)
        if account is None:
            raise AccountNotFound(f"There is no account {name!r}.")
        return account

    def find(self, name: str) -> Account | None:
        item = self._table.get(name)
        return _account(item) if item and ALIVE in item else None

    def require_same(self, account: Account) -> None:
        """AccountNotFound where `account` has been deleted since, whether or not its name was taken anew."""
        if self.get(account.name).created_at != account.created_at:
            raise AccountNotFound(f"The account {account.name!r} was deleted, and made anew.")

    def list(self) -> list[Account]:
        """Every account, by name. A team has tens of accounts, so the whole table is a few pages at most."""
        pages = self._table.client.get_paginator("scan").paginate(
            TableName=self._table.name, ConsistentRead=True
        )
        accounts = [_account(decode(item)) for page in pages for item in page["Items"] if ALIVE in item]
        return sorted(accounts, key=lambda account: account.name)

    def log_in(
        self,
        name: str,
        profile: Profile,
        *,
        session_version: int,
        preferences: Mapping[str, Any] | None = None,
    ) -> Account:
        """Registers the account, or puts a newer session in force. The session is sealed and stored already.
        `preferences` are changes to the account's that come with it, in the same write.

        ConditionFailed where a session of this version or a newer one is in force: another login was quicker.
        """
        now = to_rfc3339(self._clock())
        update = self._proved(name, None, AccountState.LOGGED_IN, "A login succeeded.").set(
            nickname=profile.nickname,
            uid=profile.uid,
            avatar_url=profile.avatar_url,
            session_version=session_version,
            logged_in_at=now,
        )
        created, preferred = update.name("created_at"), update.name("preferences")
        update.assignments.append(f"{created} = if_not_exists({created}, {update.value(now)})")
        if preferences:
            before = self.find(name)
            held = before.preferences if before else {}
            update.set(preferences=merged(held, preferences))
            update.conditions.append(
                f"(attribute_not_exists({preferred}) OR {preferred} = {update.value(held)})"
            )
        else:
            update.assignments.append(f"{preferred} = if_not_exists({preferred}, {update.value({})})")
        version = update.name("session_version")
        update.conditions.append(
            f"(attribute_not_exists({version}) OR {version} < {update.value(session_version)})"
        )
        try:
            item = self._table.update(name, update)
        except ConditionFailed as failure:
            newer = failure.item is not None and failure.item.get("session_version", 0) >= session_version
            if newer or not preferences:
                raise
        else:
            self._outbox.written(self._table, name, item, update)
            return _account(item)
        # Somebody has changed the preferences since they were read.
        return self.log_in(name, profile, session_version=session_version, preferences=preferences)

    def refresh_session(self, account: Account, seen: str, *, session_version: int) -> bool:
        """Puts a session that a job has refreshed in force, and says by what it was seen alive; False where a
        newer login got in between.
        """
        update = self._proved(account.name, account.state, AccountState.LOGGED_IN, seen)
        update.set(session_version=session_version)
        return self._write(account, update)

    def confirm(self, account: Account, seen: str) -> bool:
        """Takes note that the session is alive; False where a newer login got in between."""
        return self._write(account, self._proved(account.name, account.state, AccountState.LOGGED_IN, seen))

    def ask_for_verification(self, account: Account, seen: str) -> bool:
        """Takes note that the platform wants to verify the owner; False where a newer login got in between."""
        update = self._proved(account.name, account.state, AccountState.NEEDS_VERIFICATION, seen)
        return self._write(account, update)

    def mark_expired(self, account: Account, seen: str) -> bool:
        """Takes note that the session is over; False where a newer login got in between, or it was told since.

        Where it was not known before, the same write makes an event owed: each expiry is told once.
        """
        now = self._clock()
        due_at = now + _ANNOUNCING
        update = self._proved(account.name, account.state, AccountState.EXPIRED, seen, due_at=due_at)
        if account.state is AccountState.EXPIRED:
            update.when("state", "=", str(AccountState.EXPIRED))
        else:
            update.append("owed", _expiry(account.name, seen, now))
            update.when("state", "<>", str(AccountState.EXPIRED))
        return self._write(account, update)

    def doubt(self, account: Account, seen: str) -> bool:
        """Takes note of a look that could not tell; False where somebody could since, or a newer login got in
        between.
        """
        doubt = doubted(account.doubt, seen, self._clock())
        due_at = next_check_in_doubt(doubt, self._check_every)
        if account.state is AccountState.EXPIRED:
            update = Update().set(doubt=doubt)
        elif account.state is AccountState.LOGGED_IN and lasts(doubt):
            state = AccountState.UNKNOWN
            update = self._proved(account.name, account.state, state, seen, due_at=due_at, doubt=doubt)
        else:
            update = _due(Update().set(doubt=doubt), due_at)
        return self._write(account, update.when("checked_at", "=", account.checked_at))

    def due(self, now: datetime) -> Iterator[str]:
        """Names of the accounts for which something is to be done by now, the longest overdue first."""
        pages = self._table.client.get_paginator("query").paginate(
            TableName=self._table.name,
            IndexName="due",
            KeyConditionExpression="outbox = :due AND due_at <= :now",
            ExpressionAttributeValues={":due": {"S": _DUE}, ":now": {"S": to_rfc3339(now)}},
        )
        for page in pages:
            for item in page["Items"]:
                yield item["name"]["S"]

    def done(self, account: Account) -> None:
        """What was due for `account` is done: its next check is due a period later, where it is worth one."""
        expired = account.state is AccountState.EXPIRED
        due_at = None if expired else next_check(account.name, self._clock(), self._check_every)
        self._attempt(account.name, _due(Update(), due_at).when("due_at", "=", account.due_at))

    def settle(self, account: Account) -> None:
        """The events that `account` owes have been sent; those that came since stay."""
        self._attempt(account.name, Update().set(owed=None).when("owed", "=", account.owed))

    def book(self, account: Account, bookings: dict[str, str]) -> bool:
        """Replaces the bookings; False where somebody else has since, or the account is gone."""
        update = Update().set(bookings=bookings).add("bookings_version", 1).when_exists(ALIVE)
        version = update.name("bookings_version")
        update.conditions.append(
            f"(attribute_not_exists({version}) OR {version} = {update.value(account.bookings_version)})"
        )
        return self._attempt(account.name, update)

    def prefer(self, name: str, changes: Mapping[str, Any]) -> Account:
        """Merges the changes into the account's preferences; a None takes one away."""
        account = self.get(name)
        update = Update().set(preferences=merged(account.preferences, changes))
        update.when("preferences", "=", account.preferences).when("created_at", "=", account.created_at)
        try:
            return _account(self._table.update(name, update))
        except ConditionFailed:
            return self.prefer(name, changes)  # Somebody else changed them in between, or the account is gone.

    def delete(self, name: str) -> None:
        """Takes the account away. What stays, where somebody is to be told, is its name and what it owes; that
        goes when it is told.
        """
        gone = [member.name for member in fields(Account) if member.name != "name"]
        update = Update().set(**dict.fromkeys(gone)).when_exists(ALIVE)
        self._outbox.owe(update, DELETED, self._clock())
        if not owes(update):
            deleted = self._table.delete(name)
            if deleted is None or ALIVE not in deleted:
                raise AccountNotFound(f"There is no account {name!r}.")
            return
        try:
            item = self._table.update(name, update)
        except ConditionFailed as failure:
            raise AccountNotFound(f"There is no account {name!r}.") from failure
        self._outbox.written(self._table, name, item, update)

    def _proved(
        self,
        name: str,
        before: AccountState | None,
        state: AccountState,
        seen: str,
        *,
        due_at: datetime | None = None,
        doubt: dict[str, Any] | None = None,
    ) -> Update:
        now = self._clock()
        update = Update().set(state=str(state), evidence=seen, checked_at=to_rfc3339(now), doubt=doubt)
        update.set(request_id=request_id())
        if state is not before:
            self._outbox.owe(update, state.event, now)
        return _due(update, due_at or next_check(name, now, self._check_every))

    def _write(self, account: Account, update: Update) -> bool:
        return self._attempt(account.name, update.when("session_version", "=", account.session_version))

    def _attempt(self, name: str, update: Update) -> bool:
        """Makes the write; False where its condition does not hold."""
        try:
            item = self._table.update(name, update)
        except ConditionFailed:
            return False
        self._outbox.written(self._table, name, item, update)
        return True


def _expiry(name: str, seen: str, now: datetime) -> dict[str, Any]:
    return event(str(uuid.uuid4()), ACCOUNT_EXPIRED, to_rfc3339(now), account=name, evidence=seen)


def _due(update: Update, due_at: datetime | None) -> Update:
    if due_at is None:
        return update.set(outbox=None, due_at=None)
    return update.set(outbox=_DUE, due_at=to_rfc3339(due_at))


def message_group(account_name: str) -> str:
    """One group an account, so that an account does one thing at a time: it publishes one work, or is checked.
    A hash, because a group id takes ASCII only (SQS API reference, SendMessage).
    """
    return hashlib.sha256(account_name.encode()).hexdigest()


def storage_prefix(kind: str, account_name: str) -> str:
    """Where an account's objects of a kind stand in the private bucket, e.g. `sessions/<hash>/`.

    A hash, so that a name in any script makes a plain key and no name can reach into another's prefix.
    """
    return f"{kind}/{hashlib.sha256(account_name.encode()).hexdigest()}/"


def _account(item: dict[str, Any]) -> Account:
    known = {member.name: item[member.name] for member in fields(Account) if member.name in item}
    return Account(**{**known, "state": AccountState(item["state"])})
