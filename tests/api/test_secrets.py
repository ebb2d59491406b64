"""The API can hand secrets over and never read one: by what it may do, and by what it asks for."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import requests

from app import app
from chalicelib.accounts.logins import LoginState, LoginStore
from chalicelib.api.meta import operations
from chalicelib.api.openapi import document
from chalicelib.clock import utc_now
from chalicelib.errors import LoginCanceled, StateConflict
from chalicelib.publishing import states
from chalicelib.publishing.store import TaskStore
from local.emulator import client_environment
from local.template import API_HANDLER
from tests.conftest import ROOT, TEMPLATE, Api, running_api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Cloud

DOCUMENT = document(operations())
CANARY = "canary0session0cookie"
CODE = "918273"


def statements() -> list[dict[str, Any]]:
    policy = json.loads((ROOT / ".chalice" / "policy-api.json").read_text())
    found: list[dict[str, Any]] = policy["Statement"]
    return found


def actions(statement: dict[str, Any]) -> list[str]:
    given = statement["Action"]
    return [given] if isinstance(given, str) else list(given)


def test_the_apis_role_may_encrypt_for_the_purposes_of_a_handover_and_nothing_else_of_kms() -> None:
    (kms,) = [entry for entry in statements() if any(action.startswith("kms") for action in actions(entry))]

    assert actions(kms) == ["kms:Encrypt"]
    # Sessions are sealed without a purpose: who may only encrypt with one can forge none.
    assert set(kms["Condition"]["StringEquals"]) == {"kms:EncryptionContext:purpose"}
    assert not any("*" in action for entry in statements() for action in actions(entry))


def test_the_apis_role_may_put_an_import_and_read_neither_imports_nor_sessions() -> None:
    def objects(action: str) -> set[str]:
        found: set[str] = set()
        for entry in statements():
            if action in actions(entry):
                resources = entry["Resource"] if isinstance(entry["Resource"], list) else [entry["Resource"]]
                found |= {resource["Fn::Sub"] for resource in resources if "Fn::Sub" in resource}
        return {name for name in found if name.startswith("${PrivateBucket.Arn}")}

    assert objects("s3:GetObject") == {"${PrivateBucket.Arn}/uploads/*", "${PrivateBucket.Arn}/evidence/*"}
    assert objects("s3:PutObject") == {
        "${PrivateBucket.Arn}/uploads/*/media",
        "${PrivateBucket.Arn}/imports/*",
    }


def test_what_is_deleted_from_the_private_bucket_is_gone_and_an_import_that_nobody_takes_is_deleted() -> None:
    bucket = TEMPLATE["Resources"]["PrivateBucket"]["Properties"]

    assert "VersioningConfiguration" not in bucket
    assert "ObjectLockEnabled" not in bucket
    rules = {rule["Prefix"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert (rules["imports/"]["Status"], rules["imports/"]["ExpirationInDays"]) == ("Enabled", 1)


class Recorder(ThreadingHTTPServer):
    """Stands between the API and KMS, and writes down what is asked for."""

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.upstream = upstream
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Relay(BaseHTTPRequestHandler):
    server: Recorder

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(self.headers["X-Amz-Target"].rpartition(".")[2])
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(self.server.upstream, data=body, headers=headers, timeout=10)
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def recorder(cloud: Cloud) -> Iterator[Recorder]:
    server = Recorder(cloud.endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def watched_api(cloud: Cloud, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("watched")
    variables = {
        **client_environment(cloud.endpoint),
        "AWS_ENDPOINT_URL_KMS": recorder.address,
        **cloud.functions[API_HANDLER].environment,
    }
    with running_api(folder, variables) as client:
        yield client
    assert CANARY not in (folder / "api.log").read_text()


def in_order(route: tuple[str, str, Any]) -> tuple[bool, bool]:
    """What needs a task that waits for its code comes first; what takes something away comes last."""
    method, path, _ = route
    return method == "delete", not path.endswith("/verification")


@contextmanager
def no_worker(cloud: Cloud, logins: LoginStore) -> Iterator[None]:
    """Tells whatever waits for a login's worker that it has failed."""
    over = threading.Event()
    sqs, url = cloud.client("sqs"), cloud.variable("LOGIN_QUEUE_URL")

    def refuse() -> None:
        while not over.is_set():
            for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                with suppress(StateConflict):
                    logins.abort(json.loads(message["Body"])["login_id"], LoginState.FAILED, LoginCanceled())

    thread = threading.Thread(target=refuse)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.system
def test_no_route_of_the_api_asks_kms_for_anything_but_to_encrypt_or_tells_a_session(
    watched_api: Api, recorder: Recorder, cloud: Cloud, account_name: str, body: dict[str, Any]
) -> None:
    tasks = TaskStore(cloud.client("dynamodb"), cloud.variable("TASKS_TABLE"))
    logins = LoginStore(cloud.client("dynamodb"), cloud.variable("LOGINS_TABLE"))
    task_id = watched_api.post("/api/v1/publish", body).json()["id"]
    task = tasks.claim(task_id, lease_until=utc_now())
    wanted = {"phone": None, "asked_at": task.created_at, "expires_at": task.created_at, "tries": 0}
    tasks.move(task_id, states.ASK, epoch=task.epoch, due_at=utc_now(), verification=wanted)
    login = logins.create("someone")
    ids = {"task_id": task_id, "login_id": login.id, "account_name": account_name}
    imported = {"cookies": [{"name": "sessionid", "value": CANARY, "domain": ".douyin.com", "path": "/"}]}
    given = {
        "SessionImport": {"storage_state": imported},
        "VerificationRequest": {"code": CODE},
        "LoginVerificationRequest": {"code": CODE},
        "PublishRequest": body,
    }
    routes = [
        (method, path, operation.get("requestBody"))
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]
    assert {(path, method.lower()) for path, methods in app.routes.items() for method in methods} == {
        (path, method) for method, path, _ in routes
    }
    answers = {}
    with no_worker(cloud, logins):
        for method, path, request in sorted(routes, key=in_order):
            content: dict[str, Any] = {}
            if request is not None:
                name = request["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                content = {"json": given.get(name) or request["content"]["application/json"]["example"]}
            where = path
            for parameter, value in ids.items():
                where = where.replace(f"{{{parameter}}}", value)
            answers[method, path] = watched_api(method.upper(), where, **content)

    assert set(recorder.asked) == {"Encrypt"}
    assert answers["post", "/api/v1/tasks/{task_id}/verification"].status_code == 200
    refused = {
        key: answer.text for key, answer in answers.items() if answer.status_code in (400, 413, 415, 422)
    }
    assert refused == {}
    broken = {key for key, answer in answers.items() if answer.status_code == 500}
    assert broken <= {("post", "/api/v1/sync/run")}  # There is no function to invoke here.
    for answer in answers.values():
        assert CANARY not in answer.text + str(answer.headers)
        assert CODE not in answer.text
