"""The API about itself: health, contract, documentation, front page."""

from __future__ import annotations

import json
from functools import cache

from chalice.app import Response

from chalicelib.api import (
    accounts,
    articles,
    evidence,
    keys,
    logins,
    pages,
    sessions,
    sync,
    tasks,
    uploads,
    webhooks,
)
from chalicelib.api.edge import Operation, Routes
from chalicelib.api.models import Health
from chalicelib.api.openapi import document
from chalicelib.keys.scopes import PUBLIC

routes = Routes(__name__, "meta")


@routes.operation("GET", "/healthz", scope=PUBLIC, answer=Health)
def healthz() -> Health:
    """Tell whether the process answers."""
    return Health(status="ok")


@routes.operation("GET", "/openapi.json", scope=PUBLIC, answer=None)
def openapi() -> Response:
    """Get this contract as an OpenAPI 3.1 document."""
    return Response(_openapi_text(), headers={"Content-Type": "application/json"})


@routes.operation("GET", "/docs", scope=PUBLIC, answer=None)
def docs() -> Response:
    """Read this contract as a page."""
    return pages.html(pages.docs_page(document(operations())))


@routes.operation("GET", "/", scope=PUBLIC, answer=None)
def front_page() -> Response:
    """Open the front page."""
    return pages.html(pages.front_page())


def operations() -> list[Operation]:
    """Every operation of the API, in the order in which a reader wants them."""
    resources = (tasks, evidence, uploads, accounts, sessions, logins, articles, sync, webhooks, keys)
    return [operation for resource in resources for operation in resource.routes.operations] + routes.operations


@cache
def _openapi_text() -> str:
    return json.dumps(document(operations()), ensure_ascii=False)
