from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from chalicelib.articles.client import ContentClient, Page
from chalicelib.articles.credentials import Credentials
from chalicelib.articles.pacing import Pacer
from chalicelib.errors import (
    UpstreamDenied,
    UpstreamError,
    UpstreamMalformed,
    UpstreamThrottled,
    UpstreamUnavailable,
)
from tests.articles.support import ACCESS_KEY, CHANNEL, SECRET_KEY, VirtualClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.articles.support import Upstream


class RecordingClock(VirtualClock):
    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        super().sleep(seconds)


class Transport(BaseAdapter):
    """Answers from a list and keeps what was sent."""

    def __init__(self, *answers: tuple[int, bytes | BytesIO] | Exception, date: str | None = None) -> None:
        super().__init__()
        self.date = date
        self.answers = list(answers)
        self.requests: list[requests.PreparedRequest] = []
        self.timeouts: list[Any] = []

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        self.requests.append(request)
        self.timeouts.append(timeout)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code, content = answer
        body = BytesIO(content) if isinstance(content, bytes) else content
        response.raw = HTTPResponse(body, preload_content=False)
        response.headers["Location"] = "https://mercury.example/elsewhere"
        if self.date is not None:
            response.headers["Date"] = self.date
        response.request = request
        response.url = request.url or ""
        return response

    def close(self) -> None:
        pass


def answer(result: Any = None, *, status: int = 200, code: str | None = None) -> tuple[int, bytes]:
    metadata: dict[str, Any] = {"RequestId": "R1"}
    if code:
        metadata["Error"] = {"CodeN": 1, "Code": code, "Message": "m"}
    return status, json.dumps({"ResponseMetadata": metadata, "Result": result}).encode()


EMPTY_PAGE = answer({"Articles": [], "NextToken": "7"})


def client_of(transport: Transport, clock: VirtualClock | None = None, **options: Any) -> ContentClient:
    clock = clock or VirtualClock()
    session = requests.Session()
    session.mount("https://", transport)
    return ContentClient(
        "https://mercury.example",
        Credentials(ACCESS_KEY, SECRET_KEY),
        session=session,
        clock=clock.now,
        monotonic=clock.monotonic,
        sleep=clock.sleep,
        **options,
    )


def test_a_scan_sends_what_the_reference_asks_for() -> None:
    transport = Transport(EMPTY_PAGE)
    client_of(transport).scan("频道", "")
    (request,) = transport.requests

    assert request.method == "POST"
    assert request.url == "https://mercury.example/?Action=ScanSyncArticles&Version=2023-01-01"
    assert isinstance(request.body, bytes)
    assert json.loads(request.body) == {"UtmSource": "频道", "NextToken": "", "MaxResults": 30}
    assert request.headers["Content-Type"] == "application/json"
    assert "content-type;host" in request.headers["Authorization"]
    assert not {"SecretKey", "AccessKey", "ServiceName"} & set(request.headers)


def test_time_outs_are_always_set_and_never_beyond_the_deadline() -> None:
    transport = Transport(EMPTY_PAGE, EMPTY_PAGE)
    client = client_of(transport)
    client.scan("u", "")
    client.scan("u", "", deadline=lambda: 3.0)

    assert transport.timeouts == [(5.0, 20.0), (3.0, 3.0)]


def test_unknown_fields_big_integers_and_nulls_are_kept() -> None:
    article = {"GroupId": "7251993249718480001", "Video": None, "New": {"n": 2**63 + 1}, "半": "\ud83d"}
    page = client_of(Transport(answer({"Articles": [article], "NextToken": "8"}))).scan("u", "7")

    assert page == Page(articles=[article], next_token="8", request_id="R1")


def test_a_null_list_is_an_empty_page() -> None:
    assert client_of(Transport(answer({"Articles": None, "NextToken": "7"}))).scan("u", "7").articles == []


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (429, "FlowLimitExceeded", UpstreamThrottled),
        (400, "AccountFlowLimitExceeded", UpstreamThrottled),
        (200, "FlowLimitExceeded", UpstreamThrottled),
        (429, None, UpstreamThrottled),
        (500, "InternalError", UpstreamUnavailable),
        (200, "InternalError", UpstreamUnavailable),
        (502, None, UpstreamUnavailable),
        (503, "SomethingNew", UpstreamUnavailable),
        (401, "SignatureDoesNotMatch", UpstreamDenied),
        (401, "InvalidAccessKey", UpstreamDenied),
        (401, "MissingSignature", UpstreamDenied),
        (401, "MissingAuthenticationToken", UpstreamDenied),
        (400, "InvalidCredential", UpstreamDenied),
        (400, "InvalidAuthorization", UpstreamDenied),
        (403, "InvalidTimestamp", UpstreamDenied),
        (400, "InvalidTimestamp", UpstreamDenied),
        (403, "LackPolicy", UpstreamDenied),
        (200, "AccessDenied", UpstreamDenied),
        (403, None, UpstreamDenied),
        (404, "InvalidActionOrVersion", UpstreamError),
        (400, "MissingParameter", UpstreamError),
        (200, "SomethingNew", UpstreamError),
    ],
)
def test_the_code_classifies_before_the_status(
    status: int, code: str | None, expected: type[UpstreamError]
) -> None:
    with pytest.raises(UpstreamError) as caught:
        client_of(Transport(answer(status=status, code=code)), max_attempts=1).scan("u", "")

    assert type(caught.value) is expected
    assert caught.value.context == {
        "upstream_code": code or "",
        "upstream_status": status,
        "upstream_request_id": "R1",
    }


