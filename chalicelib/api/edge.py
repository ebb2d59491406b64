"""The HTTP edge: where a route is declared, and where requests and failures become what the contract says.

A route is declared once. The same declaration parses the request, maps errors to problem documents (RFC 9457)
and becomes the OpenAPI document.
"""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from chalice.app import Blueprint, MultiDict, Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticSerializationError

from chalicelib import aws, trace
from chalicelib.api import idempotency
from chalicelib.api.caller import caller_id
from chalicelib.api.conditional import awaited, tagged
from chalicelib.api.door import admit, challenge
from chalicelib.api.languages import preferred_language
from chalicelib.api.strict_json import check_json
from chalicelib.errors import (
    InternalError,
    MalformedRequest,
    MethodNotAllowed,
    PayloadTooLarge,
    PublisherError,
    ScopeMissing,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    UriTooLong,
    ValidationFailed,
)
from chalicelib.logs import set_up

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.api.languages import Language
    from chalicelib.errors import NotFound
    from chalicelib.keys.scopes import Scope

    Middleware = Callable[[Request, Callable[[Request], Response]], Response]

logger = logging.getLogger(__name__)

# No field of most requests comes near this; media are passed by URL.
MAX_BODY_BYTES = 64 * 1024
# Of the names and values of a query, decoded. API Gateway takes 10,240 bytes of request line and headers.
MAX_QUERY_LENGTH = 4096
_MAX_ECHO = 64

Body = TypeVar("Body", bound=BaseModel)

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_request: ContextVar[Request] = ContextVar("request")


@dataclass(frozen=True, slots=True)
class PathParameter:
    """`check` raises the error that the route answers with where a value cannot be one: nothing else of it
    reaches a key or a path.
    """

    name: str
    description: str
    example: str
    check: Callable[[str], object]


def id_of(what: type[NotFound]) -> Callable[[str], None]:
    """The check of an id that we gave ourselves."""

    def check(value: str) -> None:
        if not _ID.fullmatch(value):
            raise what(f"{value[:_MAX_ECHO]!r} is no id of ours.")

    return check


@dataclass(frozen=True, slots=True)
class Link:
    """That an answer leads on to another operation: `parameters` of its path, or its `body`, taken from the
    answer by runtime expressions (OpenAPI 3.1, 4.8.20.4).
    """

    operation: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


