"""Who may do what: every route asks for its scope, and a key gives no more than it has."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from app import app
from chalicelib.api.meta import operations
from chalicelib.clock import to_rfc3339, utc_now
from chalicelib.keys.__main__ import main as command_line
from chalicelib.keys.scopes import PUBLIC, Scope
from chalicelib.keys.store import KeyStore
from local.emulator import client_environment
from local.template import API_HANDLER
from tests.conftest import running_api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    from chalicelib.api.edge import Operation
    from tests.conftest import Api, Cloud

pytestmark = pytest.mark.system

Headers = dict[str, str]

# Nobody's: what these routes are asked for is not there.
_NOBODY = {
    "task_id": "0d8f7c9e-6a43-4b0e-9c52-7c1f3f6a2b11",
    "login_id": "0d8f7c9e-6a43-4b0e-9c52-7c1f3f6a2b11",
    "account_name": "nobody",
    "group_id": "1",
    "key_id": "0" * 16,
}


@pytest.fixture(scope="module")
def closed(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API as it is deployed: without a key it serves nobody."""
    variables = {
        **client_environment(cloud.endpoint),
        **cloud.functions[API_HANDLER].environment,
        "API_KEYS": "",
        "RATE_LIMIT_READS": "100000",
        "RATE_LIMIT_WRITES": "100000",
    }
    with running_api(tmp_path_factory.mktemp("closed"), variables) as client:
        yield client


@pytest.fixture
def store(cloud: Cloud) -> KeyStore:
    return KeyStore(cloud.client("dynamodb"), cloud.variable("KEYS_TABLE"))


@pytest.fixture
def key(store: KeyStore) -> Callable[..., Headers]:
    """Makes a key with these scopes; the headers that bring it."""

    def make(*scopes: Scope, expires_at: Any = None) -> Headers:
        new = store.create("of a test", scopes, expires_at=expires_at, created_by="a test")
        return bearer(new.token)

    return make


def bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


def send(api: Api, operation: Operation, headers: Headers) -> requests.Response:
    path = re.sub(r"\{(\w+)\}", lambda name: _NOBODY.get(name[1], _NOBODY["task_id"]), operation.path)
    # A body that no route takes: what comes of it shows that the door was passed.
    body = {"json": {"no such": "field"}} if operation.request else {}
    return api(operation.method, path, headers=headers, **body)


def test_every_route_of_the_app_is_declared_with_a_scope_and_few_with_none() -> None:
    served = {(path, method) for path, methods in app.routes.items() for method in methods}

    assert served == {(operation.path, operation.method) for operation in operations()}
    assert {operation.path for operation in operations() if operation.scope is PUBLIC} == {
        "/docs/errors",
        "/healthz",
        "/openapi.json",
        "/docs",
        "/",
        "/api/v1/sync/notifications",
    }


KEYED = [operation for operation in operations() if operation.scope is not PUBLIC]


@pytest.mark.parametrize("operation", KEYED, ids=lambda operation: operation.name)
def test_a_route_refuses_whoever_has_no_key_or_every_scope_but_its_own(
    closed: Api, key: Callable[..., Headers], operation: Operation
) -> None:
    scope = operation.scope
    assert scope is not None

    nobody = send(closed, operation, {})
    assert nobody.status_code == 401
    assert nobody.headers["Content-Type"] == "application/problem+json"
    assert nobody.headers["WWW-Authenticate"] == "Bearer"
    assert nobody.json()["code"] == "auth.required"

    others = send(closed, operation, key(*(set(Scope) - {scope})))
    assert others.status_code == 403
    assert others.json()["code"] == "auth.scope_missing"
    assert scope in others.json()["detail"]
    assert others.headers["WWW-Authenticate"] == f'Bearer error="insufficient_scope", scope="{scope}"'
    assert "RateLimit" in others.headers

    assert send(closed, operation, key(scope)).status_code not in (401, 403)


