"""How long a person waits at a login: `python -m bench.login [--runs 5] [--pace 1]`.

The whole local system, asked through its API: from the request to the QR code, with a warm worker and with one
that has never run (a system started anew each time; its own start does not count); and from the scan, which the
phone confirms at once, to the poll that says `success`. The stand-in renders in `--pace` milliseconds a small
thing, and asks every ten times as long how its code stands; the real site asks about once a second.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from rich import box
from rich.console import Console
from rich.table import Table

from local.options import Options
from local.processes import free_port
from local.system import System

POLL_SECONDS = 0.05
# So many logins are worked on at a time: each of them is cold once.
WORKERS = 2


@dataclass(frozen=True)
class Login:
    to_qr: float
    to_success: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.login", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--pace", type=int, default=1, metavar="MS", help="what each rendered thing takes")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, requests.Session() as http:
        http.trust_env = False
        options = Options(port=free_port(), data=Path(folder))
        cold = []
        for _ in range(given.runs):
            with System(options) as system:
                cold.append(_log_in(http, system, given.pace))
        with System(options) as system:
            warm = [_log_in(http, system, given.pace) for _ in range(given.runs + WORKERS)][WORKERS:]
    _print(cold, warm, given)
    return 0


def _log_in(http: requests.Session, system: System, pace: int) -> Login:
    def call(method: str, url: str, body: dict[str, Any] | None = None) -> Any:
        answer = http.request(method, url, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    phone = f"{system.douyin_origin}/phone/api"
    call("POST", f"{system.douyin_origin}/admin/scenario", {"pace": pace})
    user = call("GET", f"{phone}/users")[0]["uid"]
    logins = f"{system.origin}/api/v1/accounts/login"
    began = time.monotonic()
    login = call("POST", logins, {"account_name": "bench"})
    login_id = login["login_id"]
    while login["qr_code_base64"] is None:  # It took longer than a request may.
        time.sleep(POLL_SECONDS)
        login = call("GET", f"{logins}/{login_id}")
    shown = time.monotonic()
    token = call("POST", f"{phone}/scan", {"qr_png_base64": login["qr_code_base64"]})["token"]
    call("POST", f"{phone}/confirm", {"token": token, "user": user})
    while (status := call("GET", f"{logins}/{login_id}")["status"]) == "pending":
        time.sleep(POLL_SECONDS)
    if status != "success":
        raise SystemExit(f"the login ended as {status}")
    return Login(to_qr=shown - began, to_success=time.monotonic() - shown)


def _print(cold: list[Login], warm: list[Login], given: argparse.Namespace) -> None:
    console = Console(highlight=False)
    load = os.getloadavg()[0]
    console.print(f"{given.runs} runs, pace {given.pace} ms, {os.cpu_count()} cores, load {load:.1f}")
    table = Table("", "median s", "min", "max", box=box.SIMPLE)
    for name, seconds in (
        ("request to QR code, cold worker", [login.to_qr for login in cold]),
        ("request to QR code, warm worker", [login.to_qr for login in warm]),
        ("scan to success, cold worker", [login.to_success for login in cold]),
        ("scan to success, warm worker", [login.to_success for login in warm]),
    ):
        table.add_row(
            name, *(f"{value:.2f}" for value in (statistics.median(seconds), min(seconds), max(seconds)))
        )
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
