"""Sessions from elsewhere through the whole system, and the command that makes them in one's own browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.conftest import ROOT
from tests.container.support import Site
from tests.system.flows import outcome, submit, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.system import System
    from tests.conftest import Api
    from tests.system.conftest import Phone

pytestmark = pytest.mark.system


@pytest.fixture
def screen(headed_chromium_path: str) -> Iterator[dict[str, str]]:
    """The environment of somebody who sits at a screen, and has such a browser."""
    argv = ["Xvfb", "-displayfd", "1", "-screen", "0", "1440x900x24", "-nolisten", "tcp"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield {
            **{name: value for name, value in os.environ.items() if name != "WAYLAND_DISPLAY"},
            "DISPLAY": f":{server.stdout.readline().strip()}",
            "CHROMIUM_PATH": headed_chromium_path,
        }
        server.terminate()


@pytest.fixture
def site(system: System) -> Iterator[Site]:
    site = Site(system.douyin_origin)
    yield site
    site.close()


def run_command(
    system: System, screen: dict[str, str], phone: Phone, user: str, *arguments: str
) -> tuple[int, str]:
    """Runs it, and scans the code that its window shows. (Exit code, what it printed.)"""
    known = {qr["token"] for qr in live_codes(system)}
    command = subprocess.Popen(
        [
            *(sys.executable, "-m", "local.session", "--douyin-origin", system.douyin_origin),
            *("--api", system.origin, *arguments),
        ],
        cwd=ROOT,
        env=screen,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    (code, *_) = until(
        lambda: [qr["token"] for qr in live_codes(system) if qr["token"] not in known],
        lambda found: bool(found) or command.poll() is not None,
        60,
    )
    requests.post(f"{phone.origin}/phone/api/scan", json={"token": code}, timeout=10).raise_for_status()
    phone.confirm(code, user)
    printed, _ = command.communicate(timeout=60)
    return command.returncode, printed


def live_codes(system: System) -> list[dict[str, Any]]:
    codes: list[dict[str, Any]] = requests.get(f"{system.douyin_origin}/phone/api/qr", timeout=10).json()
    return codes


def test_a_person_logs_an_account_in_through_a_window_of_their_own_and_it_publishes(
    system: System, client: Api, phone: Phone, screen: dict[str, str]
) -> None:
    user = phone.users()[2]

    code, printed = run_command(system, screen, phone, user["uid"], "--account", "自己的浏览器")

    assert code == 0, printed
    assert user["nickname"] in printed
    assert "Login successful" in printed
    account = client.get("/api/v1/accounts/自己的浏览器").json()
    assert (account["state"], account["uid"]) == ("logged_in", user["uid"])
    title = "会话是导入的"
    media = f"{system.douyin_origin}/media/demo.mp4"
    task = outcome(client, submit(client, video_url=media, title=title, account_name="自己的浏览器"))
    assert task["status"] == "success", task
    (work,) = [work for work in phone.works() if work["title"] == title]
    assert work["user"] == user["uid"]


def test_the_session_can_be_kept_in_a_file_that_nobody_else_can_read(
    system: System, client: Api, phone: Phone, screen: dict[str, str], tmp_path: Path
) -> None:
    file, user = tmp_path / "session.json", phone.users()[2]["uid"]
    file.write_text("an earlier one")
    file.chmod(0o644)

    code, printed = run_command(system, screen, phone, user, "--out", str(file))

    assert code == 0, printed
    assert file.stat().st_mode & 0o777 == 0o600
    state = json.loads(file.read_text())
    secret = next(cookie["value"] for cookie in state["cookies"] if cookie["name"] == "sessionid")
    assert secret not in printed
    answer = client("PUT", "/api/v1/accounts/从文件来/session", json={"storage_state": state})
    assert (answer.status_code, answer.json()["account"]["uid"]) == (200, user)


def test_the_command_says_what_is_wrong(system: System, screen: dict[str, str]) -> None:
    def run(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "local.session", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stderr

    blind = {name: value for name, value in screen.items() if name != "DISPLAY"}
    assert "no screen" in run(blind, "--account", "a")[1]
    assert "https" in run(screen, "--account", "a", "--api", "http://example.com")[1]
    assert "either" in run(screen)[1]
    code, said = run(screen, "--account", "a", "--douyin-origin", "http://127.0.0.1:9")
    assert code == 1
    assert "Nobody has logged in" in said
    assert "Traceback" not in said


def test_a_dead_session_and_the_session_of_another_account_are_refused_with_the_cause(
    client: Api, phone: Phone, site: Site
) -> None:
    first, second = (user["uid"] for user in phone.users()[1:3])
    path = "/api/v1/accounts/导入/session"
    good = {"storage_state": site.log_in(first)}
    assert client("PUT", path, json=good).status_code == 200
    before = client.get("/api/v1/accounts/导入").json()

    other = client("PUT", path, json={"storage_state": site.log_in(second)})
    dead = site.log_in(first)
    phone.log_out_everywhere(first)
    refused = client("PUT", path, json={"storage_state": dead})

    assert (other.status_code, other.json()["code"]) == (409, "session.other_account")
    assert (refused.status_code, refused.json()["code"]) == (422, "session.refused")
    assert client.get("/api/v1/accounts/导入").json() == before
