"""The API through Chalice's local server: `python -m local.api --port N [--exit-on-stdin-eof]`.

Chalice plays API Gateway here; what it plays differently is put right: a route that does not exist answers as
the template's GatewayResponses say. Where API_KEYS is `optional`, whoever is on this machine may do everything;
so that no web page may, nothing answers a foreign Host (a name that was rebound to loopback), or what a page of
another origin sends.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import signal
import sys
import threading
import uuid
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalice.config import Config
from chalice.local import ChaliceRequestHandler, ForbiddenError, LocalDevServer, ThreadedHTTPServer

from chalicelib.logs import configure
from local.processes import LOOPBACK, ChildProcess, clean_environment, end_at_stdin_eof
from local.template import load_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalice.app import Chalice

logger = logging.getLogger(__name__)

# API Gateway's own limit (quotas of REST APIs).
MAX_REQUEST_BYTES = 10 * 1024 * 1024

_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)


class GatewayHandler(ChaliceRequestHandler):
    """One connection. `gateway_responses` are the template's; set on a subclass by `serve`."""

    gateway_responses: dict[str, Any]
    disable_nagle_algorithm = True  # Headers and body are two writes: the second must not wait for an ACK.
    timeout = 75  # Seconds that an idle connection is kept, as API Gateway does.

    def _generic_handle(self) -> None:
        length = self.headers.get("content-length", "0")
        if not _LOOPBACK.fullmatch(self.headers.get("host", "")):
            self._refuse(403, "auth.forbidden", "This system serves loopback only; send Host: localhost.")
        elif self._comes_from_another_page():
            self._refuse(403, "auth.forbidden", "This system takes nothing from pages of other origins.")
        elif not length.isdecimal() or "transfer-encoding" in self.headers:
            self._refuse(411, "request.malformed", "Send the body with a Content-Length.")
        elif int(length) > MAX_REQUEST_BYTES:
            self._refuse_as("REQUEST_TOO_LARGE")
        else:
            super()._generic_handle()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = _generic_handle  # noqa: N815
    do_TRACE = do_QUERY = _generic_handle  # noqa: N815

    def _comes_from_another_page(self) -> bool:
        """By what the browser says of itself (Fetch standard, Fetch Metadata): every request that a page of
        another origin can make, but following a link.
        """
        origin = self.headers.get("origin")
        if origin is not None and origin.lower() != f"http://{self.headers['host']}".lower():
            return True
        from_elsewhere = self.headers.get("sec-fetch-site", "none") in ("cross-site", "same-site")
        return from_elsewhere and self.headers.get("sec-fetch-mode") != "navigate"

    def _send_error_response(self, error: Any) -> None:
        if isinstance(error, ForbiddenError):
            self._send_gateway_response("MISSING_AUTHENTICATION_TOKEN")
        else:
            super()._send_error_response(error)

    def _refuse_as(self, kind: str) -> None:
        self.close_connection = True  # The body was not read.
        self._send_gateway_response(kind)

    def _send_gateway_response(self, kind: str) -> None:
        response = self.gateway_responses[kind]
        path = self.path.partition("?")[0]
        # There is no stage here.
        body = response["ResponseTemplates"]["application/json"].replace("/$context.stage", "")
        for variable, value in (
            ("httpMethod", self.command),
            ("path", path),
            ("requestId", str(uuid.uuid4())),
        ):
            body = body.replace(f"$context.{variable}", json.dumps(value, ensure_ascii=False)[1:-1])
        self._send_problem(int(response["StatusCode"]), json.loads(body))

    def _refuse(self, status: int, code: str, detail: str) -> None:
        self.close_connection = True
        problem: dict[str, Any] = {
            "type": f"/docs/errors#{code}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "instance": self.path.partition("?")[0],
            "code": code,
            "retryable": False,
            "next_step": detail,
            "request_id": str(uuid.uuid4()),
            "errors": [],
        }
        self._send_problem(status, problem)

    def _send_problem(self, status: int, problem: dict[str, Any]) -> None:
        headers = {
            "Content-Type": "application/problem+json",
            "Content-Language": "en",
            "X-Request-Id": problem["request_id"],
        }
        if self.close_connection:
            headers["Connection"] = "close"  # Or the client sends its next request into a closed connection.
        self._send_http_response_with_body(status, headers, json.dumps(problem, ensure_ascii=False))

    def _send_http_response_with_body(self, code: int, headers: Any, body: Any) -> None:
        if self.command == "HEAD":
            self._send_http_response_no_body(code, headers)
        else:
            super()._send_http_response_with_body(code, headers, body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server itself refuses: an unknown method, a malformed request line or header."""
        self.command = getattr(self, "command", None) or "GET"
        self.path = getattr(self, "path", "/")
        self.requestline = getattr(self, "requestline", "")
        self.request_version = "HTTP/1.1"
        self._refuse(code, "request.malformed", message or explain or HTTPStatus(code).phrase)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        pass  # The API tells of each request itself.


class _Server(ThreadedHTTPServer):
    request_queue_size = 128


def serve(app: Chalice, port: int, project: Path) -> LocalDevServer:
    """A server on loopback, bound and ready to run."""
    template = load_template(project / ".chalice" / "resources.yml")
    config = json.loads((project / ".chalice" / "config.json").read_text())
    handler = type(
        "Handler",
        (GatewayHandler,),
        {"gateway_responses": template["Resources"]["RestAPI"]["Properties"]["GatewayResponses"]},
    )
    function = config["lambda_functions"]["api_handler"]
    chalice_config = Config.create(
        lambda_timeout=function["lambda_timeout"], lambda_memory_size=function["lambda_memory_size"]
    )
    return LocalDevServer(app, chalice_config, LOOPBACK, port, handler_cls=handler, server_cls=_Server)


def api_process(folder: Path, variables: Mapping[str, str], port: int = 0) -> ChildProcess:
    """The API alone with these variables, not started yet. Port 0 is a free one; its log is `api.log`."""
    return ChildProcess(
        "api",
        [sys.executable, "-m", "local.api", "--port", str(port), "--exit-on-stdin-eof"],
        env=clean_environment(folder / "tmp", variables),
        log_path=folder / "api.log",
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.api")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--exit-on-stdin-eof", action="store_true")
    arguments = parser.parse_args()
    configure(pretty=True)

    from app import app  # noqa: PLC0415 - after the logging, and only where it is served

    server = serve(app, arguments.port, Path(__file__).resolve().parent.parent)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    if arguments.exit_on_stdin_eof:
        end_at_stdin_eof(server.shutdown)
    print(f"ready http://{LOOPBACK}:{server.server.server_address[1]}", flush=True)
    server.server.serve_forever()
    server.server.server_close()


if __name__ == "__main__":
    main()
