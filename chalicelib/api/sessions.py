"""Sessions that people bring from a browser of their own. None ever leaves through the API."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from chalicelib.accounts.imports import of_platform
from chalicelib.accounts.logins import Login, LoginKind, LoginState
from chalicelib.api import wiring
from chalicelib.api.accounts import account_answer
from chalicelib.api.edge import Link, PathParameter, Routes, respond
from chalicelib.api.logins import QR_WAIT_SECONDS, enqueue, message_of, wished
from chalicelib.api.models import SessionAnswer, checked_account_name
from chalicelib.api.storage_state import MAX_SESSION_BYTES, SessionImport
from chalicelib.clock import utc_now
from chalicelib.errors import (
    AccountNotFound,
    CaptchaRequired,
    LoginSuperseded,
    PageTimeout,
    PlatformUnreachable,
    SessionOfAnother,
    SessionRefused,
    SessionUnusable,
    ValidationFailed,
    VerificationRequired,
    restored,
)
from chalicelib.keys.scopes import Scope
from chalicelib.settings import settings

if TYPE_CHECKING:
    from chalice.app import Response

routes = Routes(__name__, "accounts")

_LOOK_SECONDS = 0.3


def _check_name(value: str) -> None:
    try:
        checked_account_name(value)
    except ValueError as error:
        raise ValidationFailed(f"The account_name in the path {error}.") from error


_ACCOUNT_NAME = PathParameter("account_name", "Your name of the account.", "default_user", _check_name)


@routes.operation(
    "PUT",
    "/api/v1/accounts/{account_name}/session",
    scope=Scope.ACCOUNTS_LOGIN,
    request=SessionImport,
    answer=SessionAnswer,
    errors=(
        *(ValidationFailed, SessionRefused, SessionUnusable, SessionOfAnother, VerificationRequired),
        *(LoginSuperseded, CaptchaRequired, PlatformUnreachable, PageTimeout),
    ),
    parameters=(_ACCOUNT_NAME,),
    statuses={200: "OK: the session is in force", 202: "It is still being checked: poll the login"},
    max_body_bytes=MAX_SESSION_BYTES,
    again="Tries the session once more, in a login that ends the first.",
    headers={202: ("Location", "Retry-After")},
    links=(Link("get_login", {"login_id": "$response.body#/login_id"}),),
)
def import_session(body: SessionImport, account_name: str) -> Response:
    """Log a new or existing account in with a session from a browser of your own.

    For when the platform refuses to show or to take a QR code. storage_state is what Playwright's
    context.storage_state() gives; `python -m local.session` makes one. The body may have 256 KiB. Only the
    platform's own cookies and storage are kept; `left_out` names the hosts of the others. The session is tried
    in a browser before it is accepted: waits up to 20 s for that, then answers 202 with the login to poll in
    Location. It supersedes a login of the account that is under way.
    """
    state, left_out = of_platform(body.storage_state.as_playwright(), settings.douyin_origin, utc_now())
    login = wiring.login_store().create(
        account_name, LoginKind.IMPORT, preferences=wished(body.preferences, account_name)
    )
    sealed = wiring.sealer().seal(json.dumps(state, ensure_ascii=False), "session_import", login.id)
    wiring.import_box().put(login, sealed)
    enqueue(login)
    login = _wait_for_end(login)
    if login.error is not None:
        raise restored(login.error)
    if login.state is not LoginState.SUCCESS:
        where = f"/api/v1/accounts/login/{login.id}"
        answer = _answer(login, left_out)
        return respond(answer, status=202, headers={"Location": where, "Retry-After": "2"})
    return respond(_answer(login, left_out))


def _wait_for_end(login: Login) -> Login:
    desk = wiring.login_desk()
    deadline = time.monotonic() + QR_WAIT_SECONDS
    while not login.state.terminal and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        login = desk.poll(login.id)
    return login


def _answer(login: Login, left_out: list[str]) -> SessionAnswer:
    account = None
    if login.state is LoginState.SUCCESS:
        account = wiring.account_store().find(login.account_name)
        if account is None:
            raise AccountNotFound(f"The account {login.account_name!r} was deleted meanwhile.")
    return SessionAnswer(
        login_id=login.id,
        status=login.state.status,
        msg=message_of(login),
        state=login.state,
        account=account_answer(account) if account else None,
        left_out=left_out,
        expires_at=login.expires_at,
    )
