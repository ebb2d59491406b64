"""`publisher accounts …`."""

import time
from typing import Annotated, Any

import typer

from publisher.client import Document
from publisher.command import Run, command, group
from publisher.commands.preferences import (
    Credentials,
    Locale,
    Proxy,
    TimeZone,
    UserAgent,
    browser_preferences,
)
from publisher.errors import Exit, Misconfigured

Name = Annotated[str, typer.Argument(help="Your name of the account.", metavar="NAME")]

_CHECK_POLL_SECONDS = 2.0
_CHECK_SECONDS = 120.0


def add_to(app: typer.Typer) -> None:
    accounts = group(app, "accounts", "Look at accounts, and set what they prefer. `publisher login` adds one.")
    command(accounts, "list")(list_accounts)
    command(accounts, "show")(show)
    command(accounts, "check")(check)
    command(accounts, "set")(prefer)
    command(accounts, "delete")(delete)


def list_accounts(run: Run) -> None:
    """List the accounts, and how their sessions are."""
    found = run.client.accounts()
    run.out.answer(
        found,
        lambda: run.out.table(
            ["name", "nickname", "state", "checked"],
            [[account[key] for key in ("id", "name", "state", "checked_at")] for account in found["data"]],
            "No accounts. Log one in with `publisher login NAME`.",
        ),
    )


def show(run: Run, name: Name) -> None:
    """Show an account: its session, and its preferences."""
    _show(run, run.client.account(name))


def check(run: Run, name: Name) -> None:
    """Look now whether the account's session is alive.

    The exit status is 0 only where Douyin knows the session.
    """
    before = run.client.account(name)
    account = run.client.check_account(name)
    deadline = time.monotonic() + _CHECK_SECONDS
    while _looked(account) == _looked(before) and time.monotonic() < deadline:
        run.out.say("The check is under way, or waits for a publish.", "dim")
        time.sleep(_CHECK_POLL_SECONDS)
        account = run.client.account(name)
    _show(run, account)
    if _looked(account) == _looked(before):
        raise typer.Exit(Exit.NOT_FINISHED)
    if account["state"] != "logged_in" or account["doubt"]:
        raise typer.Exit(Exit.FAILED)


def prefer(
    run: Run,
    name: Name,
    default_tag: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Topics of works that bring none; repeat it.")
    ] = None,
    default_claim_type: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The declaration of works that bring none.")
    ] = None,
    review: Annotated[
        bool | None, typer.Option("--review/--no-review", help="Whether works wait for `tasks approve`.")
    ] = None,
    visibility: Annotated[
        str | None, typer.Option(metavar="WHO", help="public, friends or private: who may see works.")
    ] = None,
    allow_save: Annotated[
        bool | None, typer.Option("--allow-save/--no-allow-save", help="Whether others may save works.")
    ] = None,
    daily_cap: Annotated[
        int | None, typer.Option(metavar="N", help="At most so many works appear on one day.")
    ] = None,
    min_spacing: Annotated[
        int | None, typer.Option(metavar="MINUTES", help="At least so long between two works.")
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Take this preference away, by its name in `accounts show`."),
    ] = None,
    proxy: Proxy = None,
    *,
    proxy_credentials: Credentials = False,
    time_zone: TimeZone = None,
    user_agent: UserAgent = None,
    locale: Locale = None,
) -> None:
    """Set what the account prefers where a task says nothing, and its limits. What is not given stays."""
    given: dict[str, Any] = {
        "default_tags": default_tag or None,
        "default_claim_type": default_claim_type,
        "manual_review": review,
        "visibility": visibility,
        "allow_save": allow_save,
        "daily_cap": daily_cap,
        "min_spacing_minutes": min_spacing,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    changes |= browser_preferences(proxy, proxy_credentials, time_zone, user_agent, locale)
    for preference in unset or []:
        if preference in changes:
            raise Misconfigured(f"{preference} is set and unset at once.", "Give one of them.")
        changes[preference] = None
    if not changes:
        raise Misconfigured("There is nothing to set.", "Give a preference; --help names them.")
    _show(run, run.client.prefer(name, changes))


def delete(
    run: Run,
    name: Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove an account with its sessions and evidence. Its works on Douyin stay."""
    run.confirm(f"Remove the account {name}, its sessions and its evidence?", yes=yes)
    deleted = run.client.delete_account(name)
    run.out.answer(deleted, lambda: run.out.line(f"{deleted['id']} is removed."))


def _looked(account: Document) -> tuple[str, str | None]:
    doubt = account["doubt"] or {}
    return account["checked_at"], doubt.get("at")


def _show(run: Run, account: Document) -> None:
    doubt = account["doubt"]
    run.out.answer(
        account,
        lambda: run.out.fields(
            [
                ("name", account["id"]),
                ("nickname", account["name"]),
                ("uid", account["uid"]),
                ("state", account["state"]),
                ("evidence", account["evidence"]),
                ("checked", account["checked_at"]),
                ("doubt", doubt and f"{doubt['seen']} ({doubt['at']})"),
                ("logged in", account["logged_in_at"]),
                *account["preferences"].items(),
            ]
        ),
    )
