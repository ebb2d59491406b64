"""What the operations may fail with: the same for the OpenAPI document, the pages and docs/errors.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    UriTooLong,
    ValidationFailed,
    errors_by_code,
)
from chalicelib.keys.scopes import PUBLIC

if TYPE_CHECKING:
    from chalicelib.api.edge import Operation
    from chalicelib.errors import PublisherError


def possible_errors(operation: Operation) -> list[type[PublisherError]]:
    """What the operation itself declares, and what its edge refuses before it."""
    edge: list[type[PublisherError]] = []
    if operation.answer is not None:
        edge += [ValidationFailed, UriTooLong]
    if operation.scope is not PUBLIC:
        edge += [Unauthorized, KeyInvalid, ScopeMissing, TooManyRequests]
    if operation.keyed:
        edge += [IdempotencyKeyInvalid, RequestInProgress, IdempotencyKeyReused]
    if operation.shown_once:
        edge += [AnswerShownOnce]
    if operation.request is not None:
        edge += [MalformedRequest, PayloadTooLarge, UnsupportedMediaType]
    elif operation.method != "GET":
        edge += [MalformedRequest]
    return list(dict.fromkeys((*operation.errors, *edge, InternalError, Unavailable)))


def errors_by_area() -> dict[str, list[type[PublisherError]]]:
    """Every error, by the first part of its code."""
    areas: dict[str, list[type[PublisherError]]] = {}
    for code, error in sorted(errors_by_code().items()):
        areas.setdefault(code.partition(".")[0], []).append(error)
    return areas


def answered_by(error: type[PublisherError], operations: list[Operation]) -> list[Operation]:
    """The operations that may answer with it. A task or a login may tell of it all the same."""
    return [
        operation
        for operation in operations
        if error.code in {possible.code for possible in possible_errors(operation)}
    ]


def group_of(by: list[Operation], operations: list[Operation]) -> str | None:
    """What the operations of `by` have in common and no other has; None where they are just some."""
    groups: dict[str, list[Operation]] = {
        "every route": operations,
        "every route that takes an API key": [one for one in operations if one.scope is not PUBLIC],
        "every route that takes an Idempotency-Key": [one for one in operations if one.keyed],
        "every route that takes a body": [one for one in operations if one.request is not None],
        "every route that answers JSON": [one for one in operations if one.answer is not None],
    }
    return next((name for name, group in groups.items() if by == group), None)
