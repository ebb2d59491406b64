"""One execution environment: a child process that has a handler imported and runs one invocation at a time."""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from local.processes import kill_tree
from local.runtime.bootstrap import receive_message, send_message
from local.runtime.errors import FunctionFailed, FunctionTimedOut

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

logger = logging.getLogger(__name__)

# Importing a handler on a busy laptop; Lambda gives images as long as that, too.
_INIT_SECONDS: Final = 60.0
_GRACE_SECONDS: Final = 2.0


class ExecutionEnvironment:
    """A process that has the handler, and all that it starts. `temporary` is its own and goes with it.

    `usable` turns False, and all of it is dead, once an invocation timed out or the process ended.
    """

    def __init__(self, handler: str, *, env: Mapping[str, str], log_path: Path, temporary: Path) -> None:
        self.usable = True
        self._temporary = temporary
        temporary.mkdir(parents=True, exist_ok=True)
        self._channel, theirs = socket.socketpair()
        with theirs, log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local.runtime.bootstrap", handler, "--channel", str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=dict(env),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._ready = False
        self._killing = threading.Lock()
        self._killed = False

    @property
    def pid(self) -> int:
        return self._process.pid

    def invoke(self, event: Any, *, request_id: str, timeout: float) -> Any:
        """The handler's result. `timeout` (seconds) counts from the moment that the handler is imported.

        Raises FunctionFailed or FunctionTimedOut.
        """
        if not self._ready:
            self._exchange(None, _INIT_SECONDS, f"The handler was not imported within {_INIT_SECONDS:g} s")
            self._ready = True
        message = {"request_id": request_id, "timeout_ms": int(timeout * 1000), "event": event}
        late = f"RequestId: {request_id} Error: Task timed out after {timeout:.2f} seconds"
        return self._exchange(message, timeout, late).get("result")

    def kill(self) -> None:
        """SIGKILL for all it started; also from another thread, while an invocation is running."""
        self.usable = False
        with self._killing:
            if self._killed:
                return
            kill_tree(self._process.pid)
            self._process.wait()
            if self._process.stdin is not None:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._killed = True

    def close(self) -> None:
        """Ends an environment that nobody uses; Lambda gives no notice either."""
        self.kill()
        self._channel.close()

    def _exchange(self, message: Any, timeout: float, late: str) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        try:
            self._channel.settimeout(timeout)
            if message is not None:
                send_message(self._channel, message)
            answer = self._receive(deadline)
        except TimeoutError:
            self._discard()
            raise FunctionTimedOut(late) from None
        except (EOFError, OSError):
            # It is ending by itself; its own status says more than our signal.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_SECONDS)
            self._discard()
            raise FunctionFailed("Runtime.ExitError", self._how_it_ended()) from None
        if "error" in answer:
            error = answer["error"]
            if message is None:  # the module could not be imported
                self._discard()
            raise FunctionFailed(error["errorType"], error["errorMessage"], error["stackTrace"])
        return answer

    def _discard(self) -> None:
        self.kill()
        self._channel.close()

    def _receive(self, deadline: float) -> dict[str, Any]:
        # The time-out of a socket is for each piece of a message; the deadline is for all of it.
        self._channel.settimeout(max(0.001, deadline - time.monotonic()))
        answer: dict[str, Any] = receive_message(self._channel)
        return answer

    def _how_it_ended(self) -> str:
        status = self._process.returncode
        how = f"signal {-status}" if status is not None and status < 0 else f"status {status}"
        return f"The runtime's process ended with {how}"
