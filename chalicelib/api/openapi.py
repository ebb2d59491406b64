"""The OpenAPI 3.1 document, made from the declared operations and their models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from chalicelib.api.idempotency import PATTERN
from chalicelib.api.models import Problem
from chalicelib.errors import (
    AnswerShownOnce,
    IdempotencyKeyInvalid,
    IdempotencyKeyReused,
    InternalError,
    KeyInvalid,
    MalformedRequest,
    PayloadTooLarge,
    RequestInProgress,
    ScopeMissing,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)
from chalicelib.keys.scopes import PUBLIC

if TYPE_CHECKING:
    from pydantic import BaseModel

    from chalicelib.api.edge import Operation
    from chalicelib.errors import PublisherError

VERSION = "1.0.0"

_REF = "#/components/schemas/{model}"
_SECURITY_SCHEMES = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "sp_live_<id>_<secret>",
        "description": "An API key. Each operation names the scope that the key needs.",
    }
}
_KEY_ERRORS = (Unauthorized, KeyInvalid, ScopeMissing, TooManyRequests)
_BODY_ERRORS = (MalformedRequest, PayloadTooLarge, UnsupportedMediaType)
_IDEMPOTENCY_ERRORS = (IdempotencyKeyInvalid, RequestInProgress, IdempotencyKeyReused)

_IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A string of your own, in double quotes (they may be left out): 1 to 255 printable ASCII "
    "characters, such as a UUID. A repetition within 24 hours has no second effect: it gets the first answer "
    "again, with `Idempotent-Replayed: true`.",
    "schema": {"type": "string", "pattern": PATTERN},
    "example": '"5f0c2a44-93b3-4f5f-8a52-2f6f4d9f0f4e"',
}
_IF_NONE_MATCH: dict[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the answer that you have: 304 where there is nothing new.",
    "schema": {"type": "string"},
}


def document(operations: list[Operation]) -> dict[str, Any]:
    """The whole document as plain JSON values."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Social Publisher",
            "version": VERSION,
            "summary": "Publish to Douyin from code, and keep licensed Volcengine content in your own cloud.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {"schemas": _schemas(operations), "securitySchemes": _SECURITY_SCHEMES},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": _responses(operation),
        "security": [] if operation.scope is PUBLIC else [{"apiKey": [str(operation.scope)]}],
    }
    if operation.description:
        described["description"] = operation.description
    parameters = [
        {
            "name": parameter.name,
            "in": "path",
            "required": True,
            "description": parameter.description,
            "schema": {"type": "string"},
            "example": parameter.example,
        }
        for parameter in operation.parameters
    ]
    if operation.query:
        parameters += _query(operation.query)
    if operation.keyed:
        parameters.append(_IDEMPOTENCY_KEY)
    if operation.method == "GET" and operation.answer:
        parameters.append(_IF_NONE_MATCH)
    if parameters:
        described["parameters"] = parameters
    if operation.request:
        described["requestBody"] = {
            "required": not operation.body_optional,
            "content": _json(operation.request),
        }
    return described


def _query(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema(ref_template=_REF)
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": field.pop("description", ""),
            "schema": field,
        }
        for name, field in schema["properties"].items()
    ]


def _responses(operation: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, description in operation.statuses.items():
        responses[str(status)] = {"description": description}
        if operation.answer:
            responses[str(status)]["content"] = _json(operation.answer)
    by_status: dict[int, list[type[PublisherError]]] = {}
    body_errors = _BODY_ERRORS if operation.request else ()
    if operation.query and ValidationFailed not in operation.errors:
        body_errors = (*body_errors, ValidationFailed)
    if operation.method == "GET" and operation.answer:
        responses["304"] = {"description": "What you have is as it is now"}
    idempotency_errors: tuple[type[PublisherError], ...] = _IDEMPOTENCY_ERRORS if operation.keyed else ()
    if operation.shown_once:
        idempotency_errors = (*idempotency_errors, AnswerShownOnce)
    key_errors = () if operation.scope is PUBLIC else _KEY_ERRORS
    ours = (InternalError, Unavailable)
    for error in dict.fromkeys((*operation.errors, *body_errors, *idempotency_errors, *key_errors, *ours)):
        by_status.setdefault(error.status, []).append(error)
    for status, errors in sorted(by_status.items()):
        responses[str(status)] = {
            "description": "; ".join(f"`{error.code}`: {error.title}" for error in errors),
            "content": {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}},
        }
    return responses


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}


def _schemas(operations: list[Operation]) -> dict[str, Any]:
    requests = {operation.request for operation in operations if operation.request}
    answers = {operation.answer for operation in operations if operation.answer} | {Problem}
    modes = [(model, "validation") for model in requests] + [(model, "serialization") for model in answers]
    ordered: Any = sorted(modes, key=lambda entry: entry[0].__name__)
    _, definitions = models_json_schema(ordered, ref_template=_REF)
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas
