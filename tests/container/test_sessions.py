"""Sessions in a real browser: imported and tried on the stand-in, sealed, restored, refreshed."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.accounts.imports import ImportBox
from chalicelib.accounts.logins import Login, LoginKind, LoginState, LoginStore
from chalicelib.accounts.removal import remove_account
from chalicelib.accounts.store import AccountStore, Profile, storage_prefix
from chalicelib.accounts.vault import Vault
from chalicelib.errors import SealBroken
from chalicelib.sealing import Sealer
from chalicelib.settings import Settings
from chalicelib.unsealing import Unsealer
from container.browser import open_page
from container.douyin.login import fetch_profile
from container.evidence import Timeline
from container.jobs.session import open_session, refresh_session, session_version
from container.jobs.session_import import run_import
from container.worker import Worker
from tests.container.support import XIAOMAN

if TYPE_CHECKING:
    from container.browser import Browser
    from tests.conftest import Cloud
    from tests.container.conftest import Run
    from tests.container.support import Site

pytestmark = pytest.mark.system

WALKER = "3820146579067890"
DATABASE = {
    "name": "drafts",
    "version": 3,
    "stores": [
        {
            "name": "keys",
            "autoIncrement": False,
            "records": [{"key": "token", "value": "值-in-a-database"}],
            "indexes": [],
        }
    ],
}
READ_DATABASE = """() => new Promise((resolve, reject) => {
  const opening = indexedDB.open("drafts");
  opening.onerror = () => reject(opening.error);
  opening.onsuccess = () => {
    const store = opening.result.transaction("keys").objectStore("keys");
    store.get("token").onsuccess = (event) => resolve(event.target.result);
  };
})"""


class HandWorker(Worker):
    """Stores of the test instead of those of the environment."""

    store: LoginStore
    box: ImportBox

    def logins(self) -> LoginStore:
        return self.store

    def imports(self) -> ImportBox:
        return self.box


@dataclass(frozen=True)
class Bench:
    worker: HandWorker
    sealer: Sealer
    run: Run
    name: str

    def hand_over(self, state: dict[str, Any]) -> Login:
        """What the API does with a session."""
        login = self.worker.store.create(self.name, LoginKind.IMPORT)
        self.worker.box.put(login, self.sealer.seal(json.dumps(state), "session_import", login.id))
        return login

    def check(self, login: Login) -> Login:
        self.run(self.job(login))
        return self.worker.store.get(login.id)

    async def job(self, login: Login) -> None:
        message: Any = SimpleNamespace(keep_invisible=lambda: None)
        await run_import(self.worker, login.id, "worker-1", message)

    def is_destroyed(self, login: Login) -> bool:
        try:
            self.worker.box.take(login)
        except SealBroken:
            return True
        return False

    def stored(self) -> list[str]:
        """Versions of the account's session that the bucket holds."""
        prefix = storage_prefix("sessions", self.name)
        vault = self.worker.vault
        listed = vault.s3.list_objects_v2(Bucket=vault.bucket, Prefix=prefix).get("Contents", [])
        return [entry["Key"].removeprefix(prefix).removesuffix(".json").lstrip("0") for entry in listed]


@pytest.fixture
def bench(cloud: Cloud, site: Site, browser: Browser, run: Run) -> Bench:
    s3, kms, dynamodb = (cloud.client(service) for service in ("s3", "kms", "dynamodb"))
    bucket, key_id = cloud.variable("PRIVATE_BUCKET"), cloud.variable("SESSION_KEY_ID")
    worker = HandWorker(
        Settings({"DOUYIN_ORIGIN": site.origin}),
        browser,
        AccountStore(dynamodb, cloud.variable("ACCOUNTS_TABLE")),
        Vault(s3, kms, bucket, key_id),
        Unsealer(kms, key_id),
    )
    object.__setattr__(worker, "store", LoginStore(dynamodb, cloud.variable("LOGINS_TABLE")))
    object.__setattr__(worker, "box", ImportBox(s3, bucket))
    return Bench(worker, Sealer(kms, key_id), run, f"来自浏览器-{uuid.uuid4().hex[:8]}")


def sessionid(state: dict[str, Any]) -> str:
    return next(str(cookie["value"]) for cookie in state["cookies"] if cookie["name"] == "sessionid")


async def _forget(_: dict[str, Any]) -> None:
    pass


def with_database(state: dict[str, Any], site: Site) -> dict[str, Any]:
    storage = [{"name": "device", "value": "d-1"}]
    origin = {"origin": site.origin, "localStorage": storage, "indexedDB": [DATABASE]}
    return {**state, "origins": [origin]}