def publish_with(**fields: str) -> Link:
    """That an answer has what a work may be published with."""
    title = "周末城市漫步：从外滩走到苏州河"
    media = {"video_url": "https://media.example.com/2026/city-walk.mp4"}
    return Link("publish", body={**media, "title": title, "account_name": "default_user", **fields})


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one route, as it is served and as it stands in the OpenAPI document.

    `again` says what the same request does the second time, where nobody knows whether the first one arrived.
    `headers` names those of an answer, by status. An answer without a model has the `media_type`.
    """

    method: str
    path: str
    name: str
    summary: str
    description: str
    tag: str
    request: type[BaseModel] | None
    answer: type[BaseModel] | None
    errors: tuple[type[PublisherError], ...]
    scope: Scope | None
    query: type[BaseModel] | None = None
    body_optional: bool = False
    parameters: tuple[PathParameter, ...] = ()
    statuses: dict[int, str] = field(default_factory=lambda: {200: "OK"})
    max_body_bytes: int = MAX_BODY_BYTES
    again: str = "Reads once more."
    headers: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    media_type: str = "application/json"
    # Why the operation, a POST, takes no Idempotency-Key; for one that does, whether its view writes the record
    # together with its effect, and whether its answer holds what is shown once (it is not kept then).
    unkeyed: str | None = None
    key_in_transaction: bool = False
    shown_once: bool = False

    @property
    def keyed(self) -> bool:
        """Whether it honours an Idempotency-Key. The other methods mean the same however often they come."""
        return self.method == "POST" and self.unkeyed is None


class Routes(Blueprint):
    """The routes of one resource."""

    def __init__(self, import_name: str, tag: str) -> None:
        super().__init__(import_name)
        self.tag = tag
        self.operations: list[Operation] = []

    def operation(
        self,
        method: str,
        path: str,
        *,
        scope: Scope | None,
        answer: type[BaseModel] | None,
        request: type[BaseModel] | None = None,
        query: type[BaseModel] | None = None,
        body_optional: bool = False,
        errors: tuple[type[PublisherError], ...] = (),
        parameters: tuple[PathParameter, ...] = (),
        statuses: dict[int, str] | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        again: str = "Reads once more.",
        headers: Mapping[int, tuple[str, ...]] | None = None,
        links: tuple[Link, ...] = (),
        media_type: str = "application/json",
        unkeyed: str | None = None,
        key_in_transaction: bool = False,
        shown_once: bool = False,
    ) -> Callable[[Callable[..., BaseModel | Response]], Callable[..., Response]]:
        """Declares a route. `scope` is what a key needs for it, or PUBLIC where it takes none. The view gets
        the parsed query, the parsed body, each where a model is given, and the path parameters, decoded; it
        returns the answer's model, or a Response where status or headers differ from a plain 200. The view's
        docstring is the operation's summary and description. No body, where it is optional, is a model of its
        defaults.
        """

        def declare(view: Callable[..., BaseModel | Response]) -> Callable[..., Response]:
            summary, _, description = (view.__doc__ or view.__name__).strip().partition("\n")
            operation = Operation(
                method=method,
                path=path,
                name=view.__name__,
                summary=summary.rstrip("."),
                description=" ".join(description.split()),
                tag=self.tag,
                request=request,
                answer=answer,
                errors=errors,
                scope=scope,
                query=query,
                body_optional=body_optional,
                parameters=parameters,
                statuses=statuses or {200: "OK"},
                max_body_bytes=max_body_bytes,
                again=again,
                headers=headers or {},
                links=links,
                media_type=media_type,
                unkeyed=unkeyed,
                key_in_transaction=key_in_transaction,
                shown_once=shown_once,
            )
            self.operations.append(operation)

            @wraps(view)
            def serve(**arguments: str) -> Response:
                return _serve(operation, view, arguments)

            # What has no body may have any Content-Type: some clients send one with every request.
            takes = ["application/json"] if request else []
            self.route(path, methods=[method], name=f"{self.tag}.{view.__name__}", content_types=takes)(serve)
            return serve

        return declare


def _serve(
    operation: Operation, view: Callable[..., BaseModel | Response], arguments: dict[str, str]
) -> Response:
    try:
        values = {name: unquote(value) for name, value in arguments.items()}
        for parameter in operation.parameters:
            parameter.check(values[parameter.name])
        parsed = _parsed(operation, _request.get())
        request = _request.get()

        def answered() -> Response:
            answer = view(*parsed, **values)
            return answer if isinstance(answer, Response) else respond(answer)

        response = idempotency.carry_out(operation, request, values, parsed, answered)
        if operation.method == "GET" and operation.answer is not None and response.status_code == 200:
            response = tagged(request, response)
    except PublisherError as error:
        if error.status >= 500:
            logger.exception("a request failed")
        return problem(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
        return _unforeseen(error)
    return response


def _unforeseen(error: Exception) -> Response:
    logger.error("a request failed", exc_info=error)
    if aws.passing(error):
        return problem(Unavailable(retry_after=2))
    return problem(InternalError("The request failed for a reason that we did not foresee."))


def respond(answer: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    try:
        body = answer.model_dump_json(by_alias=True)
    except PydanticSerializationError:
        # A title cut in the middle of an emoji holds half a surrogate pair, which UTF-8 cannot carry.
        body = json.dumps(answer.model_dump(by_alias=True))
    return Response(body, status_code=status, headers={"Content-Type": "application/json", **(headers or {})})


def problem(error: PublisherError) -> Response:
    """The failure as a problem document. `retry_after` (seconds) of its context becomes a header."""
    language = _language()
    headers: dict[str, str | list[str]] = {
        "Content-Type": "application/problem+json",
        "Content-Language": language,
        "Vary": "Accept-Language",
    }
    if isinstance(error, Unauthorized | ScopeMissing):
        headers["WWW-Authenticate"] = challenge(error)
    if "retry_after" in error.context:
        headers["Retry-After"] = str(error.context["retry_after"])
    return Response(
        json.dumps(problem_document(error, language), ensure_ascii=False),
        status_code=error.status,
        headers=headers,
    )


def problem_document(error: PublisherError, language: Language) -> dict[str, Any]:
    request = _request.get(None)
    return {
        "type": f"{_base_path(request) if request else ''}/docs/errors#{error.code}",
        "title": error.title_zh if language == "zh" else error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": request.context.get("path", request.path) if request else None,
        "code": error.code,
        "retryable": error.retryable,
        "next_step": error.next_step,
        "request_id": request_id(),
        "errors": error.context.get("errors", []),
        **{name: error.context[name] for name in error.members if name in error.context},
    }


def wait_for_change(look: Callable[[], Response], seconds: int) -> Response:
    """What `look` sees, as soon as it is another than the caller knows, or after so many seconds."""
    return awaited(_request.get(), look, seconds)


def request_id() -> str:
    """The id of the current request: the caller's own where it sent a usable one."""
    return trace.request_id() or ""


