"""The document and the routes are one thing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import validate

from app import app
from chalicelib import errors
from chalicelib.api.meta import operations
from chalicelib.api.openapi import document
from local.reference import errors_page
from local.template import load_template

if TYPE_CHECKING:
    from chalicelib.api.edge import Operation
    from tests.conftest import Api

DOCUMENT = document(operations())


def test_the_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    validate(DOCUMENT)


def test_every_route_of_the_app_is_documented_and_the_reverse() -> None:
    served = {(path, method.lower()) for path, methods in app.routes.items() for method in methods}
    documented = {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}

    assert served == documented


def test_the_reference_routes_are_there() -> None:
    assert {
        ("/api/v1/publish", "post"),
        ("/api/v1/tasks/{task_id}", "get"),
        ("/api/v1/accounts", "get"),
        ("/api/v1/accounts/login", "post"),
        ("/api/v1/accounts/login/{login_id}", "get"),
        ("/api/v1/accounts/{account_name}", "delete"),
    } <= {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}


def test_the_nine_fields_of_publish_are_there_and_those_of_our_own() -> None:
    schema = DOCUMENT["components"]["schemas"]["PublishRequest"]

    assert set(schema["properties"]) == {
        "video_url",
        "title",
        "description",
        "tags",
        "cover_path",
        "claim_type",
        "claim_place",
        "claim_date",
        "schedule_time",
        "account_name",
        "manual_review",
        "allow_duplicate",
    }
    assert schema["additionalProperties"] is False


def test_every_operation_documents_its_errors_as_problems() -> None:
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            assert "500" in operation["responses"]
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"]


def test_every_field_and_parameter_is_described() -> None:
    bare = [
        f"{name}.{field}"
        for name, schema in DOCUMENT["components"]["schemas"].items()
        for field, described in schema.get("properties", {}).items()
        if not described.get("description")
    ]
    bare += [
        f"{path} {parameter['name']}"
        for path, methods in DOCUMENT["paths"].items()
        for operation in methods.values()
        for parameter in operation.get("parameters", ())
        if not parameter["description"]
    ]
    assert bare == []


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
def test_its_examples_are_what_the_models_take_and_give(operation: Operation) -> None:
    described = DOCUMENT["paths"][operation.path][operation.method.lower()]
    if operation.request is not None:
        given = described["requestBody"]["content"]["application/json"]["example"]
        operation.request.model_validate_json(json.dumps(given))
    for status in operation.statuses:
        if operation.answer is not None:
            told = described["responses"][str(status)]["content"]["application/json"]["example"]
            operation.answer.model_validate(told)


def test_every_header_and_link_of_an_operation_is_described() -> None:
    names = {operation.name for operation in operations()}
    for operation in operations():
        assert {link.operation for link in operation.links} <= names
        for status in operation.headers:
            assert status in operation.statuses


def test_every_operation_says_what_it_does_the_second_time() -> None:
    silent = [one.name for one in operations() if one.method != "GET" and one.again.startswith("Reads")]

    assert silent == []


def test_the_page_of_errors_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "errors.md"

    assert page.read_text(encoding="utf-8") == errors_page(operations()), "run python -m local.reference"


def _subclasses(error: type[errors.PublisherError]) -> list[type[errors.PublisherError]]:
    return [error, *(deeper for below in error.__subclasses__() for deeper in _subclasses(below))]


@pytest.mark.parametrize("error", _subclasses(errors.PublisherError), ids=lambda error: error.__name__)
def test_every_error_says_what_to_do(error: type[errors.PublisherError]) -> None:
    assert error.code
    assert error.title
    assert ("title" in vars(error)) is ("title_zh" in vars(error))
    assert re.search("[\u4e00-\u9fff]", error.title_zh)
    assert error.next_step
    assert 400 <= error.status < 600


@pytest.mark.parametrize("error", _subclasses(errors.PublisherError), ids=lambda error: error.__name__)
def test_an_error_that_a_job_has_written_down_is_told_as_it_was(error: type[errors.PublisherError]) -> None:
    told = errors.restored(error("what happened").describe())

    assert (told.code, told.status, told.detail) == (error.code, error.status, "what happened")


def test_an_error_of_another_version_is_told_as_one_of_ours() -> None:
    told = errors.restored({"code": "no.longer_known", "detail": "what happened"})

    assert (told.code, told.status, told.detail) == ("internal.error", 500, "what happened")


def test_the_tree_that_the_module_draws_shows_every_error() -> None:
    drawn = set(re.findall(r"\w+", errors.__doc__ or ""))

    ours = {error for error in _subclasses(errors.PublisherError) if not error.__module__.startswith("tests")}
    assert {error.__name__ for error in ours} <= drawn


def test_the_gateways_own_answers_use_the_codes_of_the_error_tree() -> None:
    template = load_template(Path(__file__).parents[2] / ".chalice" / "resources.yml")
    known = {error.code: error for error in _subclasses(errors.PublisherError)}
    for response in template["Resources"]["RestAPI"]["Properties"]["GatewayResponses"].values():
        body = response["ResponseTemplates"]["application/json"]
        problem: dict[str, Any] = json.loads(
            body.replace("$context.error.messageString", '"x"').replace("$context.status", "400")
        )
        assert problem["title"] == known[problem["code"]].title


@pytest.mark.system
def test_the_document_and_the_docs_page_are_served(api: Api) -> None:
    assert api.get("/openapi.json").json() == DOCUMENT
    docs = api.get("/docs")
    assert docs.headers["Content-Type"].startswith("text/html")
    for path, methods in DOCUMENT["paths"].items():
        assert path in docs.text
        for operation in methods.values():
            assert f"id='{operation['operationId']}'" in docs.text
    assert "docs" in api.get("/").text