def test_a_live_session_logs_a_new_account_in_and_what_was_handed_over_is_destroyed(
    bench: Bench, site: Site
) -> None:
    state = site.log_in()
    login = bench.hand_over(state)

    ended = bench.check(login)

    assert (ended.state, ended.error) == (LoginState.SUCCESS, None)
    account = bench.worker.accounts.get(bench.name)
    assert (account.uid, account.nickname, account.state) == (XIAOMAN, "小满同学", "logged_in")
    assert str(account.avatar_url).startswith(site.origin)
    assert sessionid(bench.worker.vault.open(bench.name, account.session_version)) == sessionid(state)
    assert bench.is_destroyed(login)


@pytest.mark.parametrize("how", ["redirect", "stay"])
def test_a_session_that_the_platform_does_not_know_is_refused(bench: Bench, site: Site, how: str) -> None:
    site.scenario(logged_out=how)
    state = site.log_in()
    site.post("/admin/logout", {"user": XIAOMAN})
    login = bench.hand_over(state)

    ended = bench.check(login)

    assert ended.state is LoginState.FAILED
    assert (ended.error or {})["code"] == "session.refused"
    assert bench.worker.accounts.find(bench.name) is None
    assert bench.stored() == []
    assert bench.is_destroyed(login)


def test_the_session_of_another_account_is_refused_and_the_old_one_stays_in_force(
    bench: Bench, site: Site
) -> None:
    bench.check(bench.hand_over(site.log_in()))
    before = bench.worker.accounts.get(bench.name)

    ended = bench.check(bench.hand_over(site.log_in(WALKER)))

    error = ended.error or {}
    assert (ended.state, error["code"]) == (LoginState.FAILED, "session.other_account")
    assert "小满同学" in error["detail"]
    assert "城市漫步者" in error["detail"]
    assert bench.worker.accounts.get(bench.name) == before
    assert bench.stored() == [str(before.session_version)]


def test_a_second_import_shreds_the_first_session(bench: Bench, site: Site) -> None:
    bench.check(bench.hand_over(site.log_in()))
    bench.worker.vault.seal(bench.name, 7, {"cookies": []})  # What a job that died has left.

    bench.check(bench.hand_over(site.log_in()))

    assert bench.stored() == [str(bench.worker.accounts.get(bench.name).session_version)]


def test_a_challenge_on_the_way_in_fails_the_import_with_what_to_do(bench: Bench, site: Site) -> None:
    site.scenario(second_verification="enter")

    ended = bench.check(bench.hand_over(site.log_in()))

    error = ended.error or {}
    assert (ended.state, error["code"]) == (LoginState.FAILED, "account.verification_required")
    assert "your own browser" in error["next_step"]


def test_a_session_that_the_browser_cannot_take_is_told_apart_from_a_dead_one(bench: Bench, site: Site) -> None:
    state = site.log_in()
    secret = sessionid(state)
    state["cookies"][0] = {**state["cookies"][0], "name": "__Host-x", "path": "/elsewhere"}

    ended = bench.check(bench.hand_over(state))

    error = ended.error or {}
    assert (ended.state, error["code"]) == (LoginState.FAILED, "session.unusable")
    assert secret not in str(error)


def test_an_import_that_was_superseded_before_its_worker_came_is_destroyed_unopened(
    bench: Bench, site: Site
) -> None:
    login = bench.hand_over(site.log_in())
    bench.worker.store.create(bench.name)

    ended = bench.check(login)

    assert (ended.error or {})["code"] == "login.superseded"
    assert bench.is_destroyed(login)
    assert bench.worker.accounts.find(bench.name) is None