@pytest.mark.parametrize(
    "operation",
    [operation for operation in operations() if operation.scope is PUBLIC and operation.method == "GET"],
    ids=lambda operation: operation.name,
)
def test_what_is_nobodys_is_served_to_everybody(closed: Api, operation: Operation) -> None:
    answer = send(closed, operation, {})

    assert answer.status_code == 200
    assert "RateLimit" not in answer.headers


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "sp_live_0_0"])
def test_what_is_no_bearer_is_a_401(closed: Api, value: str) -> None:
    answer = closed.get("/api/v1/accounts", headers={"Authorization": value})

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("token", ["x", "sp_live_" + "0" * 16 + "_" + "0" * 64, "sp_live_é_"])
def test_what_is_no_key_is_a_401_that_says_so_and_does_not_repeat_it(closed: Api, token: str) -> None:
    answer = closed.get("/api/v1/accounts", headers={"Authorization": f"Bearer {token}".encode()})

    assert (answer.status_code, answer.json()["code"]) == (401, "auth.key_invalid")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert len(token) < 2 or token not in answer.text


def test_a_body_is_not_read_before_the_key(closed: Api, key: Callable[..., Headers]) -> None:
    for headers in ({}, key(Scope.TASKS_READ)):
        answer = closed("POST", "/api/v1/publish", data=b"{", headers={**headers, "Content-Type": "text/plain"})
        assert answer.status_code in (401, 403)


def test_a_key_is_made_shown_once_used_and_revoked(closed: Api, key: Callable[..., Headers]) -> None:
    admin = key(Scope.KEYS_ADMIN, Scope.ACCOUNTS_READ)
    asked = {"name": "夜间发布", "scopes": ["accounts:read"]}
    made = closed.post("/api/v1/keys", asked, headers=admin).json()

    assert (made["name"], made["scopes"], made["live"]) == ("夜间发布", ["accounts:read"], True)
    assert closed.get("/api/v1/accounts", headers=bearer(made["key"])).status_code == 200
    path = f"/api/v1/keys/{made['id']}"
    seen = closed.get(path, headers=admin)
    assert seen.json()["last_used_at"] is not None
    listed = closed.get("/api/v1/keys", headers=admin)
    assert made["id"] in [entry["id"] for entry in listed.json()["data"]]
    for answer in (seen, listed):
        assert made["key"].rpartition("_")[2] not in answer.text
        assert "secret" not in answer.text

    assert closed.delete(path, headers=admin).json()["live"] is False
    refused = closed.get("/api/v1/accounts", headers=bearer(made["key"]))
    assert (refused.status_code, refused.json()["code"]) == (401, "auth.key_invalid")
    assert closed.delete(path, headers=admin).status_code == 200


def test_a_key_gives_no_scope_that_it_does_not_have(
    closed: Api, key: Callable[..., Headers], store: KeyStore
) -> None:
    admin = key(Scope.KEYS_ADMIN)
    strong = store.create("strong", [Scope.PUBLISH_WRITE], expires_at=None, created_by="a test").key

    made = closed.post("/api/v1/keys", {"name": "x", "scopes": ["publish:write", "keys:admin"]}, headers=admin)
    rotated = closed.post(f"/api/v1/keys/{strong.id}/rotate", headers=admin)

    for answer in (made, rotated):
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.scope_missing")
        assert "publish:write" in answer.json()["detail"]
        assert "keys:admin" not in answer.json()["detail"]
    assert store.get(strong.id).successor is None


def test_a_key_gives_no_day_that_it_does_not_have(closed: Api, key: Callable[..., Headers]) -> None:
    end = utc_now() + timedelta(days=2)
    admin = key(Scope.KEYS_ADMIN, expires_at=end)

    def make(**expiry: Any) -> requests.Response:
        return closed.post("/api/v1/keys", {"name": "x", "scopes": ["keys:admin"], **expiry}, headers=admin)

    assert make().status_code == 403
    assert make(expires_at=to_rfc3339(end + timedelta(seconds=1))).status_code == 403
    shorter = make(expires_at=to_rfc3339(end - timedelta(days=1)))
    assert shorter.status_code == 200
    lengthened = {"expires_at": to_rfc3339(end + timedelta(days=1))}
    path = f"/api/v1/keys/{shorter.json()['id']}/rotate"
    assert closed.post(path, lengthened, headers=admin).status_code == 403
    assert closed.post(path, headers=admin).json()["expires_at"] == shorter.json()["expires_at"]


