"""The OpenAPI 3.1 document, made from the declared operations and their models."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from chalicelib.api.catalog import answered_by, possible_errors
from chalicelib.api.examples import example_of
from chalicelib.api.idempotency import PATTERN
from chalicelib.api.models import Problem
from chalicelib.errors import errors_by_code
from chalicelib.keys.scopes import PUBLIC

if TYPE_CHECKING:
    from pydantic import BaseModel

    from chalicelib.api.edge import Link, Operation
    from chalicelib.errors import PublisherError

VERSION = "1.0.0"

TAGS = {
    "tasks": "Submitting works, following them, deciding about them.",
    "uploads": "Uploading media instead of passing them by a URL.",
    "accounts": "The accounts that publish, their preferences and their sessions.",
    "logins": "Logging an account in by a QR code.",
    "articles": "The synced content.",
    "sync": "The content sync itself.",
    "keys": "Who may call the API.",
    "webhooks": "Being told of what happens, instead of asking.",
    "meta": "The API about itself.",
}

_SECURITY_SCHEMES = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "sp_live_<id>_<secret>",
        "description": "An API key. Each operation names the scope that the key needs.",
    }
}
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
_SCHEMA = "#/components/schemas/{model}"
_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "The id of the request: yours, where you sent one of 1 to 128 letters, digits and "
        "'.', '_', ':', '-', else ours. It is in our logs.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
        "example": "req-7f3a",
    },
    "Content-Language": {
        "description": "The language of `title`, as Accept-Language prefers.",
        "required": True,
        "schema": {"enum": ["en", "zh"]},
        "example": "en",
    },
    "Location": {
        "description": "Where to look for what comes of it.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
        "example": "/api/v1/tasks/0d8f7c9e-6a43-4b0e-9c52-7c1f3f6a2b11",
    },
    "Retry-After": {
        "description": "Seconds to wait before asking again, where that makes sense.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 2,
    },
    "ETag": {
        "description": "The tag of what is shown, for If-None-Match.",
        "required": True,
        "schema": {"type": "string"},
        "example": '"9f86d081884c7d659a2feaa0c55ad015"',
    },
    "Idempotent-Replayed": {
        "description": "`true`, where this is the answer to an earlier request with the same Idempotency-Key.",
        "schema": {"const": "true"},
        "example": "true",
    },
    "RateLimit": {
        "description": "What is left of the key's budget, and for how many seconds "
        "(draft-ietf-httpapi-ratelimit-headers); with a key only.",
        "schema": {"type": "string"},
        "example": '"reads";r=598;t=42',
    },
    "RateLimit-Policy": {
        "description": "The budget itself; with a key only.",
        "schema": {"type": "string"},
        "example": '"reads";q=600;w=60',
    },
    "WWW-Authenticate": {
        "description": "What is wrong with the key (RFC 6750).",
        "schema": {"type": "string"},
        "example": "Bearer",
    },
}

_HEADERS_OF_STATUS = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}


def document(operations: list[Operation]) -> dict[str, Any]:
    """The whole document as plain JSON values."""
    schemas = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Social Publisher",
            "version": VERSION,
            "summary": "Publish to Douyin from code, and keep licensed Volcengine content in your own cloud.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "."}],
        "tags": [
            {"name": tag, "description": TAGS[tag]}
            for tag in dict.fromkeys(operation.tag for operation in operations)
        ],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": _SECURITY_SCHEMES,
            "headers": _HEADERS,
            "examples": {
                code: {"summary": error.title, "value": _problem(error, schemas)}
                for code, error in errors_by_code().items()
                if answered_by(error, operations)
            },
        },
    }


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": _responses(operation, schemas),
        "security": [] if operation.scope is PUBLIC else [{"apiKey": [str(operation.scope)]}],
    }
    again = "" if operation.method == "GET" else f"Sent twice: {operation.again}"
    if description := f"{operation.description} {again}".strip():
        described["description"] = description
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
            "content": _json(operation.request, schemas),
        }
    return described


def _query(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema(ref_template=_SCHEMA)
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": field.pop("description", ""),
            "schema": _without_null(field),
        }
        for name, field in schema["properties"].items()
    ]


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is not given is left out: no text of a query means null."""
    if field.get("default", ...) is None:
        field = {name: value for name, value in field.items() if name != "default"}
    match field.pop("anyOf", None):
        case [choice, {"type": "null"}]:
            return {**choice, **field}
        case None:
            return field
        case choices:
            return {**field, "anyOf": choices}


def _responses(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, description in operation.statuses.items():
        response: dict[str, Any] = {
            "description": description,
            "headers": _headers(*_usual_headers(operation), *operation.headers.get(status, ())),
        }
        if operation.answer:
            response["content"] = _json(operation.answer, schemas)
        else:
            response["content"] = {operation.media_type: {}}
        if operation.links:
            response["links"] = {_link_name(link): _link(link) for link in operation.links}
        responses[str(status)] = response
    if operation.method == "GET" and operation.answer:
        responses["304"] = {
            "description": "What you have is as it is now",
            "headers": _headers(*_usual_headers(operation)),
        }
    by_status: dict[int, list[type[PublisherError]]] = {}
    for error in possible_errors(operation):
        by_status.setdefault(error.status, []).append(error)
    for status, errors in sorted(by_status.items()):
        listed = "\n".join(f"- `{error.code}`: {error.title}" for error in errors)
        responses[str(status)] = {
            "description": f"{HTTPStatus(status).phrase}\n\n{listed}",
            "headers": _headers("X-Request-Id", "Content-Language", *_HEADERS_OF_STATUS.get(status, ())),
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": _SCHEMA.format(model="Problem")},
                    "examples": {
                        error.code: {"$ref": f"#/components/examples/{error.code}"} for error in errors
                    },
                }
            },
        }
    return responses


def _usual_headers(operation: Operation) -> list[str]:
    names = ["X-Request-Id"]
    if operation.method == "GET" and operation.answer:
        names.append("ETag")
    if operation.keyed:
        names.append("Idempotent-Replayed")
    if operation.scope is not PUBLIC:
        names += ["RateLimit", "RateLimit-Policy"]
    return names


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _link_name(link: Link) -> str:
    return link.operation.replace("_", " ")


def _link(link: Link) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": link.operation}
    if link.parameters:
        described["parameters"] = dict(link.parameters)
    if link.body is not None:
        described["requestBody"] = link.body
    return described


def _json(model: type[BaseModel], schemas: dict[str, Any]) -> dict[str, Any]:
    schema = schemas[model.__name__]
    return {
        "application/json": {
            "schema": {"$ref": _SCHEMA.format(model=model.__name__)},
            "example": example_of(schema, schemas),
        }
    }


def _problem(error: type[PublisherError], schemas: dict[str, Any]) -> dict[str, Any]:
    """One that the error makes. Only invalid fields are named one by one."""
    example: dict[str, Any] = example_of(schemas["Problem"], schemas)
    if error.code == example["code"]:
        return example
    return {
        **example,
        "type": f"/docs/errors#{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": f"{error.title}.",
        "code": error.code,
        "retryable": error.retryable,
        "next_step": error.next_step,
        "errors": [],
    }


def _schemas(operations: list[Operation]) -> dict[str, Any]:
    requests = {operation.request for operation in operations if operation.request}
    answers = {operation.answer for operation in operations if operation.answer} | {Problem}
    modes = [(model, "validation") for model in requests] + [(model, "serialization") for model in answers]
    ordered: Any = sorted(modes, key=lambda entry: entry[0].__name__)
    _, definitions = models_json_schema(ordered, ref_template=_SCHEMA)
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas
