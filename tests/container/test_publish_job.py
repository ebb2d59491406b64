"""The whole publish job in this process: a real browser, the stand-in, the emulated AWS, writes that fail."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from chalicelib.accounts.logins import LoginStore
from chalicelib.accounts.preferences import sealed
from chalicelib.accounts.removal import remove_account
from chalicelib.accounts.store import AccountState, AccountStore, Profile, storage_prefix
from chalicelib.accounts.vault import Vault
from chalicelib.clock import from_rfc3339, to_rfc3339, utc_now
from chalicelib.errors import LoginRequired
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
from container.douyin import act, locators, upload
from container.douyin.publish import Publication, Work
from container.douyin.works import list_works
from container.jobs.publish import BACKOFF, CLICK_SECONDS, run_task
from container.worker import Worker
from tests.container.proxies import PASSWORD, USERNAME, SocksProxy, proxy_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from playwright.async_api import Page

    from chalicelib.clock import Clock
    from container.douyin.works import WorkSummary
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

    def publish(self, task: Task, *, deadline: Callable[[], float] | None = None) -> Task:
        """Handles the task's message once, and returns what has become of the task."""
        message: Any = SimpleNamespace(keep_invisible=lambda: None)
        end = time.monotonic() + 300
        self.run(run_task(self.worker, task.id, message, deadline=deadline or (lambda: end - time.monotonic())))
        return self.store.get(task.id)

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
    return _queued(bench, Submission(f"{site.origin}/media/demo.mp4", "只发一次", account))


@pytest.mark.parametrize("after", [False, True], ids=["not written", "written, answer lost"])
@pytest.mark.parametrize("broken", [states.INTEND, states.PROVE], ids=lambda move: move.name)
def test_a_write_that_fails_around_the_click_neither_doubles_nor_loses_the_work(
    bench: Bench, site: Site, task: Task, broken: Move, after: bool
) -> None:
    bench.store.breaks_at, bench.store.after = broken, after
    bench.publish(task)
    bench.store.breaks_at = None
    clicked = broken is states.PROVE
    assert len(site.works()) == (1 if clicked else 0)

    # What became of the write nobody here knows. The sweeper decides; the message comes again, twice.
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


def test_a_site_that_is_slow_costs_an_attempt_and_no_login(
    bench: Bench, site: Site, task: Task, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "_OPEN_MS", 500)
    site.scenario(pace=5000)

    bench.publish(task)

    waiting = bench.store.get(task.id)
    assert (waiting.state, waiting.attempts) == (State.QUEUED, 1)
    bench.worker.accounts.get(account).require_login()


def test_a_session_that_is_over_costs_the_login(bench: Bench, site: Site, task: Task, account: str) -> None:
    site.scenario(session_dies="at_cover")

    bench.publish(task)

    ended = bench.store.get(task.id)
    assert ended.error is not None
    assert (ended.state, ended.error["code"]) == (State.FAILED, "account.session_expired")
    with pytest.raises(LoginRequired):
        bench.worker.accounts.get(account).require_login()


