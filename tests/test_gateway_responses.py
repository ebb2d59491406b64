"""What API Gateway answers by itself has the one shape of every error of the API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.api.models import Problem
from chalicelib.errors import PublisherError
from tests.conftest import TEMPLATE

RESPONSES: dict[str, Any] = TEMPLATE["Resources"]["RestAPI"]["Properties"]["GatewayResponses"]

# API Gateway developer guide, gateway response types: those that a REST API can meet without authorizers,
# models and API keys of the gateway.
MET = {
    "MISSING_AUTHENTICATION_TOKEN": 404,
    "INVALID_SIGNATURE": 404,
    "REQUEST_TOO_LARGE": 413,
    "THROTTLED": 429,
    "QUOTA_EXCEEDED": 429,
    "INTEGRATION_TIMEOUT": 504,
    "INTEGRATION_FAILURE": 504,
    "DEFAULT_4XX": None,
    "DEFAULT_5XX": None,
}


def all_errors() -> list[type[PublisherError]]:
    found = [PublisherError]
    for error in found:
        found += error.__subclasses__()
    return found


def test_everything_that_the_gateway_can_answer_is_reshaped() -> None:
    assert {name: answer.get("StatusCode") for name, answer in RESPONSES.items()} == MET


@pytest.mark.parametrize("name", MET)
def test_an_answer_of_the_gateway_is_a_problem_with_a_code_of_ours(name: str) -> None:
    answer = RESPONSES[name]
    body = answer["ResponseTemplates"]["application/json"]
    for variable, value in {
        "$context.error.messageString": '"what it says"',
        "$context.httpMethod": "GET",
        "$context.requestId": "9b1d",
        "$context.path": "/api/api/v1/nothing",
        "$context.stage": "api",
        "$context.status": str(answer.get("StatusCode", 400)),
    }.items():
        body = body.replace(variable, value)
    problem = json.loads(body)

    assert "$context" not in body
    Problem.model_validate(problem, strict=True)
    assert set(problem) == {name for name, field in Problem.model_fields.items() if field.is_required()}
    error = next(error for error in all_errors() if error.code == problem["code"])
    assert (problem["title"], problem["retryable"]) == (
        error.title,
        error.retryable or name == "DEFAULT_5XX",
    )
    assert problem["type"] == f"/api/docs/errors#{error.code}"
    if "StatusCode" in answer:
        assert problem["status"] == error.status == answer["StatusCode"]
    headers = answer["ResponseParameters"]["Headers"]
    assert headers["Content-Type"] == "'application/problem+json'"
    assert headers["Cache-Control"] == "'no-store'"
    assert ("Retry-After" in headers) == (problem["status"] == 429)
