"""Who sends the current request."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chalicelib.keys.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Caller:
    """`id` is the key's. A caller can give no more than it has: neither scopes nor time (`expires_at`, RFC
    3339; None is for ever).
    """

    id: str
    scopes: frozenset[Scope]
    expires_at: str | None = None

    def lacks(self, scopes: Iterable[Scope]) -> list[Scope]:
        return sorted(set(scopes) - self.scopes)


# Whoever is on this machine, where the local run asks for no key.
LOCAL: Final = Caller("local", frozenset(Scope))
# Whoever calls a route that takes no key.
ANYBODY: Final = Caller("anybody", frozenset())

_caller: ContextVar[Caller] = ContextVar("caller", default=ANYBODY)


def caller() -> Caller:
    return _caller.get()


def caller_id() -> str:
    """The id of the key that the current request came with; "local" where none is needed."""
    return _caller.get().id


def set_caller(caller: Caller) -> None:
    _caller.set(caller)
