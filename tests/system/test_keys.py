"""The first key of a local run, made by its command while the system runs."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from local.system import System
    from tests.conftest import Api

pytestmark = pytest.mark.system


def keys(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.keys", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_key_of_the_command_line_is_a_key_of_the_running_system(system: System, client: Api) -> None:
    at = ("--data", str(system.options.data))
    made = keys(*at, "create", "--name", "mine", "--scope", "accounts:read", "--expires", "1d")
    assert made.returncode == 0, made.stderr
    (token,) = re.findall(r"sp_live_\w+", made.stdout)
    headers = {"Authorization": f"Bearer {token}"}

    assert client.get("/api/v1/accounts", headers=headers).status_code == 200
    assert client.get("/api/v1/keys", headers=headers).status_code == 403
    key_id = token.split("_")[2]
    assert key_id in keys(*at, "list").stdout
    assert "was revoked" in keys(*at, "revoke", key_id).stdout
    assert client.get("/api/v1/accounts", headers=headers).status_code == 401


def test_without_a_system_the_command_says_what_to_do(tmp_path: Path) -> None:
    done = keys("--data", str(tmp_path), "list")

    assert (done.returncode, "make run" in done.stderr) == (2, True)
