"""The states of a task and every move between them: the one table that code, docs and tests read.

Why it is this table: a naive retry publishes twice. Before the click an intent is written (`intend`); after it
nothing goes back to the queue, and only proof or a look at the creator's works list ends the task.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

# The contract's words.
Status = Literal["pending", "running", "success", "failed"]


class State(StrEnum):
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    AWAITING_REVIEW = "awaiting_review"
    SUBMITTING = "submitting"
    OUTCOME_UNKNOWN = "outcome_unknown"
    PUBLISHED = "published"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def status(self) -> Status:
        """The contract's word for this state."""
        return _STATUS[self]

    @property
    def terminal(self) -> bool:
        return self in (State.PUBLISHED, State.FAILED, State.CANCELED)


_STATUS: dict[State, Status] = {
    State.SCHEDULED: "pending",
    State.QUEUED: "pending",
    State.RUNNING: "running",
    State.AWAITING_REVIEW: "pending",
    State.SUBMITTING: "running",
    State.OUTCOME_UNKNOWN: "running",
    State.PUBLISHED: "success",
    State.FAILED: "failed",
    State.CANCELED: "failed",
}


@dataclass(frozen=True, slots=True)
class Move:
    """`name` is the verb; `by` says who makes it; `fenced` moves also need the mover's epoch to be current."""

    name: str
    sources: tuple[State, ...]
    target: State
    by: str
    why: str
    fenced: bool = False


FALL_DUE = Move(
    "fall due", (State.SCHEDULED,), State.QUEUED, "sweeper", "the time at which we publish has come"
)
CLAIM = Move(
    "claim", (State.QUEUED,), State.RUNNING, "worker", "a message was delivered; the epoch goes up by one"
)
RETRY = Move(
    "retry",
    (State.RUNNING,),
    State.QUEUED,
    "worker",
    "a passing fault before the intent: nothing was submitted",
    fenced=True,
)
RECOVER = Move(
    "recover",
    (State.RUNNING,),
    State.QUEUED,
    "sweeper",
    "the lease lapsed before the intent: the worker is gone, nothing was submitted",
    fenced=True,
)
REHEARSE = Move(
    "rehearse",
    (State.RUNNING,),
    State.AWAITING_REVIEW,
    "worker",
    "the form is filled and photographed, and a person is to look at it first",
    fenced=True,
)
APPROVE = Move("approve", (State.AWAITING_REVIEW,), State.QUEUED, "person", "the task runs again, to the end")
REJECT = Move("reject", (State.AWAITING_REVIEW,), State.CANCELED, "person", "nothing was submitted")
INTEND = Move(
    "intend",
    (State.RUNNING,),
    State.SUBMITTING,
    "worker",
    "written before the click; from here on nothing retries",
    fenced=True,
)
FAIL = Move(
    "fail",
    (State.RUNNING,),
    State.FAILED,
    "worker or sweeper",
    "a lasting fault, or too many passing ones, before the intent",
    fenced=True,
)
PROVE = Move(
    "prove",
    (State.SUBMITTING, State.OUTCOME_UNKNOWN),
    State.PUBLISHED,
    "worker or reconciler",
    "the platform's own answer names the work, or it stands in the creator's works list",
    fenced=True,
)
REFUSE = Move(
    "refuse",
    (State.SUBMITTING, State.OUTCOME_UNKNOWN),
    State.FAILED,
    "worker",
    "the platform's own answer refuses the work",
    fenced=True,
)
DOUBT = Move(
    "doubt",
    (State.SUBMITTING,),
    State.OUTCOME_UNKNOWN,
    "worker or sweeper",
    "anything else after the intent: no answer, a crash, a lapsed lease",
    fenced=True,
)
MISS = Move(
    "miss",
    (State.OUTCOME_UNKNOWN,),
    State.FAILED,
    "reconciler",
    "the work never appeared in the creator's works list",
    fenced=True,
)

MOVES: tuple[Move, ...] = (
    FALL_DUE,
    CLAIM,
    RETRY,
    RECOVER,
    REHEARSE,
    APPROVE,
    REJECT,
    INTEND,
    FAIL,
    PROVE,
    REFUSE,
    DOUBT,
    MISS,
)