def edge(operations: list[Operation]) -> Middleware:
    """Goes around every request: gives it an id, lets in who may come in, and puts every refusal into our
    envelope. What is not among the operations is not served.
    """
    declared = {(operation.path, operation.method): operation for operation in operations}

    def middleware(request: Request, get_response: Callable[[Request], Response]) -> Response:
        set_up()
        given = request.headers.get("x-request-id", "")
        _request.set(request)
        own = {
            "request_id": given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4()),
            "invocation": getattr(request.lambda_context, "aws_request_id", None),
        }
        with trace.bound(**own):
            started = time.monotonic()
            response = answered(request, get_response)
            told = {
                "method": request.method,
                "route": request.context["resourcePath"],
                "status": response.status_code,
                "duration_ms": round((time.monotonic() - started) * 1000),
                "key_id": caller_id(),
            }
            logger.info("a request was answered", extra=told)
            response.headers["X-Request-Id"] = request_id()
        where = response.headers.get("Location")
        if isinstance(where, str) and where.startswith("/"):
            response.headers["Location"] = _base_path(request) + where
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def answered(request: Request, get_response: Callable[[Request], Response]) -> Response:
        headers: dict[str, str] = {}
        try:
            if operation := declared.get((request.context["resourcePath"], request.method)):
                admit(request, operation.scope, headers)
                response = get_response(request)
            else:
                response = problem(MethodNotAllowed(f"{request.method} is not one of this route's methods."))
        except PublisherError as error:
            response = problem(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            response = _unforeseen(error)
        media_type = response.headers.get("Content-Type", "")
        if response.status_code >= 400 and media_type != "application/problem+json":
            response = problem(_framework_error(response, request))
        if response.status_code == 405:
            response.headers["Allow"] = _allowed(operations, request)
        response.headers.update(headers)
        return response

    return middleware


def _allowed(operations: list[Operation], request: Request) -> str:
    path = request.context["resourcePath"]
    return ", ".join(operation.method for operation in operations if operation.path == path)


def _framework_error(response: Response, request: Request) -> PublisherError:
    match response.status_code:
        case 415:
            given = request.headers.get("content-type", "")[:_MAX_ECHO]
            return UnsupportedMediaType(f"The body is {given!r}; this route takes application/json.")
        case 500:
            return InternalError("The request failed for a reason that we did not foresee.")
        case _:
            return MalformedRequest(f"The request was refused with status {response.status_code}.")


def _language() -> Language:
    request = _request.get(None)
    return preferred_language(request.headers.get("accept-language", "")) if request else "en"


def _base_path(request: Request) -> str:
    """What stands before our routes in the path that the caller sees: a stage's name, a custom domain's
    mapping, or nothing.
    """
    shown = [part for part in request.context.get("path", request.path).split("/") if part]
    ours = [part for part in request.path.split("/") if part]
    return "".join(f"/{part}" for part in shown[: len(shown) - len(ours)])


def own_address() -> str:
    """Where the caller of the current request has found us: scheme, host and what stands before our routes."""
    request = _request.get()
    headers = request.headers
    scheme = "https" if headers.get("x-forwarded-proto") == "https" else "http"
    return f"{scheme}://{headers.get('host', 'localhost')}{_base_path(request)}"


def signed_request() -> tuple[dict[str, str], bytes]:
    """The current request's headers, by their names in lower case, and the exact bytes of its body: what a
    signature is made over.
    """
    request = _request.get()
    return {name.lower(): value for name, value in request.headers.items()}, _raw_body(request)


def _parsed(operation: Operation, request: Request) -> list[BaseModel]:
    """The query and the body, each where the operation takes one. Where it does not, none may be sent: what is
    given and ignored would be a surprise.
    """
    parsed = []
    if operation.query is not None:
        parsed.append(_parse_query(operation.query, request))
    elif operation.answer is not None:
        _parse_query(_NoQuery, request)
    if operation.request is not None:
        parsed.append(_parse_body(operation.request, request, operation))
    elif operation.method != "GET" and _raw_body(request).strip() not in (b"", b"{}"):
        raise MalformedRequest("This route takes no body; send the request without one.")
    return parsed


class _NoQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)


