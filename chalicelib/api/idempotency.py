"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a POST that is repeated with its key has its
effect once, and the first answer is given again.
"""

from __future__ import annotations

import json
import logging
import re
from contextvars import ContextVar
from typing import TYPE_CHECKING

from chalice.app import Response

from chalicelib.api import caller, wiring
from chalicelib.errors import AnswerShownOnce, IdempotencyKeyInvalid, PublisherError
from chalicelib.ledger import Answer, Attempt, Keyed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chalice.app import Request
    from pydantic import BaseModel

    from chalicelib.api.edge import Operation

logger = logging.getLogger(__name__)


# The header's value: a String of RFC 8941, and what people send instead.
_STRING = r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"'
_BARE = r"([!#-+\--\[\]-~]{1,255})"
PATTERN = f"^(?:{_STRING}|{_BARE})$"
_HEADER = re.compile(PATTERN)

# The others are made anew for each answer.
_KEPT_HEADERS = ("Content-Type", "Location", "Retry-After")

_keyed: ContextVar[Keyed | None] = ContextVar("keyed", default=None)


def parse_key(value: str) -> str:
    """The key that a header holds. Raises IdempotencyKeyInvalid."""
    matched = _HEADER.fullmatch(value.strip())
    if matched is None:
        raise IdempotencyKeyInvalid(
            'Idempotency-Key must be one string in double quotes, such as "0d8f7c9e", of 1 to 255 printable '
            "ASCII characters; the quotes may be left out where it has no blank, comma, quote or backslash."
        )
    string, bare = matched.groups()
    return bare if string is None else re.sub(r"\\(.)", r"\1", string)


def current() -> Keyed | None:
    """The current request's key, for a view that writes the record together with its effect."""
    return _keyed.get()


def kept(response: Response) -> Answer:
    """What is stored of an answer."""
    headers = {name: str(response.headers[name]) for name in _KEPT_HEADERS if name in response.headers}
    return Answer(response.status_code, headers, response.body)


def carry_out(
    operation: Operation,
    request: Request,
    values: Mapping[str, str],
    parsed: Sequence[BaseModel],
    effect: Callable[[], Response],
) -> Response:
    """Has the effect and answers; or, where the request was carried out before, only answers.

    Raises IdempotencyKeyInvalid, IdempotencyKeyReused, RequestInProgress and AnswerShownOnce beside what
    `effect` raises. What fails is not kept: it may be tried again with the same key.
    """
    header = request.headers.get("idempotency-key")
    if header is None or not operation.keyed:
        _keyed.set(None)
        return effect()
    keyed = _identify(operation, parse_key(header), values, parsed)
    _keyed.set(keyed)
    return (
        _in_transaction(keyed, effect) if operation.key_in_transaction else _claimed(operation, keyed, effect)
    )


def _in_transaction(keyed: Keyed, effect: Callable[[], Response]) -> Response:
    """`effect` writes the record itself. Where it is refused, an equal request may have been quicker."""
    ledger = wiring.ledger()
    if (answer := ledger.find(keyed)) is not None:
        return _replayed(answer)
    try:
        return effect()
    except PublisherError:
        if (answer := ledger.find(keyed)) is not None:
            return _replayed(answer)
        raise


def _claimed(operation: Operation, keyed: Keyed, effect: Callable[[], Response]) -> Response:
    ledger = wiring.ledger()
    begun = ledger.begin(keyed)
    if not isinstance(begun, Attempt):
        return _replayed(begun)
    try:
        response = effect()
    except BaseException:
        _quietly(lambda: ledger.release(begun))
        raise
    answer = kept(response)
    if operation.shown_once:
        answer = Answer(answer.status, answer.headers, None)
    _quietly(lambda: ledger.finish(begun, answer))
    return response


def _quietly(write: Callable[[], None]) -> None:
    """What has happened is told, even where it cannot be noted: the lease ends by itself."""
    try:
        write()
    except Exception:
        logger.exception("the record of an Idempotency-Key is left to its lease")


def _replayed(answer: Answer) -> Response:
    if answer.body is None:
        where = answer.headers.get("Location")
        raise AnswerShownOnce(
            "The first answer held a secret, which is shown once."
            + (f" What the request made is at {where}." if where else "")
        )
    headers: dict[str, str | list[str]] = {**answer.headers, "Idempotent-Replayed": "true"}
    return Response(answer.body, status_code=answer.status, headers=headers)


def _identify(operation: Operation, key: str, values: Mapping[str, str], parsed: Sequence[BaseModel]) -> Keyed:
    """The key belongs to its caller and operation. The content is recognised by what it says, not by its bytes:
    a client may write its JSON anew. It is signed, not only hashed: four digits would be found out.
    """
    signer = wiring.signer()
    who = json.dumps([caller.caller_id(), operation.method, operation.path, key])
    said = [values, *(model.model_dump(exclude_unset=True) for model in parsed)]
    return Keyed(
        id=f"key#{signer.sign('key', who)}",
        fingerprint=signer.sign("content", json.dumps(said, sort_keys=True, default=str)),
    )
