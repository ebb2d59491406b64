"""Secrets that the API hands to the browser functions: each for one purpose and one subject."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.errors import SealBroken
from chalicelib.sealing import Sealer
from chalicelib.unsealing import Unsealer

if TYPE_CHECKING:
    from tests.conftest import Cloud

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def sealer(cloud: Cloud) -> Sealer:
    return Sealer(cloud.client("kms"), cloud.variable("SESSION_KEY_ID"))


@pytest.fixture(scope="module")
def unsealer(sealer: Sealer) -> Unsealer:
    return Unsealer(sealer.kms, sealer.key_id)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=st.text())
def test_what_is_sealed_opens_again(sealer: Sealer, unsealer: Unsealer, secret: str) -> None:
    assert unsealer.open(sealer.seal(secret, "proxy", "小明"), "proxy", "小明") == secret


def test_a_secret_longer_than_one_call_takes_is_sealed_in_pieces(sealer: Sealer, unsealer: Unsealer) -> None:
    secret = base64.b64encode(os.urandom(20_000)).decode()

    sealed = sealer.seal(secret, "session_import", "1")

    assert sealed.count(".") > 1
    assert unsealer.open(sealed, "session_import", "1") == secret


def test_nothing_of_a_secret_shows(sealer: Sealer) -> None:
    assert "4711" not in sealer.seal("4711", "sms_code", "1")
    first, second = (sealer.seal("4711", "sms_code", "1") for _ in range(2))
    assert first != second


def test_a_seal_opens_for_its_own_purpose_and_subject_only(sealer: Sealer, unsealer: Unsealer) -> None:
    sealed = sealer.seal("4711", "sms_code", "1")

    with pytest.raises(SealBroken):
        unsealer.open(sealed, "sms_code", "2")
    with pytest.raises(SealBroken):
        unsealer.open(sealed, "proxy", "1")


@pytest.mark.parametrize("spoil", [lambda s: s[:-8], lambda s: "*" + s, lambda s: s + "." + s, lambda _: ""])
def test_a_spoiled_seal_does_not_open(sealer: Sealer, unsealer: Unsealer, spoil: object) -> None:
    sealed = sealer.seal(json.dumps({"cookies": []}), "session_import", "1")

    with pytest.raises(SealBroken):
        unsealer.open(spoil(sealed), "session_import", "1")  # type: ignore[operator]


def test_pieces_cannot_change_places(sealer: Sealer, unsealer: Unsealer) -> None:
    sealed = sealer.seal(base64.b64encode(os.urandom(10_000)).decode(), "session_import", "1")

    with pytest.raises(SealBroken):
        unsealer.open(".".join(reversed(sealed.split("."))), "session_import", "1")
