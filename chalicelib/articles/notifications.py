"""内容变更通知: the content service tells us, signed, that articles have changed.

Source: the service's page of that name (document 6392/1119977, 2023-07): the headers, the signature and the
tolerance. What the body holds is not known, so nothing is expected of it but that it names articles
(docs/decisions/089).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.errors import NotificationRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOLERANCE = timedelta(seconds=3600)

# As the page gives them. Nothing stands between time, nonce and body in what is signed, so their forms are what
# keeps a piece of one from passing for a piece of the next.
_TIMESTAMP = re.compile(r"[0-9]{10}")
_NONCE = re.compile(r"[0-9A-Za-z]{6,32}")

_ID_NAMES = frozenset({"groupid", "groupids", "articleid", "articleids"})
_ID = re.compile(r"[0-9]{6,20}")
# What a GroupId looks like where no name says that it is one.
_LONG_ID = re.compile(r"[1-9][0-9]{18}")
_BEYOND_ANY_ID = 10**20
_MAX_DEPTH = 20


def verify(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> None:
    """Raises NotificationRefused unless the holder of `secret` signed exactly this body within the last hour
    (or the next: clocks differ). Names of `headers` are in lower case.

    Within the hour a notification can be repeated by whoever has seen one. All that it does is to have the
    articles looked at once more.
    """
    timestamp, nonce, signature = (
        headers.get(f"x-content-{name}", "") for name in ("timestamp", "nonce", "signature")
    )
    if not (_TIMESTAMP.fullmatch(timestamp) and _NONCE.fullmatch(nonce)):
        raise NotificationRefused("X-Content-Timestamp or X-Content-Nonce is missing or malformed.")
    expected = hmac.new(secret.encode(), timestamp.encode() + nonce.encode() + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.lower().encode()):
        raise NotificationRefused("X-Content-Signature is not that of this body.")
    if abs(now - datetime.fromtimestamp(int(timestamp), UTC)) > TOLERANCE:
        raise NotificationRefused(
            f"X-Content-Timestamp is more than {TOLERANCE.total_seconds():.0f} s from now."
        )


def changed_ids(payload: Any) -> list[str]:
    """The GroupIds that a notification names, in its order, each once.

    They are looked for wherever they may be: below a member that is called as ids are, as text or as number,
    alone or in a list, in JSON within a text as well; and anywhere else what has the form of a GroupId. What is
    none does no harm: the service says that it does not know it.
    """
    return list(dict.fromkeys(_ids(payload, named=False, depth=0)))


def _ids(value: Any, *, named: bool, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        return
    match value:
        case dict():
            for name, member in value.items():
                # A map by GroupId, as MGet answers with.
                yield from _ids(name, named=named, depth=depth + 1)
                is_name = name.replace("_", "").lower() in _ID_NAMES
                yield from _ids(member, named=is_name, depth=depth + 1)
        case list():
            for member in value:
                yield from _ids(member, named=named, depth=depth + 1)
        case bool():
            return
        case int() if not 0 <= value < _BEYOND_ANY_ID:
            return  # Python would not even write a number of thousands of digits.
        case int() | str():
            text = str(value)
            if (_ID if named else _LONG_ID).fullmatch(text):
                yield text
            elif text[:1] in ("{", "["):
                yield from _ids(_parsed(text), named=named, depth=depth + 1)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
