"""The public API, as far as a client needs it. The only place that knows its routes.

Requests are repeated where that is safe: every POST carries an `Idempotency-Key`, the same in each of its
tries, and the other methods may be repeated by their nature (RFC 9110, 9.2.2).
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests
from requests.auth import AuthBase

from publisher import __version__
from publisher.errors import Misconfigured, Refused, Unreachable
from publisher.settings import Settings, is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Document = dict[str, Any]

TRIES = 5
# API Gateway ends a request after 29 s.
TIMEOUT = (10.0, 35.0)
LONGEST_PAUSE = 60.0
PAGE = 100

# What a gateway answers for a system that is on its way back.
_PASSING = (429, 500, 502, 503, 504)

_ACTIONS = ("approve", "reject", "cancel", "retry")


class Client:
    """Each method is one route; it returns the answer's JSON, and raises Refused, Unreachable or Misconfigured.

    Safe to use from several threads.
    """

    def __init__(self, settings: Settings, *, pause: Callable[[float], object] = time.sleep) -> None:
        self.settings = settings
        self._pause = pause
        self._auth = _Bearer(settings.api_key)
        self._local = threading.local()
        self._ahead = timedelta()

    def now(self) -> datetime:
        """The time by the API's clock, which `…_at` of its answers go by."""
        return datetime.now(UTC) + self._ahead

    # Tasks

    def publish(self, body: Document, idempotency_key: str) -> Document:
        return self._post("/publish", body, idempotency_key)

    def task(self, task_id: str) -> Document:
        return self._get(f"/tasks/{_part(task_id)}")

    def tasks(self, filters: Mapping[str, Any], limit: int | None = None) -> Document:
        return self._list("/tasks", filters, limit)

    def act(self, task_id: str, action: str) -> Document:
        """`action` is one of approve, reject, cancel and retry."""
        if action not in _ACTIONS:
            raise ValueError(action)
        return self._post(f"/tasks/{_part(task_id)}/{action}")

    def resolve(self, task_id: str, *, live: bool, item_id: str | None = None) -> Document:
        body = {"live": live, **({"item_id": item_id} if item_id else {})}
        return self._post(f"/tasks/{_part(task_id)}/resolve", body)

    def give_task_code(self, task_id: str, code: str) -> Document:
        return self._post(f"/tasks/{_part(task_id)}/verification", {"code": code})

    def evidence(self, task_id: str) -> Document:
        return self._get(f"/tasks/{_part(task_id)}/evidence")

    def open_upload(self, announced: Document) -> Document:
        return self._post("/uploads", announced)

    # Accounts

    def accounts(self) -> Document:
        return self._get("/accounts")

    def account(self, name: str) -> Document:
        return self._get(f"/accounts/{_part(name)}")

    def prefer(self, name: str, preferences: Document) -> Document:
        return self._send("PATCH", f"/accounts/{_part(name)}", body={"preferences": preferences})

    def check_account(self, name: str) -> Document:
        return self._post(f"/accounts/{_part(name)}/check")

    def delete_account(self, name: str) -> Document:
        return self._send("DELETE", f"/accounts/{_part(name)}")

    def start_login(self, name: str, preferences: Document | None = None) -> Document:
        body = {"account_name": name, **({"preferences": preferences} if preferences else {})}
        return self._post("/accounts/login", body)

    def login(self, login_id: str) -> Document:
        return self._get(f"/accounts/login/{_part(login_id)}")

    def cancel_login(self, login_id: str) -> Document:
        return self._send("DELETE", f"/accounts/login/{_part(login_id)}")

    def give_login_code(self, login_id: str, code: str) -> Document:
        return self._post(f"/accounts/login/{_part(login_id)}/verification", {"code": code})

    def resend_login_code(self, login_id: str) -> Document:
        return self._post(f"/accounts/login/{_part(login_id)}/verification", {"resend": True})

    # The synced content

    def articles(self, filters: Mapping[str, Any], limit: int | None = None) -> Document:
        return self._list("/articles", filters, limit)

    def article(self, group_id: str, channel: str | None = None, *, versions: bool = False) -> Document:
        query = {"channel": channel, "versions": "true" if versions else None}
        return self._get(f"/articles/{_part(group_id)}", query)

    def refresh(self, group_ids: list[str], channel: str | None = None) -> Document:
        return self._post("/articles/refresh", _given(group_ids=group_ids, channel=channel))

    def sync(self) -> Document:
        return self._get("/sync")

    def run_sync(
        self, channel: str | None = None, backfill: str | None = None, group_ids: list[str] | None = None
    ) -> Document:
        return self._post("/sync/run", _given(channel=channel, backfill=backfill, group_ids=group_ids or None))

    # Keys and webhooks

    def keys(self) -> Document:
        return self._get("/keys")

    def create_key(self, body: Document) -> Document:
        return self._post("/keys", body)

    def rotate_key(self, key_id: str, body: Document) -> Document:
        return self._post(f"/keys/{_part(key_id)}/rotate", body)

    def revoke_key(self, key_id: str) -> Document:
        return self._send("DELETE", f"/keys/{_part(key_id)}")

    def webhooks(self) -> Document:
        return self._get("/webhooks")

    def create_webhook(self, body: Document) -> Document:
        return self._post("/webhooks", body)

    def delete_webhook(self, webhook_id: str) -> Document:
        return self._send("DELETE", f"/webhooks/{_part(webhook_id)}")

    def rotate_webhook(self, webhook_id: str, body: Document) -> Document:
        return self._post(f"/webhooks/{_part(webhook_id)}/rotate-secret", body)

    def test_webhook(self, webhook_id: str) -> Document:
        return self._post(f"/webhooks/{_part(webhook_id)}/test")

    def deliveries(self, webhook_id: str, limit: int | None = None) -> Document:
        return self._list(f"/webhooks/{_part(webhook_id)}/deliveries", {}, limit)

    # How a request goes

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> Document:
        return self._send("GET", path, query=query)

    def _post(self, path: str, body: Document | None = None, idempotency_key: str | None = None) -> Document:
        return self._send("POST", path, body=body, idempotency_key=idempotency_key or str(uuid.uuid4()))

    def _list(self, path: str, filters: Mapping[str, Any], limit: int | None) -> Document:
        """As many entries as wanted (None: all), however many pages they take; and the cursor of what follows.

        The last page is asked for by its size, so that the cursor stands where the entries end.
        """
        data: list[Any] = []
        cursor = filters.get("cursor")
        while True:
            size = PAGE if limit is None else min(PAGE, limit - len(data))
            page = self._get(path, {**filters, "cursor": cursor, "limit": size})
            data += page["data"]
            cursor = page.get("next_cursor")
            if not cursor or (limit is not None and len(data) >= limit):
                return {"data": data, "next_cursor": cursor}

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Document | None = None,
        idempotency_key: str | None = None,
    ) -> Document:
        headers = {"Accept": "application/json", "X-Request-Id": str(uuid.uuid4())}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = structured(idempotency_key)
        arguments = {"params": _given(**query) if query else None, "json": body, "headers": headers}
        for pause in _pauses():
            try:
                return self._once(method, path, arguments)
            except (Refused, Unreachable) as failure:
                if failure.repeat_after is None:
                    raise
                self._pause(max(pause, failure.repeat_after))
        return self._once(method, path, arguments)

    def _once(self, method: str, path: str, arguments: dict[str, Any]) -> Document:
        request_id = arguments["headers"]["X-Request-Id"]
        try:
            response = self._session().request(
                method,
                f"{self.settings.url}/api/v1{path}",
                auth=self._auth,
                timeout=TIMEOUT,
                allow_redirects=False,
                **arguments,
            )
        except requests.RequestException as error:
            raise Unreachable(
                f"{self.settings.url} gave no answer: {_reason(error)}.",
                "Check that the system runs, the network, and PUBLISHER_URL; then do the same again.",
                request_id=request_id,
                repeat_after=0.0,
            ) from None
        self._note_time(response)
        return _read(response, request_id)

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = new_session(self.settings.url)
        session: requests.Session = self._local.session
        return session

    def _note_time(self, response: requests.Response) -> None:
        try:
            self._ahead = parsedate_to_datetime(response.headers["Date"]) - datetime.now(UTC)
        except (KeyError, ValueError, TypeError):
            self._ahead = timedelta()


