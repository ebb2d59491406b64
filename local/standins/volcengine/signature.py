"""Verifies HMAC-SHA256 signatures on the request as it came off the wire.

Written from Volcengine's signing text alone. Order of the checks and the code for each: the public error pages
where they say, else a decision of the stand-in.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote_to_bytes

from local.standins.volcengine.errors import ApiError

SERVICE = "volc_torchlight_api"
# The 2023 page answers cn-north-1, the page of 2024 signs with cn-beijing; public callers use either.
DEFAULT_REGION = "cn-north-1"
REGIONS = frozenset({DEFAULT_REGION, "cn-beijing"})
MAX_SKEW = timedelta(seconds=900)

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
_FIELD = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]*)")


@dataclass(frozen=True, slots=True)
class RawRequest:
    """Path and query still percent-encoded; header names in lower case, values as received."""

    method: str
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header; None if it is absent. Repeated headers cannot be signed unambiguously."""
        values = [value for key, value in self.headers if key == name.encode()]
        if len(values) > 1:
            raise ApiError("InvalidAuthorization", f"The header {name} is repeated.")
        return values[0].decode("latin-1").strip() if values else None


@dataclass(frozen=True, slots=True)
class Account:
    """The one account that the stand-in knows. With a session token, every request must carry it.
    `callback_secret` signs what the account is notified of.
    """

    access_key: str
    secret_key: str
    session_token: str | None = None
    callback_secret: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """A request that passed."""

    access_key: str
    region: str


def verify(request: RawRequest, account: Account, now: datetime) -> Signed:
    """Raises ApiError unless `account` signed exactly this request within 15 minutes of `now`."""
    if request.header("secretkey") is not None:
        raise ApiError("SecretKeySent")
    authorization = request.header("authorization")
    if not authorization:
        raise ApiError("MissingAuthenticationToken")
    algorithm, _, rest = authorization.partition(" ")
    fields = dict(_FIELD.findall(rest))
    if algorithm != "HMAC-SHA256" or "SignedHeaders" not in fields:
        raise ApiError("InvalidAuthorization")
    if not fields.get("Signature"):
        raise ApiError("MissingSignature")

    date = request.header("x-date")
    if date is None:
        raise ApiError("MissingRequestInfo", "There is no X-Date header.")
    access_key, region = _check_credential(fields.get("Credential", ""), date)
    _check_date(date, now)
    if access_key != account.access_key:
        raise ApiError("InvalidAccessKey")
    if (request.header("x-security-token") or None) != account.session_token:
        raise ApiError("InvalidAccessKey", "X-Security-Token is missing or wrong.")

    body_hash = hashlib.sha256(request.body).hexdigest()
    if request.header("x-content-sha256") not in (None, body_hash):
        raise ApiError("SignatureDoesNotMatch", "X-Content-Sha256 is not the hash of the body.")
    names = fields["SignedHeaders"].split(";")
    if not {"host", "x-date"} <= set(names) or names != sorted(set(names)):
        raise ApiError("InvalidAuthorization", "SignedHeaders must be sorted and hold host and x-date.")
    lines = []
    for name in names:
        value = request.header(name)
        if value is None or name != name.lower():
            raise ApiError("InvalidAuthorization", f"The signed header {name} is not in the request.")
        lines.append(f"{name}:{value}\n")
    canonical = "\n".join(
        (
            request.method,
            _encode(unquote_to_bytes(request.path), keep=b"/") or "/",
            _canonical_query(request.query),
            "".join(lines),
            ";".join(names),
            body_hash,
        )
    )
    expected = _signature(account.secret_key, date, region, canonical)
    if not hmac.compare_digest(expected, fields["Signature"]):
        raise ApiError("SignatureDoesNotMatch")
    return Signed(access_key, region)


def _check_credential(credential: str, date: str) -> tuple[str, str]:
    access_key, *scope = credential.split("/")
    if not access_key or len(scope) != 4 or scope[3] != "request" or scope[0] != date[:8]:
        raise ApiError("InvalidCredential")
    if scope[2] != SERVICE:
        raise ApiError("ServiceNotFound")
    if scope[1] not in REGIONS:
        raise ApiError("InvalidCredential", f"The region must be one of {', '.join(sorted(REGIONS))}.")
    return access_key, scope[1]


def _check_date(date: str, now: datetime) -> None:
    if not re.fullmatch(r"\d{8}T\d{6}Z", date):
        raise ApiError("InvalidTimestamp")
    try:
        signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise ApiError("InvalidTimestamp") from None
    if abs(now - signed_at) > MAX_SKEW:
        raise ApiError("InvalidTimestamp")


def _canonical_query(query: bytes) -> str:
    pairs = []
    for part in filter(None, query.split(b"&")):
        name, _, value = (unquote_to_bytes(piece.replace(b"+", b" ")) for piece in part.partition(b"="))
        pairs.append((_encode(name), _encode(value)))
    pairs.sort(key=lambda pair: pair[0])
    return "&".join("=".join(pair) for pair in pairs)


def _encode(text: bytes, *, keep: bytes = b"") -> str:
    return "".join(chr(byte) if byte in _UNRESERVED or byte in keep else f"%{byte:02X}" for byte in text)


def _signature(secret_key: str, date: str, region: str, canonical: str) -> str:
    day = date[:8]
    scope = f"{day}/{region}/{SERVICE}/request"
    text = f"HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = hmac.digest(secret_key.encode(), day.encode(), "sha256")
    key = hmac.digest(key, region.encode(), "sha256")
    key = hmac.digest(key, SERVICE.encode(), "sha256")
    key = hmac.digest(key, b"request", "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
