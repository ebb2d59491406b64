"""Who may come in: keys, their scopes and their budgets. Asked before anything of a body is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.api import wiring
from chalicelib.api.caller import ANYBODY, LOCAL, Caller, caller, set_caller
from chalicelib.clock import from_rfc3339
from chalicelib.errors import Forbidden, KeyInvalid, ScopeMissing, TooManyRequests, Unauthorized
from chalicelib.keys.scopes import PUBLIC
from chalicelib.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from chalice.app import Request

    from chalicelib.keys.scopes import Scope


def admit(request: Request, scope: Scope | None, headers: dict[str, str]) -> None:
    """Lets the request in, and says from then on who its caller is. `headers` gets what every answer to it
    carries, refusals included. Raises Unauthorized, ScopeMissing, TooManyRequests.
    """
    set_caller(ANYBODY)
    if scope is PUBLIC:
        return
    authorization = request.headers.get("authorization")
    if authorization is None and not settings.api_keys_required:
        set_caller(LOCAL)
        return
    found = _identified(authorization)
    usage = wiring.rate_limiter().count(found.id, "reads" if request.method == "GET" else "writes")
    headers.update(usage.headers)
    if usage.exceeded:
        raise TooManyRequests(
            f"This key may send {usage.quota} {usage.budget} a minute.", retry_after=usage.reset
        )
    set_caller(found)
    require([scope])


def require(scopes: Iterable[Scope]) -> None:
    """ScopeMissing where the caller does not have them all."""
    if missing := caller().lacks(scopes):
        named = ", ".join(missing)
        raise ScopeMissing(f"This needs {named}, which this key does not have.", scopes=missing)


def require_lifetime(expires_at: datetime | None) -> None:
    """Forbidden where a key would live longer than the caller that makes it."""
    own = caller().expires_at
    if own is not None and (expires_at is None or expires_at > from_rfc3339(own)):
        raise Forbidden(f"This key expires at {own}; it can make none that lives longer. Set expires_at.")


def challenge(error: Unauthorized | ScopeMissing) -> str:
    """The refusal's WWW-Authenticate (RFC 6750)."""
    match error:
        case ScopeMissing():
            return f'Bearer error="insufficient_scope", scope="{" ".join(error.context["scopes"])}"'
        case KeyInvalid():
            return 'Bearer error="invalid_token"'
        case _:
            return "Bearer"


def _identified(authorization: str | None) -> Caller:
    if authorization is None:
        raise Unauthorized("The request has no Authorization header.")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("The Authorization header must be `Bearer` and an API key.")
    key = wiring.key_store().check(token.strip())
    return Caller(key.id, key.scopes, key.expires_at)
