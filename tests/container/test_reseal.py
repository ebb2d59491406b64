"""Sealing all sessions afresh: nothing is lost, a login in between wins, and a broken-off run can go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.accounts.store import AccountStore, Profile, storage_prefix
from chalicelib.accounts.vault import Vault
from chalicelib.clock import to_rfc3339, utc_now
from chalicelib.errors import SessionUnreadable
from container.reseal import reseal_all
from local.emulator import client_environment
from tests.conftest import ROOT

if TYPE_CHECKING:
    from tests.conftest import Cloud

pytestmark = pytest.mark.system

STATE = {"cookies": [{"name": "sessionid", "value": "值"}], "origins": []}
PROFILE = Profile("7001", "小明", None)


@pytest.fixture
def accounts(cloud: Cloud) -> AccountStore:
    """A table without the accounts of other tests."""
    dynamodb, name = cloud.client("dynamodb"), f"accounts-{uuid.uuid4().hex[:8]}"
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return AccountStore(dynamodb, name)


@pytest.fixture
def vault(cloud: Cloud) -> Vault:
    return Vault(
        cloud.client("s3"),
        cloud.client("kms"),
        cloud.variable("PRIVATE_BUCKET"),
        cloud.variable("SESSION_KEY_ID"),
    )


@pytest.fixture
def names(accounts: AccountStore, vault: Vault) -> list[str]:
    names = [f"账号-{uuid.uuid4().hex[:6]}" for _ in range(3)]
    for name in names:
        vault.seal(name, 5, STATE)
        accounts.log_in(name, PROFILE, session_version=5)
    return sorted(names)


def stored(vault: Vault, name: str) -> dict[str, Any]:
    """The envelopes of an account, by version."""
    prefix = storage_prefix("sessions", name)
    listed = vault.s3.list_objects_v2(Bucket=vault.bucket, Prefix=prefix).get("Contents", [])
    return {
        entry["Key"].removeprefix(prefix).removesuffix(".json").lstrip("0"): json.loads(
            vault.s3.get_object(Bucket=vault.bucket, Key=entry["Key"])["Body"].read()
        )
        for entry in listed
    }


def later() -> Any:
    return utc_now() + timedelta(minutes=1)


def test_each_session_gets_a_new_data_key_and_still_opens(
    accounts: AccountStore, vault: Vault, names: list[str]
) -> None:
    before = {name: stored(vault, name)["5"] for name in names}

    counts = reseal_all(accounts, vault, sealed_before=later(), old=vault)

    assert counts == {"resealed": 3, "left": 0, "unreadable": 0}
    for name in names:
        assert stored(vault, name)["5"]["data_key"] != before[name]["data_key"]
        assert vault.open(name, 5) == STATE
        assert accounts.get(name).session_version == 5


def test_a_dry_run_changes_nothing(accounts: AccountStore, vault: Vault, names: list[str]) -> None:
    before = {name: stored(vault, name) for name in names}

    counts = reseal_all(accounts, vault, sealed_before=later(), old=vault, dry_run=True)

    assert counts["resealed"] == 3
    assert {name: stored(vault, name) for name in names} == before


def test_sessions_move_to_another_key_and_a_run_that_was_broken_off_goes_on(
    accounts: AccountStore, vault: Vault, names: list[str]
) -> None:
    new = replace(vault, key_id=vault.kms.create_key()["KeyMetadata"]["KeyId"])
    start = utc_now().replace(microsecond=0) + timedelta(seconds=1)
    while utc_now() < start:  # The store knows times by the second.
        time.sleep(0.05)
    new.seal(names[0], 5, STATE)  # What the run has done before it was broken off.

    counts = reseal_all(accounts, new, sealed_before=start, old=vault)

    assert counts == {"resealed": 2, "left": 1, "unreadable": 0}
    for name in names:
        assert new.open(name, 5) == STATE
        with pytest.raises(SessionUnreadable):
            vault.open(name, 5)


def test_a_login_in_between_wins(
    accounts: AccountStore, vault: Vault, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    newer: dict[str, Any] = {"cookies": [], "origins": []}
    decrypt = Vault._decrypt

    def overtaken(self: Vault, name: str, version: int, envelope: bytes) -> bytes:
        if name == names[0] and version == 5:
            vault.seal(name, 6, newer)
            accounts.log_in(name, PROFILE, session_version=6)
            vault.discard_before(name, 6)
        return decrypt(self, name, version, envelope)

    monkeypatch.setattr(Vault, "_decrypt", overtaken)
    counts = reseal_all(accounts, vault, sealed_before=later(), old=vault)

    assert counts == {"resealed": 2, "left": 1, "unreadable": 0}
    assert set(stored(vault, names[0])) == {"6"}
    assert vault.open(names[0], 6) == newer


def test_a_session_that_does_not_open_is_named_and_the_others_are_done(
    accounts: AccountStore, vault: Vault, names: list[str]
) -> None:
    vault.discard(names[1], 5)
    said: list[str] = []

    counts = reseal_all(accounts, vault, sealed_before=later(), old=vault, say=said.append)

    assert counts == {"resealed": 2, "left": 0, "unreadable": 1}
    assert names[1] in said[0]


def test_what_jobs_have_left_behind_is_deleted(accounts: AccountStore, vault: Vault, names: list[str]) -> None:
    vault.seal(names[0], 3, STATE)

    reseal_all(accounts, vault, sealed_before=later(), old=vault)

    assert set(stored(vault, names[0])) == {"5"}


def test_the_command_prints_its_time_and_its_counts(
    cloud: Cloud, accounts: AccountStore, vault: Vault, names: list[str]
) -> None:
    environment = {
        **os.environ,
        **client_environment(cloud.endpoint),
        "ACCOUNTS_TABLE": accounts._table.name,
        "PRIVATE_BUCKET": vault.bucket,
        "SESSION_KEY_ID": vault.key_id,
    }

    def run(*arguments: str) -> str:
        argv = [sys.executable, "-m", "container.reseal", *arguments]
        return subprocess.run(
            argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    limit = to_rfc3339(later())
    assert "3 would be resealed, 0 left, 0 unreadable" in run("--sealed-before", limit, "--dry-run")
    printed = run("--sealed-before", limit)
    assert limit in printed
    assert "3 resealed, 0 left, 0 unreadable" in printed
    assert "0 resealed, 3 left" in run("--sealed-before", "2020-01-01T00:00:00Z")
