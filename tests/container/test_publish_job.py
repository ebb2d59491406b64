"""The whole publish job in this process: a real browser, the stand-in, the emulated AWS, writes that fail."""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectionClosedError

from chalicelib.accounts.preferences import sealed
from chalicelib.accounts.store import AccountStore, Profile
from chalicelib.accounts.vault import Vault
from chalicelib.clock import utc_now
from chalicelib.evidence import EvidenceStore
from chalicelib.publishing import states
from chalicelib.publishing.dispatch import Dispatcher
from chalicelib.publishing.states import Move, State
from chalicelib.publishing.store import TaskStore
from chalicelib.publishing.task import Submission, Task
from chalicelib.sealing import Sealer
from chalicelib.settings import Settings
from chalicelib.unsealing import Unsealer
from container.browser import Browser, platform_hosts
from container.jobs.publish import run_task
from container.worker import Worker
from tests.container.proxies import PASSWORD, USERNAME, SocksProxy, proxy_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from tests.conftest import Cloud
    from tests.container.conftest import Run
    from tests.container.proxies import ProxyServer
    from tests.container.support import Site

pytestmark = pytest.mark.system


class BrokenStore(TaskStore):
    """Loses the connection at one move: before the write takes effect, or after."""

    breaks_at: Move | None = None
    after: bool = False

    def move(self, task_id: str, move: Move, **changes: Any) -> Task:
        if move is not self.breaks_at:
            return super().move(task_id, move, **changes)
        if self.after:
            super().move(task_id, move, **changes)
        raise ConnectionClosedError(endpoint_url="http://dynamodb")


@dataclass(frozen=True)
class Bench:
    """A worker on the test's own clients, and the sweeper that comes after it."""

    worker: Any
    store: BrokenStore
    run: Run
    sent: list[str]
    now: list[datetime]

    def publish(self, task: Task) -> None:
        message: Any = SimpleNamespace(keep_invisible=lambda: None)
        end = time.monotonic() + 300
        self.run(run_task(self.worker, task.id, message, deadline=lambda: end - time.monotonic()))

    def sweep_later(self, **later: float) -> None:
        self.now[0] = utc_now() + timedelta(**later)
        queue: Any = SimpleNamespace(send_message=lambda **sent: self.sent.append(sent["MessageBody"]))
        Dispatcher(self.store, queue, "queue", lambda: self.now[0]).sweep()


class HandWorker(Worker):
    """Stores of the test instead of those of the environment."""

    store: TaskStore
    pictures: EvidenceStore

    def tasks(self) -> TaskStore:
        return self.store

    def evidence(self) -> EvidenceStore:
        return self.pictures


@pytest.fixture
def account(cloud: Cloud, site: Site) -> str:
    return f"job-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def bench(cloud: Cloud, site: Site, browser: Browser, run: Run, account: str) -> Bench:
    accounts = AccountStore(cloud.client("dynamodb"), cloud.variable("ACCOUNTS_TABLE"))
    bucket = cloud.variable("PRIVATE_BUCKET")
    kms, key_id = cloud.client("kms"), cloud.variable("SESSION_KEY_ID")
    vault = Vault(cloud.client("s3"), kms, bucket, key_id)
    vault.seal(account, 1, site.log_in())
    accounts.log_in(account, Profile("3820146579012345", "小满同学", None), session_version=1)
    host = site.origin.removeprefix("http://")
    settings = Settings({"DOUYIN_ORIGIN": site.origin, "MEDIA_ALLOW_LOOPBACK": host})
    worker = HandWorker(settings, browser, accounts, vault, Unsealer(kms, key_id))
    store = BrokenStore(cloud.client("dynamodb"), cloud.variable("TASKS_TABLE"))
    object.__setattr__(worker, "store", store)
    object.__setattr__(worker, "pictures", EvidenceStore(cloud.client("s3"), bucket))
    return Bench(worker, store, run, [], [utc_now()])


@pytest.fixture
def task(bench: Bench, site: Site, account: str) -> Task:
    """A queued task that no other test's sweep or queue knows."""
    submission = Submission(f"{site.origin}/media/demo.mp4", "只发一次", account)
    now = "2026-11-21T00:00:00.000Z"
    queued = Task(str(uuid.uuid4()), State.QUEUED, submission, created_at=now, updated_at=now)
    bench.store.create(queued)
    return queued


