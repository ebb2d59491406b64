"""Lambda's Invoke on loopback, for `boto3.client("lambda")` with AWS_ENDPOINT_URL_LAMBDA pointing here.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

from __future__ import annotations

import json
import logging
import re
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from local.emulator import ACCOUNT, REGION
from local.processes import LOOPBACK
from local.runtime.errors import FunctionThrottled, InvocationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.runtime.asynchronous import AsynchronousInvoker
    from local.runtime.function import LocalFunction

logger = logging.getLogger(__name__)

_PATH: Final = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
# Lambda's limit for a synchronous event.
_MAX_EVENT_BYTES: Final = 6 * 1024**2


class InvokeApi:
    """Serves Invoke for the given functions by name or ARN. Port 0 takes a free one."""

    def __init__(
        self, functions: Mapping[str, LocalFunction], invoker: AsynchronousInvoker, *, port: int = 0
    ) -> None:
        handler = type("Handler", (_Handler,), {"functions": functions, "invoker": invoker})
        self._server = ThreadingHTTPServer((LOOPBACK, port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="invoke-api", daemon=True)

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    functions: Mapping[str, LocalFunction]
    invoker: AsynchronousInvoker

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match = _PATH.fullmatch(urlsplit(self.path).path)
        if match is None:
            self._refuse(404, "ResourceNotFoundException", f"There is no operation at {self.path}")
            return
        name = unquote(match[1]).rpartition(":function:")[2].partition(":")[0]
        function = self.functions.get(name)
        if function is None:
            arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
            self._refuse(404, "ResourceNotFoundException", f"Function not found: {arn}")
            return
        if len(body) > _MAX_EVENT_BYTES:
            self._refuse(
                413, "RequestTooLargeException", f"Request must be smaller than {_MAX_EVENT_BYTES} bytes"
            )
            return
        try:
            event = json.loads(body) if body else {}
        except ValueError as error:
            self._refuse(
                400, "InvalidRequestContentException", f"Could not parse request body into json: {error}"
            )
            return
        self._invoke(function, event)

    def _invoke(self, function: LocalFunction, event: Any) -> None:
        kind = self.headers.get("X-Amz-Invocation-Type", "RequestResponse")
        request_id = str(uuid.uuid4())
        if kind == "DryRun":
            self._answer(204, b"", request_id)
        elif kind == "Event":
            self.invoker.invoke(function, event, request_id=request_id)
            self._answer(202, b"", request_id)
        elif kind == "RequestResponse":
            headers = {"X-Amz-Executed-Version": "$LATEST"}
            try:
                payload = function.invoke(event, wait=False, request_id=request_id)
            except FunctionThrottled:
                self._refuse(429, "TooManyRequestsException", "Rate Exceeded.")
                return
            except InvocationError as error:
                payload = error.payload()
                headers["X-Amz-Function-Error"] = "Unhandled"
            self._answer(200, json.dumps(payload).encode(), request_id, headers)
        else:
            self._refuse(400, "InvalidParameterValueException", f"Unknown invocation type {kind}")

    def _refuse(self, status: int, error_type: str, message: str) -> None:
        body = json.dumps({"Type": "User", "Message": message}).encode()
        self._answer(status, body, str(uuid.uuid4()), {"X-Amzn-ErrorType": error_type})

    def _answer(
        self, status: int, body: bytes, request_id: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("X-Amzn-RequestId", request_id)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        logger.debug(format, *args)
