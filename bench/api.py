"""The API against FastAPI and Mangum with the same routes and models: `python -m bench.api [--rounds 15]`.

Both run as Lambda runs them: a handler, called with the events of a REST API. The peer is written from the
declared operations: the same paths, pydantic models and stores, FastAPI's own validation. Of its routes those
answer that are measured. A round is a fresh process each, one after the other: the time to import the handler,
with its first answer, and what 500 more take. DynamoDB is a server on loopback that holds nothing.

FastAPI and Mangum are no requirements of ours: they are installed into a temporary environment, from the
package index that pip uses, beside the pinned requirements of the API.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import venv
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from local.processes import clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.api.edge import Operation

ROOT = Path(__file__).resolve().parent.parent
PEER_REQUIREMENTS = ("fastapi==0.165.0", "mangum==0.22.0")
# What the Lambda runtime and `chalice package` bring, in the versions that are tested here.
RUNTIME = ("boto3", "chalice")
WARM_CALLS = 500
UNKNOWN = "0d8f7c9e-6a43-4b0e-9c52-7c1f3f6a2b11"
BODY = {"video_url": "https://example.com/v.mp4", "title": "城市漫步", "account_name": "nobody"}


@dataclass(frozen=True)
class Case:
    """One request, and the status of its answer."""

    name: str
    method: str
    path: str
    resource: str
    status: int
    body: dict[str, Any] | None = None

    def event(self) -> dict[str, Any]:
        """As API Gateway's proxy integration sends it (payload of a REST API)."""
        headers = {"host": "api.example.com", "content-type": "application/json"}
        return {
            "resource": self.resource,
            "path": self.path,
            "httpMethod": self.method,
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "pathParameters": {"task_id": UNKNOWN} if "{task_id}" in self.resource else None,
            "stageVariables": None,
            "requestContext": {
                "httpMethod": self.method,
                "resourcePath": self.resource,
                "path": self.path,
                "stage": "api",
                "identity": {"sourceIp": "192.0.2.1"},
            },
            "body": json.dumps(self.body) if self.body is not None else None,
            "isBase64Encoded": False,
        }


CASES = (
    Case("GET /healthz", "GET", "/healthz", "/healthz", 200),
    Case("POST /publish, invalid", "POST", "/api/v1/publish", "/api/v1/publish", 422, {"title": ""}),
    Case("POST /publish, no account", "POST", "/api/v1/publish", "/api/v1/publish", 404, BODY),
    Case("GET /tasks/{id}, unknown", "GET", f"/api/v1/tasks/{UNKNOWN}", "/api/v1/tasks/{task_id}", 404),
)

# In the fresh process: imports the handler, and tells what each took, in milliseconds.
PROBE = """
import json, sys, time
began = time.process_time()
module, events, calls = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
handler = __import__(module).app
imported = time.process_time()
class Context:
    aws_request_id = "request"
told = {"import": imported - began, "first": [], "warm": []}
for event, status in events:
    start = time.process_time()
    answer = handler(event, Context())
    told["first"].append(time.process_time() - start)
    assert answer["statusCode"] == status, answer
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        handler(event, Context())
        times.append(time.perf_counter() - start)
    told["warm"].append(sorted(times)[len(times) // 2])
print(json.dumps(told))
"""

PEER = '''"""Made by bench/api.py: the same routes and models as the API, on FastAPI and Mangum."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from mangum import Mangum

from chalicelib.api import wiring
from chalicelib.api.key_models import *
from chalicelib.api.models import *
from chalicelib.api.storage_state import SessionImport
from chalicelib.api.webhook_models import *
from chalicelib.errors import PublisherError
from chalicelib.publishing.task import Submission

api = FastAPI()
app = Mangum(api, lifespan="off")


@api.exception_handler(PublisherError)
def problem(request: Request, error: PublisherError):
    return JSONResponse(error.describe(), error.status, media_type="application/problem+json")
'''
# What the measured operations do; the others are declared, and answer nothing.
PEER_BODIES = {
    "healthz": 'return Health(status="ok")',
    "publish": """desk = wiring.task_desk()
    submission = Submission(**body.model_dump(exclude={"allow_duplicate"}))
    return desk.accept(submission, body.model_fields_set, allow_duplicate=body.allow_duplicate)""",
    "get_task": "return wiring.task_store().get(task_id)",
}


