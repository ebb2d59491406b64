"""Logins in DynamoDB: the meeting place of the worker that shows a QR code and the person who scans it."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from chalicelib.clock import Clock, from_rfc3339, to_rfc3339, utc_now
from chalicelib.dynamodb import ConditionFailed, Table, Update
from chalicelib.errors import (
    LoginNotFound,
    LoginNotStarted,
    LoginSuperseded,
    PublisherError,
    StateConflict,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A login lives this long at most, QR refreshes included.
LIFE = timedelta(minutes=5)

# The worker writes a sign of life more often than this; silence means that it is gone.
WORKER_SILENCE = timedelta(seconds=30)

# Finished logins are kept for this long, then DynamoDB's TTL deletes them.
KEPT = timedelta(days=1)


# The contract's words.
StatusOfLogin = Literal["pending", "success", "failed", "expired"]


class LoginState(StrEnum):
    STARTING = "starting"
    QR_READY = "qr_ready"
    SCANNED = "scanned"
    VERIFICATION_REQUIRED = "verification_required"
    SUCCESS = "success"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def status(self) -> StatusOfLogin:
        """The contract's word for this state."""
        match self:
            case LoginState.SUCCESS:
                return "success"
            case LoginState.FAILED:
                return "failed"
            case LoginState.EXPIRED:
                return "expired"
            case _:
                return "pending"

    @property
    def terminal(self) -> bool:
        return self in (LoginState.SUCCESS, LoginState.FAILED, LoginState.EXPIRED)


_LIVE = tuple(str(state) for state in LoginState if not state.terminal)


@dataclass(frozen=True, slots=True)
class Login:
    """`qr_png` is the current QR code: a PNG in base64. Instants are RFC 3339 text in UTC.

    `polled_at` is when somebody last asked; `seen_at` the worker's last sign of life; `worker` names the
    invocation that shows the code.
    """

    id: str
    account_name: str
    state: LoginState
    created_at: str
    expires_at: str
    polled_at: str
    ttl: int
    worker: str | None = None
    seen_at: str | None = None
    qr_png: str | None = None
    qr_expires_at: str | None = None
    qr_count: int = 0
    error: dict[str, Any] | None = None

    def outcome(self, now: datetime) -> LoginState:
        """The state as it is now: a login whose time is over, or whose worker fell silent, has ended, whether
        or not anybody was there to write it down.
        """
        if self.state.terminal:
            return self.state
        silent = self.seen_at is not None and now > from_rfc3339(self.seen_at) + WORKER_SILENCE
        return LoginState.EXPIRED if silent or now > from_rfc3339(self.expires_at) else self.state


