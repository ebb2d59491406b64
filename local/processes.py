"""Child processes that never outlive us, and ports that survive a restart."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

logger = logging.getLogger(__name__)

LOOPBACK: Final = "127.0.0.1"

_READY = re.compile(r"^ready (http://\S+)\s*$")
_ROOT = Path(__file__).resolve().parent.parent
_TAIL_LINES = 20
_TREE_ROUNDS = 20
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR")


class ChildFailed(Exception):
    """A child process did not start, or ended when it should not have. The text holds the end of its log."""


class ChildProcess:
    """One server in a session and process group of its own.

    The child gets a pipe as its stdin whose other end only we hold: when we die, however we die, the pipe
    reaches its end and the child ends itself (`end_at_stdin_eof`). It says `ready http://…` on stdout when it
    serves; everything else on stdout, and all of stderr, goes to `log_path`.
    """

    def __init__(self, name: str, argv: Sequence[str], *, env: Mapping[str, str], log_path: Path) -> None:
        self.name = name
        self._argv = list(argv)
        self._env = dict(env)
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None
        self._answered = threading.Event()
        self._url: str | None = None
        self._reader: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<ChildProcess {self.name} pid={self.pid}>"

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self, timeout: float = 30) -> str:
        """Starts the child and returns the URL that it says it is ready at.

        Raises ChildFailed where it ends first, or says nothing for `timeout` seconds; nothing is left running.
        """
        if self._process is not None:
            raise RuntimeError(f"{self.name} was started already")
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._env,
                start_new_session=True,
            )
        self._reader = threading.Thread(
            target=self._read_stdout, args=(self._process.stdout,), name=f"{self.name}-stdout", daemon=True
        )
        self._reader.start()
        if not self._answered.wait(timeout):
            self.stop(grace=0)
            raise ChildFailed(f"{self.name} was not ready after {timeout:g} s.{self._log_tail()}")
        if self._url is None:
            code = self._process.wait()
            self.stop(grace=0)
            raise ChildFailed(f"{self.name} ended with status {code} before it was ready.{self._log_tail()}")
        logger.info("%s is ready at %s (pid %s)", self.name, self._url, self._process.pid)
        return self._url

    def poll(self) -> int | None:
        """The exit status (negative: the signal) of the ended child, None while it runs."""
        return None if self._process is None else self._process.poll()

    def stop(self, grace: float = 10) -> int | None:
        """SIGTERM, `grace` seconds to end by itself, then SIGKILL for the group. Returns the exit status."""
        process = self._process
        if process is None:
            return None
        if grace > 0 and process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(grace)
        if process.poll() is None and grace > 0:
            logger.warning("%s (pid %s) did not end within %g s and is killed", self.name, process.pid, grace)
        self.kill()
        return process.returncode

    def kill(self) -> None:
        """SIGKILL for the whole group, what the child started included."""
        process = self._process
        if process is None:
            return
        kill_group(process.pid)
        process.wait()
        if self._reader is not None:
            self._reader.join(5)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _read_stdout(self, stdout: IO[bytes]) -> None:
        """Finds the ready line and then keeps the pipe empty: a full one would block the child."""
        try:
            with self._log_path.open("ab") as log:
                for line in stdout:
                    match = _READY.match(line.decode("utf-8", "replace"))
                    if match and self._url is None:
                        self._url = match[1]
                        self._answered.set()
                        continue
                    log.write(line)
                    log.flush()
        finally:
            self._answered.set()

    def _log_tail(self) -> str:
        try:
            with self._log_path.open("r", encoding="utf-8", errors="replace") as log:
                lines = deque(log, maxlen=_TAIL_LINES)
        except OSError:
            lines = deque()
        if not lines:
            return f" Its log {self._log_path} is empty."
        return f" The end of its log {self._log_path}:\n{''.join(lines).rstrip()}"


def kill_group(pid: int) -> None:
    """SIGKILL for a process group led by `pid`; no group left is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def kill_tree(pid: int) -> None:
    """SIGKILL for the process group led by `pid` and for every descendant that left the group.

    Browsers do leave it: Playwright starts each as the leader of a session of its own. Only descendants of a
    `pid` that still runs can be found.
    """
    own = pid == os.getpid()
    if not own:  # so that it starts nothing while we look
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGSTOP)
    for _ in range(_TREE_ROUNDS):
        found = _descendants(pid)
        for child in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        if not found:
            break
    kill_group(pid)


def _descendants(pid: int) -> list[int]:
    """The processes below `pid` that still run, parents before children."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found = [pid]
    for known in found:
        found += children.get(known, [])
    return found[1:]


def _parents() -> Iterator[tuple[int, int]]:
    """(process id, parent's id) of every process that is not a zombie."""
    if not Path("/proc/self/stat").exists():
        listing = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=False
        )
        for line in listing.stdout.splitlines():
            process, parent, state = line.split()
            if not state.startswith("Z"):
                yield int(process), int(parent)
        return
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):  # it ended meanwhile
            state, parent = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                yield int(entry.name), int(parent)


def end_at_stdin_eof(end: Callable[[], object]) -> None:
    """For servers started with `--exit-on-stdin-eof`: calls `end` (in a thread) once stdin is at its end."""

    def watch() -> None:
        # os.read, not sys.stdin: a thread blocked in a buffered reader breaks the interpreter's shutdown.
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        end()

    threading.Thread(target=watch, name="stdin-watch", daemon=True).start()


def clean_environment(tmp: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a child: what it needs to run at all, its own temporary folder, and `extra`.

    The user's secrets (cloud credentials, tokens) do not get through. A PYTHON variable does where it decides
    how Python itself runs (path, warnings, coverage), and standard output is never buffered.
    """
    tmp.mkdir(parents=True, exist_ok=True)
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}
    paths = [str(_ROOT), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    environment["TMPDIR"] = str(tmp)
    environment["PYTHONUNBUFFERED"] = "1"
    return environment | dict(extra or {})


def free_port() -> int:
    """A port on loopback that nobody listens on just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers bind: connections that a former run left behind do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _becomes_free(port: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while not port_is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class PortBook:
    """Remembers ports by name in a JSON file `{name: port}`: URLs handed out stay valid over restarts."""

    def __init__(self, path: Path, *, patience: float = 3) -> None:
        self._path = path
        self._patience = patience
        self._taken: set[int] = set()

    def port(self, name: str) -> int:
        """The port that `name` had last time if nobody else listens on it now, else a new one, remembered.

        A port in use is given `patience` seconds: the servers of a run that was killed may be ending just now.
        """
        ports = self._read()
        port = ports.get(name)
        if port is not None and port not in self._taken and _becomes_free(port, self._patience):
            self._taken.add(port)
            return port
        if port is not None:
            logger.warning(
                "Port %s of %s is in use by another program; URLs with it are no longer valid", port, name
            )
        port = self._unused(set(ports.values()))
        self._taken.add(port)
        replace_file(self._path, json.dumps(ports | {name: port}, indent=2).encode())
        return port

    def _unused(self, remembered: set[int]) -> int:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            port = free_port()
            if port not in self._taken and port not in remembered:
                return port
        raise ChildFailed("No free port was found on loopback.")

    def _read(self) -> dict[str, int]:
        try:
            ports = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            logger.warning("%s cannot be read; new ports are chosen", self._path)
            return {}
        return {str(name): int(port) for name, port in ports.items()}


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file so that at every moment either its old or its new content is there, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(content)
    draft.replace(path)
