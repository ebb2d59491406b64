"""What is going on, and for which request. It goes with every log line, and from request to message, item and
event: one id finds everything that a request has caused.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_bound: ContextVar[Mapping[str, str]] = ContextVar("bound", default=MappingProxyType({}))


@contextmanager
def bound(**fields: str | None) -> Iterator[None]:
    """Inside, these fields are known, with those that were before. None is not known."""
    token = _bound.set(_with(fields))
    try:
        yield
    finally:
        _bound.reset(token)


def note(**fields: str | None) -> None:
    """From here on these fields are known, too, until the innermost `bound` is left."""
    _bound.set(_with(fields))


def known() -> Mapping[str, str]:
    return _bound.get()


def request_id() -> str | None:
    """The id of the request that all of this is for; None where no request has asked for it."""
    return _bound.get().get("request_id")


def carried(otherwise: str | None = None) -> dict[str, str]:
    """What a message, an item or an event takes along: {"request_id"}, or nothing where there is none."""
    carried = request_id() or otherwise
    return {"request_id": carried} if carried else {}


def _with(fields: Mapping[str, str | None]) -> Mapping[str, str]:
    return {**_bound.get(), **{name: value for name, value in fields.items() if value is not None}}