@pytest.mark.parametrize(
    "content",
    [
        b"<html>",
        b"",
        b'{"ResponseMetadata": {"Req',
        b"[1]",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"Result": {"Articles": [], "NextToken": NaN}}',
        answer(None)[1],
        answer({"Articles": {}, "NextToken": "1", "x": 1})[1].replace(b"{}", b"{},"),
        answer({"Articles": [1], "NextToken": "1"})[1],
        answer({"Articles": [{"Title": "no id"}], "NextToken": "1"})[1],
        answer({"Articles": [], "NextToken": 1})[1],
        answer({"Articles": []})[1],
    ],
)
def test_an_answer_that_is_not_understood_is_a_clear_error_and_not_repeated(content: bytes) -> None:
    client = client_of(Transport((200, content)))

    with pytest.raises(UpstreamMalformed):
        client.scan("u", "")
    assert client.retries == 0


def test_a_page_of_a_proxy_is_classified_by_its_status() -> None:
    with pytest.raises(UpstreamUnavailable, match="HTTP 503"):
        client_of(Transport((503, b"<html>")), max_attempts=1).scan("u", "")


def test_an_answer_without_end_is_cut_off() -> None:
    with pytest.raises(UpstreamMalformed, match="larger than 1000 bytes"):
        client_of(Transport((200, b"x" * 1001)), max_response_bytes=1000).scan("u", "")


def test_an_answer_that_drips_is_given_up_on() -> None:
    clock = VirtualClock()

    class Drip(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            clock.sleep(8)
            return super().read(size)

    client = client_of(Transport((200, Drip(b" " * 1_000_000))), clock, read_timeout=20, max_attempts=1)
    with pytest.raises(UpstreamUnavailable, match="not arrive in time"):
        client.scan("u", "")
    assert clock.monotonic() <= 32


def test_a_redirect_is_not_followed_with_a_signed_request() -> None:
    transport = Transport((302, b""), EMPTY_PAGE)

    with pytest.raises(UpstreamError, match="HTTP 302"):
        client_of(transport).scan("u", "")
    assert len(transport.requests) == 1


@pytest.mark.parametrize(
    "failure",
    [
        answer(status=429, code="FlowLimitExceeded"),
        answer(status=400, code="AccountFlowLimitExceeded"),
        answer(status=500, code="InternalError"),
        (503, b"<html>"),
        requests.ConnectionError("reset"),
        requests.Timeout("too slow"),
    ],
)
def test_passing_failures_are_repeated_each_time_signed_afresh(failure: tuple[int, bytes] | Exception) -> None:
    transport = Transport(failure, failure, EMPTY_PAGE)
    client = client_of(transport, jitter=lambda: 1.0, read_timeout=20)
    client.scan("u", "")
    dates = [request.headers["X-Date"] for request in transport.requests]

    assert client.retries == 2
    # 0.5 s and 1 s later, by the client's own clock.
    assert dates == ["20261121T032000Z", "20261121T032000Z", "20261121T032001Z"]


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "LackPolicy", "MissingParameter"])
def test_refusals_are_not_repeated(code: str) -> None:
    transport = Transport(answer(status=400, code=code))

    with pytest.raises(UpstreamError):
        client_of(transport).scan("u", "")
    assert len(transport.requests) == 1


def test_repetitions_are_bounded_in_number() -> None:
    transport = Transport(*[answer(status=429, code="FlowLimitExceeded")] * 9)

    with pytest.raises(UpstreamThrottled):
        client_of(transport).scan("u", "")
    assert len(transport.requests) == 5


def test_repetitions_are_bounded_by_the_deadline() -> None:
    clock = VirtualClock()
    transport = Transport(*[answer(status=500, code="InternalError")] * 9)
    client = client_of(transport, clock, jitter=lambda: 1.0)

    with pytest.raises(UpstreamUnavailable):
        client.scan("u", "", deadline=lambda: 1.2 - clock.monotonic())
    assert clock.monotonic() < 1.2


