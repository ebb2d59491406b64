"""Keys in the table: what is stored of them, who they let in, and how one takes another's place."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.clock import to_rfc3339
from chalicelib.errors import KeyConflict, KeyInvalid, KeyNotFound
from chalicelib.keys.scopes import Scope
from chalicelib.keys.store import LAST_USED_WITHIN, KeyStore, NewKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Cloud

pytestmark = pytest.mark.system

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Time:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def table(new_table: Callable[[str], str]) -> str:
    return new_table("KEYS_TABLE")


@pytest.fixture
def store(cloud: Cloud, table: str, time: Time) -> KeyStore:
    return KeyStore(cloud.client("dynamodb"), table, time)


def made(store: KeyStore, *scopes: Scope, expires_at: datetime | None = None) -> NewKey:
    return store.create("a key", scopes or [Scope.TASKS_READ], expires_at=expires_at, created_by="command line")


def test_a_key_lets_in_with_its_scopes(store: KeyStore) -> None:
    new = made(store, Scope.TASKS_READ, Scope.SYNC_READ)

    assert store.check(new.token).scopes == {Scope.TASKS_READ, Scope.SYNC_READ}
    assert new.token.startswith(f"sp_live_{new.key.id}_")


def test_of_the_secret_only_a_hash_is_stored_and_nothing_shows_it(
    store: KeyStore, cloud: Cloud, table: str
) -> None:
    new = made(store)
    secret = new.token.rpartition("_")[2]

    assert len(bytes.fromhex(secret)) == 32
    assert secret not in json.dumps(cloud.client("dynamodb").scan(TableName=table)["Items"])
    assert secret not in repr(new)
    assert secret not in repr(store.get(new.key.id))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-1] + ("0" if token[-1] != "0" else "1"),
        lambda token: token.replace("sp_live_", "sp_test_"),
        lambda token: token.upper(),
        lambda token: token + "0",
        lambda token: token[:-1],
        lambda token: "sp_live_" + "0" * 16 + token[24:],
        lambda _: "",
    ],
)
def test_whatever_is_not_the_key_is_refused(store: KeyStore, spoil: Callable[[str], str]) -> None:
    with pytest.raises(KeyInvalid):
        store.check(spoil(made(store).token))


@given(token=st.text(max_size=200))
def test_no_text_is_more_than_refused(token: str) -> None:
    nobody: Any = None
    with pytest.raises(KeyInvalid):
        KeyStore(nobody, "none").check(token)


def test_a_key_is_refused_from_its_expiry_on(store: KeyStore, time: Time) -> None:
    new = made(store, expires_at=NOW + DAY)

    time.now = NOW + DAY - timedelta(milliseconds=1)
    store.check(new.token)
    time.now = NOW + DAY
    with pytest.raises(KeyInvalid, match="expired at 2026-11-22"):
        store.check(new.token)


def test_a_revoked_key_is_refused_at_once_and_stays_revoked_since_then(store: KeyStore, time: Time) -> None:
    new = made(store)
    revoked = store.revoke(new.key.id)

    with pytest.raises(KeyInvalid, match="was revoked"):
        store.check(new.token)
    time.now += DAY
    assert store.revoke(new.key.id).revoked_at == revoked.revoked_at == to_rfc3339(NOW)
    with pytest.raises(KeyNotFound):
        store.revoke("0" * 16)


def test_the_last_use_is_noted_once_an_hour(store: KeyStore, time: Time) -> None:
    new = made(store)
    seen = []
    for now in (NOW, NOW + LAST_USED_WITHIN / 2, NOW + LAST_USED_WITHIN):
        time.now = now
        store.check(new.token)
        seen.append(store.get(new.key.id).last_used_at)

    assert seen == [to_rfc3339(NOW), to_rfc3339(NOW), to_rfc3339(NOW + LAST_USED_WITHIN)]


def test_a_successor_has_the_same_scopes_and_both_live_until_the_overlap_is_over(
    store: KeyStore, time: Time
) -> None:
    old = made(store, Scope.TASKS_READ)
    new = store.rotate(old.key, overlap=DAY, expires_at=None, created_by="somebody")

    assert store.check(old.token).successor == new.key.id
    assert store.check(new.token).predecessor == old.key.id
    assert store.check(new.token).scopes == old.key.scopes
    time.now = NOW + DAY
    store.check(new.token)
    with pytest.raises(KeyInvalid, match="expired"):
        store.check(old.token)


def test_a_rotation_never_lengthens_the_life_of_the_old_key(store: KeyStore) -> None:
    old = made(store, expires_at=NOW + DAY / 2)
    store.rotate(old.key, overlap=DAY, expires_at=None, created_by="somebody")

    assert store.get(old.key.id).expires_at == to_rfc3339(NOW + DAY / 2)


def test_two_of_a_line_live_at_most(store: KeyStore, time: Time) -> None:
    first = made(store)
    second = store.rotate(first.key, overlap=DAY, expires_at=None, created_by="somebody")

    with pytest.raises(KeyConflict, match="has a successor"):
        store.rotate(store.get(first.key.id), overlap=DAY, expires_at=None, created_by="somebody")
    with pytest.raises(KeyConflict, match="still has a live predecessor"):
        store.rotate(store.get(second.key.id), overlap=DAY, expires_at=None, created_by="somebody")
    store.revoke(first.key.id)
    with pytest.raises(KeyConflict, match="was revoked"):
        store.rotate(store.get(first.key.id), overlap=DAY, expires_at=None, created_by="somebody")
    store.rotate(store.get(second.key.id), overlap=DAY, expires_at=None, created_by="somebody")
    assert sum(key.end(time.now) is None for key in store.list()) == 2


def test_rotations_at_the_same_time_make_one_successor(store: KeyStore) -> None:
    old = made(store).key
    outcomes: list[object] = []

    def rotate() -> None:
        try:
            outcomes.append(store.rotate(old, overlap=DAY, expires_at=None, created_by="somebody"))
        except KeyConflict as conflict:
            outcomes.append(conflict)

    threads = [threading.Thread(target=rotate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(isinstance(outcome, NewKey) for outcome in outcomes) == 1
    assert len(store.list()) == 2
