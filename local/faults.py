"""A proxy between boto3 and the emulated AWS that fails as AWS does.

Seeded: the n-th call of an operation meets the same fault in every run with the same seed.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import Counter
from enum import StrEnum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from local.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

# How long the proxy waits for the emulator, and for a caller to give up on an answer that never comes.
_UPSTREAM_SECONDS: Final = 60
_SILENCE_SECONDS: Final = 120
_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})


class Fault(StrEnum):
    THROTTLED = "throttled"
    CONFLICT = "transaction conflict"
    FAILED_BEFORE = "500, nothing written"
    FAILED_AFTER = "500, written"
    RESET_BEFORE = "connection reset, nothing written"
    RESET_AFTER = "connection reset, written"
    SILENT = "written, never answered"

    @property
    def takes_effect(self) -> bool:
        return self in (Fault.FAILED_AFTER, Fault.RESET_AFTER, Fault.SILENT)


# Now and then an operation fails for a while, so that botocore's repetitions are not enough: in every tenth
# block of so many calls, faults are so much more frequent.
_BLOCK_CALLS: Final = 20
_BAD_BLOCKS: Final = 0.1
_BAD_FACTOR: Final = 8

# The share of calls that meet each fault. A call that is never answered costs its caller's whole patience.
RATES: Final[Mapping[Fault, float]] = {
    Fault.THROTTLED: 0.03,
    Fault.CONFLICT: 0.02,
    Fault.FAILED_BEFORE: 0.02,
    Fault.FAILED_AFTER: 0.03,
    Fault.RESET_BEFORE: 0.01,
    Fault.RESET_AFTER: 0.02,
    Fault.SILENT: 0.0005,
}


class FaultProxy(ThreadingHTTPServer):
    """Serves on loopback in a thread of its own, for as long as the block lasts. Calls of the JSON protocols
    (DynamoDB, SQS) meet faults; whatever else comes is passed on. `met` counts the faults by operation.
    """

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, upstream: str, seed: int, rates: Mapping[Fault, float] = RATES) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.met: Counter[tuple[str, Fault]] = Counter()
        self.calls: Counter[str] = Counter()
        self._seed = seed
        self._rates = rates
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, name="fault-proxy")

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.server_address[1]}"

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def draw(self, operation: str) -> Fault | None:
        """What happens to the next call of the operation."""
        with self._lock:
            number = self.calls[operation]
            self.calls[operation] += 1
            drawn = self._number(operation, "call", number)
            if self._number(operation, "block", number // _BLOCK_CALLS) < _BAD_BLOCKS:
                drawn /= _BAD_FACTOR
            for fault, rate in self._rates.items():
                if fault is Fault.CONFLICT and operation != "TransactWriteItems":
                    continue
                if drawn < rate:
                    self.met[operation, fault] += 1
                    return fault
                drawn -= rate
        return None

    def _number(self, *of: object) -> float:
        return Random(f"{self._seed} {of}").random()  # noqa: S311 - it is to be repeated

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that has gone is none."""


class _Handler(BaseHTTPRequestHandler):
    server: FaultProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.upstream = HTTPConnection(self.server.upstream, timeout=_UPSTREAM_SECONDS)

    def finish(self) -> None:
        self.upstream.close()
        super().finish()

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        fault = self.server.draw(operation) if operation else None
        if fault is None:
            self._answer(*self._forward(body))
            return
        if fault.takes_effect:
            self._forward(body)
        match fault:
            case Fault.THROTTLED:
                self._fail(400, "ThrottlingException", message="Rate exceeded")
            case Fault.CONFLICT:
                reasons = [{"Code": "TransactionConflict"} for _ in json.loads(body)["TransactItems"]]
                self._fail(400, "TransactionCanceledException", CancellationReasons=reasons, message="Conflict")
            case Fault.FAILED_BEFORE | Fault.FAILED_AFTER:
                self._fail(500, "InternalServerError", message="Internal server error")
            case Fault.SILENT:
                self.connection.settimeout(_SILENCE_SECONDS)
                self.connection.recv(1)
                self._reset()
            case _:
                self._reset()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass  # noqa: N815 - http.server's names

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        self.upstream.request(self.command, self.path, body, headers)
        response = self.upstream.getresponse()
        kept = [(name, value) for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP]
        return response.status, kept, response.read()

    def _fail(self, status: int, code: str, **members: Any) -> None:
        content = json.dumps({"__type": f"com.amazonaws#{code}", **members}).encode()
        self._answer(status, [("Content-Type", "application/x-amz-json-1.0")], content)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        """Ends the connection with a RST, as a peer that has died does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
