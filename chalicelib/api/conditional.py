"""Asking only for what has changed: ETag and If-None-Match (RFC 9110), and waiting for a change.

A tag is made over what is shown, so that it changes with it and with nothing else.
"""

from __future__ import annotations

import hashlib
import re
import time
from typing import TYPE_CHECKING, Any

from chalice.app import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import Request

# How often a wait looks, and what it leaves of the function's time to answer in.
LOOK_SECONDS = 1.0
_SPARE_SECONDS = 5.0

_TAG = re.compile(r'(?:W/)?("[^"]*")')


def tagged(request: Request, response: Response) -> Response:
    """The response with its tag; 304 without a body where the caller has it already."""
    response.headers["ETag"] = _tag(response)
    if not _has(request, response):
        return response
    headers = {name: value for name, value in response.headers.items() if name != "Content-Type"}
    return Response("", status_code=304, headers=headers)


def awaited(request: Request, look: Callable[[], Response], seconds: int) -> Response:
    """What `look` sees once it is another than the caller has (If-None-Match), or than it was at first; or when
    the wait is over. What cannot change any more, which has no Retry-After, is not waited for.
    """
    response = look()
    if "if-none-match" in request.headers and not _has(request, response):
        return response
    context: Any = request.lambda_context
    remaining = context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS
    deadline = time.monotonic() + min(seconds, remaining)
    first = _tag(response)
    while "Retry-After" in response.headers and _tag(response) == first:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        time.sleep(min(LOOK_SECONDS, left))
        response = look()
    return response


def _tag(response: Response) -> str:
    return f'"{hashlib.sha256(response.body.encode()).hexdigest()[:32]}"'


def _has(request: Request, response: Response) -> bool:
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or _tag(response) in _TAG.findall(given)
