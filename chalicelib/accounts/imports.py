"""Sessions that people bring from a browser of their own, on their way from the API to the login function.

Each is one object beside the sealed sessions: sealed by the API, which may put it and not read it, and
destroyed by whoever takes it. One that nobody takes is deleted by the bucket's lifecycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from chalicelib.accounts.store import storage_prefix
from chalicelib.errors import SealBroken, ValidationFailed

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_s3 import S3Client

    from chalicelib.accounts.logins import Login

# The prefix in the private bucket, known to its lifecycle and to the policies.
KIND: Final = "imports"

_DOUYIN = "douyin.com"


@dataclass(frozen=True, slots=True)
class ImportBox:
    s3: S3Client
    bucket: str

    def put(self, login: Login, sealed: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=_key(login), Body=sealed.encode())

    def take(self, login: Login) -> str:
        """What was put, once: it is deleted. SealBroken where it is gone."""
        try:
            sealed = self.s3.get_object(Bucket=self.bucket, Key=_key(login))["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            raise SealBroken("The imported session is gone.") from error
        self.discard(login)
        return sealed.decode()

    def discard(self, login: Login) -> None:
        """Deletes what was put; nothing happens where it is gone already."""
        self.s3.delete_object(Bucket=self.bucket, Key=_key(login))


def of_platform(state: dict[str, Any], origin: str, now: datetime) -> tuple[dict[str, Any], list[str]]:
    """The platform's part of a storage state, and the hosts of what was left out.

    `origin` is the creator center's. A browser brings more than it should: other sites' cookies are none of our
    business, so they are dropped rather than kept or refused. ValidationFailed where nothing in it could log
    anybody in: no cookie `sessionid` that the creator center would get, or an expired one.
    """
    host = urlsplit(origin).hostname or ""
    site = _DOUYIN if _within(host, _DOUYIN) else host
    cookies = [cookie for cookie in state["cookies"] if _within(_domain(cookie), site)]
    origins = [entry for entry in state["origins"] if _within(_host(entry), site)]
    left_out = {_domain(cookie) for cookie in state["cookies"]} | {_host(entry) for entry in state["origins"]}
    logins = [
        cookie
        for cookie in cookies
        if cookie["name"] == "sessionid" and cookie["value"] and _within(host, _domain(cookie))
    ]
    if not logins:
        raise _no_login(f"must hold a cookie 'sessionid' of {site}; log in with that browser first")
    if not any(
        cookie.get("expires", -1) in (-1, None) or cookie["expires"] > now.timestamp() for cookie in logins
    ):
        raise _no_login(f"the cookie 'sessionid' of {site} has expired; log in with that browser again")
    return (
        {"cookies": cookies, "origins": origins},
        sorted(name for name in left_out if not _within(name, site)),
    )


def _no_login(detail: str) -> ValidationFailed:
    pointer = "/storage_state/cookies"
    return ValidationFailed(f"{pointer}: {detail}", errors=[{"pointer": pointer, "detail": detail}])


def _within(host: str, site: str) -> bool:
    return host == site or host.endswith(f".{site}")


def _domain(cookie: dict[str, Any]) -> str:
    return str(cookie["domain"]).removeprefix(".").lower()


def _host(entry: dict[str, Any]) -> str:
    return urlsplit(entry["origin"]).hostname or ""


def _key(login: Login) -> str:
    return f"{storage_prefix(KIND, login.account_name)}{login.id}"
