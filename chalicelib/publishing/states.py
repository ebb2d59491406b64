"""The states of a task and every move between them: the one table that code, docs and tests read.

Why it is this table: a naive retry publishes twice. Before the click an intent is written (`intend`). While it
stands, a click may have taken effect: nothing goes back to the queue, and only proof, a look at the creator's
works list or a person's word ends the task. An intent is void once it is proved that its click did nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

# The contract's words.
Status = Literal["pending", "running", "success", "failed"]

# What a person can do to a task: the last part of the route's path.
Action = Literal["approve", "reject", "cancel", "verification", "resolve", "retry"]


class State(StrEnum):
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    NEEDS_VERIFICATION = "needs_verification"
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

    @property
    def held(self) -> bool:
        """A worker holds the task, and its lease runs."""
        return self in HELD

    @property
    def watched(self) -> bool:
        """The task goes on without a person's help: it must stand in the sweeper's index."""
        return not self.terminal and self is not State.AWAITING_REVIEW


HELD = (State.RUNNING, State.NEEDS_VERIFICATION, State.SUBMITTING)

_STATUS: dict[State, Status] = {
    State.SCHEDULED: "pending",
    State.QUEUED: "pending",
    State.RUNNING: "running",
    State.NEEDS_VERIFICATION: "running",
    State.AWAITING_REVIEW: "pending",
    State.SUBMITTING: "running",
    State.OUTCOME_UNKNOWN: "running",
    State.PUBLISHED: "success",
    State.FAILED: "failed",
    State.CANCELED: "failed",
}


@dataclass(frozen=True, slots=True)
class Move:
    """`name` is the verb; `by` says who makes it; `fenced` moves also need the mover's epoch to be current.

    `intent` is the condition on the task's intent: True where it must stand, False where none may. A move
    that `voids` the intent takes it away: its click is known to have done nothing. `action` is how a person
    makes it.
    """

    name: str
    sources: tuple[State, ...]
    target: State
    by: str
    why: str
    fenced: bool = False
    intent: bool | None = None
    voids: bool = False
    action: Action | None = None

    @property
    def event(self) -> str | None:
        """The type of the event that tells of it; None where the task is no other one after it."""
        return None if self.sources == (self.target,) else f"task.{self.target}"


FALL_DUE = Move(
    "fall due", (State.SCHEDULED,), State.QUEUED, "sweeper", "the time at which the task may run has come"
)
HOLD = Move(
    "hold",
    (State.QUEUED,),
    State.SCHEDULED,
    "worker",
    "the account's daily cap or spacing is used up, or Douyin's own schedule takes the time no more",
)
CLAIM = Move(
    "claim", (State.QUEUED,), State.RUNNING, "worker", "a message was delivered; the epoch goes up by one"
)
BURY = Move(
    "bury",
    (State.QUEUED,),
    State.FAILED,
    "sweeper",
    "its message came back undeliverable again and again: no worker could even claim it",
)
BACK_OFF = Move(
    "back off",
    (State.RUNNING, State.NEEDS_VERIFICATION),
    State.QUEUED,
    "worker",
    "a passing fault before the intent: nothing was submitted",
    fenced=True,
    intent=False,
)
RECOVER = Move(
    "recover",
    (State.RUNNING, State.NEEDS_VERIFICATION),
    State.QUEUED,
    "sweeper",
    "the lease lapsed before the intent: the worker is gone, nothing was submitted",
    fenced=True,
    intent=False,
)
REHEARSE = Move(
    "rehearse",
    (State.RUNNING,),
    State.AWAITING_REVIEW,
    "worker",
    "the form is filled and photographed, and a person is to look at it first",
    fenced=True,
)
APPROVE = Move(
    "approve",
    (State.AWAITING_REVIEW,),
    State.QUEUED,
    "person",
    "the task runs again, to the end",
    action="approve",
)
REJECT = Move(
    "reject",
    (State.AWAITING_REVIEW,),
    State.CANCELED,
    "person",
    "nothing was submitted",
    action="reject",
)
CANCEL = Move(
    "cancel",
    (State.SCHEDULED, State.QUEUED, State.RUNNING, State.NEEDS_VERIFICATION, State.AWAITING_REVIEW),
    State.CANCELED,
    "person",
    "nothing was submitted; a worker that holds the task stops at its next write or sign of life",
    voids=True,
    action="cancel",
)
INTEND = Move(
    "intend",
    (State.RUNNING,),
    State.SUBMITTING,
    "worker",
    "written before the click; from here on nothing retries",
    fenced=True,
)
INTEND_AGAIN = Move(
    "intend again",
    (State.SUBMITTING,),
    State.SUBMITTING,
    "worker",
    "written before another click: the platform refused the first with a challenge, which was then passed",
    fenced=True,
    intent=True,
)
ASK = Move(
    "ask",
    (State.RUNNING, State.SUBMITTING),
    State.NEEDS_VERIFICATION,
    "worker",
    "the platform wants a code that it sent by SMS; where it asks after the click, it has refused that click",
    fenced=True,
)
ANSWER = Move(
    "answer",
    (State.NEEDS_VERIFICATION,),
    State.NEEDS_VERIFICATION,
    "person",
    "hands the code over; it is kept until the worker has taken it",
    action="verification",
)
RESUME = Move(
    "resume",
    (State.NEEDS_VERIFICATION,),
    State.RUNNING,
    "worker",
    "the code was taken, and nothing had been clicked yet",
    fenced=True,
    intent=False,
)
RESUBMIT = Move(
    "resubmit",
    (State.NEEDS_VERIFICATION,),
    State.SUBMITTING,
    "worker",
    "the code was taken; entering it may complete the click, so the intent still covers it",
    fenced=True,
    intent=True,
)
FAIL = Move(
    "fail",
    (State.RUNNING, State.NEEDS_VERIFICATION),
    State.FAILED,
    "worker or sweeper",
    "a lasting fault, too many passing ones, or a code that nobody gave in time: nothing was submitted",
    fenced=True,
    voids=True,
)
PROVE = Move(
    "prove",
    (State.SUBMITTING, State.NEEDS_VERIFICATION, State.OUTCOME_UNKNOWN),
    State.PUBLISHED,
    "worker or reconciler",
    "the platform's own answer names the work, or it stands in the creator's works list",
    fenced=True,
    intent=True,
)
REFUSE = Move(
    "refuse",
    (State.SUBMITTING, State.OUTCOME_UNKNOWN),
    State.FAILED,
    "worker",
    "the platform's own answer refuses the work",
    fenced=True,
    voids=True,
)
DOUBT = Move(
    "doubt",
    (State.SUBMITTING, State.NEEDS_VERIFICATION),
    State.OUTCOME_UNKNOWN,
    "worker or sweeper",
    "anything else after the intent: no answer, a crash, a lapsed lease",
    fenced=True,
    intent=True,
)
MISS = Move(
    "miss",
    (State.OUTCOME_UNKNOWN,),
    State.FAILED,
    "reconciler",
    "the work never appeared in the creator's works list; the intent stands, for nobody has said otherwise",
    fenced=True,
)
CONFIRM = Move(
    "confirm",
    (State.OUTCOME_UNKNOWN, State.FAILED),
    State.PUBLISHED,
    "person",
    "looked, and the work is live",
    intent=True,
    action="resolve",
)
DENY = Move(
    "deny",
    (State.OUTCOME_UNKNOWN, State.FAILED),
    State.FAILED,
    "person",
    "looked, and the work is not live; from now on the task may be retried",
    intent=True,
    voids=True,
    action="resolve",
)
RETRY = Move(
    "retry",
    (State.FAILED,),
    State.QUEUED,
    "person",
    "the task runs again, from the start; only where nothing was submitted, or a person has denied it",
    intent=False,
    action="retry",
)

MOVES: tuple[Move, ...] = (
    FALL_DUE,
    HOLD,
    CLAIM,
    BURY,
    BACK_OFF,
    RECOVER,
    REHEARSE,
    APPROVE,
    REJECT,
    CANCEL,
    INTEND,
    INTEND_AGAIN,
    ASK,
    ANSWER,
    RESUME,
    RESUBMIT,
    FAIL,
    PROVE,
    REFUSE,
    DOUBT,
    MISS,
    CONFIRM,
    DENY,
    RETRY,
)


def actions(state: State, *, intended: bool) -> tuple[Action, ...]:
    """What a person can do to a task in this state, in the order of the table."""
    found = [
        move.action
        for move in MOVES
        if move.action and state in move.sources and move.intent in (None, intended)
    ]
    return tuple(dict.fromkeys(found))
