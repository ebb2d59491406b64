"""The site as a Starlette app: routes and what they share, nothing else."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from . import admin, pages, passport, phone, upload, works
from .scenario import Scenario
from .site import BadBodyError, Site
from .store import Store


def build(data: Path) -> Starlette:
    """The app over the state in a directory, made if missing."""
    data.mkdir(parents=True, exist_ok=True)
    store = Store(data)
    app = Starlette(
        routes=[
            *passport.routes,
            *phone.routes,
            *upload.routes,
            *works.routes,
            *admin.routes,
            *pages.routes,
        ],
        exception_handlers={BadBodyError: _bad_body},
    )
    app.state.site = Site(store=store, scenario=Scenario(store))
    return app


async def _bad_body(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    return JSONResponse({"error": str(error)}, status_code=400)