@pytest.mark.parametrize("after", [False, True], ids=["not written", "written, answer lost"])
@pytest.mark.parametrize("broken", [states.INTEND, states.PROVE], ids=lambda move: move.name)
def test_a_write_that_fails_around_the_click_neither_doubles_nor_loses_the_work(
    bench: Bench, site: Site, task: Task, broken: Move, after: bool
) -> None:
    bench.store.breaks_at, bench.store.after = broken, after
    with pytest.raises(ConnectionClosedError):
        bench.publish(task)
    bench.store.breaks_at = None
    clicked = broken is states.PROVE
    assert len(site.works()) == (1 if clicked else 0)

    # The lease lapses; the sweeper decides; the message comes again, twice.
    bench.sweep_later(minutes=2)
    for _ in range(2):
        bench.publish(task)

    settled = bench.store.get(task.id)
    if broken is states.INTEND and after:
        # It was never clicked, but nobody can know: only looking is left.
        assert (settled.state, site.works()) == (State.OUTCOME_UNKNOWN, [])
        assert settled.checks > 0
    else:
        (work,) = site.works()
        assert settled.state is State.PUBLISHED
        assert settled.result is not None
        assert settled.result["item_id"] == work["item_id"]
    assert site.publish_requests() <= 1


def test_the_jobs_intent_knows_the_list_and_the_length_of_the_video(
    bench: Bench, site: Site, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[dict[str, Any]] = []
    move: Callable[..., Task] = TaskStore.move

    def watch(store: TaskStore, task_id: str, made: Move, **changes: Any) -> Task:
        if made is states.INTEND:
            written.append(changes["intent"])
        return move(store, task_id, made, **changes)

    monkeypatch.setattr(TaskStore, "move", watch)
    bench.publish(task)

    (intent,) = written
    assert intent["works"] == []
    assert intent["duration_ms"] == pytest.approx(6_000, abs=100)
    assert bench.store.get(task.id).state is State.PUBLISHED


@pytest.fixture
def proxied(bench: Bench, site: Site, chromium_path: str) -> Iterator[ProxyServer]:
    """The account's proxy; the worker's browser may use it on loopback."""
    with proxy_server(SocksProxy) as proxy:
        browser = Browser(
            chromium_path, allowed_hosts=platform_hosts(site.origin), proxy_allow_loopback={proxy.host}
        )
        object.__setattr__(bench.worker, "browser", browser)
        yield proxy
        bench.run(browser.close())


def _prefer_proxy(bench: Bench, account: str, proxy: ProxyServer, password: str) -> None:
    """As the API stores it."""
    unsealer = bench.worker.unsealer
    given = {"proxy": {"url": proxy.url, "username": USERNAME, "password": password}}
    bench.worker.accounts.prefer(account, sealed(given, account, Sealer(unsealer.kms, unsealer.key_id)))


def test_a_task_of_an_account_with_a_proxy_is_published_through_it(
    bench: Bench, site: Site, task: Task, account: str, proxied: ProxyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    _prefer_proxy(bench, account, proxied, PASSWORD)

    bench.publish(task)

    assert bench.store.get(task.id).state is State.PUBLISHED
    assert set(proxied.asked) == {site.origin.removeprefix("http://")}
    timeline = bench.store.get(task.id).timeline
    (entry,) = [entry for entry in timeline if entry["name"] == "open_session"]
    assert entry["notes"] == [f"proxy {proxied.url}"]
    for told in (repr(bench.store.get(task.id)), caplog.text):
        assert PASSWORD not in told
        assert USERNAME not in told


def test_a_task_waits_for_a_proxy_that_is_down_and_nothing_goes_out_beside_it(
    bench: Bench, site: Site, task: Task, account: str, proxied: ProxyServer
) -> None:
    _prefer_proxy(bench, account, proxied, PASSWORD)
    proxied.stop_listening()

    bench.publish(task)

    waiting = bench.store.get(task.id)
    assert (waiting.state, waiting.attempts, waiting.intent) == (State.QUEUED, 1, None)
    assert site.works() == []
    # The proxy stays down.
    for _ in range(3):
        bench.sweep_later(hours=1)
        bench.publish(task)
    failed = bench.store.get(task.id)
    assert failed.state is State.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "account.proxy_unreachable"


def test_a_task_fails_at_once_where_the_proxy_does_not_take_the_password(
    bench: Bench, site: Site, task: Task, account: str, proxied: ProxyServer
) -> None:
    _prefer_proxy(bench, account, proxied, "wrong")

    bench.publish(task)

    failed = bench.store.get(task.id)
    assert failed.state is State.FAILED
    assert failed.error is not None
    assert (failed.error["code"], failed.error["retryable"]) == ("account.proxy_refused", False)
    assert "`proxy`" in failed.error["next_step"]
    assert site.works() == []
