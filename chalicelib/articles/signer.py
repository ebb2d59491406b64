"""Volcengine's HMAC-SHA256 request signature, as a `requests` authentication.

Source: Volcengine's common signing text (documents 6971/174333 and 6358/166389), checked against both official
SDKs in the tests. The signature covers the method, path, query, the headers Host, Content-Type, Content-MD5 and
every X-*, and the exact bytes of the body.

The content API's header table also lists ServiceName, AccessKey and SecretKey. They are inputs of the
signature: none of them is ever sent.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

from requests.auth import AuthBase

from chalicelib.clock import Clock, utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from requests import PreparedRequest

    from chalicelib.articles.credentials import Credentials

SERVICE = "volc_torchlight_api"
DEFAULT_REGION = "cn-north-1"
ALGORITHM = "HMAC-SHA256"

_DEFAULT_PORTS = {"http": 80, "https": 443}


class VolcengineAuth(AuthBase):
    """Signs a request at the moment it is prepared.

    Whoever retries must prepare again: a signature is valid for 15 minutes from its X-Date.

    Raises TypeError for a body that is a stream, because its bytes
    cannot be hashed without consuming them.
    """

    def __init__(
        self,
        credentials: Credentials,
        region: str = DEFAULT_REGION,
        *,
        service: str = SERVICE,
        clock: Clock = utc_now,
    ) -> None:
        self._credentials = credentials
        self._region = region
        self._service = service
        self._clock = clock

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        body = _body_bytes(r.body)
        r.body = body or r.body
        date = self._clock().astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        body_hash = hashlib.sha256(body).hexdigest()
        # Host is set here, not left to the HTTP library, so that what is signed is what is sent.
        r.headers.setdefault("Host", _host(r.url or ""))
        r.headers["X-Date"] = date
        r.headers["X-Content-Sha256"] = body_hash
        if self._credentials.session_token:
            r.headers["X-Security-Token"] = self._credentials.session_token

        headers = _signed_headers(r.headers.items())
        names = ";".join(headers)
        canonical_request = "\n".join(
            (
                r.method or "",
                urlsplit(r.url or "").path or "/",
                _canonical_query(r.url or ""),
                "".join(f"{name}:{value}\n" for name, value in headers.items()),
                names,
                body_hash,
            )
        )
        scope = f"{date[:8]}/{self._region}/{self._service}/request"
        string_to_sign = "\n".join(
            (ALGORITHM, date, scope, hashlib.sha256(canonical_request.encode()).hexdigest())
        )
        signature = _hmac(self._signing_key(date[:8]), string_to_sign).hex()
        r.headers["Authorization"] = (
            f"{ALGORITHM} Credential={self._credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return r

    def _signing_key(self, day: str) -> bytes:
        key = self._credentials.secret_key.encode()
        for part in (day, self._region, self._service, "request"):
            key = _hmac(key, part)
        return key


def _body_bytes(body: object) -> bytes:
    match body:
        case None:
            return b""
        case bytes():
            return body
        case str():
            return body.encode()
        case _:
            raise TypeError(f"Only bytes or text can be signed, not {type(body).__name__}.")


def _host(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.port == _DEFAULT_PORTS.get(parts.scheme):
        return host.removesuffix(f":{parts.port}")
    return host


def _signed_headers(headers: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    signed = {}
    for name, value in headers:
        lower = name.lower()
        if lower in ("content-type", "content-md5", "host") or lower.startswith("x-"):
            signed[lower] = (value.decode("latin-1") if isinstance(value, bytes) else value).strip()
    return dict(sorted(signed.items()))


def _canonical_query(url: str) -> str:
    """Names sorted by their encoded form; equal names keep their order (sorted() is stable)."""
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    encoded = [(quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded, key=lambda pair: pair[0]))


def _hmac(key: bytes, message: str) -> bytes:
    return hmac.new(key, message.encode(), hashlib.sha256).digest()
