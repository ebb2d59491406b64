"""QR logins: how an account comes to be, and comes back."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from chalicelib import aws
from chalicelib.accounts.logins import Login, LoginKind, LoginState
from chalicelib.api import wiring
from chalicelib.api.edge import PathParameter, Routes, request_id, respond
from chalicelib.api.models import ErrorInfo, LoginAnswer, LoginRequest, LoginStatus
from chalicelib.clock import utc_now
from chalicelib.errors import (
    LoginCanceled,
    LoginNotFound,
    PlatformError,
    StateConflict,
    ValidationFailed,
)
from chalicelib.settings import settings

if TYPE_CHECKING:
    from chalice.app import Response

routes = Routes(__name__, "logins")

_LOGIN_ID = PathParameter("login_id", "The id of a login.", "5f0c2a44-93b3-4f5f-8a52-2f6f4d9f0f4e")

# API Gateway ends a request after 29 s; a cold browser shows its first QR code well before this.
QR_WAIT_SECONDS = 20.0
QR_LOOK_SECONDS = 0.2

_MESSAGES = {
    LoginState.STARTING: "The login page is being opened",
    LoginState.QR_READY: "Scan the QR code with the Douyin app",
    LoginState.SCANNED: "Scanned: confirm on the phone",
    LoginState.VERIFICATION_REQUIRED: "Douyin wants the owner to verify the identity",
    LoginState.SUCCESS: "Login successful",
    LoginState.FAILED: "Login failed",
    LoginState.EXPIRED: "The login has expired: start a new one",
}


@routes.operation(
    "POST",
    "/api/v1/accounts/login",
    request=LoginRequest,
    answer=LoginAnswer,
    errors=(ValidationFailed,),
    statuses={200: "OK", 202: "The QR code is not there yet: poll the login"},
)
def start_login(body: LoginRequest) -> Response:
    """Log a new or existing account in by QR code.

    Waits up to 20 s for the code. Scan it with the Douyin app, and poll GET /api/v1/accounts/login/{login_id}:
    the poll keeps the code fresh.
    """
    logins = wiring.login_store()
    login = logins.create(body.account_name)
    enqueue(login)
    login = _wait_for_qr(login)
    if login.state is LoginState.FAILED:
        cause = login.error or {}
        raise PlatformError(cause.get("detail", ""), login_id=login.id)
    answer = LoginAnswer(
        login_id=login.id,
        qr_code_base64=login.qr_png,
        qr_expires_at=login.qr_expires_at,
        state=login.state,
        expires_at=login.expires_at,
    )
    if login.qr_png is None:
        return respond(answer, status=202, headers={"Retry-After": "2"})
    return respond(answer)


@routes.operation(
    "GET",
    "/api/v1/accounts/login/{login_id}",
    answer=LoginStatus,
    errors=(LoginNotFound,),
    parameters=(_LOGIN_ID,),
)
def get_login(login_id: str) -> LoginStatus:
    """Check whether the QR code has been scanned and the login is successful."""
    return _login_status(wiring.login_store().poll(login_id))


@routes.operation(
    "DELETE",
    "/api/v1/accounts/login/{login_id}",
    answer=LoginStatus,
    errors=(LoginNotFound, StateConflict),
    parameters=(_LOGIN_ID,),
)
def cancel_login(login_id: str) -> LoginStatus:
    """Cancel a login that is under way.

    Its browser is closed within seconds.
    """
    return _login_status(wiring.login_store().abort(login_id, LoginState.FAILED, LoginCanceled()))


def enqueue(login: Login) -> None:
    """Hands a login to the login function."""
    aws.sqs().send_message(
        QueueUrl=settings.login_queue_url,
        MessageBody=json.dumps({"login_id": login.id, "kind": login.kind, "request_id": request_id()}),
    )


def message_of(login: Login, state: LoginState) -> str:
    """The contract's `msg`."""
    if login.error:
        return str(login.error["detail"])
    if login.kind is LoginKind.IMPORT and state is LoginState.STARTING:
        return "The imported session is being checked"
    return _MESSAGES[state]


def _wait_for_qr(login: Login) -> Login:
    logins = wiring.login_store()
    deadline = time.monotonic() + QR_WAIT_SECONDS
    while login.state is LoginState.STARTING and time.monotonic() < deadline:
        time.sleep(QR_LOOK_SECONDS)
        login = logins.poll(login.id)
    return login


def _login_status(login: Login) -> LoginStatus:
    state = login.outcome(utc_now())
    return LoginStatus(
        status=state.status,
        msg=message_of(login, state),
        state=state,
        account_name=login.account_name,
        qr_code_base64=None if state.terminal else login.qr_png,
        qr_expires_at=None if state.terminal else login.qr_expires_at,
        expires_at=login.expires_at,
        error=ErrorInfo(**login.error) if login.error else None,
    )
