"""The keys of the content service and the secret of its notifications: where they are kept, and how long a
process keeps what it has read.

They are kept apart, because the API needs the second and must not be able to read the first:

    VOLC_CREDENTIALS            {"access_key", "secret_key"}, with temporary (STS) keys also "session_token"
    VOLC_CALLBACK_CREDENTIALS   {"callback_secret"}: what the content service signs its notifications with

Each names a place, where one such JSON object stands:

    arn:…:secretsmanager:…       a secret of AWS Secrets Manager, by its ARN
    ssm:/path/of/a/parameter     a SecureString of AWS Systems Manager's Parameter Store

Where it is not set, as in a local run, the environment holds the secrets themselves.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import CloudFailed, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.settings import Settings

logger = logging.getLogger(__name__)

_Secret = TypeVar("_Secret")

_SSM = "ssm:"
_REREAD_AFTER_SECONDS = 60.0
# What passes; everything else (no such secret, no right to read it) stays until a person does something.
_PASSING = frozenset(
    {"InternalServiceError", "InternalServerError", "ThrottlingException", "TooManyRequestsException"}
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key pair; `session_token` only with temporary (STS) credentials."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


class SecretCache(Generic[_Secret]):
    """A secret that is read once a process, and again when what was read is refused: it may have been rotated.

    `read` reads it where it is kept. Reads are a minute apart at least, so that whoever sends us bad signatures
    cannot make us read at every request. What `read` raises goes through where there is nothing yet to go by.
    """

    def __init__(self, read: Callable[[], _Secret], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._monotonic = monotonic
        self._secret: _Secret | None = None
        self._read_at = 0.0

    def current(self) -> _Secret:
        if self._secret is None:
            self._secret = self._read()
            self._read_at = self._monotonic()
        return self._secret

    def renewed(self) -> _Secret:
        """The secret as it is kept now; what was read, or could not be, within the last minute stands."""
        if self._secret is None:
            return self.current()
        if self._monotonic() - self._read_at >= _REREAD_AFTER_SECONDS:
            self._read_at = self._monotonic()
            try:
                self._secret = self._read()
            except (CloudFailed, ConfigurationError):
                logger.exception("a secret could not be read again; the one that is known stays")
        return self._secret


def read_credentials(
    settings: Settings, *, secretsmanager: Callable[[], Any], ssm: Callable[[], Any]
) -> Credentials:
    """The keys from where the settings say. The two give a client each; only the one that is needed is made.

    Raises ConfigurationError where they are not or are not what the module says, and CloudFailed (retryable)
    where AWS does not answer. No error shows anything of a secret.
    """
    if place := settings.volc_credentials:
        members = ("access_key", "secret_key", "session_token")
        kept = _kept("VOLC_CREDENTIALS", place, members, secretsmanager, ssm)
    else:
        kept = {
            "access_key": settings.volc_access_key,
            "secret_key": settings.volc_secret_key,
            "session_token": settings.volc_session_token,
        }
    if not (kept["access_key"] and kept["secret_key"]):
        raise ConfigurationError(
            "There are no keys of the content service: set VOLC_CREDENTIALS, or VOLC_ACCESS_KEY and "
            "VOLC_SECRET_KEY."
        )
    return Credentials(kept["access_key"], kept["secret_key"], kept["session_token"] or None)


def read_callback_secret(
    settings: Settings, *, secretsmanager: Callable[[], Any], ssm: Callable[[], Any]
) -> str:
    """The secret of the notifications, as `read_credentials` reads the keys; "" where there is none."""
    if place := settings.volc_callback_credentials:
        kept = _kept("VOLC_CALLBACK_CREDENTIALS", place, ("callback_secret",), secretsmanager, ssm)
        return kept["callback_secret"]
    return settings.volc_callback_secret


def _kept(
    setting: str,
    place: str,
    members: tuple[str, ...],
    secretsmanager: Callable[[], Any],
    ssm: Callable[[], Any],
) -> dict[str, str]:
    """The members of the object at the place; "" for those that are not there."""
    try:
        if place.startswith(_SSM):
            name = place.removeprefix(_SSM)
            text = ssm().get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
        else:
            text = secretsmanager().get_secret_value(SecretId=place).get("SecretString", "")
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        kind = CloudFailed if code in _PASSING else ConfigurationError
        raise kind(f"{setting} cannot be read from {place}: {code}.") from error
    except BotoCoreError as error:
        raise CloudFailed(f"{setting} cannot be read from {place}: {type(error).__name__}.") from error
    try:
        value = json.loads(text)
    except ValueError:
        value = None  # Its text would go on in the error's chain.
    if not isinstance(value, dict) or not all(isinstance(value.get(name), str | None) for name in members):
        raise ConfigurationError(f"{place} does not hold a JSON object of texts: {', '.join(members)}.")
    return {name: value.get(name) or "" for name in members}
