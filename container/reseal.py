"""`python -m container.reseal`: seals the session of every account afresh, each with a new data key.

    python -m container.reseal --dry-run              open each, change nothing
    python -m container.reseal                        after KMS has rotated the key
    python -m container.reseal --old-key KEY_ID       after it was replaced: SESSION_KEY_ID names the new one
    python -m container.reseal --sealed-before TIME   go on with a run that was broken off: it printed its TIME

For an operator, with ACCOUNTS_TABLE, PRIVATE_BUCKET, SESSION_KEY_ID and credentials in the environment that may
dynamodb:Scan and GetItem the table, s3:ListBucket the bucket and GetObject, PutObject and DeleteObject its
sessions/*, kms:Decrypt by the old key and GenerateDataKey by the new one. Jobs may run meanwhile: a session is
written back only where nobody has replaced it, and a login or publish in between wins. Older sessions that jobs
have left behind are deleted. Exit code 1 where a session could not be opened.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib import aws
from chalicelib.accounts.store import AccountStore
from chalicelib.accounts.vault import Vault
from chalicelib.clock import from_rfc3339, to_rfc3339, utc_now
from chalicelib.errors import SessionUnreadable
from chalicelib.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime


def reseal_all(
    accounts: AccountStore,
    vault: Vault,
    *,
    sealed_before: datetime,
    old: Vault,
    dry_run: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Counter[str]:
    """How many sessions were `resealed`, `left` as they are (newer, or replaced meanwhile), or `unreadable`."""
    counts: Counter[str] = Counter(resealed=0, left=0, unreadable=0)
    for account in accounts.list():
        name, version = account.name, account.session_version
        try:
            done = vault.reseal(name, version, sealed_before=sealed_before, old=old, dry_run=dry_run)
            counts["resealed" if done else "left"] += 1
        except SessionUnreadable as error:
            current = accounts.find(name)
            if current is None or current.session_version != version:
                counts["left"] += 1
                continue
            counts["unreadable"] += 1
            say(f"{error.detail} {error.next_step}")
        if not dry_run:
            vault.discard_before(name, version)
    return counts


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m container.reseal", description="Seal all sessions afresh.")
    parser.add_argument(
        "--sealed-before", type=from_rfc3339, metavar="TIME", default=utc_now(), help="RFC 3339"
    )
    parser.add_argument("--old-key", metavar="KEY_ID", help="what the sessions are sealed by until now")
    parser.add_argument("--dry-run", action="store_true", help="open each session, and change nothing")
    given = parser.parse_args(arguments)
    vault = Vault(aws.s3(), aws.kms(), settings.private_bucket, settings.session_key_id)
    _say(f"Sessions sealed before {to_rfc3339(given.sealed_before)}:")
    counts = reseal_all(
        AccountStore(aws.dynamodb(), settings.accounts_table),
        vault,
        sealed_before=given.sealed_before,
        old=replace(vault, key_id=given.old_key or vault.key_id),
        dry_run=given.dry_run,
        say=_say,
    )
    verb = "would be resealed" if given.dry_run else "resealed"
    _say(f"{counts['resealed']} {verb}, {counts['left']} left, {counts['unreadable']} unreadable")
    return 1 if counts["unreadable"] else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