def test_pauses_grow_and_vary() -> None:
    clock = RecordingClock()
    transport = Transport(*[answer(status=500, code="InternalError")] * 5)
    client = client_of(transport, clock, jitter=iter([0.9, 0.8, 0.1, 0.9]).__next__)

    with pytest.raises(UpstreamUnavailable):
        client.scan("u", "")
    assert clock.pauses == pytest.approx([0.45, 0.8, 0.2, 3.6])


@given(
    per_second=st.sampled_from([10, 20]),
    # How long each call takes to arrive, and its answer to come back, in seconds.
    ways=st.lists(st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)), min_size=1, max_size=80),
)
def test_no_second_sees_more_calls_arrive_than_the_limit(
    per_second: int, ways: list[tuple[float, float]]
) -> None:
    clock = VirtualClock()
    pacer = Pacer(per_second, monotonic=clock.monotonic, sleep=clock.sleep)
    arrivals = []
    for there, back in ways:
        with pacer.call():
            clock.sleep(there)
            arrivals.append(clock.monotonic())
            clock.sleep(back)

    for arrival in arrivals:
        assert sum(arrival <= other <= arrival + 1 for other in arrivals) <= per_second


@pytest.mark.parametrize(("round_trip", "expected"), [(0.0, 9.99), (0.02, 9.79), (0.05, 9.51), (0.2, 5.0)])
def test_calls_are_little_slower_than_the_limit_and_the_round_trip_allow(
    round_trip: float, expected: float
) -> None:
    clock = VirtualClock()
    pacer = Pacer(10, monotonic=clock.monotonic, sleep=clock.sleep)
    for _ in range(1000):
        with pacer.call():
            clock.sleep(round_trip)

    assert 1000 / clock.monotonic() == pytest.approx(expected, abs=0.02)


def test_a_slow_caller_is_not_held_up() -> None:
    clock = VirtualClock()
    pacer = Pacer(10, monotonic=clock.monotonic, sleep=clock.sleep)
    with pacer.call():
        clock.sleep(0.2)
    with pacer.call():
        assert clock.monotonic() == 0.2


def test_an_mget_of_too_many_ids_is_refused_before_the_service_drops_some() -> None:
    with pytest.raises(ValueError, match="at most 30 ids, not 31"):
        client_of(Transport()).mget("u", ["1"] * 31)


def test_mget_tells_found_and_missed_apart(upstream: Upstream) -> None:
    ids = upstream.scannable()[:3]
    upstream.catalogue.set_state(ids[1], "unavailable")
    upstream.catalogue.set_state(ids[2], "takedown")
    lookup = upstream.client().mget(CHANNEL, [*ids, "7000000000000000000"])

    assert list(lookup.articles) == [ids[0]]
    assert lookup.articles[ids[0]]["GroupId"] == ids[0]
    assert lookup.miss_reasons == {ids[1]: 500008, ids[2]: 500009, "7000000000000000000": 500001}


def test_both_actions_keep_below_their_limits_on_the_wire(upstream: Upstream) -> None:
    client = upstream.client()
    for _ in range(25):
        client.scan(CHANNEL, "")
    for _ in range(50):
        client.mget(CHANNEL, ["1"])

    assert client.retries == 0
    assert upstream.admin("GET", "requests")["errors"] == {}


@pytest.mark.parametrize("kind", ["throttle429", "throttle400", "error200", "http500", "http503", "truncated"])
def test_faults_on_the_wire_are_overcome(upstream: Upstream, kind: str) -> None:
    upstream.fault(kind, count=2)
    client = upstream.client()

    assert len(client.scan(CHANNEL, "").articles) == 30
    assert client.retries == 2


def test_garbage_on_the_wire_is_a_clear_error(upstream: Upstream) -> None:
    upstream.fault("garbage")

    with pytest.raises(UpstreamMalformed, match="not JSON"):
        upstream.client().scan(CHANNEL, "")


def test_a_silent_server_is_given_up_on(upstream: Upstream) -> None:
    upstream.fault("slow", seconds=30)

    with pytest.raises(UpstreamUnavailable, match="no whole answer"):
        upstream.client(read_timeout=0.05, max_attempts=1).scan(CHANNEL, "")


def test_nobody_listening_is_unavailable_not_a_traceback() -> None:
    session = requests.Session()
    session.trust_env = False
    client = ContentClient(
        "http://127.0.0.1:1", Credentials(ACCESS_KEY, SECRET_KEY), session=session, max_attempts=1
    )

    with pytest.raises(UpstreamUnavailable):
        client.scan("u", "")


