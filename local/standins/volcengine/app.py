"""The HTTP side of the stand-in."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import socket
import struct
import time
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from local.standins.volcengine.errors import ApiError
from local.standins.volcengine.faults import PAGE_KINDS, Faults
from local.standins.volcengine.limits import FlowLimit
from local.standins.volcengine.notifications import Notifier
from local.standins.volcengine.signature import DEFAULT_REGION, SERVICE, Account, RawRequest, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from local.standins.volcengine.catalogue import Catalogue, State
    from local.standins.volcengine.faults import Fault

logger = logging.getLogger(__name__)

VERSION = "2023-01-01"
LIMITS = {"ScanSyncArticles": 10, "MGetSyncArticles": 20}
"""Requests a second and client."""

_BEIJING = timezone(timedelta(hours=8))
_STATES: dict[str, State] = {
    "takedown": "takedown",
    "unavailable": "unavailable",
    "available": "available",
}
_MAX_BODY_BYTES = 1024 * 1024
_MEDIA = Path(__file__).parents[1] / "douyin" / "media"


def build_app(
    catalogue: Catalogue,
    account: Account,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    monotonic: Callable[[], float] = time.monotonic,
) -> Starlette:
    """The ASGI application. `now` dates and `monotonic` paces; tests pass clocks of their own. It sends its own
    `Date`: the server must not.
    """
    notifier = Notifier(account.callback_secret, catalogue.utm_source, now)
    upstream = _Upstream(catalogue, account, notifier, now=now, monotonic=monotonic)
    return Starlette(
        middleware=[Middleware(_Dated, now=now)],
        routes=[
            Route("/", upstream.call, methods=["GET", "POST", "PUT", "DELETE"]),
            Route("/media/{path:path}", upstream.serve_media, methods=["GET"]),
            Route("/admin/articles", upstream.list_articles, methods=["GET"]),
            Route("/admin/articles", upstream.add_articles, methods=["POST"]),
            Route("/admin/articles/{group_id}/{verb}", upstream.change_article, methods=["POST"]),
            Route("/admin/faults", upstream.list_faults, methods=["GET"]),
            Route("/admin/faults", upstream.add_fault, methods=["POST"]),
            Route("/admin/faults", upstream.clear_faults, methods=["DELETE"]),
            Route("/admin/notifications", upstream.notify, methods=["POST"]),
            Route("/admin/requests", upstream.count_requests, methods=["GET"]),
        ],
    )


class _Dated:
    """Answers carry the time of the stand-in's own clock, as RFC 9110 asks."""

    def __init__(self, app: ASGIApp, now: Callable[[], datetime]) -> None:
        self._app = app
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(self._now().astimezone(UTC), usegmt=True).encode()
                message["headers"] = [*message.get("headers", ()), (b"date", date)]
            await send(message)

        await self._app(scope, receive, dated)