def test_an_import_that_is_superseded_while_it_is_tried_ends_at_once(
    bench: Bench, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = bench.hand_over(site.log_in())
    asked = asyncio.Event()

    async def never(*_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("container.jobs.session_import.fetch_profile", never)
    monkeypatch.setattr("container.lease.RENEWAL", timedelta(seconds=2))

    async def supersede() -> None:
        job = asyncio.create_task(bench.job(login))
        await asyncio.wait_for(asked.wait(), 30)
        await asyncio.to_thread(bench.worker.store.create, bench.name)
        await asyncio.wait_for(job, 10)

    bench.run(supersede())
    assert bench.worker.accounts.find(bench.name) is None
    assert bench.stored() == []


def test_an_account_that_is_deleted_while_a_session_is_tried_does_not_come_back(
    bench: Bench, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.check(bench.hand_over(site.log_in()))
    login = bench.hand_over(site.log_in())
    worker = bench.worker
    asked, deleted = asyncio.Event(), asyncio.Event()

    async def look_later(page: Any) -> Any:
        asked.set()
        await deleted.wait()
        return await fetch_profile(page)

    monkeypatch.setattr("container.jobs.session_import.fetch_profile", look_later)

    async def delete_meanwhile() -> None:
        job = asyncio.create_task(bench.job(login))
        await asyncio.wait_for(asked.wait(), 30)
        vault = worker.vault
        remove = partial(remove_account, bench.name, worker.accounts, worker.store, vault.s3, vault.bucket)
        await asyncio.to_thread(remove)
        deleted.set()
        await asyncio.wait_for(job, 30)

    bench.run(delete_meanwhile())
    assert worker.accounts.find(bench.name) is None
    assert bench.stored() == []
    assert (worker.store.get(login.id).error or {})["code"] == "login.canceled"


def test_what_a_site_keeps_in_its_databases_survives_import_sealing_and_restoring(
    bench: Bench, site: Site
) -> None:
    bench.check(bench.hand_over(with_database(site.log_in(), site)))

    async def restored() -> tuple[str, str]:
        account = bench.worker.accounts.get(bench.name)
        async with open_session(bench.worker, account, Timeline(_forget)) as context:
            page = await open_page(context)
            await page.goto(f"{site.origin}/creator-micro/home")
            return await page.evaluate(READ_DATABASE), await page.evaluate("localStorage.device")

    assert bench.run(restored()) == ("值-in-a-database", "d-1")


def test_a_refresh_keeps_the_databases_and_shreds_the_session_that_it_replaces(
    bench: Bench, site: Site
) -> None:
    bench.check(bench.hand_over(with_database(site.log_in(), site)))
    first = bench.worker.accounts.get(bench.name)

    async def refresh() -> None:
        async with open_session(bench.worker, first, Timeline(_forget)) as context:
            await (await open_page(context)).goto(f"{site.origin}/creator-micro/home")
            await refresh_session(bench.worker, first, context, "It opened.")

    bench.run(refresh())

    second = bench.worker.accounts.get(bench.name)
    assert second.session_version > first.session_version
    assert bench.stored() == [str(second.session_version)]
    (origin,) = bench.worker.vault.open(bench.name, second.session_version)["origins"]
    assert origin["indexedDB"] == [DATABASE]


@pytest.mark.parametrize("limit", ["_INDEXED_DB_SECONDS", "_INDEXED_DB_BYTES"])
def test_databases_that_are_slow_or_large_are_left_out_and_the_cookies_kept(
    bench: Bench, site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, limit: str
) -> None:
    monkeypatch.setattr(f"container.jobs.session.{limit}", 0)

    ended = bench.check(bench.hand_over(with_database(site.log_in(), site)))

    assert ended.state is LoginState.SUCCESS
    account = bench.worker.accounts.get(bench.name)
    state = bench.worker.vault.open(bench.name, account.session_version)
    assert sessionid(state)
    assert "indexedDB" not in state["origins"][0]
    assert "without its IndexedDB" in caplog.text


def test_a_session_that_was_replaced_since_the_account_was_read_opens_all_the_same(
    bench: Bench, site: Site
) -> None:
    bench.check(bench.hand_over(site.log_in()))
    stale = bench.worker.accounts.get(bench.name)
    newer = site.log_in()
    bench.check(bench.hand_over(newer))

    async def restored() -> list[Any]:
        async with open_session(bench.worker, stale, Timeline(_forget)) as context:
            return list(await context.cookies())

    assert sessionid({"cookies": bench.run(restored())}) == sessionid(newer)


def test_a_refresh_never_takes_the_place_of_a_newer_login(bench: Bench, site: Site) -> None:
    bench.check(bench.hand_over(site.log_in()))
    stale = bench.worker.accounts.get(bench.name)

    async def log_in_meanwhile() -> None:
        async with open_session(bench.worker, stale, Timeline(_forget)) as context:
            await bench.job(bench.hand_over(site.log_in()))
            await refresh_session(bench.worker, stale, context, "It opened.")

    bench.run(log_in_meanwhile())

    newer = bench.worker.accounts.get(bench.name)
    assert newer.session_version > stale.session_version
    assert bench.stored() == [str(newer.session_version)]


def test_a_login_that_a_newer_one_has_overtaken_leaves_nothing_behind(bench: Bench, site: Site) -> None:
    in_force = session_version(bench.worker) + 60_000
    bench.worker.vault.seal(bench.name, in_force, {"cookies": []})
    bench.worker.accounts.log_in(bench.name, Profile(XIAOMAN, "小满同学", None), session_version=in_force)

    ended = bench.check(bench.hand_over(site.log_in()))

    assert (ended.state, (ended.error or {})["code"]) == (LoginState.FAILED, "login.superseded")
    assert bench.stored() == [str(in_force)]
