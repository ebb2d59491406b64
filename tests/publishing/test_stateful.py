"""The real store, dispatcher, desk and reconciler on the emulated AWS, driven at random: workers that crash or
oversleep, messages that come again or die, a works list that lags, people who change their minds.

A platform with a memory knows what was clicked. Time is a clock that only the test turns; the queue is a list.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chalicelib.accounts.store import Profile
from chalicelib.clock import to_rfc3339
from chalicelib.dynamodb import decode
from chalicelib.errors import Fenced, PlatformRejected, StateConflict, VerificationTimeout
from chalicelib.publishing import states, submission
from chalicelib.publishing.dispatch import Dispatcher
from chalicelib.publishing.states import State
from chalicelib.publishing.task import MAX_TIMELINE, Task
from container.douyin.works import WorkSummary
from container.jobs import reconcile as reconciler
from container.jobs.publish import _claim
from container.lease import LEASE

if TYPE_CHECKING:
    from chalicelib.publishing.states import Action, Move
    from tests.publishing.conftest import Desk, HandClock

pytestmark = pytest.mark.system

TITLES = ("同一个标题", "另一个标题")
START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
MAX_TASKS = 6
SELDOM = st.sampled_from([False, False, False, True])

# How a worker fares in its next steps. Shorter lists leave it in the middle of things.
LUCKS = st.lists(st.integers(0, 9), min_size=1, max_size=3)
# What people write on the timeline is bounded by what they do, not by us.
PEOPLE_WRITE = 50


@dataclass
class Queue:
    """Stands in for SQS: keeps messages until the test takes them; drops what the real one would."""

    messages: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    down: bool = False

    def send_message(self, *, MessageBody: str, MessageDeduplicationId: str, **_: Any) -> None:  # noqa: N803
        if self.down:
            raise EndpointConnectionError(endpoint_url="https://sqs")
        if MessageDeduplicationId not in self.seen:
            self.seen.add(MessageDeduplicationId)
            self.messages.append(json.loads(MessageBody)["task_id"])


@dataclass
class Platform:
    """Every work that a click has made, with the second from which the creator's list shows it."""

    clock: HandClock
    works: list[tuple[WorkSummary, str, int]] = field(default_factory=list)
    shown_from: dict[str, Any] = field(default_factory=dict)
    # Titles of which a work was made long after its intent: to whom that one belongs cannot be told.
    slept_over: set[str] = field(default_factory=set)
    ids: Any = field(default_factory=lambda: itertools.count(7_000_000_000_000_000_000))

    def publish(self, task: Task, licence: int, lag: timedelta) -> str:
        if task.intent and self.clock() > reconciler.last_click(task) + reconciler.CLOCK_SKEW:
            self.slept_over.add(task.submission.title)
        work = WorkSummary(str(next(self.ids)), task.submission.title, self.clock(), None, None)
        self.works.append((work, task.id, licence))
        self.shown_from[work.item_id] = self.clock() + lag
        return work.item_id

    def listed(self) -> list[WorkSummary]:
        shown = [work for work, _, _ in self.works if self.shown_from[work.item_id] <= self.clock()]
        return shown[::-1]

    def of(self, task_id: str, licence: int | None = None) -> list[WorkSummary]:
        return [work for work, owner, under in self.works if owner == task_id and licence in (None, under)]


@dataclass
class Worker:
    """A worker between two of its steps. `licence` counts how often a person had denied the work before."""

    task: Task
    doing: str = "run"
    licence: int = 0
    item_id: str | None = None