class _EmptyTables(BaseHTTPRequestHandler):
    """DynamoDB's GetItem where there is nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Round:
    """Milliseconds, by the measured cases."""

    imported: float
    first: list[float]
    warm: list[float]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.api", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--no-bytecode", action="store_true", help="compile everything at each start, as wheels do"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        python = _environment(Path(folder))
        (Path(folder) / "peer.py").write_text(peer(), encoding="utf-8")
        server = ThreadingHTTPServer(("127.0.0.1", 0), _EmptyTables)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        variables = _variables(Path(folder), server.server_address[1], bytecode=not given.no_bytecode)
        rounds: dict[str, list[Round]] = {"app": [], "peer": []}
        for number in range(given.rounds + 1):
            for module, measured in rounds.items():
                one = _round(python, module, variables)
                if number:  # The first one writes the bytecode.
                    measured.append(one)
        server.shutdown()
        server.server_close()
    _print(rounds, given)
    return 0


def peer() -> str:
    """The peer's module, from what the API declares."""
    from chalicelib.api.meta import operations  # noqa: PLC0415 - the environment must not matter to --help

    return "\n".join([PEER, *(_route(operation) for operation in operations() if operation.answer)])


def _route(operation: Operation) -> str:
    answer = operation.answer.__name__ if operation.answer else "None"
    parameters = [f"{parameter.name}: str" for parameter in operation.parameters]
    if operation.request is not None:
        optional = f" = {operation.request.__name__}()" if operation.body_optional else ""
        parameters.append(f"body: {operation.request.__name__}{optional}")
    parameters += list(_query(operation))
    body = PEER_BODIES.get(operation.name, "raise NotImplementedError")
    return f"""
@api.{operation.method.lower()}({operation.path!r}, response_model={answer})
def {operation.name}({", ".join(parameters)}):
    {body}
"""


def _query(operation: Operation) -> Iterator[str]:
    for name in operation.query.model_fields if operation.query else ():
        yield f"{name}: str | None = None"


def _environment(folder: Path) -> Path:
    """The python of a new environment with the API's requirements and the peer's."""
    home = folder / "venv"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    pins = [line for line in _pins() if line.partition("==")[0] in RUNTIME]
    # Hashes are of one file alone: the peer is not in it.
    for arguments in (["--require-hashes", "-r", str(ROOT / "requirements.txt")], [*pins, *PEER_REQUIREMENTS]):
        subprocess.run([python, "-m", "pip", "install", "-qq", *arguments], check=True)
    return python


def _pins() -> list[str]:
    lines = (ROOT / "requirements-local.txt").read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if "==" in line]


def _variables(folder: Path, port: int, *, bytecode: bool) -> dict[str, str]:
    return clean_environment(
        folder / "tmp",
        {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "ACCOUNTS_TABLE": "accounts",
            "TASKS_TABLE": "tasks",
            "PUBLISH_QUEUE_URL": f"http://127.0.0.1:{port}/queue.fifo",
            "PRIVATE_BUCKET": "bucket",
            "SESSION_KEY_ID": "key",
            "REQUESTS_TABLE": "requests",
            "API_KEYS": "optional",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
            "PYTHONPYCACHEPREFIX": str(folder / ("bytecode" if bytecode else "none")),
            "PYTHONDONTWRITEBYTECODE": "" if bytecode else "1",
        },
    )


def _round(python: Path, module: str, variables: dict[str, str]) -> Round:
    events = json.dumps([(case.event(), case.status) for case in CASES])
    command = [str(python), "-W", "ignore", "-c", PROBE, module, events, str(WARM_CALLS)]
    process = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise SystemExit(f"{module} failed:\n{process.stdout[-2000:]}{process.stderr[-2000:]}")
    told = json.loads(process.stdout.splitlines()[-1])  # Log lines stand before it.
    first, warm = ([1000 * seconds for seconds in told[name]] for name in ("first", "warm"))
    return Round(imported=1000 * told["import"], first=first, warm=warm)


def _print(rounds: dict[str, list[Round]], given: argparse.Namespace) -> None:
    console = Console(highlight=False)
    bytecode = "without bytecode" if given.no_bytecode else "with bytecode"
    load = os.getloadavg()[0]
    console.print(
        f"{given.rounds} rounds, {bytecode}, Python {sys.version.split()[0]}, {os.cpu_count()} cores, "
        f"load {load:.1f}; {', '.join(PEER_REQUIREMENTS)}. Medians in milliseconds; imports in CPU time."
    )
    table = Table("", "ours", "FastAPI + Mangum", "ratio", box=box.SIMPLE)

    def row(name: str, ours: list[float], theirs: list[float]) -> None:
        a, b = statistics.median(ours), statistics.median(theirs)
        table.add_row(name, f"{a:.3f}", f"{b:.3f}", f"{a / b:.2f}")

    ours, theirs = rounds["app"], rounds["peer"]
    row("import", [one.imported for one in ours], [one.imported for one in theirs])
    row(
        f"import and first answer ({CASES[0].name})",
        [one.imported + one.first[0] for one in ours],
        [one.imported + one.first[0] for one in theirs],
    )
    row(
        "import and the first answer to each",
        [one.imported + sum(one.first) for one in ours],
        [one.imported + sum(one.first) for one in theirs],
    )
    for index, case in enumerate(CASES):
        row(f"warm {case.name}", [one.warm[index] for one in ours], [one.warm[index] for one in theirs])
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
