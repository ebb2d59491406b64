"""`make probe`: which of the driver's locators hold on the pages of a creator center. Publishes nothing.

    python -m local.probe --account NAME            with the session of an account of the running local system
    python -m local.probe --storage-state FILE      with one exported from a browser by Playwright
    python -m local.probe                           the login page only

A small video is uploaded to reach the form, and abandoned. Exit code 0: each locator leads somewhere, if only
by a fallback; 1: one is broken, or a page could not be reached.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chalicelib.accounts.store import AccountStore
from chalicelib.accounts.vault import Vault
from chalicelib.errors import PublisherError
from chalicelib.unsealing import Unsealer
from container.profile import BrowserProfile, profile_of
from local.chromium import find_chromium
from local.emulator import make_client
from local.options import ROOT
from local.processes import LOOPBACK
from local.system import STACK

if TYPE_CHECKING:
    from collections.abc import Sequence

VIDEO = ROOT / "local" / "standins" / "douyin" / "media" / "demo.mp4"


def main(arguments: Sequence[str] | None = None) -> int:
    console = Console(highlight=False)
    given = _parse(arguments)
    chromium = find_chromium(headed=given.headed)
    if chromium is None:
        console.print("[red]No Chromium was found. Install one, or set CHROMIUM_PATH.")
        return 1
    try:
        session, profile = _session(given)
    except (BotoCoreError, ClientError, KeyError, OSError, ValueError, PublisherError) as error:
        console.print(f"[red]There is no session to probe with: {error}")
        return 1
    order = {
        "origin": given.douyin_origin.rstrip("/"),
        "video": str(given.video),
        "storage_state": session,
        "chromium_path": chromium,
        "headed": given.headed,
        "profile": asdict(profile),
    }
    probe = subprocess.run(
        [sys.executable, "-m", "container.probe_pages"],
        cwd=ROOT,
        input=json.dumps(order),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    _show(console, [json.loads(line) for line in probe.stdout.splitlines()])
    return probe.returncode


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.probe", description="Which locators hold.")
    parser.add_argument("--douyin-origin", metavar="URL", default="https://creator.douyin.com")
    session = parser.add_mutually_exclusive_group()
    session.add_argument("--storage-state", type=Path, metavar="FILE", help="a session as Playwright stores it")
    session.add_argument("--account", metavar="NAME", help="of the local system, which must be running")
    parser.add_argument("--data", type=Path, default=ROOT / ".local", metavar="DIR", help="of the local system")
    parser.add_argument(
        "--video", type=Path, default=VIDEO, metavar="FILE", help="what is uploaded and dropped"
    )
    parser.add_argument("--headed", action="store_true", help="a browser with a window, on a virtual screen")
    return parser.parse_args(arguments)


def _session(given: argparse.Namespace) -> tuple[dict[str, Any] | None, BrowserProfile]:
    if given.storage_state is not None:
        session: dict[str, Any] = json.loads(given.storage_state.read_text())
        return session, BrowserProfile()
    if given.account is None:
        return None, BrowserProfile()
    port = json.loads((given.data / "ports.json").read_text())["aws"]
    return sealed_session(f"http://{LOOPBACK}:{port}", STACK, given.account)


def sealed_session(endpoint: str, stack: str, name: str) -> tuple[dict[str, Any], BrowserProfile]:
    """The session in force of an account, out of the vault of a deployed stack, and how its browser appears."""
    parts = make_client("cloudformation", endpoint).describe_stack_resources(StackName=stack)
    names = {part["LogicalResourceId"]: part["PhysicalResourceId"] for part in parts["StackResources"]}
    account = AccountStore(make_client("dynamodb", endpoint), names["AccountsTable"]).get(name)
    account.require_login()
    kms, key = make_client("kms", endpoint), names["SessionKey"]
    vault = Vault(make_client("s3", endpoint), kms, names["PrivateBucket"], key)
    return vault.open(name, account.session_version), profile_of(account, Unsealer(kms, key))


def _show(console: Console, lines: list[dict[str, Any]]) -> None:
    table = Table("page", "what", "held by", "how", box=box.SIMPLE)
    for line in lines:
        if "error" in line:
            continue
        table.add_row(line["room"], line["purpose"], _verdict(line), escape(line["how"]))
    if table.row_count:
        console.print(table)
    for line in lines:
        if "error" in line:
            console.print(f"[red]{escape(line['error'])}[/] {line['next_step']}")


def _verdict(line: dict[str, Any]) -> str:
    if line["broken"]:
        return "[red]broken[/]"
    if not line["shown"]:
        return "[dim]not on show[/]"
    return "primary" if line["way"] == 0 else f"[yellow]fallback {line['way']}[/]"


if __name__ == "__main__":
    sys.exit(main())
