"""Logins in DynamoDB: the meeting place of the worker that shows a QR code and the person who scans it."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from chalicelib.clock import Clock, from_rfc3339, to_rfc3339, utc_now
from chalicelib.dynamodb import ConditionFailed, Table, Update
from chalicelib.errors import (
    LoginAbandoned,
    LoginConflict,
    LoginExpired,
    LoginNotFound,
    LoginNotStarted,
    LoginSuperseded,
    LoginWorkerLost,
    PublisherError,
)
from chalicelib.outbox import Outbox
from chalicelib.trace import request_id
from chalicelib.verification import ANSWER_TIME

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A login lives this long at most, QR refreshes included; codes by SMS may add ANSWER_TIME to it, all together.
# The function's time-out is both, and a little (docs/decisions/045).
LIFE = timedelta(minutes=5)

# Nobody has asked after the login for this long: it costs money and nobody is there.
ABANDONED_AFTER = timedelta(seconds=30)

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
    VERIFYING = "verifying"
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
    def event(self) -> str:
        """The type of the event that tells that a login has come to this state."""
        return f"login.{self}"

    @property
    def terminal(self) -> bool:
        return self in (LoginState.SUCCESS, LoginState.FAILED, LoginState.EXPIRED)


class LoginKind(StrEnum):
    """How an account logs in: by a QR code that somebody scans, or with a session of a browser elsewhere."""

    QR = "qr"
    IMPORT = "import"


# What did not happen in time, by the state in which the time was over.
_LATE = {
    LoginState.STARTING: "No worker got as far as to answer",
    LoginState.QR_READY: "Nobody scanned the QR code",
    LoginState.SCANNED: "Nobody confirmed the login on the phone",
    LoginState.VERIFICATION_REQUIRED: "Nobody gave the code that the platform had sent by SMS",
    LoginState.VERIFYING: "The platform did not say whether the code is right",
}

_LIVE = tuple(str(state) for state in LoginState if not state.terminal)


@dataclass(frozen=True, slots=True)
class Login:
    """`qr_png` is the current QR code: a PNG in base64. Instants are RFC 3339 text in UTC.

    `polled_at` is when somebody last asked; `seen_at` the worker's last sign of life; `worker` names the
    invocation that shows the code. `verification` is what whoever is asked for an SMS code is told: {"phone"
    (masked), "asked_at", "expires_at", "resend_at", "tries", "complaint"}; the answer is `sealed_code`, or that
    the SMS is to be sent again (`resend`). `session_version` is of the session that is being put in force; as
    soon as it stands, nobody can end the login any more. `request_id` is of the request that began the login.
    """

    id: str
    account_name: str
    state: LoginState
    created_at: str
    expires_at: str
    polled_at: str
    ttl: int
    kind: LoginKind = LoginKind.QR
    preferences: dict[str, Any] = field(default_factory=dict)
    worker: str | None = None
    seen_at: str | None = None
    qr_png: str | None = None
    qr_expires_at: str | None = None
    qr_count: int = 0
    verification: dict[str, Any] | None = None
    sealed_code: str | None = field(default=None, repr=False)
    resend: bool = False
    session_version: int | None = None
    request_id: str | None = None
    error: dict[str, Any] | None = None

    def lapse(self, now: datetime) -> PublisherError | None:
        """Why a login that is under way has ended all the same, whether or not anybody was there to write it
        down; None where it goes on.
        """
        if self.state.terminal:
            return None
        if self.seen_at is not None and now > from_rfc3339(self.seen_at) + WORKER_SILENCE:
            return LoginWorkerLost(f"The worker has given no sign of life since {self.seen_at}.")
        if self.session_version is not None:
            return None
        if now > from_rfc3339(self.expires_at):
            return LoginExpired(f"{_LATE[self.state]} until {self.expires_at}.")
        if now > from_rfc3339(self.polled_at) + ABANDONED_AFTER:
            return LoginAbandoned(f"Nobody has asked after the login since {self.polled_at}.")
        return None


class LoginStore:
    """Raises LoginNotFound for an unknown id, and LoginConflict for a write that the login does not allow.

    Beside the logins the table holds one pointer an account, to its latest login: a new one supersedes it.
    """

    def __init__(
        self, client: DynamoDBClient, table: str, clock: Clock = utc_now, *, outbox: Outbox | None = None
    ) -> None:
        self._table = Table(client, table, "id")
        self._clock = clock
        self._outbox = outbox or Outbox("login")

    def create(
        self,
        account_name: str,
        kind: LoginKind = LoginKind.QR,
        *,
        preferences: dict[str, Any] | None = None,
    ) -> Login:
        """A new login of the account. One of the same account that is under way ends. `preferences` are changes
        to the account's, as they may be stored: they hold for the login's own browser, and for the account once
        the login succeeds.
        """
        now = self._clock()
        login = Login(
            id=str(uuid.uuid4()),
            account_name=account_name,
            state=LoginState.STARTING,
            created_at=to_rfc3339(now),
            expires_at=to_rfc3339(now + LIFE),
            polled_at=to_rfc3339(now),
            ttl=int((now + LIFE + KEPT).timestamp()),
            kind=kind,
            preferences=preferences or {},
            request_id=request_id(),
        )
        item = {
            "id": login.id,
            "account_name": login.account_name,
            "state": str(login.state),
            "created_at": login.created_at,
            "expires_at": login.expires_at,
            "polled_at": login.polled_at,
            "ttl": login.ttl,
            "kind": str(login.kind),
            "preferences": login.preferences,
            "request_id": login.request_id,
            **self._outbox.owed_by_new(login.state.event, now),
        }
        self._table.put_new(item)
        self._outbox.written(self._table, login.id, item)
        superseded = self._point_to(login)
        if superseded is not None:
            with suppress(LoginConflict, LoginNotFound):  # It has ended by itself, or is about to.
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
        """Takes a login that nobody works on yet, and whose time is not over."""
        now = to_rfc3339(self._clock())
        update = Update().set(worker=worker, seen_at=now).when("expires_at", ">", now)
        update.when("state", "=", str(LoginState.STARTING)).when_absent("worker")
        return self._write(login_id, update)

    def keep(self, login: Login) -> Login:
        """A sign of life of its worker."""
        return self._write(login.id, self._sign_of_life(login))

    def show_qr(self, login: Login, png_base64: str, *, expires_at: datetime) -> Login:
        update = self._to(LoginState.QR_READY, self._sign_of_life(login)).set(
            qr_png=png_base64, qr_expires_at=to_rfc3339(expires_at)
        )
        return self._write(login.id, update.add("qr_count", 1))

    def report(self, login: Login, state: LoginState) -> Login:
        """A step of the login that is not its end."""
        update = self._to(state, self._sign_of_life(login)).set(verification=None)
        if state is not LoginState.QR_READY:
            update.set(qr_png=None, qr_expires_at=None)
        return self._write(login.id, update)

    def ask(
        self, login: Login, *, phone: str | None, resend_at: datetime, tries: int, complaint: str | None
    ) -> Login:
        """Asks for the code that the platform has sent to `phone` (masked). There is time for it."""
        now, end = self._clock(), from_rfc3339(login.expires_at)
        longest = from_rfc3339(login.created_at) + LIFE + ANSWER_TIME
        expires_at = to_rfc3339(max(end, min(now + ANSWER_TIME, longest)))
        verification = {
            "phone": phone,
            "asked_at": to_rfc3339(now),
            "expires_at": expires_at,
            "resend_at": to_rfc3339(resend_at),
            "tries": tries,
            "complaint": complaint,
        }
        update = self._to(LoginState.VERIFICATION_REQUIRED, self._sign_of_life(login)).set(
            expires_at=expires_at,
            verification=verification,
            qr_png=None,
            qr_expires_at=None,
        )
        return self._write(login.id, update)

    def hand_over(self, login_id: str, *, sealed_code: str | None = None, resend: bool = False) -> Login:
        """Keeps what a person answered until the worker has taken it."""
        update = Update().set(polled_at=to_rfc3339(self._clock()))
        update.set(sealed_code=sealed_code) if sealed_code else update.set(resend=resend)
        return self._write(login_id, update.when("state", "=", str(LoginState.VERIFICATION_REQUIRED)))

    def take_answer(self, login: Login) -> Login | None:
        """The login with what a person answered, which is gone with this; None while nobody has."""
        seen = self.get(login.id)
        if seen.state is not LoginState.VERIFICATION_REQUIRED:
            raise conflict(seen)
        update = self._to(LoginState.VERIFYING, self._sign_of_life(login)).set(sealed_code=None, resend=None)
        if seen.sealed_code is not None:
            update.when("sealed_code", "=", seen.sealed_code)
        elif seen.resend:
            update.when_absent("sealed_code")
        else:
            return None
        try:
            self._write(login.id, update)
        except LoginConflict:
            return self.take_answer(login)  # Another code was given in this moment, or the login has ended.
        return seen

    def complete(self, login: Login, session_version: int) -> Login:
        """The login is about to succeed: from here on neither its time nor a person ends it."""
        return self._write(login.id, self._sign_of_life(login).set(session_version=session_version))

    def end(self, login: Login, state: LoginState, error: PublisherError | None = None) -> Login:
        """Ends a login."""
        return self._write(login.id, self._ending(self._sign_of_life(login), state, error))

    def settle(self, login: Login, state: LoginState, error: PublisherError | None = None) -> Login:
        """Writes down how a login has ended whose worker did not; the login as it is where he did after all."""
        update = self._ending(Update(), state, error).when("state", "=", str(login.state))
        if login.seen_at is None:
            update.when_absent("seen_at")
        else:
            update.when("seen_at", "=", login.seen_at)
        try:
            return self._write(login.id, update)
        except LoginConflict:
            return self.get(login.id)

    def bury(self, login_id: str) -> None:
        """Ends a login whose message came to the dead-letter queue, unless it has ended."""
        with suppress(LoginConflict, LoginNotFound):
            self.abort(login_id, LoginState.FAILED, LoginNotStarted("The queue gave its message up."))

    def abort(self, login_id: str, state: LoginState, error: PublisherError) -> Login:
        """Ends a login from outside, unless it is about to succeed. Its worker finds out at its next write."""
        update = self._ending(Update(), state, error).when_one_of("state", _LIVE)
        update.when_absent("session_version")
        return self._write(login_id, update)

    def abort_latest(self, account_name: str, error: PublisherError) -> None:
        """Ends the account's login that is under way, where there is one."""
        pointer = self._table.get(f"latest#{account_name}")
        if pointer is not None:
            with suppress(LoginConflict, LoginNotFound):
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
            item = self._table.update(login_id, update.when_exists("id"))
        except ConditionFailed as failure:
            if failure.item is None:
                raise LoginNotFound(f"There is no login {login_id!r}.") from failure
            raise conflict(_login(failure.item)) from failure
        self._outbox.written(self._table, login_id, item, update)
        return _login(item)

    def _to(self, state: LoginState, update: Update) -> Update:
        """The login comes to a state, and owes the event that tells of it."""
        self._outbox.owe(update, state.event, self._clock())
        return update.set(state=str(state))

    def _ending(self, update: Update, state: LoginState, error: PublisherError | None) -> Update:
        """Whatever only a login needs that is under way is gone with its end."""
        self._to(state, update).set(error=error.describe() if error else None)
        return update.set(qr_png=None, qr_expires_at=None, verification=None, sealed_code=None, resend=None)


def conflict(login: Login) -> LoginConflict:
    """What to say where a login does not allow something."""
    if login.state.terminal:
        return LoginConflict(f"The login {login.id} is {login.state} already.")
    if login.session_version is not None:
        return LoginConflict(f"The login {login.id} is about to succeed.")
    return LoginConflict(f"The login {login.id} is {login.state}, which does not allow this.")


def _login(item: dict[str, Any]) -> Login:
    known = {member.name: item[member.name] for member in fields(Login) if member.name in item}
    kind = LoginKind(item.get("kind", LoginKind.QR))
    return Login(**{**known, "state": LoginState(item["state"]), "kind": kind})
