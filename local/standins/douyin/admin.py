"""The ground truth and the switches, for tests and demos. Nothing of this exists on the real site."""

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import clock, passport
from .scenario import SWITCHES, UnknownScenarioError
from .site import json_object, site_of


async def works(request: Request) -> Response:
    """Every accepted create_v2, oldest first, each field as received."""
    rows = site_of(request).store.rows("SELECT record FROM works ORDER BY number")
    return JSONResponse([json.loads(row["record"]) for row in rows])


async def state(request: Request) -> Response:
    """Live sessions and QR codes, uploads, counters, refused requests with their reasons."""
    site = site_of(request)
    store = site.store
    return JSONResponse(
        {
            "now": clock.now(),
            "sessions": store.rows(
                "SELECT user, created, publish_verified, seen FROM sessions WHERE alive = 1"
            ),
            "qr": passport.live_qrs(site),
            "uploads": store.rows(
                "SELECT video_id, user, filename, size, status, sha256, duration_ms FROM uploads "
                "ORDER BY created"
            ),
            "counters": {row["name"]: row["value"] for row in store.rows("SELECT * FROM counters")},
            "refused": store.rows("SELECT at, user, request, reason FROM refusals ORDER BY number"),
        }
    )


async def switches(request: Request) -> Response:  # noqa: ARG001
    """Every switch: its default, what it accepts, what it does."""
    return JSONResponse(
        {
            name: {"default": switch.default, "accepts": switch.accepts, "does": switch.does}
            for name, switch in SWITCHES.items()
        }
    )


async def get_scenario(request: Request) -> Response:
    """The whole set; ``?user=`` as it acts on that account."""
    return JSONResponse(site_of(request).scenario.all(request.query_params.get("user", "")))


async def set_scenario(request: Request) -> Response:
    scenario = site_of(request).scenario
    try:
        changes = await json_object(request)
        scenario.set(changes)
    except UnknownScenarioError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    return JSONResponse(scenario.all(str(changes.get("user", ""))))


async def reset_scenario(request: Request) -> Response:
    scenario = site_of(request).scenario
    scenario.reset()
    return JSONResponse(scenario.all())


async def logout(request: Request) -> Response:
    """``{"user"}``: end every session of that account, as the platform does now and then."""
    user = str((await json_object(request)).get("user", ""))
    ended = site_of(request).store.run("UPDATE sessions SET alive = 0 WHERE user = ? AND alive = 1", (user,))
    return JSONResponse({"ended": ended})


async def reset(request: Request) -> Response:
    site_of(request).store.reset()
    return JSONResponse({"ok": True})


routes = [
    Route("/admin/works", works),
    Route("/admin/state", state),
    Route("/admin/switches", switches),
    Route("/admin/scenario", get_scenario),
    Route("/admin/scenario", set_scenario, methods=["POST"]),
    Route("/admin/scenario", reset_scenario, methods=["DELETE"]),
    Route("/admin/logout", logout, methods=["POST"]),
    Route("/admin/reset", reset, methods=["POST"]),
]
