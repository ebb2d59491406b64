"""The whole publish job in this process: a real browser, the stand-in, the emulated AWS, writes that fail."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectionClosedError

from chalicelib.accounts.logins import LoginStore
from chalicelib.accounts.removal import remove_account
from chalicelib.accounts.store import AccountState, AccountStore, Profile, storage_prefix
from chalicelib.accounts.vault import Vault
from chalicelib.clock import utc_now
from chalicelib.evidence import EvidenceStore
from chalicelib.publishing import states
from chalicelib.publishing.dispatch import Dispatcher
from chalicelib.publishing.states import Move, State
from chalicelib.publishing.store import TaskStore
from chalicelib.publishing.task import Submission, Task
from chalicelib.settings import Settings
from chalicelib.unsealing import Unsealer
from container.douyin.publish import Publication, Work
from container.jobs.publish import run_task
from container.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from container.browser import Browser
    from tests.conftest import Cloud
    from tests.container.conftest import Run
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
