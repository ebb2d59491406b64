"""The API about itself: health, contract, documentation, front page."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

from chalice.app import Response

from chalicelib.api import (
    accounts,
    articles,
    evidence,
    keys,
    logins,
    sessions,
    sync,
    tasks,
    uploads,
    webhooks,
)
from chalicelib.api.edge import Operation, Routes, own_address
from chalicelib.api.models import Health
from chalicelib.keys.scopes import PUBLIC

if TYPE_CHECKING:
    from typing import Any

routes = Routes(__name__, "meta")


@routes.operation("GET", "/healthz", scope=PUBLIC, answer=Health)
def healthz() -> Health:
    """Tell whether the process answers."""
    return Health(status="ok")


@routes.operation("GET", "/openapi.json", scope=PUBLIC, answer=None)
def openapi() -> Response:
    """Get this contract as an OpenAPI 3.1 document."""
    return Response(json.dumps(_document(), ensure_ascii=False), headers={"Content-Type": "application/json"})


@routes.operation("GET", "/docs", scope=PUBLIC, answer=None, media_type="text/html")
def docs() -> Response:
    """Read this contract as a page."""
    from chalicelib.api import docs_pages, pages  # noqa: PLC0415 - few ask; every cold start would pay for it

    body = docs_pages.docs_page(_document(), own_address())
    return pages.html(body, title="Social Publisher API", wide=True)


@routes.operation("GET", "/docs/errors", scope=PUBLIC, answer=None, media_type="text/html")
def error_docs() -> Response:
    """Read what every error means, and what to do.

    The `type` of each problem leads here.
    """
    from chalicelib.api import docs_pages, pages  # noqa: PLC0415

    return pages.html(docs_pages.errors_page(operations()), title="Errors of the Social Publisher API")


@routes.operation("GET", "/", scope=PUBLIC, answer=None, media_type="text/html")
def front_page() -> Response:
    """Open the front page."""
    from chalicelib.api import pages  # noqa: PLC0415

    return pages.html(pages.front_page())


def operations() -> list[Operation]:
    """Every operation of the API, in the order in which a reader wants them."""
    resources = (tasks, evidence, uploads, accounts, sessions, logins, articles, sync, webhooks, keys)
    return [operation for resource in resources for operation in resource.routes.operations] + routes.operations


@cache
def _document() -> dict[str, Any]:
    from chalicelib.api.openapi import document  # noqa: PLC0415

    return document(operations())