class LoginStore:
    """Raises LoginNotFound for an unknown id, and StateConflict for a write to a login that has ended.

    Beside the logins the table holds one pointer an account, to its latest login: a new one supersedes it.
    """

    def __init__(self, client: DynamoDBClient, table: str, clock: Clock = utc_now) -> None:
        self._table = Table(client, table, "id")
        self._clock = clock

    def create(self, account_name: str) -> Login:
        """A new login of the account. One of the same account that is under way ends."""
        now = self._clock()
        login = Login(
            id=str(uuid.uuid4()),
            account_name=account_name,
            state=LoginState.STARTING,
            created_at=to_rfc3339(now),
            expires_at=to_rfc3339(now + LIFE),
            polled_at=to_rfc3339(now),
            ttl=int((now + LIFE + KEPT).timestamp()),
        )
        self._table.put_new(
            {
                "id": login.id,
                "account_name": login.account_name,
                "state": str(login.state),
                "created_at": login.created_at,
                "expires_at": login.expires_at,
                "polled_at": login.polled_at,
                "ttl": login.ttl,
            }
        )
        superseded = self._point_to(login)
        if superseded is not None:
            with suppress(StateConflict, LoginNotFound):  # It has ended by itself.
                self.abort(superseded, LoginState.EXPIRED, LoginSuperseded())
        return login

    def get(self, login_id: str) -> Login:
        item = self._table.get(login_id)
        if item is None or "state" not in item or item["ttl"] < self._clock().timestamp():  # TTL deletes late.
            raise LoginNotFound(f"There is no login {login_id!r}.")
        return _login(item)

    def poll(self, login_id: str) -> Login:
        """The login, noting that somebody asked: that keeps its QR code alive."""
        update = Update().set(polled_at=to_rfc3339(self._clock())).when_one_of("state", _LIVE)
        try:
            return _login(self._table.update(login_id, update))
        except ConditionFailed:
            return self.get(login_id)

    def claim(self, login_id: str, worker: str) -> Login:
        """Takes a login that nobody works on yet."""
        update = Update().set(worker=worker, seen_at=to_rfc3339(self._clock()))
        update.when("state", "=", str(LoginState.STARTING)).when_absent("worker")
        return self._write(login_id, update)

    def show_qr(self, login: Login, png_base64: str, *, expires_at: datetime) -> Login:
        update = self._sign_of_life(login).set(
            state=str(LoginState.QR_READY), qr_png=png_base64, qr_expires_at=to_rfc3339(expires_at)
        )
        return self._write(login.id, update.add("qr_count", 1))

    def report(self, login: Login, state: LoginState) -> Login:
        """A step of the login that is not its end, or just a sign of life."""
        update = self._sign_of_life(login).set(state=str(state))
        if state is not LoginState.QR_READY:
            update.set(qr_png=None, qr_expires_at=None)
        return self._write(login.id, update)

    def end(self, login: Login, state: LoginState, error: PublisherError | None = None) -> Login:
        """Ends a login; its QR code is dropped."""
        update = self._sign_of_life(login).set(
            state=str(state),
            error=error.describe() if error else None,
            qr_png=None,
            qr_expires_at=None,
        )
        return self._write(login.id, update)

    def bury(self, login_id: str) -> None:
        """Ends a login whose message came to the dead-letter queue, unless it has ended."""
        error = LoginNotStarted("The queue gave its message up.").describe()
        update = Update().set(state=str(LoginState.FAILED), error=error, qr_png=None, qr_expires_at=None)
        with suppress(StateConflict, LoginNotFound):
            self._write(login_id, update.when_one_of("state", _LIVE))

    def abort(self, login_id: str, state: LoginState, error: PublisherError) -> Login:
        """Ends a login from outside. Its worker finds out at its next write."""
        update = Update().set(state=str(state), error=error.describe(), qr_png=None, qr_expires_at=None)
        return self._write(login_id, update.when_one_of("state", _LIVE))

    def abort_latest(self, account_name: str, error: PublisherError) -> None:
        """Ends the account's login that is under way, where there is one."""
        pointer = self._table.get(f"latest#{account_name}")
        if pointer is not None:
            with suppress(StateConflict, LoginNotFound):
                self.abort(str(pointer["login_id"]), LoginState.FAILED, error)

    def _point_to(self, login: Login) -> str | None:
        """Makes the login its account's latest, and returns the id of the one that was."""
        pointer = f"latest#{login.account_name}"
        before = self._table.get(pointer)
        update = Update().set(login_id=login.id, ttl=login.ttl)
        if before is None:
            update.when_absent("login_id")
        else:
            update.when("login_id", "=", before["login_id"])
        try:
            self._table.update(pointer, update)
        except ConditionFailed:
            return self._point_to(login)  # Two logins at once: the later write wins.
        return str(before["login_id"]) if before else None

    def _sign_of_life(self, login: Login) -> Update:
        update = Update().set(seen_at=to_rfc3339(self._clock()))
        return update.when_one_of("state", _LIVE).when("worker", "=", login.worker)

    def _write(self, login_id: str, update: Update) -> Login:
        try:
            return _login(self._table.update(login_id, update.when_exists("id")))
        except ConditionFailed as failure:
            if failure.item is None:
                raise LoginNotFound(f"There is no login {login_id!r}.") from failure
            raise StateConflict(f"The login {login_id} is {failure.item['state']} already.") from failure


def _login(item: dict[str, Any]) -> Login:
    return Login(**{**item, "state": LoginState(item["state"])})