def test_a_wrong_secret_is_denied_without_showing_it(upstream: Upstream) -> None:
    client = upstream.client(Credentials(ACCESS_KEY, "not-the-secret"))

    with pytest.raises(UpstreamDenied, match="SignatureDoesNotMatch") as caught:
        client.scan(CHANNEL, "")
    assert "not-the-secret" not in str(caught.value)
    assert client.retries == 0


@pytest.mark.parametrize("ahead", [timedelta(hours=-3), timedelta(minutes=-16), timedelta(days=400)])
def test_a_wrong_clock_is_set_once_by_the_services_and_stays_right(
    upstream: Upstream, ahead: timedelta
) -> None:
    client = upstream.client(clock=lambda: upstream.clock.now() + ahead)

    assert len(client.scan(CHANNEL, "").articles) == 30
    client.mget(CHANNEL, ["1"])

    assert client.retries == 1
    assert upstream.admin("GET", "requests")["errors"] == {"InvalidTimestamp": 1}


def test_a_time_that_is_refused_again_is_an_error_and_no_loop(upstream: Upstream) -> None:
    upstream.fault("error", code="InvalidTimestamp", count=5)
    client = upstream.client()

    with pytest.raises(UpstreamDenied, match="InvalidTimestamp"):
        client.scan(CHANNEL, "")
    assert upstream.admin("GET", "requests")["requests"] == {"ScanSyncArticles": 2}


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sat, 99 Nov 2026 25:00:00 GMT"])
def test_without_a_date_that_can_be_read_a_refused_time_is_an_error_at_once(date: str | None) -> None:
    transport = Transport(answer(status=403, code="InvalidTimestamp"), date=date)

    with pytest.raises(UpstreamDenied):
        client_of(transport).scan("u", "")
    assert len(transport.requests) == 1


def test_nothing_is_mended_after_the_deadline(upstream: Upstream) -> None:
    client = upstream.client(clock=lambda: upstream.clock.now() + timedelta(hours=1))

    with pytest.raises(UpstreamDenied):
        client.scan(CHANNEL, "", deadline=lambda: 0.0)
    assert client.retries == 0


def test_keys_that_were_rotated_are_read_again_and_kept(upstream: Upstream) -> None:
    reads: list[Credentials] = []

    def renew() -> Credentials:
        reads.append(Credentials(ACCESS_KEY, SECRET_KEY))
        return reads[-1]

    client = upstream.client(Credentials(ACCESS_KEY, "the-former-secret"), renew=renew)
    client.scan(CHANNEL, "")
    client.scan(CHANNEL, "")

    assert len(reads) == 1
    assert upstream.admin("GET", "requests")["errors"] == {"SignatureDoesNotMatch": 1}


@pytest.mark.parametrize("renewed", ["the-former-secret", "another-wrong-secret"])
def test_keys_that_are_refused_again_are_an_error(upstream: Upstream, renewed: str) -> None:
    client = upstream.client(
        Credentials(ACCESS_KEY, "the-former-secret"), renew=lambda: Credentials(ACCESS_KEY, renewed)
    )

    with pytest.raises(UpstreamDenied, match="SignatureDoesNotMatch"):
        client.scan(CHANNEL, "")
    # Keys that are the same as before are not even tried.
    assert client.retries == (renewed != "the-former-secret")


@pytest.mark.parametrize("code", ["AccessDenied", "LackPolicy"])
def test_keys_that_are_good_but_may_not_are_not_read_again(upstream: Upstream, code: str) -> None:
    upstream.fault("error", code=code)

    with pytest.raises(UpstreamDenied, match=code):
        upstream.client(renew=lambda: pytest.fail("read again")).scan(CHANNEL, "")


def test_a_wrong_clock_and_rotated_keys_are_mended_in_one_call(upstream: Upstream) -> None:
    client = upstream.client(
        Credentials(ACCESS_KEY, "the-former-secret"),
        renew=lambda: Credentials(ACCESS_KEY, SECRET_KEY),
        clock=lambda: upstream.clock.now() - timedelta(days=1),
    )

    assert len(client.scan(CHANNEL, "").articles) == 30
    assert client.retries == 2


def test_calls_of_several_channels_keep_one_pace(upstream: Upstream) -> None:
    client = upstream.client()
    for number in range(24):
        with suppress(UpstreamDenied):
            client.scan(CHANNEL if number % 2 else "another_channel", "")

    seen = upstream.admin("GET", "requests")
    assert seen["peak_per_second"]["ScanSyncArticles"] <= 10
    assert seen["errors"] == {"AccessDenied": 12}