def test_a_rotated_key_and_its_successor_both_work(closed: Api, key: Callable[..., Headers]) -> None:
    admin = key(Scope.KEYS_ADMIN)
    own = admin["Authorization"].split("_")[2]
    successor = closed.post(f"/api/v1/keys/{own}/rotate", {"overlap_hours": 1}, headers=admin).json()

    assert successor["predecessor"] == own
    for headers in (admin, bearer(successor["key"])):
        assert closed.get("/api/v1/keys", headers=headers).status_code == 200
    again = closed.post(f"/api/v1/keys/{own}/rotate", headers=admin)
    assert (again.status_code, again.json()["code"]) == (409, "key.state_conflict")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "", "scopes": ["keys:admin"]}, "/name"),
        ({"name": " ", "scopes": ["keys:admin"]}, "/name"),
        ({"name": "a\nb", "scopes": ["keys:admin"]}, "/name"),
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x", "scopes": ["root"]}, "/scopes/0"),
        ({"name": "x", "scopes": ["keys:admin"], "expires_at": "2026-01-01T00:00:00Z"}, "/expires_at"),
        ({"name": "x", "scopes": ["keys:admin"], "expires_at": "2096-01-01T00:00:00"}, "/expires_at"),
    ],
)
def test_a_bad_key_is_refused_by_its_field(api: Api, body: dict[str, Any], pointer: str) -> None:
    answer = api.post("/api/v1/keys", body)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_an_unknown_key_is_a_404(api: Api) -> None:
    for key_id in ("0" * 16, "nonsense", "%2e%2e"):
        assert api.get(f"/api/v1/keys/{key_id}").json()["code"] == "key.not_found"


def test_where_no_key_is_needed_a_key_that_is_sent_counts(api: Api, key: Callable[..., Headers]) -> None:
    assert api.get("/api/v1/accounts").status_code == 200
    assert api.get("/api/v1/accounts", headers=key(Scope.TASKS_READ)).status_code == 403
    assert api.get("/api/v1/accounts", headers=bearer("nonsense")).status_code == 401


def test_the_first_key_comes_from_the_command_line(
    closed: Api, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in client_environment(cloud.endpoint).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("chalicelib.aws.dynamodb", lambda: cloud.client("dynamodb"))
    monkeypatch.setattr("chalicelib.aws.cloudformation", lambda: cloud.client("cloudformation"))
    at = ["--stack", "publisher"]

    assert command_line([*at, "create", "--name", "first", "--scope", "all", "--expires", "90d"]) == 0
    (token,) = re.findall(r"sp_live_\w+", capsys.readouterr().out)
    listed = closed.get("/api/v1/keys", headers=bearer(token)).json()["data"]
    (made,) = [entry for entry in listed if token.startswith(f"sp_live_{entry['id']}_")]
    assert (made["name"], made["created_by"]) == ("first", "command line")
    assert made["scopes"] == sorted(Scope)

    assert command_line([*at, "list"]) == 0
    assert made["id"] in capsys.readouterr().out
    assert command_line([*at, "revoke", made["id"]]) == 0
    assert closed.get("/api/v1/keys", headers=bearer(token)).status_code == 401
    assert command_line([*at, "revoke", "0" * 16]) == 2
    assert "There is no key" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--scope", "root"], ["--scope", "all", "--expires", "yesterday"]])
def test_the_command_line_says_what_is_wrong(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_line(["create", "--name", "x", *wrong])
    assert wrong[-1] in capsys.readouterr().err
