"""`python -m local.session --account NAME`: logs an account in through a window of your own browser.

    python -m local.session --account NAME                 send the session to the system on this machine
    python -m local.session --account NAME --api URL       … or to one elsewhere, by https, with the API key
                                                           in PUBLISHER_API_KEY (scope accounts:login)
    python -m local.session --out FILE                     … or keep it in a file that only you can read

For when the platform refuses the QR code that the system shows. A window of Chrome or Chromium opens at the
creator center, with a fresh profile; log in there as you like, and it closes by itself. A session is full
access to the account: the file wants the same care as a password.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

import requests

from chalicelib.settings import DOUYIN_ORIGIN
from local.chromium import find_chromium
from local.options import DEFAULT_PORT, ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOGIN_SECONDS = 600
_ANSWER_SECONDS = 30
_POLL_SECONDS = 2
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class CannotGo(Exception):
    """The text says why, and what the user can do."""


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parse(arguments)
    try:
        print(f"Log in in the window that opens at {given.douyin_origin}; it closes by itself.", flush=True)
        session = _log_in(given.douyin_origin.rstrip("/"))
        print(f"Logged in as {session['nickname']} (uid {session['uid']}).", flush=True)
        state = session["storage_state"]
        if given.out is not None:
            _keep(state, given.out)
            print(f"The session is in {given.out}. Whoever has it has the account.")
        else:
            print(f"{given.account}: {_send(state, given.api, given.account)}")
    except (CannotGo, OSError, requests.RequestException) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.session", description="Log an account in through your own browser."
    )
    parser.add_argument("--account", metavar="NAME", help="your name of the account in the system")
    parser.add_argument("--api", metavar="URL", default=f"http://localhost:{DEFAULT_PORT}", help="the system's")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the session there, and send nothing")
    parser.add_argument(
        "--douyin-origin", metavar="URL", default=os.environ.get("DOUYIN_ORIGIN", DOUYIN_ORIGIN)
    )
    given = parser.parse_args(arguments)
    if (given.account is None) == (given.out is None):
        parser.error("give either --account or --out")
    parts = urlsplit(given.api)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        parser.error("--api must be an https URL: a session does not travel in clear, but to this machine")
    return given


def _log_in(origin: str) -> dict[str, Any]:
    """{"storage_state", "uid", "nickname"}."""
    chromium = find_chromium(headed=True)
    if chromium is None:
        raise CannotGo("No Chrome or Chromium with a window was found. Install one, or set CHROMIUM_PATH.")
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise CannotGo("There is no screen here. Run this on a computer with one, and send with --api.")
    done = subprocess.run(
        [sys.executable, "-m", "container.own_browser"],
        cwd=ROOT,
        input=json.dumps({"origin": origin, "chromium_path": chromium, "seconds": _LOGIN_SECONDS}),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    said: dict[str, Any] = json.loads(done.stdout or '{"error": "The browser could not be driven."}')
    if "error" in said:
        raise CannotGo(f"Nobody has logged in: {said['error']}")
    return said


def _keep(state: dict[str, Any], path: Path) -> None:
    path.unlink(missing_ok=True)  # Or it would keep the rights that it has.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(json.dumps(state, ensure_ascii=False).encode())


def _send(state: dict[str, Any], api: str, account: str) -> str:
    """Hands the session over, and says what became of it."""
    with requests.Session() as session:
        session.trust_env = urlsplit(api).hostname not in _LOOPBACK  # A proxy knows nothing of this machine.
        if key := os.environ.get("PUBLISHER_API_KEY"):
            session.headers["Authorization"] = f"Bearer {key}"
        where = urljoin(api, f"/api/v1/accounts/{quote(account, safe='')}/session")
        said = _read(session.put(where, json={"storage_state": state}, timeout=_ANSWER_SECONDS))
        where = urljoin(api, f"/api/v1/accounts/login/{said['login_id']}")
        while said["status"] == "pending":
            time.sleep(_POLL_SECONDS)
            said = _read(session.get(where, timeout=_ANSWER_SECONDS))
    if said["status"] != "success":
        raise CannotGo(f"{said['msg']} {(said.get('error') or {}).get('next_step', '')}")
    return str(said["msg"])


def _read(answer: requests.Response) -> dict[str, Any]:
    try:
        said: dict[str, Any] = answer.json()
    except ValueError:
        raise CannotGo(f"{answer.url} answered with status {answer.status_code} and no JSON.") from None
    if not answer.ok:
        raise CannotGo(f"{said.get('detail')} {said.get('next_step', '')}")
    return said


if __name__ == "__main__":
    sys.exit(main())