class _Upstream:
    def __init__(
        self,
        catalogue: Catalogue,
        account: Account,
        notifier: Notifier,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._catalogue = catalogue
        self._notifier = notifier
        self._account = account
        self._now = now
        self._monotonic = monotonic
        self._limits = {action: FlowLimit(limit) for action, limit in LIMITS.items()}
        self._faults = Faults()
        self._requests: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()

    # The API

    async def call(self, request: Request) -> Response:
        action = request.query_params.get("Action", "")
        self._requests[action] += 1
        metadata: dict[str, Any] = {
            "RequestId": self._request_id(),
            "Action": action,
            "Version": request.query_params.get("Version", ""),
            "Service": SERVICE,
            "Region": DEFAULT_REGION,
        }
        try:
            return await self._answer(request, action, metadata)
        except ApiError as error:
            self._errors[error.code] += 1
            if error.code == "SecretKeySent":
                logger.critical("%s", error.to_dict()["Message"])
            if error.code == "InvalidCredential":
                # As in the reference: without a readable credential there is no service to name.
                del metadata["Service"]
            answer = {"ResponseMetadata": {**metadata, "Error": error.to_dict()}}
            return JSONResponse(answer, error.http_status)

    async def _answer(self, request: Request, action: str, metadata: dict[str, Any]) -> Response:
        body = await _read_body(request)
        raw = RawRequest(
            method=request.method,
            path=request.scope["raw_path"],
            query=request.scope["query_string"],
            headers=request.scope["headers"],
            body=body,
        )
        metadata["Region"] = verify(raw, self._account, self._now()).region
        for name in ("Action", "Version"):
            if not metadata[name]:
                raise ApiError("MissingParameter", f"There is no {name}.")
        if action not in LIMITS or metadata["Version"] != VERSION or request.method != "POST":
            raise ApiError("InvalidActionOrVersion")
        if (raw.header("content-type") or "").partition(";")[0].strip() != "application/json":
            raise ApiError("MissingRequestInfo", "Content-Type must be application/json.")
        if not self._limits[action].admit(self._monotonic()):
            raise ApiError("FlowLimitExceeded")

        fault = self._faults.take(action)
        if fault is not None:
            self._raise_error(fault)
        answer = {"ResponseMetadata": metadata, "Result": self._result(action, body, fault)}
        response = JSONResponse(answer)
        match fault.kind if fault else None:
            case "slow":
                await asyncio.sleep(fault.seconds if fault else 0)
            case "garbage":
                return Response(b'<html>{"ResponseMetadata": ', media_type="application/json")
            case "http503":
                return Response("<html><h1>503 Service Unavailable</h1></html>", 503, media_type="text/html")
            case "truncated":
                return _TruncatedResponse(response.body, media_type="application/json")
            case "reset":
                return _Reset()
        return response

    def _raise_error(self, fault: Fault) -> None:
        match fault.kind:
            case "throttle429":
                raise ApiError("FlowLimitExceeded")
            case "throttle400":
                raise ApiError("AccountFlowLimitExceeded")
            case "http500":
                raise ApiError("InternalError")
            case "error200":
                raise ApiError(fault.code, status=200)
            case "error":
                raise ApiError(fault.code)

    def _result(self, action: str, body: bytes, fault: Fault | None) -> dict[str, Any]:
        try:
            parameters = json.loads(body)
        except ValueError:
            parameters = None
        if not isinstance(parameters, dict):
            raise ApiError("MissingParameter", "The body is not a JSON object.")
        utm_source = parameters.get("UtmSource")
        if not isinstance(utm_source, str) or not utm_source:
            raise ApiError("MissingParameter", "There is no UtmSource.")
        if utm_source != self._catalogue.utm_source:
            # Decided here: the reference does not say what a foreign channel gets.
            raise ApiError("AccessDenied", f"The channel {utm_source!r} is not this account's.")
        if action == "MGetSyncArticles":
            ids = parameters.get("GroupIds")
            if not isinstance(ids, list) or not all(isinstance(group_id, str) for group_id in ids):
                raise ApiError("MissingParameter", "GroupIds must be a list of strings.")
            found = self._catalogue.mget(ids)
            if fault is not None and ids:
                _spoil(found, ids, fault.kind)
            return found
        return self._catalogue.scan(
            parameters.get("NextToken"),
            parameters.get("MaxResults"),
            self._now(),
            fault=fault.kind if fault and fault.kind in PAGE_KINDS else None,
        )

    def _request_id(self) -> str:
        return f"{self._now().astimezone(_BEIJING):%Y%m%d%H%M%S}{secrets.token_hex(10).upper()}"

    # Media

    async def serve_media(self, request: Request) -> Response:
        """A picture, or under `video/` a video, the same for all; not after the link's x-expires."""
        expires = request.query_params.get("x-expires", "")
        if expires.isdecimal() and int(expires) < self._now().timestamp():
            return Response("The link has expired.", 403)
        if request.path_params["path"].startswith("video/"):
            return FileResponse(_MEDIA / "demo.mp4", media_type="video/mp4")
        return FileResponse(_MEDIA / "demo.png", media_type="image/png")

    # Administration

    async def list_articles(self, _: Request) -> Response:
        return JSONResponse({"articles": self._catalogue.truth(self._now())})

    async def add_articles(self, request: Request) -> Response:
        value = await _json(request)
        count = value.get("count", 1) if isinstance(value, dict) else None
        if not isinstance(count, int) or not 1 <= count <= 1_000_000:
            return _refuse("count must be a whole number from 1 to 1000000.")
        return JSONResponse({"group_ids": self._catalogue.add(count, self._now())}, 201)

    async def change_article(self, request: Request) -> Response:
        group_id, verb = request.path_params["group_id"], request.path_params["verb"]
        try:
            if verb == "change":
                value = await _json(request)
                title = value.get("title") if isinstance(value, dict) else None
                if not isinstance(title, str | None):
                    return _refuse("title must be text.")
                self._catalogue.change(group_id, title)
            elif verb in _STATES:
                self._catalogue.set_state(group_id, _STATES[verb])
            else:
                return _refuse(f"The verbs are change, {', '.join(_STATES)}.")
        except KeyError:
            return JSONResponse({"error": f"There is no article {group_id}."}, 404)
        return JSONResponse({"group_id": group_id, "done": verb})

    async def notify(self, request: Request) -> Response:
        value = await _json(request)
        match value:
            case {"url": str(url), "group_ids": [*ids]} if all(isinstance(group_id, str) for group_id in ids):
                status, body = await run_in_threadpool(self._notifier.push, url, ids)
                return JSONResponse({"status": status, "body": body})
            case _:
                return _refuse("url and group_ids are needed.")

    async def list_faults(self, _: Request) -> Response:
        return JSONResponse({"faults": self._faults.pending()})

    async def add_fault(self, request: Request) -> Response:
        try:
            self._faults.add(await _json(request))
        except ValueError as error:
            return _refuse(str(error))
        return JSONResponse({"faults": self._faults.pending()}, 201)

    async def clear_faults(self, _: Request) -> Response:
        self._faults.clear()
        return JSONResponse({"faults": []})

    async def count_requests(self, _: Request) -> Response:
        """Requests by action, the most in any one second of each, and refusals by code."""
        return JSONResponse(
            {
                "requests": dict(self._requests),
                "peak_per_second": {action: limit.peak for action, limit in self._limits.items()},
                "errors": dict(self._errors),
            }
        )


class _TruncatedResponse(Response):
    """Announces the whole body, sends half of it, and lets the server close the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        half = self.body[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": bytes(half), "more_body": True})


class _Reset(Response):
    """No answer at all: the client's next read fails with a reset connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        # ASGI knows no way to do this; the server's own object does.
        transport: asyncio.Transport = receive.__self__.transport  # type: ignore[attr-defined]
        # Closing a socket that does not linger sends a reset.
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        transport.abort()
        await receive()  # Until the server has noticed.


def _spoil(result: dict[str, Any], ids: list[str], kind: str) -> None:
    """Decided here, as all faults are: what an MGet might answer and the reference does not describe."""
    articles: dict[str, Any] = result["Articles"]
    if kind == "silent_id":
        articles.pop(ids[-1], None)
        result["MissReasons"].pop(ids[-1], None)
    elif kind == "odd_article" and articles:
        articles[next(iter(articles))] = "odd"


async def _read_body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise ApiError("MissingRequestInfo", "The body is too large.")
    return body


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body() or b"{}")
    except ValueError:
        return None


def _refuse(reason: str) -> Response:
    return JSONResponse({"error": reason}, 422)
