"""What every route shares: the store, the switches, and who is asking."""

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from . import clock
from .scenario import Scenario
from .store import Store
from .users import USERS, User


@dataclass
class Site:
    """One running stand-in."""

    store: Store
    scenario: Scenario
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    # New in every run: seeds the class suffixes when hashes=random.
    salt: str = field(default_factory=lambda: secrets.token_hex(4))

    def refuse(self, request: Request, reason: str, user: str = "") -> None:
        """Note a refused request in the ground truth."""
        self.store.run(
            "INSERT INTO refusals (at, user, request, reason) VALUES (?, ?, ?, ?)",
            (clock.now(), user, f"{request.method} {request.url.path}", reason),
        )

    def end(self, session: "Session") -> None:
        """The platform forgets a login."""
        self.store.run("UPDATE sessions SET alive = 0 WHERE sessionid = ?", (session.sessionid,))


@dataclass(frozen=True)
class Session:
    """A live login of one browser."""

    sessionid: str
    user: User
    publish_verified: bool
    seen: frozenset[str]


def site_of(request: Request) -> Site:
    site = request.app.state.site
    if not isinstance(site, Site):
        raise TypeError("the app was started without a site")
    return site


def session_of(request: Request, *, ended: bool = False) -> Session | None:
    """The login behind the ``sessionid`` cookie, if it is still alive, or even if it has ``ended``."""
    row = site_of(request).store.row(
        "SELECT * FROM sessions WHERE sessionid = ?", (request.cookies.get("sessionid", ""),)
    )
    if row is None or row["user"] not in USERS or not (row["alive"] or ended):
        return None
    seen = frozenset(name for name in row["seen"].split(",") if name)
    return Session(row["sessionid"], USERS[row["user"]], bool(row["publish_verified"]), seen)


def origin_of(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def logged_out() -> Response:
    """What the site's own API says to a stranger."""
    return JSONResponse({"status_code": 8, "status_msg": "用户未登录"})


async def until_gone(request: Request, site: Site) -> None:
    """Never answer: hold the request until its client gives up or the site stops."""
    while not site.stopping.is_set() and not await request.is_disconnected():  # noqa: ASYNC110 - two events
        await asyncio.sleep(0.05)


async def while_held(site: Site, name: str, user: str) -> None:
    """Waits for as long as the switch says ``hold`` for this account. The request's body may be unread."""
    while site.scenario.value(name, user) == "hold" and not site.stopping.is_set():  # noqa: ASYNC110
        await asyncio.sleep(0.05)


class BadBodyError(ValueError):
    """A body that is no JSON object; answered with 400 where a route does not answer it itself."""


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object; an empty one is ``{}``."""
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError as error:
        raise BadBodyError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise BadBodyError("the body is not a JSON object")
    return body
