"""Children end with their parent, say when they are ready, and keep their ports."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from local.processes import ChildFailed, ChildProcess, PortBook, clean_environment, free_port
from tests.local.support import alive, eventually

if TYPE_CHECKING:
    from pathlib import Path

READY = "print('ready http://127.0.0.1:1', flush=True)"
WAIT = "import sys; sys.stdin.read()"


def child(tmp_path: Path, code: str) -> ChildProcess:
    return ChildProcess(
        "child",
        [sys.executable, "-c", code],
        env=clean_environment(tmp_path / "tmp"),
        log_path=tmp_path / "child.log",
    )


def test_start_gives_the_url_and_stop_ends_the_child(tmp_path: Path) -> None:
    process = child(tmp_path, f"print('hello'); {READY}; {WAIT}")
    assert process.start() == "http://127.0.0.1:1"
    assert process.poll() is None
    assert process.stop() == -signal.SIGTERM
    assert (tmp_path / "child.log").read_text() == "hello\n"


def test_a_child_that_ends_early_gives_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match=r"(?s)status 7 before it was ready.*no such luck"):
        child(tmp_path, "import sys; print('no such luck', file=sys.stderr); sys.exit(7)").start()


def test_a_child_that_never_says_ready_is_killed(tmp_path: Path) -> None:
    process = child(tmp_path, WAIT)
    with pytest.raises(ChildFailed, match=r"not ready after 0\.2 s"):
        process.start(timeout=0.2)
    assert process.poll() == -signal.SIGKILL


def test_stop_kills_a_child_that_ignores_sigterm_and_what_it_started(tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    code = (
        "import signal, subprocess; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"g = subprocess.Popen(['sleep', '600']); open({str(note)!r}, 'w').write(str(g.pid)); {READY}; g.wait()"
    )
    process = child(tmp_path, code)
    process.start()
    assert process.stop(grace=0.2) == -signal.SIGKILL
    eventually(lambda: not alive(int(note.read_text())))


def test_killing_the_parent_ends_the_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import sys; from pathlib import Path; from local.emulator import emulator_process;"
        "from local.processes import free_port;"
        f"p = emulator_process(Path({str(tmp_path / 'data')!r}), free_port()); p.start();"
        f"Path({str(note)!r}).write_text(str(p.pid)); print('up', flush=True); sys.stdin.read()"
    )
    environment = clean_environment(tmp_path / "tmp")
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        emulator = int(note.read_text())
        assert alive(emulator)
        parent.kill()
    eventually(lambda: not alive(emulator))


def test_the_environment_of_children_has_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("GITHUB_TOKEN", "mine")
    environment = clean_environment(tmp_path / "own", {"ASKED_FOR": "yes"})
    assert "mine" not in environment.values()
    assert environment["ASKED_FOR"] == "yes"
    assert environment["TMPDIR"] == str(tmp_path / "own")
    assert environment["PATH"] == os.environ["PATH"]


def test_ports_are_kept_over_restarts(tmp_path: Path) -> None:
    book = tmp_path / "ports.json"
    first = PortBook(book)
    ports = {name: first.port(name) for name in ("api", "emulator")}
    assert len(set(ports.values())) == 2
    again = PortBook(book)
    assert {name: again.port(name) for name in ("emulator", "api")} == ports


def test_a_port_that_somebody_else_took_is_replaced_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    book = tmp_path / "ports.json"
    taken = PortBook(book).port("api")
    with socket.create_server(("127.0.0.1", taken)):
        replaced = PortBook(book, patience=0).port("api")
    assert replaced != taken
    assert f"Port {taken} of api is in use" in caplog.text
    assert json.loads(book.read_text()) == {"api": replaced}


def test_a_port_that_a_dying_run_still_holds_is_waited_for(tmp_path: Path) -> None:
    book = tmp_path / "ports.json"
    port = PortBook(book).port("api")
    with socket.create_server(("127.0.0.1", port)) as held:
        threading.Timer(0.2, held.close).start()
        assert PortBook(book).port("api") == port


def test_a_free_port_is_free() -> None:
    with socket.create_server(("127.0.0.1", free_port())):
        pass
