"""Accounts."""

from __future__ import annotations

from chalicelib import aws
from chalicelib.accounts.preferences import sealed, shown
from chalicelib.accounts.removal import remove_account
from chalicelib.accounts.store import PLATFORM, Account
from chalicelib.api import wiring
from chalicelib.api.edge import PathParameter, Routes
from chalicelib.api.models import (
    AccountAnswer,
    AccountList,
    AccountPatch,
    DeletedAccount,
)
from chalicelib.errors import (
    AccountNotFound,
    ValidationFailed,
)
from chalicelib.settings import settings

routes = Routes(__name__, "accounts")

ACCOUNT_NAME = PathParameter("account_name", "Your name of the account.", "default_user")


@routes.operation("GET", "/api/v1/accounts", answer=AccountList)
def list_accounts() -> AccountList:
    """List all registered accounts."""
    return AccountList(data=[account_answer(account) for account in wiring.account_store().list()])


@routes.operation(
    "GET",
    "/api/v1/accounts/{account_name}",
    answer=AccountAnswer,
    errors=(AccountNotFound,),
    parameters=(ACCOUNT_NAME,),
)
def get_account(account_name: str) -> AccountAnswer:
    """See one account."""
    return account_answer(wiring.account_store().get(account_name))


@routes.operation(
    "PATCH",
    "/api/v1/accounts/{account_name}",
    request=AccountPatch,
    answer=AccountAnswer,
    errors=(ValidationFailed, AccountNotFound),
    parameters=(ACCOUNT_NAME,),
)
def patch_account(body: AccountPatch, account_name: str) -> AccountAnswer:
    """Set what an account prefers where a task says nothing, and its limits.

    A JSON merge patch (RFC 7396): a member that is null is taken away, one that is absent stays.
    """
    changes = sealed(body.preferences.model_dump(exclude_unset=True), account_name, wiring.sealer())
    return account_answer(wiring.account_store().prefer(account_name, changes))


@routes.operation(
    "DELETE",
    "/api/v1/accounts/{account_name}",
    answer=DeletedAccount,
    errors=(AccountNotFound,),
    parameters=(ACCOUNT_NAME,),
)
def delete_account(account_name: str) -> DeletedAccount:
    """Remove an account, its sessions and its evidence.

    Its finished tasks keep their facts.
    """
    remove_account(
        account_name, wiring.account_store(), wiring.login_store(), aws.s3(), settings.private_bucket
    )
    return DeletedAccount(id=account_name)


def account_answer(account: Account) -> AccountAnswer:
    return AccountAnswer(
        id=account.name,
        name=account.nickname,
        platform=PLATFORM,
        preferences=shown(account.preferences),
        state=account.state.value,
        uid=account.uid,
        avatar_url=account.avatar_url,
        logged_in_at=account.logged_in_at,
        checked_at=account.checked_at,
    )
