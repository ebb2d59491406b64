"""Client of Volcengine's 内容定制 output API: ScanSyncArticles and MGetSyncArticles.

Source: the product's page 内容输出, version 2023-01-01. Behaviour that the page does not state (error classes,
HTTP statuses) comes from the service's other public pages and from public clients.
"""

from __future__ import annotations

import json
import logging
import random
import time
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import requests

from chalicelib.articles import exact
from chalicelib.articles.pacing import Pacer
from chalicelib.articles.signer import DEFAULT_REGION, VolcengineAuth
from chalicelib.clock import Clock, utc_now
from chalicelib.errors import (
    UpstreamDenied,
    UpstreamError,
    UpstreamMalformed,
    UpstreamThrottled,
    UpstreamUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from chalicelib.articles.credentials import Credentials

logger = logging.getLogger(__name__)

VERSION = "2023-01-01"
SCAN_PER_SECOND = 10
MGET_PER_SECOND = 20
MAX_RESULTS = 30
"""Most articles a page and most ids an MGet; the service silently takes 10 and the first 30 beyond it."""

_CONNECT_TIMEOUT_SECONDS = 5.0
_READ_TIMEOUT_SECONDS = 20.0
_MAX_RESPONSE_BYTES = 16 * 1024 * 1024
"""A page of 30 articles is about 90 KB."""
_MAX_ATTEMPTS = 5
_BACKOFF_SECONDS = 0.5
_MAX_BACKOFF_SECONDS = 8.0

# Error.Code decides, the HTTP status only where the code is unknown: throttling also comes as a 400, and
# related services send errors with a 200.
_THROTTLED = frozenset({"FlowLimitExceeded", "AccountFlowLimitExceeded"})
_UNAVAILABLE = frozenset({"InternalError", "InternalServiceError", "ServiceUnavailable"})
_WRONG_TIME = "InvalidTimestamp"
_NOT_PERMITTED = frozenset({"AccessDenied", "LackPolicy"})
_DENIED = _NOT_PERMITTED | {
    _WRONG_TIME,
    "InvalidAccessKey",
    "InvalidAuthorization",
    "InvalidCredential",
    "MissingAuthenticationToken",
    "MissingSignature",
    "SignatureDoesNotMatch",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a scan. `articles` are the service's objects, unknown fields included, numbers as `exact`
    reads them.

    The scan is at its end when `articles` is empty and `next_token` equals the token that was sent; neither
    alone means the end.
    """

    articles: list[dict[str, Any]]
    next_token: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """Answer of an MGet: each id asked for is in one of the two.

    `articles` by GroupId. `miss_reasons` by GroupId: 500001 never synced to this channel, 500008 unavailable
    for another reason, 500009 taken down everywhere for compliance.
    """

    articles: dict[str, dict[str, Any]]
    miss_reasons: dict[str, int]
    request_id: str


class ContentClient:
    """Calls the two actions, no faster than the service allows, and tells failures apart.

    Every attempt is prepared and signed anew, because a signature ages. Attempts are repeated for throttling,
    for failures of the service (5xx) and of the connection, with exponential backoff and full jitter, at most
    five times and never past `deadline`. `retries` counts the repetitions so far.

    Two refusals can be mended, each once a call. Where the service does not take our time, its `Date` sets the
    clock of the signatures. Where it does not take the credentials, `renew` reads them again where they are
    kept: they may have been rotated. Refused once more, or still the same, they are an error.

    `endpoint` is an origin such as https://mercury.volcengineapi.com. `monotonic` returns seconds on a clock
    that never goes back, `sleep` takes seconds, `jitter` returns a factor in [0, 1). The limits hold per
    account, so channels of one account that run in one process share a client. One call at a time: a
    `requests.Session` does not promise more.

    Every method raises UpstreamThrottled, UpstreamUnavailable (both retryable), UpstreamDenied (credentials or
    permission), UpstreamMalformed, or UpstreamError for any other refusal. `context` of the error holds
    `upstream_code`, `upstream_status`, `upstream_request_id` and, of a denial, `upstream_date`, where known.
    What `renew` raises goes through.
    """

    def __init__(
        self,
        endpoint: str,
        credentials: Credentials,
        region: str = DEFAULT_REGION,
        session: requests.Session | None = None,
        *,
        renew: Callable[[], Credentials] | None = None,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        max_attempts: int = _MAX_ATTEMPTS,
        read_timeout: float = _READ_TIMEOUT_SECONDS,
        max_response_bytes: int = _MAX_RESPONSE_BYTES,
    ) -> None:
        self.retries = 0
        self._url = f"{endpoint.rstrip('/')}/"
        self._credentials = credentials
        self._renew = renew or (lambda: credentials)
        self._region = region
        self._clock = clock
        self._ahead = timedelta()  # The service's clock of ours, as far as it has told.
        self._session = session or requests.Session()
        self._monotonic = monotonic
        self._sleep = sleep
        self._jitter = jitter
        self._max_attempts = max_attempts
        self._read_timeout = read_timeout
        self._max_response_bytes = max_response_bytes
        self._scan_pacer = Pacer(SCAN_PER_SECOND, monotonic=monotonic, sleep=sleep)
        self._mget_pacer = Pacer(MGET_PER_SECOND, monotonic=monotonic, sleep=sleep)

    def scan(
        self,
        utm_source: str,
        next_token: str,
        max_results: int = MAX_RESULTS,
        *,
        deadline: Callable[[], float] | None = None,
    ) -> Page:
        """The page after `next_token` ("" for the earliest article of the last 14 days), by time of sync.

        `deadline` returns the seconds left for this call.
        """
        body = {"UtmSource": utm_source, "NextToken": next_token, "MaxResults": max_results}
        result, request_id = self._call("ScanSyncArticles", body, self._scan_pacer, deadline)
        # Go services send an empty slice as null.
        articles = result.get("Articles") or []
        token = result.get("NextToken")
        if not (
            _is_list_of_objects(articles)
            and all(article.get("GroupId") for article in articles)
            and isinstance(token, str)
        ):
            raise UpstreamMalformed(
                "The page has no list of articles, an article without GroupId, or no NextToken.",
                upstream_request_id=request_id,
            )
        return Page(articles=articles, next_token=token, request_id=request_id)

    def mget(
        self,
        utm_source: str,
        group_ids: Sequence[str],
        *,
        deadline: Callable[[], float] | None = None,
    ) -> Lookup:
        """The present content or the miss reason of each id, however long ago it was synced.

        Raises ValueError for more than 30 ids, of which the service would drop the rest without a word.
        """
        if len(group_ids) > MAX_RESULTS:
            raise ValueError(f"MGetSyncArticles takes at most {MAX_RESULTS} ids, not {len(group_ids)}.")
        body = {"UtmSource": utm_source, "GroupIds": list(group_ids)}
        result, request_id = self._call("MGetSyncArticles", body, self._mget_pacer, deadline)
        articles = result.get("Articles") or {}
        reasons = result.get("MissReasons") or {}
        if not (
            isinstance(articles, dict)
            and _is_list_of_objects(list(articles.values()))
            and isinstance(reasons, dict)
            and all(isinstance(reason, int) for reason in reasons.values())
        ):
            raise UpstreamMalformed(
                "Articles or MissReasons is not a map by GroupId.", upstream_request_id=request_id
            )
        return Lookup(articles=articles, miss_reasons=reasons, request_id=request_id)

    def _call(
        self, action: str, body: dict[str, Any], pacer: Pacer, deadline: Callable[[], float] | None
    ) -> tuple[dict[str, Any], str]:
        """The answer's Result and request id, after as many attempts as it takes and is allowed."""
        attempt = 1
        mends = [self._set_clock, self._renew_credentials]
        while True:
            try:
                with pacer.call():
                    return self._attempt(action, body, deadline)
            except UpstreamDenied as error:
                mend = next((mend for mend in mends if mend(error)), None)
                if mend is None or (deadline is not None and deadline() <= 0):
                    raise
                mends.remove(mend)
                pause = 0.0
            except (UpstreamThrottled, UpstreamUnavailable) as error:
                if attempt == self._max_attempts:
                    raise
                pause = min(_MAX_BACKOFF_SECONDS, _BACKOFF_SECONDS * 2.0 ** (attempt - 1)) * self._jitter()
                if deadline is not None and deadline() <= pause:
                    raise
                tried = {
                    "action": action,
                    "code": error.code,
                    "attempt": attempt,
                    "attempts": self._max_attempts,
                }
                logger.info("a call failed", extra={**tried, "code": error.code})
                attempt += 1
            self.retries += 1
            self._sleep(pause)

    def _set_clock(self, error: UpstreamDenied) -> bool:
        told = _read_date(error.context.get("upstream_date"))
        if error.context["upstream_code"] != _WRONG_TIME or told is None:
            return False
        self._ahead = told - self._clock()
        behind = {"behind_s": round(self._ahead.total_seconds())}
        logger.warning("our clock is behind the content service's", extra=behind)
        return True

    def _renew_credentials(self, error: UpstreamDenied) -> bool:
        if error.context["upstream_code"] in {_WRONG_TIME, *_NOT_PERMITTED}:
            return False
        refused, self._credentials = self._credentials, self._renew()
        return self._credentials != refused

    def _attempt(
        self, action: str, body: dict[str, Any], deadline: Callable[[], float] | None
    ) -> tuple[dict[str, Any], str]:
        read_timeout = self._read_timeout
        if deadline is not None:
            read_timeout = max(0.1, min(read_timeout, deadline()))
        give_up_at = self._monotonic() + read_timeout
        try:
            with self._session.post(
                self._url,
                params={"Action": action, "Version": VERSION},
                data=json.dumps(body, ensure_ascii=False).encode(),
                headers={"Content-Type": "application/json"},
                auth=VolcengineAuth(self._credentials, self._region, clock=self._service_time),
                timeout=(min(_CONNECT_TIMEOUT_SECONDS, read_timeout), read_timeout),
                allow_redirects=False,
                stream=True,
            ) as response:
                status = response.status_code
                date = response.headers.get("Date")
                content = self._read(response, give_up_at)
        except requests.RequestException as error:
            raise UpstreamUnavailable(f"{action} got no whole answer: {error}") from error
        try:
            return _result(action, status, content)
        except UpstreamDenied as error:
            if date:
                error.context["upstream_date"] = date
            raise

    def _service_time(self) -> datetime:
        return self._clock() + self._ahead

    def _read(self, response: requests.Response, give_up_at: float) -> bytes:
        """The body, within the bounds of size and of time: a read timeout alone lets a slow drip go on."""
        chunks = []
        size = 0
        for chunk in response.iter_content(64 * 1024):
            size += len(chunk)
            if size > self._max_response_bytes:
                raise UpstreamMalformed(
                    f"The answer is larger than {self._max_response_bytes} bytes.",
                    upstream_status=response.status_code,
                )
            if self._monotonic() > give_up_at:
                raise UpstreamUnavailable(
                    "The answer did not arrive in time.", upstream_status=response.status_code
                )
            chunks.append(chunk)
        return b"".join(chunks)


def _result(action: str, status: int, content: bytes) -> tuple[dict[str, Any], str]:
    try:
        answer = exact.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if status != 200:
            raise _failure(action, status, {}, "") from error
        raise UpstreamMalformed(f"{action} answered with something that is not JSON: {error}") from error
    metadata = answer.get("ResponseMetadata") if isinstance(answer, dict) else None
    if not isinstance(metadata, dict):
        metadata = {}
    request_id = str(metadata.get("RequestId") or "")
    error_object = metadata.get("Error")
    if error_object or status != 200:
        raise _failure(action, status, error_object if isinstance(error_object, dict) else {}, request_id)
    result = answer.get("Result") if isinstance(answer, dict) else None
    if not isinstance(result, dict):
        raise UpstreamMalformed(f"{action} answered without a Result.", upstream_request_id=request_id)
    return result, request_id


def _failure(action: str, status: int, error: dict[str, Any], request_id: str) -> UpstreamError:
    code = str(error.get("Code") or "")
    message = str(error.get("Message") or "")[:300]
    failure: type[UpstreamError]
    if code in _THROTTLED:
        failure = UpstreamThrottled
    elif code in _DENIED:
        failure = UpstreamDenied
    elif code in _UNAVAILABLE or status >= 500:
        failure = UpstreamUnavailable
    elif status == 429:
        failure = UpstreamThrottled
    elif status in (401, 403):
        failure = UpstreamDenied
    else:
        failure = UpstreamError
    return failure(
        f"{action} answered HTTP {status} {code or 'without a code'}: {message}",
        upstream_code=code,
        upstream_status=status,
        upstream_request_id=request_id,
    )


def _read_date(text: str | None) -> datetime | None:
    """An HTTP date (RFC 9110), which is in GMT; None where there is none."""
    try:
        date = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return date.replace(tzinfo=date.tzinfo or UTC)


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
