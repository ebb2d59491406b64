"""Both official SDKs are the oracles of the signature. They read the time themselves, so it is set for them."""

from __future__ import annotations

import datetime as datetime_module
import string
import warnings
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.articles.credentials import Credentials
from chalicelib.articles.signer import VolcengineAuth

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import volcenginesdkcore.signv4 as core_sdk  # type: ignore[import-untyped]
    from volcengine.auth.SignerV4 import SignerV4 as ClassicSigner  # type: ignore[import-untyped]
    from volcengine.base.Request import Request as ClassicRequest  # type: ignore[import-untyped]
    from volcengine.Credentials import Credentials as ClassicCredentials  # type: ignore[import-untyped]

NOW = datetime(2026, 11, 21, 9, 44, 38, tzinfo=UTC)
DATE = "20261121T094438Z"
ACCESS_KEY = "AKLTexample"
SECRET_KEY = "WkRoaFpUQTBZV0U9PQ=="
REGION = "cn-north-1"
SERVICE = "volc_torchlight_api"
ENDPOINT = "https://mercury.volcengineapi.com/"

# Two SDKs disagree on the order of names that need encoding; the API's own are plain.
names = st.text(string.ascii_letters + string.digits + "-_.~", min_size=1, max_size=12)
header_values = st.text(string.ascii_letters + string.digits + string.punctuation, min_size=1, max_size=30)
extra_headers = st.dictionaries(
    st.text(string.ascii_letters, min_size=1, max_size=8).map(lambda name: f"X-Extra-{name.title()}"),
    header_values,
    max_size=3,
)


def sign(
    *,
    query: Any = None,
    body: bytes | str | None = b"{}",
    headers: dict[str, str] | None = None,
    url: str = ENDPOINT,
    session_token: str | None = None,
) -> requests.PreparedRequest:
    auth = VolcengineAuth(Credentials(ACCESS_KEY, SECRET_KEY, session_token), REGION, clock=lambda: NOW)
    headers = {"Content-Type": "application/json", **(headers or {})}
    return requests.Request("POST", url, params=query, data=body, headers=headers, auth=auth).prepare()


def classic_sdk(query: Any, body: bytes | str, headers: dict[str, str], token: str = "") -> str:
    request = ClassicRequest()
    request.set_method("POST")
    request.set_path("/")
    request.set_query(query)
    request.set_body(body)
    request.set_headers(
        {"Content-Type": "application/json", "Host": urlsplit(ENDPOINT).netloc, **headers},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClassicSigner, "get_current_format_date", staticmethod(lambda: DATE))
        ClassicSigner.sign(request, ClassicCredentials(ACCESS_KEY, SECRET_KEY, SERVICE, REGION, token))
    return str(request.headers["Authorization"])


def newer_sdk(query: dict[str, str], body: str, headers: dict[str, str], token: str | None = None) -> str:
    signed = {"Content-Type": "application/json", "Host": urlsplit(ENDPOINT).netloc, **headers}
    clock = SimpleNamespace(datetime=SimpleNamespace(utcnow=lambda: NOW), timezone=datetime_module.timezone)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core_sdk, "datetime", clock)
        core_sdk.SignerV4.sign(
            "/", "POST", signed, body, None, query, ACCESS_KEY, SECRET_KEY, REGION, SERVICE, token
        )
    return signed["Authorization"]


@given(
    st.dictionaries(names, st.lists(st.text(max_size=20), min_size=1, max_size=3), max_size=5),
    st.binary(min_size=1, max_size=200),
    extra_headers,
)
def test_equals_the_classic_sdk_for_any_query_body_and_headers(
    query: dict[str, list[str]], body: bytes, headers: dict[str, str]
) -> None:
    assert sign(query=query, body=body, headers=headers).headers["Authorization"] == classic_sdk(
        query, body, headers
    )


@given(
    st.dictionaries(names, st.text(max_size=20), max_size=5),
    st.text(min_size=1, max_size=100),
    extra_headers,
)
def test_equals_the_newer_sdk_for_any_query_text_body_and_headers(
    query: dict[str, str], body: str, headers: dict[str, str]
) -> None:
    assert sign(query=query, body=body, headers=headers).headers["Authorization"] == newer_sdk(
        query, body, headers
    )


