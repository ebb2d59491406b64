"""The thin HTML shells, what the pages' scripts must know, and the demo's media."""

from dataclasses import asdict
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from . import declarations, passport, upload
from .site import json_object, logged_out, session_of, site_of
from .users import USERS

_HERE = Path(__file__).parent
_FRESH = {"Cache-Control": "no-store"}


async def shell(request: Request) -> Response:  # noqa: ARG001 - one shell for every address
    """One empty page for all of the creator centre; scripts render it by its address."""
    return FileResponse(_HERE / "static" / "index.html", headers=_FRESH)


async def config(request: Request) -> Response:
    """What the scripts need before they render: who, which switches, which popovers were seen, the draft."""
    site = site_of(request)
    session = session_of(request)
    uid = session.user.uid if session else ""
    scenario = site.scenario.all(uid)
    answer = {
        "user": passport.profile(request, session) if session else None,
        "scenario": scenario,
        "salt": site.salt if scenario["hashes"] == "random" else "",
        "seen": sorted(session.seen) if session else [],
        "draft": upload.unfinished(site, session) if session and scenario["draft_bar"] == "on" else None,
        "challenge": passport.entry_challenge(site, session) if session else None,
        "declarations": [asdict(option) for option in declarations.options(scenario["declaration"])],
    }
    return JSONResponse(answer, headers=_FRESH)


async def seen(request: Request) -> Response:
    """``{"name"}``: a popover was closed; it does not come back in this login."""
    session = session_of(request)
    if session is None:
        return logged_out()
    names = session.seen | {str((await json_object(request)).get("name", ""))}
    site_of(request).store.run(
        "UPDATE sessions SET seen = ? WHERE sessionid = ?", (",".join(sorted(names)), session.sessionid)
    )
    return JSONResponse({"status_code": 0})


async def avatar(request: Request) -> Response:
    user = USERS.get(request.path_params["uid"])
    if user is None:
        return Response(status_code=404)
    return Response(user.avatar(), media_type="image/svg+xml")


async def favicon(request: Request) -> Response:  # noqa: ARG001
    return Response(status_code=204)


class _FreshFiles(StaticFiles):
    """Scripts are edited while a browser is open: always ask whether they changed."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response


routes: list[BaseRoute] = [
    Route("/", shell),
    Route("/creator-micro/{path:path}", shell),
    Route("/favicon.ico", favicon),
    Route("/site/config", config),
    Route("/site/seen", seen, methods=["POST"]),
    Route("/media/avatar/{uid}.svg", avatar),
    Mount("/media", StaticFiles(directory=_HERE / "media")),
    Mount("/static", _FreshFiles(directory=_HERE / "static")),
]
