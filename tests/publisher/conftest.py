"""The command, as a process of its own or within the test's; and a server that fails as it is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from chalicelib.accounts.store import AccountStore, Profile
from local.processes import clean_environment
from publisher.client import Client
from publisher.main import app
from publisher.settings import Settings
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.conftest import Api, Cloud


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Command:
    """Runs `publisher` with nothing of this machine in its environment but what it is given."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        home = {"HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder / "config")}
        return {**clean_environment(self.folder / "tmp", {}), **home, **self.variables}

    @property
    def argv(self) -> list[str]:
        return [sys.executable, "-m", "publisher"]

    def __call__(self, *arguments: str) -> Ran:
        """In this process, which is quicker."""
        runner = CliRunner(env={**dict.fromkeys(os.environ), **self.environment})
        done = runner.invoke(app, arguments, prog_name="publisher")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Ran(done.exit_code, done.stdout, done.stderr)

    def process(
        self,
        *arguments: str,
        stdin: str = "",
        variables: Mapping[str, str] | None = None,
        encoding: str = "utf-8",
        stdout: int = subprocess.PIPE,
    ) -> Ran:
        done = subprocess.run(
            [*self.argv, *arguments],
            cwd=ROOT,
            env={**self.environment, **(variables or {})},
            input=stdin.encode(),
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
        return Ran(done.returncode, (done.stdout or b"").decode(encoding), done.stderr.decode(encoding))


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Without a system."""
    return Command(tmp_path)


@pytest.fixture
def publisher(command: Command, api: Api) -> Command:
    """With the real API."""
    command.variables["PUBLISHER_URL"] = api.origin
    return command


@pytest.fixture
def accounts(cloud: Cloud) -> AccountStore:
    return AccountStore(cloud.client("dynamodb"), cloud.variable("ACCOUNTS_TABLE"))


@pytest.fixture
def log_in(accounts: AccountStore) -> Callable[[str], str]:
    """Makes an account that is logged in."""

    def make(name: str) -> str:
        accounts.log_in(name, Profile(uid="7001", nickname="小明", avatar_url=None), session_version=1)
        return name

    return make


@dataclass
class Told:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Scripted(ThreadingHTTPServer):
    """Answers as scripted, one after the other, and the last one for ever: (status, headers, body); None closes
    the connection without an answer. `answers_to` paths that end so go before.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[tuple[int, dict[str, str], bytes] | None] = []
        self.answers_to: dict[str, tuple[int, dict[str, str], Any]] = {}
        self.told: list[Told] = []

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answers(self, *script: tuple[int, dict[str, str], Any] | None) -> None:
        self.script = [
            entry
            if entry is None or isinstance(entry[2], bytes)
            else (*entry[:2], json.dumps(entry[2]).encode())
            for entry in script
        ]


class _Handler(BaseHTTPRequestHandler):
    server: Scripted

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.told.append(Told(self.command, self.path, headers, body))
        script = self.server.script
        ends = [end for end in self.server.answers_to if self.path.endswith(end)]
        if ends:
            status, extra, document = self.server.answers_to[ends[0]]
            self._answer(status, extra, json.dumps(document).encode())
            return
        answer = script.pop(0) if len(script) > 1 else script[0]
        if answer is None:
            self.close_connection = True
            return
        self._answer(*answer)

    def _answer(self, status: int, extra: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **extra}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Patient:
    """A client of the scripted server that notes its pauses instead of making them."""

    client: Client
    pauses: list[float]


@pytest.fixture
def patient(scripted: Scripted) -> Patient:
    pauses: list[float] = []
    settings = Settings(url=scripted.origin, api_key="sp_live_id_secret")
    return Patient(Client(settings, pause=pauses.append), pauses)


def problem(status: int, *, retryable: bool, code: str = "internal.unavailable") -> dict[str, Any]:
    return {
        "type": f"/docs/errors#{code}",
        "title": "A title",
        "status": status,
        "detail": "What happened.",
        "instance": "/",
        "code": code,
        "retryable": retryable,
        "next_step": "What to do.",
        "request_id": "the-id",
        "errors": [],
    }
