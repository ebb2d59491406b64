"""The stand-in of the content service is strict where the service is, and gives what the reference shows."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from chalicelib.articles.client import ContentClient
from chalicelib.articles.credentials import Credentials
from chalicelib.articles.signer import VolcengineAuth
from chalicelib.errors import UpstreamMalformed
from local.processes import ChildProcess, clean_environment
from local.standins.volcengine.catalogue import Catalogue
from local.standins.volcengine.errors import ApiError
from local.standins.volcengine.signature import Account, RawRequest, verify
from tests.articles.support import ACCESS_KEY, CHANNEL, SECRET_KEY, Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SCAN = {"Action": "ScanSyncArticles", "Version": "2023-01-01"}
MGET = {"Action": "MGetSyncArticles", "Version": "2023-01-01"}
FIRST_PAGE = {"UtmSource": CHANNEL, "NextToken": "", "MaxResults": 2}

# The members of the reference's example, by path.
ARTICLE_MEMBERS = {
    "": (
        "GroupId Title ArticleType PublishTime CreateTime ArticleUrl CoverImages Author Video Interactions Tags"
    ),
    "CoverImages": "Width Height Url",
    "Author": "Name AvatarUrl",
    "Video": "Duration VideoPlayInfos",
    "Video.VideoPlayInfos": "VideoUrl Definition Size Width Height",
    "Interactions": "ReadCount DiggCount ShareCount CommentCount CommentUrl",
    "Tags": "Categories FinanceCategories CarCategories",
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """For tests that leave nothing behind."""
    with Upstream(tmp_path_factory.mktemp("volcengine"), articles=95) as running:
        yield running


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Upstream]:
    with Upstream(tmp_path, articles=95) as running:
        yield running


def signed(
    upstream: Upstream,
    query: dict[str, str] | None = None,
    body: Any = None,
    *,
    seconds: float = 0,
    region: str = "cn-north-1",
    service: str = "volc_torchlight_api",
    token: str | None = None,
    headers: dict[str, str] | None = None,
) -> requests.PreparedRequest:
    """A request signed `seconds` from now."""
    upstream.clock.sleep(0.11)
    auth = VolcengineAuth(
        Credentials(ACCESS_KEY, SECRET_KEY, token),
        region,
        service=service,
        clock=lambda: upstream.clock.now() + timedelta(seconds=seconds),
    )
    content = json.dumps(FIRST_PAGE if body is None else body).encode()
    return requests.Request(
        "POST",
        f"{upstream.url}/",
        params=query or SCAN,
        data=content,
        headers={"Content-Type": "application/json", **(headers or {})},
        auth=auth,
    ).prepare()


def send(upstream: Upstream, request: requests.PreparedRequest) -> tuple[int, Any]:
    response = upstream.session.send(request, timeout=10)
    return response.status_code, response.json()


def refusal(upstream: Upstream, request: requests.PreparedRequest) -> tuple[int, str]:
    status, answer = send(upstream, request)
    return status, answer["ResponseMetadata"]["Error"]["Code"]


def call(upstream: Upstream, query: dict[str, str], body: Any) -> Any:
    status, answer = send(upstream, signed(upstream, query, body))
    assert status == 200, answer
    return answer["Result"]


# Signatures


def set_header(name: str, value: str | None) -> Callable[[requests.PreparedRequest], None]:
    def tamper(request: requests.PreparedRequest) -> None:
        if value is None:
            del request.headers[name]
        else:
            request.headers[name] = value

    return tamper


def replace_in(name: str, old: str, new: str) -> Callable[[requests.PreparedRequest], None]:
    def tamper(request: requests.PreparedRequest) -> None:
        value = str(request.headers[name])
        assert old in value
        request.headers[name] = value.replace(old, new, 1)

    return tamper


def change_body(request: requests.PreparedRequest) -> None:
    assert isinstance(request.body, bytes)
    request.body = request.body.replace(b'"MaxResults": 2', b'"MaxResults": 3')


def change_body_and_its_hash(request: requests.PreparedRequest) -> None:
    fresh = b"{}"
    request.body = fresh
    request.headers["Content-Length"] = "2"
    request.headers["X-Content-Sha256"] = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def change_query(request: requests.PreparedRequest) -> None:
    request.url = str(request.url).replace("ScanSync", "MGetSync")


def extend_query(request: requests.PreparedRequest) -> None:
    request.url = f"{request.url}&X=1"


def change_method(request: requests.PreparedRequest) -> None:
    request.method = "PUT"


def flip_signature(request: requests.PreparedRequest) -> None:
    value = str(request.headers["Authorization"])
    request.headers["Authorization"] = value[:-1] + ("0" if value[-1] != "0" else "1")


AUTHORIZATION = "Authorization"


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        (change_method, (401, "SignatureDoesNotMatch")),
        (change_query, (401, "SignatureDoesNotMatch")),
        (extend_query, (401, "SignatureDoesNotMatch")),
        (change_body, (401, "SignatureDoesNotMatch")),
        (change_body_and_its_hash, (401, "SignatureDoesNotMatch")),
        (flip_signature, (401, "SignatureDoesNotMatch")),
        (set_header("Host", "mercury.volcengineapi.com"), (401, "SignatureDoesNotMatch")),
        (set_header("Content-Type", "application/json; x"), (401, "SignatureDoesNotMatch")),
        (set_header("X-Content-Sha256", "0" * 64), (401, "SignatureDoesNotMatch")),
        (set_header("X-Date", "20261121T032030Z"), (401, "SignatureDoesNotMatch")),
        (set_header("X-Date", None), (400, "MissingRequestInfo")),
        (set_header("X-Date", "2026-11-21"), (400, "InvalidCredential")),
        (set_header("X-Date", "20261121T999999Z"), (403, "InvalidTimestamp")),
        (set_header(AUTHORIZATION, None), (401, "MissingAuthenticationToken")),
        (set_header(AUTHORIZATION, "Bearer x"), (400, "InvalidAuthorization")),
        (replace_in(AUTHORIZATION, "HMAC-SHA256", "AWS4-HMAC-SHA256"), (400, "InvalidAuthorization")),
        (replace_in(AUTHORIZATION, "Signature=", "Sign="), (401, "MissingSignature")),
        (replace_in(AUTHORIZATION, ACCESS_KEY, "AKLTother"), (401, "InvalidAccessKey")),
        (replace_in(AUTHORIZATION, "/20261121/", "/20261120/"), (400, "InvalidCredential")),
        (replace_in(AUTHORIZATION, "cn-north-1", "cn-beijing"), (401, "SignatureDoesNotMatch")),
        (replace_in(AUTHORIZATION, "cn-north-1", "us-east-1"), (400, "InvalidCredential")),
        (replace_in(AUTHORIZATION, "volc_torchlight_api", "iam"), (404, "ServiceNotFound")),
        (replace_in(AUTHORIZATION, "/request", "/aws4_request"), (400, "InvalidCredential")),
        (replace_in(AUTHORIZATION, "host;", ""), (400, "InvalidAuthorization")),
        (replace_in(AUTHORIZATION, ";x-date", ""), (400, "InvalidAuthorization")),
        (replace_in(AUTHORIZATION, "content-type;", ""), (401, "SignatureDoesNotMatch")),
        (replace_in(AUTHORIZATION, ";x-date", ";x-date;x-more"), (400, "InvalidAuthorization")),
        (set_header("X-Security-Token", "stolen"), (401, "InvalidAccessKey")),
        (set_header("SecretKey", SECRET_KEY), (400, "SecretKeySent")),
    ],
)
def test_each_single_tampering_is_refused(
    shared: Upstream, tamper: Callable[[requests.PreparedRequest], None], expected: tuple[int, str]
) -> None:
    shared.clock.rewind()
    request = signed(shared)
    tamper(request)

    assert refusal(shared, request) == expected
    assert send(shared, signed(shared))[0] == 200


def test_a_changed_path_is_refused() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    auth = VolcengineAuth(Credentials(ACCESS_KEY, SECRET_KEY), clock=lambda: now)
    request = requests.Request("POST", "http://host/", data=b"{}", auth=auth).prepare()
    headers = [(name.lower().encode(), str(value).encode()) for name, value in request.headers.items()]

    verify(RawRequest("POST", b"/", b"", headers, b"{}"), Account(ACCESS_KEY, SECRET_KEY), now)
    with pytest.raises(ApiError) as caught:
        verify(RawRequest("POST", b"/x", b"", headers, b"{}"), Account(ACCESS_KEY, SECRET_KEY), now)
    assert caught.value.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("seconds", [-899, 899])
def test_a_clock_within_15_minutes_passes(shared: Upstream, seconds: float) -> None:
    assert send(shared, signed(shared, seconds=seconds))[0] == 200


@pytest.mark.parametrize("seconds", [-902, 902])
def test_a_clock_beyond_15_minutes_is_refused(shared: Upstream, seconds: float) -> None:
    assert refusal(shared, signed(shared, seconds=seconds)) == (403, "InvalidTimestamp")


def test_a_repeated_header_is_refused(shared: Upstream) -> None:
    request = signed(shared)
    connection = http.client.HTTPConnection(urlsplit(shared.url).netloc, timeout=10)
    assert isinstance(request.body, bytes)
    connection.putrequest("POST", str(request.path_url), skip_host=True)
    for name, value in [*request.headers.items(), ("X-Date", "20261121T000000Z")]:
        connection.putheader(name, str(value))
    connection.endheaders(request.body)
    response = connection.getresponse()
    error = json.loads(response.read())["ResponseMetadata"]["Error"]
    connection.close()

    assert (response.status, error["Code"]) == (400, "InvalidAuthorization")


def test_both_regions_of_the_documentation_are_served(shared: Upstream) -> None:
    status, answer = send(shared, signed(shared, region="cn-beijing"))

    assert (status, answer["ResponseMetadata"]["Region"]) == (200, "cn-beijing")


def test_a_session_token_is_wanted_where_one_is_set(tmp_path: Path) -> None:
    with Upstream(tmp_path, articles=1, session_token="STS") as upstream:
        assert send(upstream, signed(upstream, token="STS"))[0] == 200
        assert refusal(upstream, signed(upstream)) == (401, "InvalidAccessKey")


def test_headers_that_nobody_signs_do_no_harm(shared: Upstream) -> None:
    assert (
        send(shared, signed(shared, headers={"ServiceName": "volc_torchlight_api", "Via": "1.1 proxy"}))[0]
        == 200
    )


# Calls


@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        ({"Version": "2023-01-01"}, None, (400, "MissingParameter")),
        ({"Action": "ScanSyncArticles"}, None, (400, "MissingParameter")),
        ({"Action": "Nothing", "Version": "2023-01-01"}, None, (404, "InvalidActionOrVersion")),
        ({"Action": "ScanSyncArticles", "Version": "2020-01-01"}, None, (404, "InvalidActionOrVersion")),
        (SCAN, {}, (400, "MissingParameter")),
        (SCAN, [], (400, "MissingParameter")),
        (SCAN, {"UtmSource": "someone_else"}, (403, "AccessDenied")),
        (SCAN, {"UtmSource": CHANNEL, "NextToken": "x"}, (400, "MissingParameter")),
        (MGET, {"UtmSource": CHANNEL}, (400, "MissingParameter")),
        (MGET, {"UtmSource": CHANNEL, "GroupIds": [1]}, (400, "MissingParameter")),
    ],
)
def test_wrong_calls_are_refused(
    shared: Upstream, query: dict[str, str], body: Any, expected: tuple[int, str]
) -> None:
    assert refusal(shared, signed(shared, query, body)) == expected


def test_the_content_type_is_fixed(shared: Upstream) -> None:
    request = signed(shared, headers={"Content-Type": "text/plain"})

    assert refusal(shared, request) == (400, "MissingRequestInfo")


def test_answers_look_like_the_reference(shared: Upstream) -> None:
    _, answer = send(shared, signed(shared))
    metadata = answer["ResponseMetadata"]
    request_id = metadata.pop("RequestId")

    assert metadata == {**SCAN, "Service": "volc_torchlight_api", "Region": "cn-north-1"}
    assert len(request_id) == 34
    # Beijing's time comes first.
    assert request_id.startswith(f"{shared.clock.now() + timedelta(hours=8):%Y%m%d%H}")
    assert list(answer["Result"]) == ["NextToken", "Articles"]


def test_errors_look_like_the_reference(shared: Upstream) -> None:
    request = signed(shared)
    flip_signature(request)
    _, answer = send(shared, request)
    assert answer["ResponseMetadata"]["Error"] == {
        "CodeN": 100010,
        "Code": "SignatureDoesNotMatch",
        "Message": (
            "The request signature we calculated does not match the signature you provided. Check your Secret "
            "Access Key and signing method. Consult the service documentation for details."
        ),
    }

    request = signed(shared, MGET)
    replace_in(AUTHORIZATION, "/request", "")(request)
    _, answer = send(shared, request)
    assert "Service" not in answer["ResponseMetadata"]
    assert answer["ResponseMetadata"]["Error"] == {
        "CodeN": 100025,
        "Code": "InvalidCredential",
        "Message": "Invalid credential in 'Authorization', Pls check your authorization header.",
    }


# Paging


@pytest.mark.parametrize(
    ("max_results", "expected"),
    [(1, 1), (30, 30), (31, 10), (0, 10), (-1, 10), ("30", 10), (None, 10), (True, 10), (2.5, 10)],
)
def test_illegal_page_sizes_mean_ten(shared: Upstream, max_results: Any, expected: int) -> None:
    shared.clock.rewind()
    result = call(shared, SCAN, {"UtmSource": CHANNEL, "MaxResults": max_results})

    assert len(result["Articles"]) == expected


def test_pages_follow_the_order_of_sync_to_an_empty_one_with_the_same_token(shared: Upstream) -> None:
    shared.clock.rewind()
    seen: list[str] = []
    token = ""
    while True:
        result = call(shared, SCAN, {"UtmSource": CHANNEL, "NextToken": token, "MaxResults": 30})
        seen += [article["GroupId"] for article in result["Articles"]]
        if result["NextToken"] == token:
            break
        token = result["NextToken"]

    assert result["Articles"] == []
    assert seen == shared.scannable()
    assert len(set(seen)) == 95
    # Like the samples: seconds << 20 | n, 16 digits.
    assert len(token) == 16
    assert datetime.fromtimestamp(int(token) >> 20, UTC) < shared.clock.now()


def test_the_scan_reaches_back_14_days(upstream: Upstream) -> None:
    old = upstream.scannable()
    upstream.clock.sleep(timedelta(days=13).total_seconds())
    new = upstream.catalogue.add(2, upstream.clock.now())
    remaining = upstream.scannable()
    result = call(upstream, SCAN, {"UtmSource": CHANNEL, "MaxResults": 30})

    assert 2 < len(remaining) < 97
    assert remaining == [*old[97 - len(remaining) :], *new]
    assert [article["GroupId"] for article in result["Articles"]] == remaining[:30]
    # A token from before the window goes on at its start, and older articles are still there one by one.
    result = call(upstream, SCAN, {"UtmSource": CHANNEL, "NextToken": "1768012421930000", "MaxResults": 30})
    assert [article["GroupId"] for article in result["Articles"]] == remaining[:30]
    assert list(call(upstream, MGET, {"UtmSource": CHANNEL, "GroupIds": old[:1]})["Articles"]) == old[:1]


def test_mget_takes_the_first_30_ids(shared: Upstream) -> None:
    shared.clock.rewind()
    ids = shared.scannable()
    result = call(shared, MGET, {"UtmSource": CHANNEL, "GroupIds": ids[:31]})

    assert list(result["Articles"]) == ids[:30]
    assert result["MissReasons"] == {}


@pytest.mark.parametrize(
    ("verb", "reason"), [("takedown", 500009), ("unavailable", 500008), ("available", None)]
)
def test_withdrawn_articles_leave_the_scan_and_give_their_reason(
    upstream: Upstream, verb: str, reason: int | None
) -> None:
    group_id = upstream.scannable()[0]
    upstream.admin("POST", f"articles/{group_id}/{verb}")
    result = call(upstream, MGET, {"UtmSource": CHANNEL, "GroupIds": [group_id, "1"]})
    first = call(upstream, SCAN, FIRST_PAGE)["Articles"][0]["GroupId"]

    assert result["MissReasons"] == ({group_id: reason, "1": 500001} if reason else {"1": 500001})
    assert (group_id in result["Articles"]) is (reason is None)
    assert (first == group_id) is (reason is None)


@pytest.mark.parametrize(("query", "limit"), [(SCAN, 10), (MGET, 20)])
def test_one_request_too_many_in_a_second_is_throttled(
    upstream: Upstream, query: dict[str, str], limit: int
) -> None:
    body = {**FIRST_PAGE, "GroupIds": []}
    requests_ = [signed(upstream, query, body) for _ in range(limit + 1)]
    statuses = [send(upstream, request)[0] for request in requests_]

    assert statuses == [200] * limit + [429]
    upstream.clock.sleep(1.0)
    assert send(upstream, signed(upstream, query, body))[0] == 200
    counts = upstream.admin("GET", "requests")
    assert counts["errors"] == {"FlowLimitExceeded": 1}
    assert counts["peak_per_second"][query["Action"]] == limit + 1


# Content


def test_articles_have_every_field_of_the_reference(shared: Upstream) -> None:
    shared.clock.rewind()
    articles = list(
        call(shared, MGET, {"UtmSource": CHANNEL, "GroupIds": shared.scannable()[:30]})["Articles"].values()
    )

    for path, members in ARTICLE_MEMBERS.items():
        found = [item for article in articles for item in _at(article, path)]
        assert found, path
        assert {tuple(item) for item in found} == {tuple(members.split())}
    assert {article["ArticleType"] for article in articles} == {"article", "feed_video", "short_video"}
    for article in articles:
        assert (article["Video"] is None) == (article["ArticleType"] == "article")
        assert len(article["GroupId"]) == 19
    assert any(article["Tags"]["FinanceCategories"] for article in articles)
    assert any(article["Tags"]["CarCategories"] for article in articles)
    created = [article["CreateTime"] for article in articles]
    assert created != sorted(created), "the order of creation is not the order of the scan"


def _at(value: Any, path: str) -> list[dict[str, Any]]:
    found = [value]
    for name in filter(None, path.split(".")):
        found = [item[name] for item in found if item[name] is not None]
        found = [item for group in found for item in (group if isinstance(group, list) else [group])]
    return found


def test_counters_and_signatures_differ_in_every_answer_and_nothing_else_does(shared: Upstream) -> None:
    shared.clock.rewind()
    first, second = (call(shared, SCAN, FIRST_PAGE)["Articles"][0] for _ in range(2))
    changed = {name for name in first if first[name] != second[name]}

    assert {"ArticleUrl", "Interactions", "Author"} <= changed
    assert first["ArticleUrl"].partition("?")[0] == second["ArticleUrl"].partition("?")[0]
    assert not {"GroupId", "Title", "ArticleType", "PublishTime", "CreateTime", "Tags"} & changed


def test_a_change_shows_in_mget(upstream: Upstream) -> None:
    group_id = upstream.scannable()[0]
    before = call(upstream, MGET, {"UtmSource": CHANNEL, "GroupIds": [group_id]})["Articles"][group_id]
    upstream.admin("POST", f"articles/{group_id}/change")
    after = call(upstream, MGET, {"UtmSource": CHANNEL, "GroupIds": [group_id]})["Articles"][group_id]

    assert before["Title"] != after["Title"]


def test_a_restart_shows_the_same_articles(tmp_path: Path) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    first = Catalogue(tmp_path, utm_source=CHANNEL, count=20, now=now)
    first.add(2, now)
    first.set_state(first.truth(now)[3]["group_id"], "takedown")
    later = now + timedelta(days=1)
    second = Catalogue(tmp_path, utm_source=CHANNEL, count=5, now=later)

    assert second.truth(now) == first.truth(now)
    assert first.scan("", 30, now, fault=None) == second.scan("", 30, now, fault=None)


# Administration


def test_admin_refuses_what_it_does_not_understand(shared: Upstream) -> None:
    for path, body, status in (
        ("faults", {"kind": "no such fault"}, 422),
        ("faults", {"kind": "error", "code": "NoSuchCode"}, 422),
        ("faults", {"kind": "slow", "count": 0}, 422),
        ("faults", {"kind": "slow", "more": 1}, 422),
        ("faults", [], 422),
        ("articles", {"count": 0}, 422),
        ("articles/1/takedown", None, 404),
        ("articles/1/dance", None, 422),
    ):
        response = shared.session.post(f"{shared.url}/admin/{path}", json=body, timeout=10)
        assert (response.status_code, path) == (status, path)
        assert response.json()["error"]


def test_faults_wait_for_their_action_and_can_be_cleared(upstream: Upstream) -> None:
    upstream.fault("http500", action="MGetSyncArticles")
    upstream.fault("http503", count=2)
    assert [fault["kind"] for fault in upstream.admin("GET", "faults")["faults"]] == [
        "http500",
        "http503",
        "http503",
    ]

    assert upstream.session.send(signed(upstream), timeout=10).status_code == 503
    assert refusal(upstream, signed(upstream, MGET)) == (500, "InternalError")
    upstream.admin("DELETE", "faults")
    assert send(upstream, signed(upstream))[0] == 200


def test_more_articles_can_be_synced(upstream: Upstream) -> None:
    new = upstream.admin("POST", "articles", {"count": 3})["group_ids"]

    assert upstream.scannable()[-3:] == new
    assert [row["group_id"] for row in upstream.admin("GET", "articles")["articles"]][-3:] == new


# The process


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ChildProcess]:
    child = ChildProcess(
        "volcengine",
        [
            *(sys.executable, "-m", "local.standins.volcengine", "--exit-on-stdin-eof"),
            *("--port", "0", "--data", str(tmp_path / "data"), "--articles", "3"),
        ],
        env=clean_environment(tmp_path / "tmp"),
        log_path=tmp_path / "log",
    )
    yield child
    child.stop()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_the_process_serves_our_client_with_the_default_keys(
    process: ChildProcess, session: requests.Session, tmp_path: Path
) -> None:
    client = ContentClient(
        process.start(), Credentials("local-access-key", "local-secret-key"), session=session
    )

    assert len(client.scan("local_default_content", "").articles) == 3
    assert process.stop() == 0
    assert (tmp_path / "log").read_text() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_within_a_second_even_with_a_request_in_flight(
    session: requests.Session, tmp_path: Path, number: signal.Signals
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "local.standins.volcengine", "--port", "0", "--data", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(tmp_path / "tmp"),
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        session.post(f"{url}/admin/faults", json={"kind": "slow", "seconds": 60}, timeout=10)
        auth = VolcengineAuth(Credentials("local-access-key", "local-secret-key"))
        body = {"UtmSource": "local_default_content"}
        request = requests.Request("POST", url, params=SCAN, json=body, auth=auth).prepare()
        held = http.client.HTTPConnection(urlsplit(url).netloc)
        held.request("POST", request.path_url, request.body, dict(request.headers))
        # Counted requests have reached the fault: the process is single-threaded.
        while not session.get(f"{url}/admin/requests", timeout=10).json()["requests"]:
            pass
        started = time.monotonic()
        process.send_signal(number)
        status = process.wait(10)
        took = time.monotonic() - started
        held.close()

        assert (status, process.stdout.read()) == (0, "")
        assert took < 1


def test_only_loopback_can_be_listened_on(tmp_path: Path) -> None:
    refused = subprocess.run(
        [
            *(sys.executable, "-m", "local.standins.volcengine", "--port", "0"),
            *("--data", str(tmp_path), "--host", "0.0.0.0"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(tmp_path / "tmp"),
    )

    assert refused.returncode == 2
    assert "invalid choice: '0.0.0.0'" in refused.stderr


def test_a_reset_is_a_connection_that_breaks_without_an_answer(upstream: Upstream) -> None:
    upstream.fault("reset")
    client = upstream.client()

    assert len(client.scan(CHANNEL, "").articles) == 30
    assert client.retries == 1


def test_faults_of_a_lookup_wait_for_one(upstream: Upstream) -> None:
    first, second, third = upstream.scannable()[:3]
    upstream.fault("silent_id")
    upstream.fault("odd_article")
    client = upstream.client()
    client.scan(CHANNEL, "")

    silent = client.mget(CHANNEL, [first, second, third])
    assert (list(silent.articles), silent.miss_reasons) == ([first, second], {})
    with pytest.raises(UpstreamMalformed):
        client.mget(CHANNEL, [first])
