"""Signatures of notifications, and ids found in whatever JSON they come in."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.articles.notifications import TOLERANCE, changed_ids, verify
from chalicelib.errors import NotificationRefused

SECRET = "callback-secret"
NOW = datetime(2026, 11, 21, 3, 20, tzinfo=UTC)
ID, OTHER = "7251993249718480001", "7250429060407360002"

# However busy the machine is.
BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


def headers_for(body: bytes, at: datetime = NOW, nonce: str = "aB3dE6", secret: str = SECRET) -> dict[str, str]:
    timestamp = str(int(at.timestamp()))
    signature = hmac.new(secret.encode(), timestamp.encode() + nonce.encode() + body, hashlib.sha256)
    return {
        "x-content-timestamp": timestamp,
        "x-content-nonce": nonce,
        "x-content-signature": signature.hexdigest(),
    }


def refused(headers: dict[str, str], body: bytes) -> bool:
    try:
        verify(headers, body, SECRET, NOW)
    except NotificationRefused:
        return True
    return False


def test_the_signature_is_that_of_the_services_page() -> None:
    # Made with openssl: printf '1700000000abc123{"a":1}' | openssl dgst -sha256 -hmac secret
    signature = "3b1b8df2201b4cdd549db2c68de418ad36badd5afee153c5fd7e729582ee6cce"
    headers = {
        "x-content-timestamp": "1700000000",
        "x-content-nonce": "abc123",
        "x-content-signature": signature,
    }
    verify(headers, b'{"a":1}', "secret", datetime.fromtimestamp(1_700_000_000, UTC))


@BUSY
@given(body=st.binary(max_size=200), nonce=st.from_regex(r"[0-9A-Za-z]{6,32}", fullmatch=True))
def test_what_was_signed_is_taken_whatever_it_says(body: bytes, nonce: str) -> None:
    verify(headers_for(body, nonce=nonce), body, SECRET, NOW)


@BUSY
@given(body=st.binary(min_size=1, max_size=60), place=st.integers(min_value=0), flip=st.integers(1, 255))
def test_one_changed_byte_is_enough_to_refuse(body: bytes, place: int, flip: int) -> None:
    place %= len(body)
    changed = body[:place] + bytes([body[place] ^ flip]) + body[place + 1 :]

    assert refused(headers_for(body), changed)


@pytest.mark.parametrize("seconds", [-3600, -3599, 0, 3599, 3600])
def test_an_hour_is_tolerated_either_way(seconds: int) -> None:
    verify(headers_for(b"{}", NOW + timedelta(seconds=seconds)), b"{}", SECRET, NOW)


@pytest.mark.parametrize("beyond", [timedelta(seconds=1), timedelta(days=365)])
def test_more_than_an_hour_is_not(beyond: timedelta) -> None:
    assert refused(headers_for(b"{}", NOW + TOLERANCE + beyond), b"{}")
    assert refused(headers_for(b"{}", NOW - TOLERANCE - beyond), b"{}")


def test_a_time_or_nonce_of_another_form_is_refused_so_that_no_piece_of_the_body_passes_for_one() -> None:
    for nonce in ("", "short", "x" * 33, "{abcdef", "abc def", "ａｂｃｄｅｆ", "abcdef\n"):
        assert refused(headers_for(b"{}", nonce=nonce), b"{}")
    for timestamp in (
        "",
        "soon",
        "1700000000.0",
        "170000000",
        "17000000000",
        "１７００００００００",
        "-170000000",
    ):
        assert refused({**headers_for(b"{}"), "x-content-timestamp": timestamp}, b"{}")


def test_a_signature_in_capitals_or_of_strange_letters_is_read_as_it_is() -> None:
    headers = headers_for(b"{}")
    verify({**headers, "x-content-signature": headers["x-content-signature"].upper()}, b"{}", SECRET, NOW)

    assert refused({**headers, "x-content-signature": "é" * 64}, b"{}")


@pytest.mark.parametrize(
    "payload",
    [
        {"GroupIds": [ID, OTHER]},
        {"group_ids": [int(ID), int(OTHER)]},
        {"Events": [{"EventType": "x", "GroupId": ID}, {"GroupId": int(OTHER), "New": {"x": None}}]},
        {"EventDetail": json.dumps({"GroupId": ID, "More": json.dumps({"GroupId": OTHER})})},
        {"Data": {ID: {"State": 1}, OTHER: {}}},
        {"ArticleIds": {"Changed": [ID], "Withdrawn": [OTHER]}, "UtmSource": "x"},
        [ID, int(OTHER)],
        {"payload": [{"id": ID}, {"id": OTHER}, {"id": ID}]},
    ],
)
def test_ids_are_found_wherever_they_stand(payload: Any) -> None:
    assert changed_ids(payload) == [ID, OTHER]


@pytest.mark.parametrize(
    "payload",
    [
        {"EventTime": 1700000000, "RequestId": "202306211106236436C29742C741A10485"},
        {"EventTime": 1700000000123456789012, "Nonce": "00123456789012345678"},
        {"GroupId": None, "GroupIds": [True, "", "a", 1.5, -7251993249718480001]},
        {"GroupId": "７２５１９９３２４９７１８４８０００１"},
        "test",
        7,
        None,
    ],
)
def test_what_is_no_id_is_passed_over(payload: Any) -> None:
    assert changed_ids(payload) == []


@BUSY
@given(payload=JSON)
def test_any_json_is_searched_without_failing(payload: Any) -> None:
    assert len(set(changed_ids(payload))) == len(changed_ids(payload))


@BUSY
@given(around=st.lists(st.text(max_size=8) | st.none(), max_size=12), beside=JSON)
def test_an_id_is_found_below_anything(around: list[str | None], beside: Any) -> None:
    payload: Any = {"GroupId": ID}
    for name in around:
        payload = [beside, payload] if name is None else {"beside": beside, name: payload}

    assert ID in changed_ids(payload)


def test_nesting_without_end_is_no_way_to_stop_us() -> None:
    deep: Any = ID
    for _ in range(500):
        deep = [deep]

    assert changed_ids({"deep": deep, "text": "[" * 100_000, "GroupId": OTHER}) == [OTHER]