def machine(desk: Desk) -> type[RuleBasedStateMachine]:
    class Publishing(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.clock, self.store = desk.clock, desk.tasks
            self.queue = Queue()
            self.platform = Platform(self.clock)
            self.dispatcher = Dispatcher(self.store, self.queue, "queue", self.clock)  # type: ignore[arg-type]
            self.desk = replace(desk.desk, dispatcher=self.dispatcher)
            self.worker_ground: Any = SimpleNamespace(accounts=desk.accounts, clock=self.clock)
            self.tasks: dict[str, Task] = {}
            self.licences: dict[str, int] = {}
            self.workers: list[Worker] = []
            self.person_moved: set[str] = set()
            self.patch = pytest.MonkeyPatch()
            self.patch.setattr(reconciler, "_look", self._look)
            # Ids decide the order of what is due at the same moment.
            numbers = itertools.count()
            self.patch.setattr(submission, "uuid", SimpleNamespace(uuid4=lambda: f"task-{next(numbers):04}"))
            self.clock.now = START

        def _open_account(self, *, spaced: bool) -> None:
            """The same account each time, as if nothing had been published yet."""
            desk.accounts.delete(desk.account_name)
            desk.accounts.log_in(desk.account_name, Profile("7001", "小明", None), session_version=1)
            if spaced:
                desk.prefer(min_spacing_minutes=1)

        def teardown(self) -> None:
            try:
                self._bring_everything_to_its_end()
            finally:
                self.patch.undo()
                for task_id in self.tasks:
                    desk.tasks._table.delete(task_id)
                for work, _, _ in self.platform.works:
                    desk.tasks._table.delete(f"work:{work.item_id}")

        # People

        @initialize(spaced=SELDOM)
        def first(self, spaced: bool) -> None:
            self._open_account(spaced=spaced)
            self._submit(TITLES[0], review=False, held=False, down=False)

        @precondition(lambda self: len(self.tasks) < MAX_TASKS)
        @rule(title=st.sampled_from(TITLES), review=SELDOM, held=SELDOM, down=SELDOM)
        def submit(self, title: str, review: bool, held: bool, down: bool) -> None:
            self._submit(title, review=review, held=held, down=down)

        def _submit(self, title: str, *, review: bool, held: bool, down: bool) -> None:
            at = (self.clock() + timedelta(minutes=20)).isoformat() if held else None
            wanted = desk.submission(title=title, manual_review=review, schedule_time=at)
            self.queue.down = down
            self._know(self.desk.submit(wanted))
            self.queue.down = False

        def _know(self, task: Task) -> None:
            self.tasks[task.id] = task
            self.licences.setdefault(task.id, 0)

        @precondition(lambda self: self._allowing("approve"))
        @rule(which=st.integers(0, MAX_TASKS - 1), yes=st.sampled_from([True, True, False]))
        def review(self, which: int, yes: bool) -> None:
            task = self._pick("approve", which)
            (self.desk.approve if yes else self.desk.reject)(task.id)

        @precondition(lambda self: any(task.state.held for task in self._allowing("cancel")))
        @rule(which=st.integers(0, MAX_TASKS - 1))
        def cancel(self, which: int) -> None:
            """Most tasks are worth canceling only once a worker has them."""
            self.desk.cancel(self._pick("cancel", which).id)

        @precondition(lambda self: self._allowing("retry"))
        @rule(which=st.integers(0, MAX_TASKS - 1))
        def retry(self, which: int) -> None:
            self.desk.retry(self._pick("retry", which).id)

        @precondition(lambda self: self._allowing("verification"))
        @rule(which=st.integers(0, MAX_TASKS - 1))
        def give_code(self, which: int) -> None:
            self.desk.verify(self._pick("verification", which).id, "123456")

        @precondition(lambda self: self._allowing("resolve"))
        @rule(which=st.integers(0, MAX_TASKS - 1), named=st.booleans())
        def say_what_is_live(self, which: int, named: bool) -> None:
            """Honest, not patient, and not always exact: what the list does not show yet is denied."""
            task = self._pick("resolve", which)
            mine = [work for work in self.platform.of(task.id) if work in self.platform.listed()]
            try:
                item_id = mine[0].item_id if mine and named else None
                self.desk.resolve(task.id, live=bool(mine), item_id=item_id)
            except StateConflict:
                assert mine[0].item_id in self._proved()
            if not mine:
                self.licences[task.id] += 1

        def _allowing(self, action: Action) -> list[Task]:
            return [task for task in self.tasks.values() if action in task.actions]

        def _pick(self, action: Action, which: int) -> Task:
            found = self._allowing(action)
            task = found[which % len(found)]
            self.person_moved.add(task.id)
            return task

        # The queue

        @precondition(lambda self: self.queue.messages)
        @rule(which=st.integers(0, 5), again=st.booleans(), lucks=LUCKS)
        def deliver(self, which: int, again: bool, lucks: list[int]) -> None:
            index = which % len(self.queue.messages)
            task_id = self.queue.messages[index] if again else self.queue.messages.pop(index)
            if worker := self._handle(task_id):
                self._go_on(worker, lucks)

        def _handle(self, task_id: str) -> Worker | None:
            task = self.store.get(task_id)
            with contextlib.suppress(StateConflict):
                if task.state is State.QUEUED:
                    claimed = _claim(self.worker_ground, self.store, task)
                    if claimed is not None:
                        worker = Worker(claimed, licence=self.licences[task_id])
                        self.workers.append(worker)
                        return worker
                elif task.state is State.OUTCOME_UNKNOWN:
                    asyncio.run(reconciler.reconcile(self.worker_ground, self.store, task))
            return None

        async def _look(self, *_: Any) -> list[WorkSummary]:
            return self.platform.listed()

        @precondition(lambda self: len(self.queue.messages) > 1)
        @rule(which=st.integers(0, 5))
        def give_message_up(self, which: int) -> None:
            self.dispatcher.bury(self.queue.messages.pop(which % len(self.queue.messages)))

        # Time

        @rule(minutes=st.sampled_from([0.2, 1, 1, 12, 60]), asleep=st.booleans())
        def time_passes(self, minutes: float, asleep: bool) -> None:
            """Then the sweeper comes by. Workers that are not asleep have shown signs of life."""
            self.clock.advance(minutes=minutes)
            for worker in [] if asleep else self.workers:
                with contextlib.suppress(Fenced):
                    self.store.renew(worker.task, lease_until=self.clock() + LEASE, progress={"step": "upload"})
            self.dispatcher.sweep()

        @precondition(lambda self: any(task.state is State.OUTCOME_UNKNOWN for task in self.tasks.values()))
        @rule()
        def an_hour_of_looks_passes(self) -> None:
            for _ in range(6):
                self.clock.advance(minutes=11)
                self.dispatcher.sweep()
                uncertain = [
                    task_id
                    for task_id in dict.fromkeys(self.queue.messages)
                    if self.store.get(task_id).state is State.OUTCOME_UNKNOWN
                ]
                for task_id in uncertain:
                    self.queue.messages.remove(task_id)
                    self._handle(task_id)

        # The workers

        @precondition(lambda self: self.workers)
        @rule(which=st.integers(0, 5))
        def crash(self, which: int) -> None:
            dead = self.workers.pop(which % len(self.workers))
            if dead.task.id not in self.queue.messages:
                self.queue.messages.append(dead.task.id)

        @precondition(lambda self: self.workers)
        @rule(which=st.integers(0, 5), lucks=LUCKS)
        def go_on(self, which: int, lucks: list[int]) -> None:
            self._go_on(self.workers[which % len(self.workers)], lucks)

        def _go_on(self, worker: Worker, lucks: list[int]) -> None:
            for luck in lucks:
                if not self._step(worker, luck):
                    self.workers.remove(worker)
                    return

        def _step(self, worker: Worker, luck: int) -> bool:
            """One step, as container/jobs/publish.py makes it; False where the worker is done."""
            try:
                getattr(self, f"_{worker.doing}")(worker, luck)
            except Fenced:
                return False
            return worker.doing != "done"

        def _run(self, worker: Worker, luck: int) -> None:
            entry = {"name": "fill", "started_at": to_rfc3339(self.clock()), "duration_ms": 1, "outcome": "ok"}
            worker.task = self.store.record(worker.task, entry)
            match luck:
                case 7:
                    self._move(worker, states.BACK_OFF, "done", due_at=self.clock() + timedelta(seconds=20))
                case 8:
                    self._move(worker, states.FAIL, "done", error=PlatformRejected("no").describe())
                case 9:
                    self._move(worker, states.ASK, "wait", verification={"tries": 0})
                case _ if worker.task.rehearsal:
                    self._move(worker, states.REHEARSE, "done")
                case _:
                    intent = {
                        "at": to_rfc3339(self.clock()),
                        "works": [work.item_id for work in self.platform.listed()],
                    }
                    self._move(worker, states.INTEND, "click", intent=intent)
                    worker.licence = self.licences[worker.task.id]

        def _click(self, worker: Worker, luck: int) -> None:
            lag = timedelta(minutes=(0, 3, 10, 120)[luck % 4])
            match luck:
                case 0 | 1 | 2 | 3:
                    worker.item_id = self.platform.publish(worker.task, worker.licence, lag)
                    worker.doing = "yes"
                case 4 | 5 | 6 | 7:
                    self.platform.publish(worker.task, worker.licence, lag)
                    worker.doing = "doubt"
                case 8:
                    worker.doing = "no"
                case _:
                    self._move(worker, states.ASK, "wait", verification={"tries": 0})

        def _code_given(self, worker: Worker, luck: int) -> None:
            """Entering the code may have sent the work; else it has to be clicked again."""
            if luck < 3:
                self._click(worker, luck)
            else:
                self._move(worker, states.INTEND_AGAIN, "click", intent=worker.task.intent)

        def _yes(self, worker: Worker, _: int) -> None:
            assert worker.item_id is not None
            self.store.claim_work(worker.item_id, worker.task.id)
            self._move(worker, states.PROVE, "done", result={"item_id": worker.item_id})

        def _no(self, worker: Worker, _: int) -> None:
            self._move(worker, states.REFUSE, "done", error=PlatformRejected("no").describe())

        def _doubt(self, worker: Worker, _: int) -> None:
            self._move(worker, states.DOUBT, "done", due_at=self.clock() + timedelta(seconds=30))

        def _wait(self, worker: Worker, luck: int) -> None:
            seen = self.store.get(worker.task.id)
            if seen.epoch != worker.task.epoch or seen.state is not State.NEEDS_VERIFICATION:
                raise Fenced("canceled, or claimed by another")
            if seen.sealed_code is None:
                if luck == 0:
                    self._move(worker, states.FAIL, "done", error=VerificationTimeout().describe())
                return
            move, doing = (states.RESUBMIT, "code_given") if seen.intent else (states.RESUME, "run")
            worker.task = self.store.take_code(seen, move, lease_until=self.clock() + LEASE)
            worker.doing = doing

        def _move(self, worker: Worker, move: Move, then: str, **changes: Any) -> None:
            if move.target.held:
                changes["due_at"] = self.clock() + LEASE
            worker.task = self.store.move(worker.task.id, move, epoch=worker.task.epoch, **changes)
            worker.doing = then

        # What always holds

        @invariant()
        def promises_hold(self) -> None:
            table = desk.tasks._table
            found = table.client.scan(TableName=table.name, ConsistentRead=True)["Items"]
            stored = {item["id"]["S"]: decode(item) for item in found}
            for task_id, before in self.tasks.items():
                task = Task.from_item(stored[task_id])
                licence = self.licences[task_id]
                for under in range(licence + 1):
                    assert len(self.platform.of(task_id, under)) <= 1, "two works"
                if task.state is State.CANCELED or (task.state is State.FAILED and task.intent is None):
                    assert not self.platform.of(task_id, licence), "it was submitted after all"
                if before.state.terminal and task.state is not before.state:
                    assert task_id in self.person_moved, "a terminal state was left"
                if task.state.watched:
                    assert task.due_at or task_id in self.queue.messages, "nobody will come back to the task"
                assert task.epoch >= before.epoch
                assert task.sealed_code is None or task.state is State.NEEDS_VERIFICATION
                assert len(task.timeline) <= MAX_TIMELINE + PEOPLE_WRITE
                self.tasks[task_id] = task
            self.person_moved.clear()
            for title in {*TITLES} - self.platform.slept_over:
                # Which of two tasks with one title a work belongs to nobody can tell for certain.
                works = sum(work.title == title for work, _, _ in self.platform.works)
                published = [
                    task
                    for task in self.tasks.values()
                    if task.state is State.PUBLISHED and task.submission.title == title
                ]
                assert len(published) <= works, "published without a click"
                proved = self._proved(title)
                assert len(set(proved)) == len(proved), "one work proves two tasks"

        def _proved(self, title: str | None = None) -> list[str]:
            return [
                item_id
                for task in self.tasks.values()
                if task.state is State.PUBLISHED
                and title in (None, task.submission.title)
                and (item_id := (task.result or {}).get("item_id"))
            ]

        def _bring_everything_to_its_end(self) -> None:
            """Workers that meet no fault, and nobody's help: every task ends, or waits for a review."""
            self.workers.clear()
            for _ in range(60):
                if not any(self.store.get(task_id).state.watched for task_id in self.tasks):
                    return
                self.clock.advance(minutes=11)
                self.dispatcher.sweep()
                while self.queue.messages:
                    if worker := self._handle(self.queue.messages.pop(0)):
                        self._go_on(worker, [0, 0, 0, 0])
                self.promises_hold()
            left = {task_id: self.store.get(task_id).state for task_id in self.tasks}
            raise AssertionError(f"tasks that never end: {left}")

    return Publishing


PROFILE = settings(
    # Enough for every push; raise it to hunt.
    max_examples=15,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(900)
def test_whatever_happens_nothing_is_published_twice_or_lost(desk: Desk) -> None:
    run_state_machine_as_test(machine(desk), settings=PROFILE)
