"""JSON as two readers understand it in the same way (I-JSON, RFC 7493)."""

from __future__ import annotations

import json
from typing import Any

from chalicelib.errors import MalformedRequest

# Our own requests have at most ten levels; this is far from what recursion costs.
MAX_DEPTH = 64


def check_json(raw: bytes) -> None:
    """Raises MalformedRequest for what is no JSON text in UTF-8, and for what JSON readers disagree about:
    a name that stands twice in an object, NaN and infinite numbers, a depth beyond MAX_DEPTH.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"The body is not UTF-8: byte {error.start} cannot stand there.") from None
    try:
        _check_depth(json.loads(text, object_pairs_hook=_members, parse_constant=_refuse_constant))
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        # Its message is ours or json's, and holds a position, never the input.
        raise MalformedRequest(f"The body is not JSON: {error}.") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedRequest(f"The member {twice[:64]!r} stands more than once in an object; send it once.")
    return members


def _refuse_constant(name: str) -> None:
    raise MalformedRequest(f"{name} is no JSON number.")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    raise _too_deep()


def _too_deep() -> MalformedRequest:
    return MalformedRequest(f"The body is nested deeper than {MAX_DEPTH} levels.")
