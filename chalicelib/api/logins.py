"""QR logins: how an account comes to be, and comes back."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from chalicelib import aws
from chalicelib.accounts.logins import Login, LoginKind, LoginState
from chalicelib.accounts.preferences import sealed
from chalicelib.api import wiring
from chalicelib.api.edge import (
    Link,
    PathParameter,
    Routes,
    id_of,
    publish_with,
    request_id,
    respond,
    wait_for_change,
)
from chalicelib.api.models import (
    ErrorInfo,
    LoginAnswer,
    LoginRequest,
    LoginStatus,
    LoginVerification,
    LoginVerificationRequest,
    Preferences,
    WaitQuery,
)
from chalicelib.errors import (
    BrowserFailed,
    LoginConflict,
    LoginNotFound,
    LoginSuperseded,
    PlatformError,
    ValidationFailed,
    restored,
)
from chalicelib.keys.scopes import Scope
from chalicelib.settings import settings

if TYPE_CHECKING:
    from chalice.app import Response

routes = Routes(__name__, "logins")

_LOGIN_ID = PathParameter(
    "login_id", "The id of a login.", "5f0c2a44-93b3-4f5f-8a52-2f6f4d9f0f4e", id_of(LoginNotFound)
)

# API Gateway ends a request after 29 s; a cold browser shows its first QR code well before this.
QR_WAIT_SECONDS = 20.0
QR_LOOK_SECONDS = 0.2

_MESSAGES = {
    LoginState.STARTING: "The login page is being opened",
    LoginState.QR_READY: "Scan the QR code with the Douyin app",
    LoginState.SCANNED: "Scanned: confirm on the phone",
    LoginState.VERIFICATION_REQUIRED: "Give the code that Douyin has sent by SMS",
    LoginState.VERIFYING: "Douyin is checking the code, or sending another one",
    LoginState.SUCCESS: "Login successful",
    LoginState.FAILED: "Login failed",
    LoginState.EXPIRED: "The login has expired: start a new one",
}


@routes.operation(
    "POST",
    "/api/v1/accounts/login",
    scope=Scope.ACCOUNTS_LOGIN,
    request=LoginRequest,
    answer=LoginAnswer,
    errors=(ValidationFailed, LoginSuperseded, BrowserFailed, PlatformError),
    statuses={200: "OK", 202: "The QR code is not there yet: poll the login"},
    again="Starts another login, which ends the first.",
    headers={200: ("Location",), 202: ("Location", "Retry-After")},
    links=tuple(
        Link(operation, {"login_id": "$response.body#/login_id"})
        for operation in ("get_login", "cancel_login", "verify_login")
    ),
)
def start_login(body: LoginRequest) -> Response:
    """Log a new or existing account in by QR code.

    Waits up to 20 s for the code. Scan it with the Douyin app, and poll GET /api/v1/accounts/login/{login_id}:
    the poll keeps the code fresh. A login that has failed by then is answered with its cause.
    """
    logins = wiring.login_store()
    login = logins.create(body.account_name, preferences=wished(body.preferences, body.account_name))
    enqueue(login)
    login = _wait_for_qr(login)
    if login.error is not None:
        raise restored(login.error)
    answer = LoginAnswer(
        login_id=login.id,
        qr_code_base64=login.qr_png,
        qr_expires_at=login.qr_expires_at,
        state=login.state,
        expires_at=login.expires_at,
    )
    where = {"Location": f"/api/v1/accounts/login/{login.id}"}
    if login.qr_png is None:
        return respond(answer, status=202, headers={**where, "Retry-After": "2"})
    return respond(answer, headers=where)


@routes.operation(
    "GET",
    "/api/v1/accounts/login/{login_id}",
    scope=Scope.ACCOUNTS_LOGIN,
    query=WaitQuery,
    answer=LoginStatus,
    errors=(LoginNotFound,),
    parameters=(_LOGIN_ID,),
    links=(
        Link("get_account", {"account_name": "$response.body#/account_name"}),
        publish_with(account_name="$response.body#/account_name"),
    ),
)
def get_login(query: WaitQuery, login_id: str) -> Response:
    """Check whether the QR code has been scanned and the login is successful.

    Ask every few seconds, as Retry-After says: a login that nobody has asked after for 30 s is ended. With
    `wait`, the answer comes as soon as the login changes.
    """
    desk = wiring.login_desk()
    return wait_for_change(lambda: _polled(desk.poll(login_id)), query.wait)


@routes.operation(
    "DELETE",
    "/api/v1/accounts/login/{login_id}",
    scope=Scope.ACCOUNTS_LOGIN,
    answer=LoginStatus,
    errors=(LoginNotFound, LoginConflict),
    parameters=(_LOGIN_ID,),
    again="409 `login.state_conflict`: the login has ended.",
)
def cancel_login(login_id: str) -> LoginStatus:
    """Cancel a login that is under way.

    Its browser is closed within seconds.
    """
    return _login_status(wiring.login_desk().cancel(login_id))


@routes.operation(
    "POST",
    "/api/v1/accounts/login/{login_id}/verification",
    scope=Scope.ACCOUNTS_LOGIN,
    request=LoginVerificationRequest,
    answer=LoginStatus,
    errors=(ValidationFailed, LoginNotFound, LoginConflict),
    parameters=(_LOGIN_ID,),
    again="Gives it, or asks for it, once more; 409 `login.state_conflict`, if the worker has the first.",
)
def verify_login(body: LoginVerificationRequest, login_id: str) -> LoginStatus:
    """Give the code that the platform has sent by SMS, or have it sent again.

    The login waits for it as `verification_required`; `verification` shows the phone, until when, and from when
    on another SMS can be sent. If the platform does not take the code, the login asks again: `tries` goes up,
    and `complaint` says why.
    """
    desk = wiring.login_desk()
    login = desk.send_again(login_id) if body.code is None else desk.verify(login_id, body.code)
    return _login_status(login)


def wished(preferences: Preferences | None, account_name: str) -> dict[str, Any]:
    """The preferences that come with a login, as they may be stored."""
    if preferences is None:
        return {}
    return sealed(preferences.model_dump(exclude_unset=True), account_name, wiring.sealer())


def enqueue(login: Login) -> None:
    """Hands a login to the login function."""
    aws.sqs().send_message(
        QueueUrl=settings.login_queue_url,
        MessageBody=json.dumps({"login_id": login.id, "kind": login.kind, "request_id": request_id()}),
    )


def message_of(login: Login) -> str:
    """The contract's `msg`."""
    if login.error:
        return str(login.error["detail"])
    if login.kind is LoginKind.IMPORT and login.state is LoginState.STARTING:
        return "The imported session is being checked"
    return _MESSAGES[login.state]


def _wait_for_qr(login: Login) -> Login:
    desk = wiring.login_desk()
    deadline = time.monotonic() + QR_WAIT_SECONDS
    while login.state is LoginState.STARTING and time.monotonic() < deadline:
        time.sleep(QR_LOOK_SECONDS)
        login = desk.poll(login.id)
    return login


def _polled(login: Login) -> Response:
    return respond(_login_status(login), headers={} if login.state.terminal else {"Retry-After": "2"})


def _login_status(login: Login) -> LoginStatus:
    return LoginStatus(
        status=login.state.status,
        msg=message_of(login),
        state=login.state,
        account_name=login.account_name,
        qr_code_base64=login.qr_png,
        qr_expires_at=login.qr_expires_at,
        expires_at=login.expires_at,
        verification=LoginVerification(**login.verification) if login.verification else None,
        error=ErrorInfo(**login.error) if login.error else None,
    )
