"""The task that a worker holds: every write to it is fenced with the epoch of the claim."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.clock import Clock, to_rfc3339
from chalicelib.errors import Fenced, VerificationTimeout
from chalicelib.publishing import states
from chalicelib.publishing.states import State
from chalicelib.verification import ANSWER_TIME, masked
from container.lease import LEASE, Heartbeat, Message
from container.points import reach

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.publishing.states import Move
    from chalicelib.publishing.store import TaskStore
    from chalicelib.publishing.task import Task
    from chalicelib.unsealing import Unsealer

logger = logging.getLogger(__name__)

# How often a waiting worker looks whether the code has come.
LOOK_SECONDS = 1.0


@dataclass(slots=True)
class Claim:
    """Async context: as long as it is entered, the lease is renewed. It is left with Fenced, from wherever the
    job then is, when the task is no longer ours before anything was submitted: it was canceled, or our lease
    lapsed. After the intent the job goes on: what it learns is still worth writing down.
    """

    tasks: TaskStore
    task: Task
    message: Message
    unsealer: Unsealer
    clock: Clock
    progress: dict[str, Any] | None = None
    _heartbeat: Heartbeat = field(init=False)
    _writes: asyncio.Lock = field(default_factory=asyncio.Lock)
    _recording: asyncio.Task[None] | None = None
    _never: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._heartbeat = Heartbeat(self._beat)

    async def __aenter__(self) -> Claim:
        await self._heartbeat.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        try:
            await self._recorded()
        finally:
            await self._heartbeat.__aexit__(*raised)

    @property
    def intended(self) -> bool:
        """A click may have taken effect."""
        return self.task.intent is not None

    def report(self, progress: dict[str, Any]) -> None:
        """Progress that the next sign of life takes along, and that hurries it."""
        self.progress = progress
        self._heartbeat.tell()

    async def move(self, move: Move, *, due_at: datetime | None = None, **changes: Any) -> None:
        """Makes the move; the lease runs on where the task stays ours."""
        if move.target.held:
            due_at = self.clock() + LEASE
            changes["lease_until"] = to_rfc3339(due_at)
        await self._recorded()
        async with self._writes:
            self.task = await asyncio.to_thread(
                self.tasks.move, self.task.id, move, epoch=self.task.epoch, due_at=due_at, **changes
            )

    async def record(self, entry: dict[str, Any]) -> None:
        """Appends to the timeline, after the entries before it and before the next move; the job goes on
        meanwhile. On the way it is noticed that the task was canceled.
        """
        self._recording = asyncio.create_task(self._append(entry, after=self._recording), name="timeline")

    async def _append(self, entry: dict[str, Any], *, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait([after])
        try:
            async with self._writes:
                before = self.task.state
                self.task = await asyncio.to_thread(self.tasks.record, self.task, entry)
                if before.held and not self.task.state.held and not self.intended:
                    self._heartbeat.lose(Fenced(f"Task {self.task.id} is {self.task.state} now."))
        except Exception:
            logger.exception("A timeline entry could not be kept.", extra={"step": entry["name"]})

    async def _recorded(self) -> None:
        if self._recording is not None:
            await asyncio.wait([self._recording])  # Which does not end it where it is ended itself.

    async def next_code(self, phone: str | None, *, seconds: float) -> str:
        """Asks for the code that the platform has sent to `phone`, and waits for a person to give it, at most
        `seconds`. Called again where the platform did not take the code. VerificationTimeout where nobody
        answers, Fenced where the task was canceled.
        """
        now = self.clock()
        expires_at = now + min(ANSWER_TIME, timedelta(seconds=max(seconds, 0.0)))
        tries = (self.task.verification or {}).get("tries", 0)
        verification = {
            "phone": masked(phone),
            "asked_at": to_rfc3339(now),
            "expires_at": to_rfc3339(expires_at),
            "tries": tries,
        }
        await self.move(states.ASK, verification=verification)
        reach("task_code_asked")
        while self.clock() < expires_at:
            if code := await self._take_code():
                reach("task_code_taken")
                return code
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._never.wait(), LOOK_SECONDS)
        raise VerificationTimeout(f"No code came until {verification['expires_at']}.")

    async def _take_code(self) -> str | None:
        async with self._writes:
            seen = await asyncio.to_thread(self.tasks.get, self.task.id)
            if seen.epoch != self.task.epoch or seen.state is not State.NEEDS_VERIFICATION:
                raise Fenced(f"Task {seen.id} is {seen.state} in epoch {seen.epoch} now.")
            if seen.sealed_code is None:
                return None
            code = await asyncio.to_thread(self.unsealer.open, seen.sealed_code, "sms_code", seen.id)
            now = self.clock()
            verification = {**(seen.verification or {})}
            verification["tries"] = verification.get("tries", 0) + 1
            move, changes = states.RESUME, {"verification": verification}
            if seen.intent is not None:
                # Entering the code may complete the click, so from now on a look counts.
                move, changes["intent"] = states.RESUBMIT, {**seen.intent, "renewed_at": to_rfc3339(now)}
            with contextlib.suppress(Fenced):  # Another code was given in this moment: the next look takes it.
                self.task = await asyncio.to_thread(
                    self.tasks.take_code, seen, move, lease_until=now + LEASE, **changes
                )
                return code
        return None

    def _beat(self) -> None:
        self.message.keep_invisible()
        held = self.task
        if not held.state.held:
            return
        try:
            self.tasks.renew(held, lease_until=self.clock() + LEASE, progress=self.progress)
        except Fenced:
            if self.task.state is held.state and not self.intended:
                raise  # Else it was a move of ours that came in between, or too late to stop.
