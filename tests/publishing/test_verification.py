"""A worker that waits for a code: it is asked for, taken once, told nowhere, and not waited for for ever."""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.clock import from_rfc3339, utc_now
from chalicelib.errors import Fenced, VerificationTimeout
from chalicelib.publishing import states
from chalicelib.publishing.states import State
from chalicelib.unsealing import Unsealer
from chalicelib.verification import masked
from container.jobs import claim as claims
from container.jobs.claim import Claim
from tests.publishing.support import LEASE, claim, intend

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.publishing.task import Task
    from tests.publishing.conftest import Desk

pytestmark = pytest.mark.system

PHONE = "183******91"
SECONDS = 20.0


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "LOOK_SECONDS", 0.02)


def holding(desk: Desk, task: Task) -> Claim:
    message: Any = SimpleNamespace(keep_invisible=lambda: None)
    sealer = desk.desk.sealer
    return Claim(desk.tasks, task, message, Unsealer(sealer.kms, sealer.key_id), utc_now)


def until(desk: Desk, task: Task, seen: Callable[[Task], bool]) -> Task:
    """The task as soon as it is so."""
    end = utc_now() + timedelta(seconds=SECONDS)
    while not seen(found := desk.tasks.get(task.id)):
        assert utc_now() < end, found
    return found


def in_background(do: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=do)
    thread.start()
    return thread


def waits(task: Task) -> bool:
    return task.state is State.NEEDS_VERIFICATION


@pytest.mark.parametrize(
    ("clicked", "goes_on"),
    [(False, State.RUNNING), (True, State.SUBMITTING)],
    ids=["before", "after the click"],
)
def test_a_code_is_asked_for_taken_and_gone(desk: Desk, clicked: bool, goes_on: State) -> None:
    held = claim(desk, desk.desk.submit(desk.submission()).id)
    if clicked:
        held = intend(desk, held)
    job = holding(desk, held)

    def person() -> None:
        asked = until(desk, held, waits)
        assert asked.verification is not None
        assert (asked.verification["phone"], asked.verification["tries"]) == (PHONE, 0)
        assert from_rfc3339(asked.verification["expires_at"]) > utc_now()
        desk.desk.verify(held.id, "4711")

    answering = in_background(person)
    code = asyncio.run(job.next_code("183 1234 5691", seconds=SECONDS))
    answering.join()

    assert code == "4711"
    task = desk.tasks.get(held.id)
    assert (task.state, task.sealed_code) == (goes_on, None)
    assert task.due_at is not None
    assert ("renewed_at" in (task.intent or {})) is clicked


def test_a_wrong_code_is_a_second_question_that_counts_the_tries(desk: Desk) -> None:
    held = intend(desk, claim(desk, desk.desk.submit(desk.submission()).id))
    job = holding(desk, held)

    def person() -> None:
        until(desk, held, waits)
        desk.desk.verify(held.id, "1111")
        asked = until(desk, held, lambda task: waits(task) and (task.verification or {})["tries"] == 1)
        assert asked.sealed_code is None
        desk.desk.verify(held.id, "2222")

    async def ask_twice() -> list[str]:
        return [await job.next_code(PHONE, seconds=SECONDS) for _ in range(2)]

    answering = in_background(person)
    codes = asyncio.run(ask_twice())
    answering.join()

    assert codes == ["1111", "2222"]


def test_nobody_answers_in_time(desk: Desk) -> None:
    held = claim(desk, desk.desk.submit(desk.submission()).id)

    with pytest.raises(VerificationTimeout):
        asyncio.run(holding(desk, held).next_code(PHONE, seconds=0.2))


def test_a_worker_that_waits_for_a_code_stops_when_the_task_is_canceled(desk: Desk) -> None:
    held = intend(desk, claim(desk, desk.desk.submit(desk.submission()).id))
    job = holding(desk, held)

    def person() -> None:
        until(desk, held, waits)
        desk.desk.cancel(held.id)

    answering = in_background(person)
    with pytest.raises(Fenced):
        asyncio.run(job.next_code(PHONE, seconds=SECONDS))
    answering.join()
    task = desk.tasks.get(held.id)
    assert (task.state, task.intent) == (State.CANCELED, None)


def test_a_code_is_taken_once_and_only_as_it_stands(desk: Desk) -> None:
    held = claim(desk, desk.desk.submit(desk.submission()).id)
    due_at = desk.clock() + LEASE
    desk.tasks.move(held.id, states.ASK, epoch=held.epoch, due_at=due_at, verification={"tries": 0})
    seen = desk.desk.verify(held.id, "1111")
    desk.desk.verify(held.id, "2222")

    with pytest.raises(Fenced):
        desk.tasks.take_code(seen, states.RESUME, lease_until=due_at)
    newer = desk.tasks.get(held.id)
    assert desk.tasks.take_code(newer, states.RESUME, lease_until=due_at).sealed_code is None
    with pytest.raises(Fenced):
        desk.tasks.take_code(newer, states.RESUME, lease_until=due_at)


def test_a_job_is_stopped_wherever_it_is_when_its_task_is_canceled(desk: Desk) -> None:
    held = claim(desk, desk.desk.submit(desk.submission()).id)
    job = holding(desk, held)
    reached = []

    async def work() -> None:
        async with job:
            desk.desk.cancel(held.id)
            await job.record({"name": "fill"})
            async with asyncio.timeout(SECONDS):
                await asyncio.Event().wait()
            reached.append("the click")

    with pytest.raises(Fenced):
        asyncio.run(work())
    assert reached == []


def test_after_the_intent_a_job_goes_on_to_say_what_it_learned(desk: Desk) -> None:
    """Its lease has lapsed and the sweeper doubts it; then the platform's yes arrives after all."""
    held = intend(desk, claim(desk, desk.desk.submit(desk.submission()).id))
    job = holding(desk, held)

    async def work() -> None:
        async with job:
            desk.clock.advance(hours=1)
            desk.dispatcher.sweep()
            await job.record({"name": "submit"})
            await job.move(states.PROVE, result={"item_id": "1"})

    asyncio.run(work())
    assert desk.tasks.get(held.id).state is State.PUBLISHED


def test_no_code_is_told_in_a_log_or_stored_in_clear(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    logging.getLogger("chalicelib").setLevel(logging.DEBUG)
    held = claim(desk, desk.desk.submit(desk.submission()).id)
    job = holding(desk, held)
    stored: list[str] = []

    def person() -> None:
        until(desk, held, waits)
        stored.append(str(desk.desk.verify(held.id, "918273").to_item()))

    answering = in_background(person)
    asyncio.run(job.next_code(PHONE, seconds=SECONDS))
    answering.join()

    assert "sealed_code" in stored[0]
    assert "918273" not in stored[0]
    assert "918273" not in caplog.text
    assert "918273" not in str(desk.tasks.get(held.id).to_item())


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ("18312345691", "183******91"),
        ("183******91", "183******91"),
        ("+86 183-1234-5691", "861********91"),
        ("1234", "****"),
        ("", None),
        (None, None),
    ],
)
def test_a_phone_number_is_masked_however_it_is_shown(shown: str | None, told: str | None) -> None:
    assert masked(shown) == told
