"""Accounts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from chalicelib import aws
from chalicelib.accounts.preferences import sealed, shown
from chalicelib.accounts.removal import remove_account
from chalicelib.accounts.store import PLATFORM, Account
from chalicelib.api import wiring
from chalicelib.api.edge import Link, PathParameter, Routes, publish_with, respond
from chalicelib.api.models import (
    AccountAnswer,
    AccountList,
    AccountPatch,
    DeletedAccount,
    Doubt,
    checked_account_name,
)
from chalicelib.errors import (
    AccountNotFound,
    ValidationFailed,
)
from chalicelib.keys.scopes import Scope
from chalicelib.settings import settings

if TYPE_CHECKING:
    from chalice.app import Response

routes = Routes(__name__, "accounts")

# A check that meets no publish and needs no browser takes a second or two; one with a cold browser about ten.
CHECK_WAIT_SECONDS = 15.0
CHECK_LOOK_SECONDS = 0.3


def _check_name(value: str) -> None:
    try:
        checked_account_name(value)
    except ValueError as error:
        raise AccountNotFound(f"There is no such account: a name {error}.") from error


_ACCOUNT_NAME = PathParameter("account_name", "Your name of the account.", "default_user", _check_name)


_OF_AN_ACCOUNT = tuple(
    Link(operation, {"account_name": "$response.body#/id"})
    for operation in ("get_account", "patch_account", "check_account", "delete_account")
)


@routes.operation("GET", "/api/v1/accounts", scope=Scope.ACCOUNTS_READ, answer=AccountList)
def list_accounts() -> AccountList:
    """List all registered accounts."""
    return AccountList(data=[account_answer(account) for account in wiring.account_store().list()])


@routes.operation(
    "GET",
    "/api/v1/accounts/{account_name}",
    scope=Scope.ACCOUNTS_READ,
    answer=AccountAnswer,
    errors=(AccountNotFound,),
    parameters=(_ACCOUNT_NAME,),
    links=(*_OF_AN_ACCOUNT, publish_with(account_name="$response.body#/id")),
)
def get_account(account_name: str) -> AccountAnswer:
    """See one account."""
    return account_answer(wiring.account_store().get(account_name))


@routes.operation(
    "PATCH",
    "/api/v1/accounts/{account_name}",
    scope=Scope.ACCOUNTS_WRITE,
    request=AccountPatch,
    answer=AccountAnswer,
    errors=(ValidationFailed, AccountNotFound),
    parameters=(_ACCOUNT_NAME,),
    again="Changes nothing more.",
)
def patch_account(body: AccountPatch, account_name: str) -> AccountAnswer:
    """Set what an account prefers where a task says nothing, and its limits.

    A JSON merge patch (RFC 7396): a member that is null is taken away, one that is absent stays.
    """
    changes = sealed(body.preferences.model_dump(exclude_unset=True), account_name, wiring.sealer())
    return account_answer(wiring.account_store().prefer(account_name, changes))


@routes.operation(
    "POST",
    "/api/v1/accounts/{account_name}/check",
    scope=Scope.ACCOUNTS_WRITE,
    answer=AccountAnswer,
    errors=(AccountNotFound,),
    parameters=(_ACCOUNT_NAME,),
    statuses={200: "OK", 202: "The check is under way or waits for a publish: look at the account again"},
    again="Looks once more.",
    headers={202: ("Location", "Retry-After")},
)
def check_account(account_name: str) -> Response:
    """Look now whether an account's session is alive.

    Waits up to 15 s. `state` and `evidence` tell the answer; where the look could not tell, `doubt` says why.
    """
    before = wiring.account_store().get(account_name)
    wiring.check_desk().ask(before)
    account = _wait_for_look(before)
    if account.looked_at == before.looked_at:
        headers = {"Location": f"/api/v1/accounts/{quote(account_name)}", "Retry-After": "5"}
        return respond(account_answer(account), status=202, headers=headers)
    return respond(account_answer(account))


@routes.operation(
    "DELETE",
    "/api/v1/accounts/{account_name}",
    scope=Scope.ACCOUNTS_WRITE,
    answer=DeletedAccount,
    errors=(AccountNotFound,),
    parameters=(_ACCOUNT_NAME,),
    again="404 `account.not_found`: it is gone.",
    links=(Link("get_account", {"account_name": "$response.body#/id"}),),
)
def delete_account(account_name: str) -> DeletedAccount:
    """Remove an account, its sessions and its evidence.

    A login of it that is under way ends. Its tasks keep their facts; one that runs is not submitted any more.
    """
    accounts, logins = wiring.account_store(), wiring.login_store()
    remove_account(account_name, accounts, logins, aws.s3(), settings.private_bucket)
    return DeletedAccount(id=account_name)


def _wait_for_look(account: Account) -> Account:
    """The account once somebody has looked, or as it is when the wait is over."""
    accounts, before = wiring.account_store(), account.looked_at
    deadline = time.monotonic() + CHECK_WAIT_SECONDS
    while account.looked_at == before and time.monotonic() < deadline:
        time.sleep(CHECK_LOOK_SECONDS)
        account = accounts.get(account.name)
    return account


def account_answer(account: Account) -> AccountAnswer:
    return AccountAnswer(
        id=account.name,
        name=account.nickname,
        platform=PLATFORM,
        preferences=shown(account.preferences),
        state=account.state.value,
        evidence=account.evidence,
        checked_at=account.checked_at,
        doubt=Doubt(**account.doubt) if account.doubt else None,
        uid=account.uid,
        avatar_url=account.avatar_url,
        logged_in_at=account.logged_in_at,
    )