class _Bearer(AuthBase):
    """As an auth of requests, not as a header, which a ~/.netrc would replace."""

    def __init__(self, api_key: str | None) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._api_key is not None:
            request.headers["Authorization"] = f"Bearer {self._api_key}"
        return request


def new_session(url: str) -> requests.Session:
    """A session for this host: a proxy of the environment knows nothing of loopback."""
    session = requests.Session()
    session.trust_env = not is_loopback(url)
    session.headers["User-Agent"] = f"publisher/{__version__}"
    return session


def structured(key: str) -> str:
    """An idempotency key as the header wants it: a String of RFC 9651. Raises Misconfigured."""
    if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise Misconfigured(
            "An idempotency key has 1 to 255 printable ASCII characters.",
            "Give another one, such as a UUID, or none: one is made then.",
        )
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def retry_after(value: str | None, now: datetime) -> float:
    """The seconds that a Retry-After header means (RFC 9110, 10.2.3), at most LONGEST_PAUSE; 0 without one."""
    if value is None:
        return 0.0
    if value.strip().isascii() and value.strip().isdigit():
        return min(float(value), LONGEST_PAUSE)
    try:
        wait = (parsedate_to_datetime(value) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(wait, 0.0), LONGEST_PAUSE)


def _pauses() -> Iterator[float]:
    """Seconds between the tries, with jitter."""
    for number in range(TRIES - 1):
        yield 0.5 * 2**number * random.uniform(0.75, 1.25)  # noqa: S311 - spreads clients, keeps no secret


def _read(response: requests.Response, request_id: str) -> Document:
    try:
        content = response.json()
    except ValueError:
        content = None
    wait = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
    if isinstance(content, dict) and response.ok and not response.is_redirect:
        return content
    if isinstance(content, dict) and "code" in content and response.status_code >= 400:
        again = response.status_code == 429 or (
            content.get("retryable") is True and (response.status_code == 409 or response.status_code >= 500)
        )
        raise Refused(content, repeat_after=wait if again else None)
    raise Unreachable(
        f"{response.url} answered with status {response.status_code} and nothing that the API says.",
        "Check PUBLISHER_URL: it is the address of the API without /api/v1, such as https://api.example.com.",
        request_id=request_id,
        repeat_after=wait if response.status_code in _PASSING else None,
    )


def _reason(error: requests.RequestException) -> str:
    match error:
        case requests.exceptions.SSLError():
            return "its certificate is not trusted"
        case requests.ConnectTimeout():
            return f"no connection within {TIMEOUT[0]:g} s"
        case requests.Timeout():
            return f"silence for {TIMEOUT[1]:g} s"
        case requests.ConnectionError():
            return "the connection failed"
        case _:
            return str(error)


def _part(value: str) -> str:
    """A value as one segment of a path: it leads nowhere else. Raises Misconfigured."""
    if value in ("", ".", ".."):
        raise Misconfigured(f"{value!r} can be no name and no id.", "Give the name or id as a list shows it.")
    return quote(value, safe="")


def _given(**values: Any) -> Document:
    return {name: value for name, value in values.items() if value is not None}
