"""The edge, over real sockets and as API Gateway calls it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from chalice.test import Client

from app import app
from chalicelib.api.edge import MAX_QUERY_LENGTH
from tests.api.test_bad_input import assert_problem

if TYPE_CHECKING:
    from tests.conftest import Api

JSON = {"Content-Type": "application/json"}
NOWHERE = "/api/v1/tasks/0d8f7c9e-6a43-4b0e-9c52-7c1f3f6a2b11"


def called(path: str, resource: str, *, stage: str, method: str = "GET", **parameters: str) -> dict[str, Any]:
    """The API's answer to a request as API Gateway passes it on from a stage (payload of a REST API)."""
    event = {
        "requestContext": {
            "httpMethod": method,
            "resourcePath": resource,
            "path": f"{stage}{path}",
            "identity": {"sourceIp": "192.0.2.1"},
        },
        "headers": {"host": "abc.example.com", "x-forwarded-proto": "https"},
        "multiValueHeaders": {"host": ["abc.example.com"], "x-forwarded-proto": ["https"]},
        "pathParameters": parameters or None,
        "multiValueQueryStringParameters": None,
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
    }
    answer: dict[str, Any] = app(event, None)
    return answer


@pytest.mark.parametrize("stage", ["", "/api", "/publisher/v2"])
def test_the_type_of_a_problem_leads_to_its_place_wherever_the_api_stands(
    monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setenv("API_KEYS", "optional")

    answer = called("/api/v1/tasks/x", "/api/v1/tasks/{task_id}", stage=stage, task_id="x")

    problem = json.loads(answer["body"])
    assert problem["type"] == f"{stage}/docs/errors#task.not_found"
    assert problem["instance"] == f"{stage}/api/v1/tasks/x"


def test_the_docs_page_shows_requests_to_where_it_was_found() -> None:
    page = called("/docs", "/docs", stage="/api")["body"]

    assert "https://abc.example.com/api/api/v1/publish" in page


def test_every_code_has_its_place_on_the_page_of_errors_without_an_outside_host() -> None:
    with Client(app) as client:
        response = client.http.get("/docs/errors")

    page = response.body.decode()
    assert "id='task.not_found'" in page
    assert "任务不存在" in page
    assert not re.search(r"(src|href)='(https?:)?//", page)
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.system
def test_the_title_is_in_the_language_that_is_preferred(api: Api) -> None:
    chinese = api.get(NOWHERE, headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
    english = api.get(NOWHERE)

    assert assert_problem(chinese, 404, "task.not_found")["title"] == "任务不存在"
    assert (chinese.headers["Content-Language"], english.headers["Content-Language"]) == ("zh", "en")
    assert chinese.headers["Vary"] == "Accept-Language"
    assert english.json()["title"] == "There is no such task"


@pytest.mark.system
def test_a_body_where_none_is_taken_is_refused(api: Api) -> None:
    refused = api("POST", f"{NOWHERE}/cancel", json={"force": True})

    assert "takes no body" in assert_problem(refused, 400, "request.malformed")["detail"]
    for harmless in ("", "{}"):
        answer = api("POST", f"{NOWHERE}/cancel", data=harmless, headers=JSON)
        assert_problem(answer, 404, "task.not_found")


@pytest.mark.system
def test_a_content_type_without_a_body_is_no_fault(api: Api) -> None:
    answer = api.get("/healthz", headers={"Content-Type": "text/plain"})

    assert answer.status_code == 200


@pytest.mark.system
def test_a_parameter_where_none_is_taken_is_refused_by_its_name(api: Api) -> None:
    problem = assert_problem(api.get("/api/v1/accounts?stat=expired"), 422, "request.invalid")

    assert problem["errors"] == [
        {"pointer": "/stat", "detail": "this field is not known; remove it, or correct its name"}
    ]
    assert api.get("/docs?utm_source=mail").status_code == 200


@pytest.mark.system
def test_a_query_beyond_the_limit_is_refused(api: Api) -> None:
    answer = api.get(f"/api/v1/accounts?a={'x' * MAX_QUERY_LENGTH}")

    assert str(MAX_QUERY_LENGTH) in assert_problem(answer, 414, "request.uri_too_long")["detail"]


@pytest.mark.system
def test_a_member_that_stands_twice_is_refused(api: Api, account_name: str) -> None:
    text = '{"preferences": {"daily_cap": 3, "daily_cap": 300}}'

    answer = api("PATCH", f"/api/v1/accounts/{account_name}", data=text, headers=JSON)

    assert "'daily_cap'" in assert_problem(answer, 400, "request.malformed")["detail"]


@pytest.mark.system
@pytest.mark.parametrize("method", ["TRACE", "QUERY", "HEAD"])
def test_a_known_method_that_a_route_does_not_take_is_refused_as_such(api: Api, method: str) -> None:
    answer = api(method, "/healthz")

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET"


@pytest.mark.system
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "a\x00b"),
        ("title", "a\x1bb"),
        ("description", "a\x00b"),
        ("tags", ["a\x7fb"]),
        ("schedule_time", "20990101T100000+08:00"),
        ("schedule_time", "2099-01-01 10:00\n"),
        ("schedule_time", "２０９９-01-01 10:00"),
        ("video_url", "https://user:secret@example.com/video.mp4"),
    ],
)
def test_text_that_nobody_can_mean_is_refused_by_its_field(
    api: Api, body: dict[str, Any], field: str, value: Any
) -> None:
    problem = assert_problem(api.post("/api/v1/publish", {**body, field: value}), 422, "request.invalid")

    assert problem["errors"][0]["pointer"].startswith(f"/{field}")


@pytest.mark.system
def test_an_integer_may_be_written_with_a_fraction_of_zero(api: Api, account_name: str) -> None:
    path = f"/api/v1/accounts/{account_name}"
    patched = api("PATCH", path, data='{"preferences": {"daily_cap": 3.0}}', headers=JSON)
    refused = api("PATCH", path, data='{"preferences": {"daily_cap": 3.5}}', headers=JSON)

    assert patched.json()["preferences"]["daily_cap"] == 3
    assert_problem(refused, 422, "request.invalid")


@pytest.mark.system
def test_articles_that_are_named_twice_are_asked_for_once(content_api: Api, shelf: Any, new_id: Any) -> None:
    group_id = new_id()
    shelf.put((group_id, "upsert", {"GroupId": group_id}))

    answer = content_api.post("/api/v1/sync/run", {"group_ids": [group_id] * 1000})

    assert answer.status_code == 202
