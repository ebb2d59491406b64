"""The keys of the content service and the secret of its notifications: where they are kept, and how long a
process keeps what it has read.

VOLC_CREDENTIALS names the place:

    arn:aws:secretsmanager:…     a secret of AWS Secrets Manager, by its ARN
    ssm:/path/of/a/parameter     a SecureString of AWS Systems Manager's Parameter Store

What stands there is one JSON object, {"access_key", "secret_key"} and where there are any "session_token" (STS)
and "callback_secret" (what the content service signs its notifications with). Without VOLC_CREDENTIALS, as in a
local run, the environment holds them itself.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import CloudFailed, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.settings import Settings

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


@dataclass(frozen=True, slots=True)
class Secret:
    """What is kept, as far as it is there: a function is given no more of it than it needs."""

    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    callback_secret: str = field(default="", repr=False)

    @property
    def credentials(self) -> Credentials:
        """Raises ConfigurationError without both keys."""
        if not (self.access_key and self.secret_key):
            raise ConfigurationError(
                "There are no keys of the content service: set VOLC_CREDENTIALS, or VOLC_ACCESS_KEY and "
                "VOLC_SECRET_KEY."
            )
        return Credentials(self.access_key, self.secret_key, self.session_token or None)


class SecretCache:
    """A secret that is read once a process, and again when what was read is refused: it may have been rotated.

    `read` reads it where it is kept. Reads are a minute apart at least, so that whoever sends us bad signatures
    cannot make us read at every request. What `read` raises goes through.
    """

    def __init__(self, read: Callable[[], Secret], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._monotonic = monotonic
        self._secret: Secret | None = None
        self._read_at = 0.0

    def current(self) -> Secret:
        if self._secret is None:
            self._secret = self._read()
            self._read_at = self._monotonic()
        return self._secret

    def renewed(self) -> Secret:
        """The secret as it is kept now; what was read within the last minute stands."""
        if self._secret is not None and self._monotonic() - self._read_at >= _REREAD_AFTER_SECONDS:
            self._secret = None
        return self.current()


def read_secret(settings: Settings, *, secretsmanager: Callable[[], Any], ssm: Callable[[], Any]) -> Secret:
    """The secret from where the settings say. The two give a client each; only the one that is needed is made.

    Raises ConfigurationError where there is none or where it is not what the module says, and CloudFailed
    (retryable) where AWS does not answer. No error shows anything of a secret.
    """
    place = settings.volc_credentials
    if not place:
        return Secret(
            settings.volc_access_key,
            settings.volc_secret_key,
            settings.volc_session_token,
            settings.volc_callback_secret,
        )
    try:
        if place.startswith(_SSM):
            name = place.removeprefix(_SSM)
            text = ssm().get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
        else:
            text = secretsmanager().get_secret_value(SecretId=place).get("SecretString", "")
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        kind = CloudFailed if code in _PASSING else ConfigurationError
        raise kind(f"VOLC_CREDENTIALS cannot be read from {place}: {code}.") from error
    except BotoCoreError as error:
        raise CloudFailed(f"VOLC_CREDENTIALS cannot be read from {place}: {type(error).__name__}.") from error
    return _parse(text, place)


def _parse(text: str, place: str) -> Secret:
    try:
        value = json.loads(text)
    except ValueError:
        value = None  # Its text would go on in the error's chain.
    known = {member.name for member in fields(Secret)}
    if not isinstance(value, dict) or not all(isinstance(value.get(name), str | None) for name in known):
        raise ConfigurationError(
            f"{place} does not hold a JSON object of texts: "
            '{"access_key", "secret_key", "session_token"?, "callback_secret"?}.'
        )
    return Secret(**{name: value[name] for name in known if value.get(name)})