def test_equals_both_sdks_with_a_session_token() -> None:
    query = {"Action": "ScanSyncArticles", "Version": "2023-01-01"}
    ours = sign(query=query, session_token="STS-token").headers

    assert ours["X-Security-Token"] == "STS-token"
    assert ours["Authorization"] == classic_sdk(query, b"{}", {}, "STS-token")
    assert ours["Authorization"] == newer_sdk(query, "{}", {}, "STS-token")


def test_known_answer() -> None:
    body = '{"UtmSource":"xxxx_default_content","NextToken":"","MaxResults":2}'
    request = sign(query={"Action": "ScanSyncArticles", "Version": "2023-01-01"}, body=body)

    assert request.headers["X-Date"] == DATE
    assert (
        request.headers["X-Content-Sha256"]
        == "1fd042dbe7472c4d59418e1010b103a85e1908efdb7e9ff4e6518f58484b0fd6"
    )
    assert request.headers["Authorization"] == (
        "HMAC-SHA256 Credential=AKLTexample/20261121/cn-north-1/volc_torchlight_api/request, "
        "SignedHeaders=content-type;host;x-content-sha256;x-date, "
        "Signature=bec5b9114b3e9599248a69e49294e585ea4c5bf3045a601eb2c44705e063e827"
    )


def test_signs_the_bytes_that_are_sent() -> None:
    request = sign(body="内容")

    assert request.body == "内容".encode()
    assert request.headers["Content-Length"] == "6"


def test_an_absent_body_is_signed_as_empty() -> None:
    assert sign(body=None).headers["Authorization"] == classic_sdk({}, b"", {})


def test_a_stream_cannot_be_signed() -> None:
    auth = VolcengineAuth(Credentials(ACCESS_KEY, SECRET_KEY))

    with pytest.raises(TypeError, match="Only bytes or text can be signed, not generator"):
        requests.Request("POST", ENDPOINT, data=(part for part in [b"a"]), auth=auth).prepare()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://mercury.volcengineapi.com", "mercury.volcengineapi.com"),
        ("https://mercury.volcengineapi.com:443", "mercury.volcengineapi.com"),
        ("http://127.0.0.1:80", "127.0.0.1"),
        ("http://127.0.0.1:4566", "127.0.0.1:4566"),
        ("http://[::1]:4566", "[::1]:4566"),
    ],
)
def test_the_signed_host_is_the_one_that_is_sent(url: str, host: str) -> None:
    assert sign(url=url).headers["Host"] == host


def test_header_values_are_trimmed_as_the_specification_says() -> None:
    assert (
        sign(headers={"X-Extra": "value "}).headers["Authorization"]
        == sign(headers={"X-Extra": "value"}).headers["Authorization"]
    )


def test_neither_key_is_sent_nor_shown() -> None:
    request = sign(query={"Action": "ScanSyncArticles"}, session_token="STS-token")
    sent = {name.lower(): value for name, value in request.headers.items()}

    assert not {"secretkey", "accesskey", "servicename"} & sent.keys()
    assert SECRET_KEY not in str(request.headers) + str(request.url) + str(request.body)
    assert repr(Credentials(ACCESS_KEY, SECRET_KEY, "STS-token")) == f"Credentials(access_key='{ACCESS_KEY}')"


def test_each_preparation_signs_afresh() -> None:
    times = iter([NOW, NOW.replace(second=59)])
    auth = VolcengineAuth(Credentials(ACCESS_KEY, SECRET_KEY), REGION, clock=lambda: next(times))
    request = requests.Request("POST", ENDPOINT, data=b"{}", auth=auth)
    first, second = request.prepare(), request.prepare()

    assert first.headers["X-Date"] != second.headers["X-Date"]
    assert first.headers["Authorization"] != second.headers["Authorization"]


def test_the_query_that_is_signed_is_the_query_in_the_url() -> None:
    request = sign(query={"q": "a b+c~中"})

    assert parse_qs(urlsplit(request.url or "").query) == {"q": ["a b+c~中"]}
    assert request.headers["Authorization"] == newer_sdk({"q": "a b+c~中"}, "{}", {})