def test_a_page_that_has_changed_is_tried_once(
    bench: Bench, site: Site, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half of it, in which nothing may move, begins when the last toast has gone.
    monkeypatch.setattr(act, "ACTION_MS", 7_000)
    site.scenario(drift="removed")

    bench.publish(task)

    ended = bench.store.get(task.id)
    assert ended.error is not None
    assert (ended.state, ended.error["code"]) == (State.FAILED, "platform.page_changed")
    assert locators.SETTING.purpose in ended.error["detail"]
    assert (ended.attempts, site.publish_requests()) == (0, 0)


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


def test_a_passing_fault_is_tried_three_times_with_a_growing_pause_and_told_in_the_end(
    bench: Bench, site: Site, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a fault of the cloud is told as what it is, not as a worker that disappeared."""
    denied = ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")

    def refuse(*_: Any) -> Any:
        raise denied

    monkeypatch.setattr(Vault, "open", refuse)
    pauses = []
    for attempt in (1, 2):
        before = utc_now()
        backed_off = bench.publish(task)
        assert (backed_off.state, backed_off.attempts, backed_off.error) == (State.QUEUED, attempt, None)
        pauses.append(from_rfc3339(backed_off.due_at or "") - before)
    failed = bench.publish(task)

    assert BACKOFF * 0.5 <= pauses[0] <= BACKOFF * 1.5 + timedelta(seconds=30)
    assert BACKOFF <= pauses[1] <= BACKOFF * 3 + timedelta(seconds=30)
    assert failed.state is State.FAILED
    assert failed.error is not None
    assert (failed.error["code"], failed.error["detail"]) == ("internal.cloud", "GetObject: AccessDenied.")
    assert site.works() == []


def test_nothing_is_clicked_where_the_list_has_used_the_time_up(
    bench: Bench, site: Site, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [300.0]

    async def slowly(page: Page, origin: str) -> list[WorkSummary]:
        works = await list_works(page, origin)
        left[0] = CLICK_SECONDS - 1
        return works

    monkeypatch.setattr("container.jobs.publish.list_works", slowly)

    backed_off = bench.publish(task, deadline=lambda: left[0])

    assert (backed_off.state, backed_off.intent, backed_off.attempts) == (State.QUEUED, None, 1)
    assert site.publish_requests() == 0


def test_what_was_approved_is_what_is_published_or_nothing(bench: Bench, site: Site, account: str) -> None:
    submission = Submission(f"{site.origin}/media/demo.mp4", "先看再发", account, manual_review=True)
    now = to_rfc3339(utc_now())
    task = Task(str(uuid.uuid4()), State.QUEUED, submission, created_at=now, updated_at=now)
    bench.store.create(task)
    reviewed = bench.publish(task)
    assert reviewed.state is State.AWAITING_REVIEW
    assert reviewed.reviewed_media is not None

    bench.store.move(
        task.id, states.APPROVE, due_at=utc_now(), approved=True, reviewed_media=["another file's"]
    )
    failed = bench.publish(task)

    assert (failed.state, (failed.error or {})["code"]) == (State.FAILED, "media.changed")
    assert site.works() == []
    bench.store.move(task.id, states.RETRY, due_at=utc_now(), reviewed_media=reviewed.reviewed_media)
    assert bench.publish(task).state is State.PUBLISHED


def test_a_time_that_douyin_takes_no_more_once_the_upload_is_done_is_kept_by_us(
    bench: Bench, site: Site, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = (utc_now() + timedelta(hours=2, minutes=6)).replace(second=0, microsecond=0)
    now = to_rfc3339(utc_now())
    submission = Submission(f"{site.origin}/media/demo.mp4", "两小时后", account)
    task = Task(
        str(uuid.uuid4()),
        State.QUEUED,
        submission,
        created_at=now,
        updated_at=now,
        publish_at=to_rfc3339(at),
        platform_schedule=True,
    )
    bench.store.create(task)
    real = Publication.wait_form
    late = timedelta(0)

    async def slowly(publication: Publication) -> None:
        nonlocal late
        await real(publication)
        late = timedelta(minutes=8)

    monkeypatch.setattr(Publication, "wait_form", slowly)
    object.__setattr__(bench.worker, "clock", lambda: utc_now() + late)

    waiting = bench.publish(task)

    assert (waiting.state, waiting.platform_schedule, waiting.attempts) == (State.QUEUED, False, 0)
    assert from_rfc3339(waiting.due_at or "") == at
    assert site.works() == []
    late = at - utc_now()
    assert bench.publish(task).state is State.PUBLISHED
    (work,) = site.works()
    assert work["timing"] == -1


def test_the_job_tells_the_older_dialog_where_and_when_own_footage_was_shot(
    bench: Bench, site: Site, account: str
) -> None:
    site.scenario(declaration="old")
    place = ["中国大陆", "北京市", "朝阳区"]
    task = _queued(
        bench,
        Submission(
            f"{site.origin}/media/demo.mp4",
            "自己拍的",
            account,
            claim_type="自行拍摄",
            claim_place=place,
            claim_date="2026-02-28",
        ),
    )

    bench.publish(task)

    (work,) = site.works()
    declared = work["declaration"]
    assert (declared["choice"], declared["place"], declared["date"]) == ("内容自行拍摄", place, "2026-02-28")


def test_a_time_that_comes_too_near_while_the_job_runs_is_kept_by_us(
    bench: Bench, site: Site, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_at = to_rfc3339(utc_now() + timedelta(hours=2, minutes=10))
    submission = Submission(f"{site.origin}/media/demo.mp4", "来不及", account)
    task = _queued(bench, submission, publish_at=publish_at, platform_schedule=True)
    later = partial(_in_a_quarter, utc_now)
    monkeypatch.setattr("container.douyin.schedule.utc_now", later)

    bench.publish(task)
    tried = bench.store.get(task.id)
    object.__setattr__(bench.worker, "clock", later)
    bench.publish(task)

    held = bench.store.get(task.id)
    assert (tried.state, tried.attempts, site.publish_requests()) == (State.QUEUED, 1, 0)
    assert (held.state, held.platform_schedule, held.due_at) == (State.SCHEDULED, False, publish_at)


def _in_a_quarter(clock: Clock) -> datetime:
    return clock() + timedelta(minutes=15)


def _queued(bench: Bench, submission: Submission, **members: Any) -> Task:
    now = to_rfc3339(utc_now())
    task = Task(str(uuid.uuid4()), State.QUEUED, submission, created_at=now, updated_at=now, **members)
    bench.store.create(task)
    return task


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


@pytest.mark.parametrize(
    ("scenario", "state", "seen"),
    [
        ({"session_dies": "at_publish"}, AccountState.EXPIRED, "session"),
        ({"second_verification": "publish", "verification": "face"}, AccountState.NEEDS_VERIFICATION, "face"),
    ],
    ids=["expired", "needs_verification"],
)
def test_what_a_publish_learns_of_the_session_stands_on_the_account(
    bench: Bench, site: Site, task: Task, scenario: dict[str, str], state: AccountState, seen: str
) -> None:
    site.scenario(**scenario)
    bench.publish(task)

    account = bench.worker.accounts.get(task.submission.account_name)
    assert account.state is state
    assert seen in account.evidence
    # The worker could not reach the event bus: the event stays owed, and the task has its outcome all the same.
    assert len(account.owed) == (1 if state is AccountState.EXPIRED else 0)
    assert bench.store.get(task.id).state is State.FAILED


def test_a_publish_is_proof_that_the_session_is_alive(bench: Bench, task: Task) -> None:
    accounts = bench.worker.accounts
    before = accounts.get(task.submission.account_name)
    accounts.ask_for_verification(before, "身份验证")
    bench.publish(task)

    after = accounts.get(before.name)
    assert (after.state, after.evidence) == (AccountState.LOGGED_IN, "A work was published.")
    assert after.session_version > before.session_version


def remove(bench: Bench, cloud: Cloud, name: str) -> None:
    logins = LoginStore(cloud.client("dynamodb"), cloud.variable("LOGINS_TABLE"))
    bucket = cloud.variable("PRIVATE_BUCKET")
    remove_account(name, bench.worker.accounts, logins, cloud.client("s3"), bucket)


def left_of(cloud: Cloud, name: str) -> list[str]:
    """What the private bucket holds of an account."""
    s3, bucket = cloud.client("s3"), cloud.variable("PRIVATE_BUCKET")
    return [
        entry["Key"]
        for kind in ("sessions", "evidence")
        for entry in s3.list_objects_v2(Bucket=bucket, Prefix=storage_prefix(kind, name)).get("Contents", [])
    ]


@pytest.mark.parametrize("anew", [False, True], ids=["deleted", "deleted and made anew"])
def test_a_task_whose_account_is_deleted_while_its_form_is_filled_is_not_submitted(
    bench: Bench, site: Site, task: Task, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, anew: bool
) -> None:
    name = task.submission.account_name
    read_back = Publication.read_back

    async def delete_first(publication: Publication, work: Work) -> None:
        await read_back(publication, work)
        await asyncio.to_thread(remove, bench, cloud, name)
        if anew:
            bench.worker.accounts.log_in(name, Profile("7002", "别人", None), session_version=2)

    monkeypatch.setattr(Publication, "read_back", delete_first)
    bench.publish(task)

    ended = bench.store.get(task.id)
    assert (ended.state, (ended.error or {})["code"]) == (State.FAILED, "account.not_found")
    assert [entry["name"] for entry in ended.timeline][:2]
    assert site.publish_requests() == 0
    assert left_of(cloud, name) == []


def test_a_work_that_is_out_stands_on_its_task_though_the_account_was_deleted_then(
    bench: Bench, site: Site, task: Task, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = task.submission.account_name
    submit = Publication.submit

    async def delete_after(publication: Publication, before_click: Any) -> Any:
        submitted = await submit(publication, before_click=before_click)
        await asyncio.to_thread(remove, bench, cloud, name)
        return submitted

    monkeypatch.setattr(Publication, "submit", delete_after)
    bench.publish(task)

    ended = bench.store.get(task.id)
    (work,) = site.works()
    assert (ended.state, (ended.result or {})["item_id"]) == (State.PUBLISHED, work["item_id"])
    assert bench.worker.accounts.find(name) is None
    assert left_of(cloud, name) == []


def test_a_queued_task_whose_account_is_gone_fails_with_the_cause(
    bench: Bench, task: Task, cloud: Cloud
) -> None:
    remove(bench, cloud, task.submission.account_name)
    bench.publish(task)

    ended = bench.store.get(task.id)
    assert (ended.state, (ended.error or {})["code"]) == (State.FAILED, "account.not_found")
    assert ended.submission == task.submission
