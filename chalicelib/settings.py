"""The only reader of the environment.

Every setting is a property that is read when it is used, never at import: at packaging time the variables do
not exist yet (`chalice package` imports the app), and a function needs only the few that it uses.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlsplit

from chalicelib.errors import ConfigurationError
from chalicelib.media import PLATFORM_MAX_BYTES, PLATFORM_MAX_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

DOUYIN_ORIGIN = "https://creator.douyin.com"
VOLC_ENDPOINT = "https://mercury.volcengineapi.com"

MirrorMode = Literal["none", "covers", "videos"]

_PLACE = re.compile(r"arn:aws[a-z-]*:secretsmanager:\S+|ssm:/\S+")


class Settings:
    """Typed view of an environment. A needed setting that is not set raises ConfigurationError."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    # AWS resources, named by the template

    @property
    def tasks_table(self) -> str:
        return self._required("TASKS_TABLE")

    @property
    def accounts_table(self) -> str:
        return self._required("ACCOUNTS_TABLE")

    @property
    def logins_table(self) -> str:
        return self._required("LOGINS_TABLE")

    @property
    def requests_table(self) -> str:
        """What requests leave behind: answers by Idempotency-Key, and what was submitted of late."""
        return self._required("REQUESTS_TABLE")

    @property
    def articles_table(self) -> str:
        """The index of the synced articles."""
        return self._required("ARTICLES_TABLE")

    @property
    def webhooks_table(self) -> str:
        """Holds the webhooks' endpoints and what is owed to them."""
        return self._required("WEBHOOKS_TABLE")

    @property
    def keys_table(self) -> str:
        return self._required("KEYS_TABLE")

    @property
    def limits_table(self) -> str:
        """Counts requests."""
        return self._required("LIMITS_TABLE")

    @property
    def publish_queue_url(self) -> str:
        return self._required("PUBLISH_QUEUE_URL")

    @property
    def login_queue_url(self) -> str:
        return self._required("LOGIN_QUEUE_URL")

    @property
    def publish_dead_letter_queue_url(self) -> str:
        return self._required("PUBLISH_DEAD_LETTER_QUEUE_URL")

    @property
    def login_dead_letter_queue_url(self) -> str:
        return self._required("LOGIN_DEAD_LETTER_QUEUE_URL")

    @property
    def private_bucket(self) -> str:
        """Holds sealed sessions and evidence."""
        return self._required("PRIVATE_BUCKET")

    @property
    def content_bucket(self) -> str:
        """Holds the synced articles."""
        return self._required("CONTENT_BUCKET")

    @property
    def session_key_id(self) -> str:
        """The KMS key that wraps the data keys of sessions."""
        return self._required("SESSION_KEY_ID")

    @property
    def scan_function_name(self) -> str:
        return self._required("SCAN_FUNCTION_NAME")

    @property
    def webhooks_function_name(self) -> str:
        return self._required("WEBHOOKS_FUNCTION_NAME")

    @property
    def webhook_loopback(self) -> bool:
        """Whether a webhook's URL may be http and on loopback: on one machine only."""
        return self._choice("WEBHOOK_LOOPBACK", "refused", ("refused", "allowed")) == "allowed"

    @property
    def event_bus(self) -> str:
        """The EventBridge bus that is told what happens here."""
        return self._environment.get("EVENT_BUS") or "default"

    @property
    def check_every(self) -> timedelta:
        """How often each account's session is looked at; 0 is never."""
        return timedelta(hours=self._integer("CHECK_HOURS", 6))

    @property
    def on_lambda(self) -> bool:
        """Whether this process is a function's. Lambda sets it (Lambda developer guide, defined run-time
        variables), and so does the local run.
        """
        return bool(self._environment.get("AWS_LAMBDA_FUNCTION_NAME"))

    # Who may call the API

    @property
    def api_keys_required(self) -> bool:
        """Whether a request without a key is refused. So it is, unless a local run says otherwise."""
        return self._choice("API_KEYS", "required", ("required", "optional")) == "required"

    @property
    def rate_limit_reads(self) -> int:
        """How many GET requests a key may send a minute."""
        return self._integer("RATE_LIMIT_READS", 600)

    @property
    def rate_limit_writes(self) -> int:
        """How many other requests a key may send a minute."""
        return self._integer("RATE_LIMIT_WRITES", 120)

    # Douyin and the browser

    @property
    def douyin_origin(self) -> str:
        """Origin of the creator center; a stand-in's on one machine."""
        return self._origin("DOUYIN_ORIGIN", DOUYIN_ORIGIN)

    @property
    def chromium_path(self) -> str | None:
        """The browser's executable; None lets Playwright use the one it downloaded.

        CHROMIUM_HEADED_PATH goes before CHROMIUM_PATH in the headed mode: a headless shell has no windows.
        """
        headed = self._environment.get("CHROMIUM_HEADED_PATH") if self.browser_headed else None
        return headed or self._environment.get("CHROMIUM_PATH") or None

    @property
    def browser_headed(self) -> bool:
        return self._choice("BROWSER_MODE", "headless", ("headless", "headed")) == "headed"

    @property
    def media_allow_loopback(self) -> frozenset[str]:
        """`host:port` pairs on loopback that media may come from: for the stand-in of local runs and tests."""
        return frozenset(filter(None, self._environment.get("MEDIA_ALLOW_LOOPBACK", "").split(",")))

    @property
    def proxy_allow_loopback(self) -> frozenset[str]:
        """`host:port` pairs on loopback that an account's proxy may stand at: for tests on one machine."""
        return frozenset(filter(None, self._environment.get("PROXY_ALLOW_LOOPBACK", "").split(",")))

    @property
    def media_max_bytes(self) -> int:
        """Cap on one media file. 4 GiB by default: what fits the function's disk beside the browser."""
        return min(self._integer("MEDIA_MAX_BYTES", 4 * 1024**3), PLATFORM_MAX_BYTES)

    @property
    def media_max_seconds(self) -> int:
        """Cap on how long a video runs; the platform's own by default."""
        return min(self._integer("MEDIA_MAX_SECONDS", PLATFORM_MAX_SECONDS), PLATFORM_MAX_SECONDS)

    @property
    def media_fetch_seconds(self) -> int:
        """Cap on fetching one media file: what comes more slowly leaves no time to publish it."""
        return self._integer("MEDIA_FETCH_SECONDS", 600)

    @property
    def chaos_dir(self) -> str | None:
        """Where a harness orders workers to die (container/points.py); None everywhere else."""
        return self._environment.get("CHAOS_DIR") or None

    @property
    def upload_retention(self) -> timedelta:
        """How long the bucket keeps what was uploaded."""
        return timedelta(days=self._integer("UPLOAD_RETENTION_DAYS", 7))

    # Volcengine

    @property
    def volc_endpoint(self) -> str:
        return self._origin("VOLC_ENDPOINT", VOLC_ENDPOINT)

    @property
    def volc_credentials(self) -> str:
        """Where the keys are kept (articles/credentials.py); empty where the next three have them."""
        return self._place("VOLC_CREDENTIALS")

    @property
    def volc_access_key(self) -> str:
        return self._environment.get("VOLC_ACCESS_KEY", "")

    @property
    def volc_secret_key(self) -> str:
        return self._environment.get("VOLC_SECRET_KEY", "")

    @property
    def volc_session_token(self) -> str:
        return self._environment.get("VOLC_SESSION_TOKEN", "")

    @property
    def volc_callback_credentials(self) -> str:
        """Where the secret of the notifications is kept; empty where the next one holds it."""
        return self._place("VOLC_CALLBACK_CREDENTIALS")

    @property
    def volc_callback_secret(self) -> str:
        """What the content service signs its notifications with."""
        return self._environment.get("VOLC_CALLBACK_SECRET", "")

    @property
    def volc_region(self) -> str:
        return self._environment.get("VOLC_REGION") or "cn-north-1"

    @property
    def volc_channels(self) -> tuple[str, ...]:
        """The channels (UtmSource) to sync; empty where the sync is not used."""
        names = self._environment.get("VOLC_UTM_SOURCES", "").split(",")
        return tuple(name.strip() for name in names if name.strip())

    def volc_mirror(self, channel: str) -> MirrorMode:
        """What of the channel's media is copied: `none`, `covers`, or `videos` (and covers).

        VOLC_MIRROR is one of them for all channels, or `channel=mode` for some, separated by commas.
        """
        value = self._environment.get("VOLC_MIRROR") or "none"
        modes = dict(part.rpartition("=")[::2] for part in value.split(","))
        for mode in modes.values():
            if mode not in ("none", "covers", "videos"):
                raise ConfigurationError(f"VOLC_MIRROR must name none, covers or videos, not {mode!r}.")
        mode = modes.get(channel, modes.get("", "none"))
        return cast("MirrorMode", mode)

    @property
    def mirror_max_bytes(self) -> int:
        """Cap on one copied file. Four of them have to fit the function's disk."""
        return self._integer("MIRROR_MAX_BYTES", 1024**3)

    # Reading

    def _required(self, name: str) -> str:
        value = self._environment.get(name)
        if not value:
            raise ConfigurationError(f"The environment variable {name} is not set.")
        return value

    def _origin(self, name: str, default: str) -> str:
        value = (self._environment.get(name) or default).rstrip("/")
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
            raise ConfigurationError(f"{name} must be an origin such as {default}, not {value!r}.")
        return value

    def _place(self, name: str) -> str:
        value = self._environment.get(name, "")
        if value and not _PLACE.fullmatch(value):
            raise ConfigurationError(
                f"{name} must be the ARN of a secret of Secrets Manager, or ssm:/path of a parameter."
            )
        return value

    def _choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self._environment.get(name) or default
        if value not in choices:
            raise ConfigurationError(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
        return value

    def _integer(self, name: str, default: int) -> int:
        value = self._environment.get(name) or str(default)
        if not value.isdecimal():
            raise ConfigurationError(f"{name} must be a whole number, not {value!r}.")
        return int(value)


settings = Settings()
