"""API keys: made, listed, rotated, revoked. The first one comes from the command line (chalicelib/keys)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from chalicelib.api import wiring
from chalicelib.api.caller import caller_id
from chalicelib.api.door import require, require_lifetime
from chalicelib.api.edge import Link, PathParameter, Routes
from chalicelib.api.key_models import KEY_ID as KEY_EXAMPLE
from chalicelib.api.key_models import KeyAnswer, KeyList, KeyRequest, KeyRotation, NewKeyAnswer
from chalicelib.clock import from_rfc3339, utc_now
from chalicelib.errors import Forbidden, KeyConflict, KeyNotFound, ScopeMissing, ValidationFailed
from chalicelib.keys.scopes import Scope
from chalicelib.keys.store import KEY_ID, Key, NewKey

routes = Routes(__name__, "keys")


def _check_id(value: str) -> None:
    if not KEY_ID.fullmatch(value):
        raise KeyNotFound(f"{value[:64]!r} is no id of a key: it is the part between sp_live_ and the secret.")


_KEY_ID = PathParameter("key_id", "The id of a key.", KEY_EXAMPLE, _check_id)

_OF_A_KEY = tuple(
    Link(operation, {"key_id": "$response.body#/id"}) for operation in ("get_key", "rotate_key", "revoke_key")
)


@routes.operation(
    "POST",
    "/api/v1/keys",
    scope=Scope.KEYS_ADMIN,
    request=KeyRequest,
    shown_once=True,
    answer=NewKeyAnswer,
    errors=(ValidationFailed, ScopeMissing, Forbidden),
    again="Makes another key.",
    links=_OF_A_KEY,
)
def create_key(body: KeyRequest) -> NewKeyAnswer:
    """Make an API key.

    `key` is shown in this answer and never again. A key gives no more than it has: neither a scope nor a day.
    """
    require(body.scopes)
    _check_expiry(body.expires_at)
    require_lifetime(body.expires_at)
    new = wiring.key_store().create(body.name, body.scopes, expires_at=body.expires_at, created_by=caller_id())
    return _new(new)


@routes.operation("GET", "/api/v1/keys", scope=Scope.KEYS_ADMIN, answer=KeyList)
def list_keys() -> KeyList:
    """List the API keys, the newest first.

    Keys that have ended stay in the list for 90 days.
    """
    return KeyList(data=[_answer(key) for key in wiring.key_store().list()])


@routes.operation(
    "GET",
    "/api/v1/keys/{key_id}",
    scope=Scope.KEYS_ADMIN,
    answer=KeyAnswer,
    errors=(KeyNotFound,),
    parameters=(_KEY_ID,),
)
def get_key(key_id: str) -> KeyAnswer:
    """See one API key."""
    return _answer(wiring.key_store().get(key_id))


@routes.operation(
    "DELETE",
    "/api/v1/keys/{key_id}",
    scope=Scope.KEYS_ADMIN,
    answer=KeyAnswer,
    errors=(KeyNotFound,),
    parameters=(_KEY_ID,),
    again="Changes nothing more.",
)
def revoke_key(key_id: str) -> KeyAnswer:
    """Revoke an API key.

    From the next request on it is refused. A key that was revoked before is answered as it is.
    """
    return _answer(wiring.key_store().revoke(key_id))


@routes.operation(
    "POST",
    "/api/v1/keys/{key_id}/rotate",
    scope=Scope.KEYS_ADMIN,
    request=KeyRotation,
    shown_once=True,
    body_optional=True,
    answer=NewKeyAnswer,
    errors=(ValidationFailed, KeyNotFound, KeyConflict, ScopeMissing, Forbidden),
    parameters=(_KEY_ID,),
    again="409 `key.state_conflict`: the key has a successor.",
    links=_OF_A_KEY,
)
def rotate_key(body: KeyRotation, key_id: str) -> NewKeyAnswer:
    """Make a key's successor, while the key itself stays live for an overlap.

    The successor has the same name and scopes. Put it into use, look at the old key's `last_used_at`, and the
    rest happens by itself: the old key ends with the overlap. Two keys of a line live at most.
    """
    store = wiring.key_store()
    key = store.get(key_id)
    require(key.scopes)
    _check_expiry(body.expires_at)
    expires_at = body.expires_at
    if expires_at is None and key.expires_at is not None:
        expires_at = from_rfc3339(key.expires_at)
    require_lifetime(expires_at)
    overlap = timedelta(hours=body.overlap_hours)
    return _new(store.rotate(key, overlap=overlap, expires_at=expires_at, created_by=caller_id()))


def _check_expiry(expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= utc_now():
        detail = "must lie in the future"
        errors = [{"pointer": "/expires_at", "detail": detail}]
        raise ValidationFailed(f"/expires_at: {detail}", errors=errors)


def _answer(key: Key) -> KeyAnswer:
    return KeyAnswer(**_shown(key))


def _new(new: NewKey) -> NewKeyAnswer:
    return NewKeyAnswer(**_shown(new.key), key=new.token)


def _shown(key: Key) -> dict[str, Any]:
    shown = {name: getattr(key, name) for name in KeyAnswer.model_fields if name not in ("scopes", "live")}
    return {**shown, "scopes": sorted(key.scopes), "live": key.end(utc_now()) is None}
