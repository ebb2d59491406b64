"""Sessions are sealed: what is stored opens only for its account, in its version, by the key."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from chalicelib.accounts.store import storage_prefix
from chalicelib.accounts.vault import Vault
from chalicelib.errors import SessionUnreadable

if TYPE_CHECKING:
    from tests.conftest import Cloud

pytestmark = pytest.mark.system

STATE = {"cookies": [{"name": "sessionid", "value": "canary-cookie-值"}], "origins": []}


@pytest.fixture
def name() -> str:
    return f"账号-{uuid.uuid4().hex[:6]}"


@pytest.fixture
def vault(cloud: Cloud) -> Vault:
    return Vault(
        cloud.client("s3"),
        cloud.client("kms"),
        cloud.variable("PRIVATE_BUCKET"),
        cloud.variable("SESSION_KEY_ID"),
    )


def stored(vault: Vault, name: str, version: int) -> tuple[str, bytes]:
    listed = vault.s3.list_objects_v2(Bucket=vault.bucket, Prefix=storage_prefix("sessions", name))
    key = next(entry["Key"] for entry in listed["Contents"] if entry["Key"].endswith(f"{version}.json"))
    return key, vault.s3.get_object(Bucket=vault.bucket, Key=key)["Body"].read()


def test_a_sealed_session_opens_again(vault: Vault, name: str) -> None:
    vault.seal(name, 7, STATE)

    assert vault.open(name, 7) == STATE


def test_nothing_of_a_session_is_stored_in_clear(vault: Vault, name: str) -> None:
    vault.seal(name, 7, STATE)

    key, content = stored(vault, name, 7)
    assert b"canary-cookie" not in content
    assert b"sessionid" not in content
    assert name not in key


def test_the_same_session_is_sealed_differently_each_time(vault: Vault, name: str) -> None:
    vault.seal(name, 1, STATE)
    vault.seal(name, 2, STATE)

    assert stored(vault, name, 1)[1] != stored(vault, name, 2)[1]


@pytest.mark.parametrize("member", ["data_key", "nonce", "ciphertext"])
def test_a_changed_envelope_does_not_open(vault: Vault, name: str, member: str) -> None:
    vault.seal(name, 1, STATE)
    key, content = stored(vault, name, 1)
    envelope = json.loads(content)
    middle = len(envelope[member]) // 2
    before, letter, after = envelope[member][:middle], envelope[member][middle], envelope[member][middle + 1 :]
    envelope[member] = before + ("B" if letter != "B" else "C") + after
    vault.s3.put_object(Bucket=vault.bucket, Key=key, Body=json.dumps(envelope).encode())

    with pytest.raises(SessionUnreadable):
        vault.open(name, 1)


def test_a_session_copied_to_another_version_or_account_does_not_open(vault: Vault, name: str) -> None:
    vault.seal(name, 1, STATE)
    _, content = stored(vault, name, 1)
    for other, version in ((name, 2), (f"{name}-other", 1)):
        vault.seal(other, version, {"cookies": []})
        key, _ = stored(vault, other, version)
        vault.s3.put_object(Bucket=vault.bucket, Key=key, Body=content)

        with pytest.raises(SessionUnreadable):
            vault.open(other, version)


def test_a_discarded_session_is_gone(vault: Vault, name: str) -> None:
    vault.seal(name, 1, STATE)
    vault.discard(name, 1)
    vault.discard(name, 1)

    with pytest.raises(SessionUnreadable):
        vault.open(name, 1)
