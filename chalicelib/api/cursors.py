"""Opaque cursors of lists: where the next page starts, and which list it belongs to.

A cursor says nothing that its holder may not see, so it is not signed; it is checked instead.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

from chalicelib.errors import ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Mapping


def encode_cursor(position: str, query: Mapping[str, Any]) -> str:
    """A cursor for the list that `query` describes."""
    text = json.dumps([_digest(query), position], ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, query: Mapping[str, Any]) -> str:
    """The position. Raises ValidationFailed for what is no cursor of ours, or one of another list."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        value = json.loads(text)
    except ValueError:
        value = None
    match value:
        case [str(digest), str(position)] if digest == _digest(query):
            return position
        case [str(), str()]:
            raise refused_cursor("belongs to a list with other filters; start again without it")
        case _:
            raise refused_cursor("is no cursor of this list; take next_cursor of the last page as it is")


def refused_cursor(detail: str) -> ValidationFailed:
    return ValidationFailed(f"/cursor: {detail}", errors=[{"pointer": "/cursor", "detail": detail}])


def _digest(query: Mapping[str, Any]) -> str:
    text = json.dumps(query, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
