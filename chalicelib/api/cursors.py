"""Opaque cursors of lists: where the next page starts, and which list it belongs to.

A cursor is signed: a list starts only where one of its own pages has ended.
"""

from __future__ import annotations

import base64
import hmac
import json
from typing import TYPE_CHECKING, Any

from chalicelib.errors import ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.signing import Signer

# Of the signature's 64 hexadecimal digits: 128 bits.
_DIGITS = 32


def encode_cursor(position: str, query: Mapping[str, Any], signer: Signer) -> str:
    """A cursor for the list that `query` describes."""
    text = f"{_signature(position, query, signer)}{position}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, query: Mapping[str, Any], signer: Signer) -> str:
    """The position. Raises ValidationFailed for what is no cursor of ours, or one of another list."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        text = ""
    signature, position = text[:_DIGITS], text[_DIGITS:]
    if not hmac.compare_digest(signature.encode(), _signature(position, query, signer).encode()):
        detail = "is no cursor of this list; take next_cursor of the last page as it is, with the same filters"
        raise ValidationFailed(f"/cursor: {detail}", errors=[{"pointer": "/cursor", "detail": detail}])
    return position


def _signature(position: str, query: Mapping[str, Any], signer: Signer) -> str:
    told = json.dumps([position, query], sort_keys=True, default=str)
    return signer.sign("cursor", told)[:_DIGITS]
