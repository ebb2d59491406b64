"""The child side of one execution environment: `python -m local.runtime.bootstrap HANDLER --channel FD`.

Imports the handler (`module.attribute`) once and then answers invocations, one at a time, over the socket FD. A
message is a length in 4 bytes and that much JSON. The first one out is `{"ready": true}`; in comes
`{"request_id", "timeout_ms", "event"}`, out goes `{"result"}` or `{"error": {"errorType", "errorMessage",
"stackTrace"}}`. What the handler prints or logs goes to stdout, which is the function's log.

stdin is a pipe that only the parent holds open: when it ends, the parent is gone, and this process kills itself
and all that it started, browsers included.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import json
import os
import socket
import struct
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[Any, Any], Any]

_PR_SET_CHILD_SUBREAPER = 36
_LENGTH = struct.Struct(">I")


class LambdaContext:
    """The second argument of a handler, as Lambda's own runtime makes it."""

    def __init__(self, request_id: str, timeout_ms: int) -> None:
        self.aws_request_id = request_id
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.invoked_function_arn = os.environ["SOCIAL_PUBLISHER_FUNCTION_ARN"]
        self.identity = None
        self.client_context = None
        self._deadline = time.monotonic() + timeout_ms / 1000

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def send_message(channel: socket.socket, content: Any) -> None:
    """Raises TypeError or ValueError where the content is not JSON."""
    body = json.dumps(content, allow_nan=False).encode()
    channel.sendall(_LENGTH.pack(len(body)) + body)


def receive_message(channel: socket.socket) -> Any:
    """Raises EOFError where the other side is gone, TimeoutError after the channel's time-out."""
    (length,) = _LENGTH.unpack(_receive_exactly(channel, _LENGTH.size))
    return json.loads(_receive_exactly(channel, length))


def _receive_exactly(channel: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        try:
            part = channel.recv(size - len(received))
        except ConnectionError:
            part = b""
        if not part:
            raise EOFError("the other side has closed the channel")
        received += part
    return bytes(received)


def describe(error: BaseException) -> dict[str, Any]:
    """An exception in the shape in which Lambda returns it."""
    return {
        "errorType": type(error).__name__,
        "errorMessage": str(error),
        "stackTrace": traceback.format_tb(error.__traceback__),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.runtime.bootstrap")
    parser.add_argument("handler", help="module.attribute")
    parser.add_argument("--channel", type=int, required=True, help="file descriptor of the socket")
    arguments = parser.parse_args()
    # Here, not at the top: the tests and the parent import this module for its messages.
    from chalicelib.logs import configure  # noqa: PLC0415
    from local.processes import end_at_stdin_eof, kill_tree  # noqa: PLC0415

    _adopt_orphans()
    end_at_stdin_eof(lambda: kill_tree(os.getpid()))
    channel = socket.socket(fileno=arguments.channel)
    channel.set_inheritable(False)
    configure(pretty=True)
    try:
        handler = _load(arguments.handler)
    except Exception as error:  # noqa: BLE001  # whatever the module raises is its init error
        traceback.print_exc(file=sys.stdout)
        send_message(channel, {"error": describe(error)})
        return 1
    send_message(channel, {"ready": True})
    while True:
        try:
            invocation = receive_message(channel)
        except EOFError:
            return 0
        send_message(channel, _invoke(handler, invocation))


def _load(name: str) -> Handler:
    module, _, attribute = name.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module), attribute)
    return handler


def _invoke(handler: Handler, invocation: dict[str, Any]) -> dict[str, Any]:
    request_id = invocation["request_id"]
    context = LambdaContext(request_id, invocation["timeout_ms"])
    started = time.monotonic()
    print(f"START RequestId: {request_id}", flush=True)
    try:
        answer = {"result": handler(invocation["event"], context)}
        json.dumps(answer, allow_nan=False)
    except Exception as error:  # noqa: BLE001  # Lambda returns every exception of a handler to the caller
        traceback.print_exc(file=sys.stdout)
        answer = {"error": describe(error)}
    elapsed = (time.monotonic() - started) * 1000
    print(f"REPORT RequestId: {request_id} Duration: {elapsed:.2f} ms", flush=True)
    return answer


def _adopt_orphans() -> None:
    """Has processes whose parent ends become children of this one, so that killing the tree finds them."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
