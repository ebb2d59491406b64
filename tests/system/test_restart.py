"""`kill -9` at any moment, start again: no account, task or article is lost, and nothing is published twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from chalicelib.articles.reader import iter_rows
from local.emulator import make_client
from local.processes import free_port
from tests.conftest import ROOT, Api
from tests.system.conftest import Phone
from tests.system.flows import log_in, outcome, submit, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


class Installation:
    """`python -m local` in a process of its own, to be killed and started again."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.api = Api(f"http://localhost:{self.port}")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.data / "output.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local", "--no-demo", "--port", str(self.port), "--data", self.data],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        until(self._serves, bool, 60)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        until(self._orphans, lambda orphans: not orphans, 30)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def origin(self, name: str) -> str:
        port = json.loads((self.data / "ports.json").read_text())[name]
        return f"http://127.0.0.1:{port}"

    def _serves(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.data / "output.log").read_text()
        try:
            return self.api.get("/healthz").ok
        except requests.ConnectionError:
            return False

    def _orphans(self) -> list[int]:
        """Processes that still work on our folder."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                try:
                    command = (entry / "cmdline").read_bytes()
                    environment = (entry / "environ").read_bytes()
                except OSError:
                    continue
                if str(self.data).encode() in command + environment:
                    found.append(int(entry.name))
        return found


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    running = Installation(tmp_path)
    running.start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop()
    running.api.session.close()


def wanted(installation: Installation, title: str) -> dict[str, Any]:
    media = f"{installation.origin('douyin')}/media"
    return {"video_url": f"{media}/demo.mp4", "title": title, "account_name": "账号"}


def test_nothing_is_lost_or_doubled_over_kills_at_telling_moments(installation: Installation) -> None:
    api, phone = installation.api, Phone(installation.origin("douyin"))
    assert log_in(api, phone, "账号", phone.users()[0]["uid"])["status"] == "success"

    def kill_and_start() -> None:
        installation.kill()
        installation.start()

    # The account is there after a kill in the moment of its success.
    kill_and_start()
    assert [account["id"] for account in api.get("/api/v1/accounts").json()["data"]] == ["账号"]

    # A task is there after a kill in the moment of its answer.
    accepted = submit(api, **wanted(installation, "刚刚接受"))
    kill_and_start()
    assert outcome(api, accepted, 240)["status"] == "success"

    # A task whose worker is killed in the middle of the form runs again.
    running = submit(api, **wanted(installation, "填到一半"))
    until(
        lambda: api.get(f"/api/v1/tasks/{running}").json()["timeline"],
        lambda steps: any(step["name"] == "open_upload" for step in steps),
    )
    kill_and_start()
    assert outcome(api, running, 240)["status"] == "success"

    # A task that was published stays so.
    kill_and_start()
    assert outcome(api, running)["status"] == "success"
    titles = Counter(work["title"] for work in phone.works())
    assert titles == {"刚刚接受": 1, "填到一半": 1}


def test_a_sync_that_is_killed_again_and_again_writes_every_article_once(installation: Installation) -> None:
    api, upstream = installation.api, installation.origin("volcengine")
    requests.post(f"{upstream}/admin/articles", json={"count": 400}, timeout=30).raise_for_status()
    for pause in (0.3, 0.9, 1.5):
        api.post("/api/v1/sync/run").raise_for_status()
        time.sleep(pause)
        installation.kill()
        installation.start()

    api.post("/api/v1/sync/run").raise_for_status()
    status = until(
        lambda: api.get("/api/v1/sync").json()["data"][0], lambda seen: seen["state"]["caught_up_at"]
    )

    truth = requests.get(f"{upstream}/admin/articles", timeout=30).json()["articles"]
    s3 = make_client("s3", installation.origin("aws"))
    bucket = next(
        entry["Name"] for entry in s3.list_buckets()["Buckets"] if "contentbucket" in entry["Name"].lower()
    )
    counts = Counter(row.group_id for row in iter_rows(s3, bucket, status["channel"]))
    assert counts == Counter(entry["group_id"] for entry in truth if entry["scannable"])


def test_ctrl_c_stops_everything_browsers_included(installation: Installation) -> None:
    api, phone = installation.api, Phone(installation.origin("douyin"))
    answer = api.post("/api/v1/accounts/login", {"account_name": "账号"})
    assert phone.scan(answer.json()["qr_code_base64"])  # A browser is at work.

    assert installation.stop() in (0, 130)

    assert installation._orphans() == []


def test_a_second_system_on_the_same_folder_is_refused(installation: Installation) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "local", "--no-demo", "--port", str(free_port()), "--data", installation.data],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert second.returncode == 1
    assert "Another system runs on" in " ".join(second.stdout.split())
