"""API keys from the command line: `python -m chalicelib.keys COMMAND`.

    create    a key, shown once: --name NAME --scope SCOPE … [--expires WHEN]
    list      all keys
    revoke    ends a key at once: revoke ID

So the first key comes to be: it takes rights in AWS to the stack's table (dynamodb:PutItem, Scan, UpdateItem)
and no key. The table is that of --stack, or KEYS_TABLE of the environment. For the system of a local run:
`python -m local.keys`, the same commands. Exit code 2: could not be done.
"""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import aws
from chalicelib.clock import utc_now
from chalicelib.errors import PublisherError
from chalicelib.keys.scopes import Scope
from chalicelib.keys.store import KeyStore
from chalicelib.settings import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.keys.store import Key

COMMAND_LINE = "command line"


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parse(arguments)
    try:
        store = KeyStore(aws.dynamodb(), _table(given.stack))
        if given.command == "create":
            new = store.create(given.name, given.scope, expires_at=given.expires, created_by=COMMAND_LINE)
            _print(_line(new.key), "", f"    {new.token}", "", "This is shown once. Keep it as a password.")
        elif given.command == "list":
            _print(*map(_line, store.list()))
        else:
            _print(_line(store.revoke(given.id)))
    except (PublisherError, ClientError, BotoCoreError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command's own output
        return 2
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m chalicelib.keys",
        description="API keys, for who has rights in AWS.",
        epilog="Scopes: " + "; ".join(f"{scope}: {scope.meaning}" for scope in Scope),
    )
    parser.add_argument("--stack", metavar="NAME", help="the CloudFormation stack that has the table")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key")
    create.add_argument("--name", required=True, help="for people: who uses the key, and where")
    create.add_argument(
        "--scope",
        action="append",
        required=True,
        type=_scopes,
        help="may be given several times; all is every scope",
    )
    create.add_argument("--expires", type=_expiry, metavar="WHEN", help="90d, or RFC 3339 with an offset")
    commands.add_parser("list", help="list the keys")
    commands.add_parser("revoke", help="end a key at once").add_argument("id")
    given = parser.parse_args(arguments)
    if given.command == "create":
        given.scope = frozenset().union(*given.scope)
    return given


def _scopes(text: str) -> frozenset[Scope]:
    if text == "all":
        return frozenset(Scope)
    try:
        return frozenset([Scope(text)])
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(Scope)}, all") from None


def _expiry(text: str) -> datetime:
    now = utc_now()
    days = re.fullmatch(r"(\d{1,4})d", text)
    try:
        expires_at = now + timedelta(days=int(days[1])) if days else datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither days (90d) nor RFC 3339") from None
    if expires_at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} needs an offset, such as Z")
    if expires_at <= now:
        raise argparse.ArgumentTypeError(f"{text!r} does not lie in the future")
    return expires_at.astimezone(UTC)


def _table(stack: str | None) -> str:
    if stack is None:
        return settings.keys_table
    found = aws.cloudformation().describe_stack_resource(StackName=stack, LogicalResourceId="KeysTable")
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def _line(key: Key) -> str:
    end = key.end(utc_now()) or (f"expires at {key.expires_at}" if key.expires_at else "does not expire")
    used = f"last used at {key.last_used_at}" if key.last_used_at else "never used"
    return f"{key.id}  {key.name}  {' '.join(sorted(key.scopes))}  {end}  {used}"


def _print(*lines: str) -> None:
    for line in lines:
        print(line)  # noqa: T201 - a command's own output


if __name__ == "__main__":
    sys.exit(main())