def _parse_query(model: type[Body], request: Request) -> Body:
    given = request.query_params or MultiDict({})
    length = sum(len(name) + len(value) for name in given for value in given.getlist(name))
    if length > MAX_QUERY_LENGTH:
        raise UriTooLong(f"The query has {length} characters; the limit is {MAX_QUERY_LENGTH}.")
    repeated = [name for name in given if len(given.getlist(name)) > 1]
    if repeated:
        errors = [{"pointer": _pointer((name,)), "detail": "must be given once"} for name in repeated]
        raise ValidationFailed("A parameter is given more than once.", errors=errors)
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise _refusal(error) from None


def _parse_body(model: type[Body], request: Request, operation: Operation) -> Body:
    raw = _raw_body(request)
    if len(raw) > operation.max_body_bytes:
        raise PayloadTooLarge(f"The body has {len(raw)} bytes; the limit is {operation.max_body_bytes}.")
    if not raw and operation.body_optional:
        raw = b"{}"
    if not raw:
        raise MalformedRequest("The request has no body.")
    check_json(raw)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise _refusal(error) from None  # Its text would repeat the input, which may hold secrets.


def _raw_body(request: Request) -> bytes:
    raw = request.raw_body or b""
    return raw if isinstance(raw, bytes) else raw.encode()


def _refusal(error: ValidationError) -> PublisherError:
    found = error.errors(include_url=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return MalformedRequest(found[0]["msg"])
    errors = [{"pointer": _pointer(entry["loc"]), "detail": _detail(entry)} for entry in found]
    summary = "; ".join(f"{entry['pointer'] or 'the body'}: {entry['detail']}" for entry in errors)
    return ValidationFailed(summary, errors=errors)


def _pointer(location: tuple[int | str, ...]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def _detail(entry: Any) -> str:
    """What is wrong with a field: the limit, and what to do."""
    limits = entry.get("ctx", {})
    match entry["type"]:
        case "extra_forbidden":
            return "this field is not known; remove it, or correct its name"
        case "missing":
            return "this field is required"
        case "string_too_long":
            return f"must have at most {limits['max_length']} characters; shorten it"
        case "string_too_short":
            return "must not be empty"
        case "too_long":
            return f"must have at most {limits['max_length']} items; remove some"
        case "literal_error":
            return f"must be one of {limits['expected']}"
        case "value_error":
            return str(limits["error"])
        case _:
            message: str = entry["msg"]
            return message.replace("Input should be", "must be")
