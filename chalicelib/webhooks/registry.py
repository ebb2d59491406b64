"""Every type of event there is, and how an endpoint chooses among them.

The types of tasks, logins and accounts are those of their states: a new state is a new type by itself, and a
test wants its description here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chalicelib.accounts.logins import LoginState
from chalicelib.accounts.store import DELETED, AccountState
from chalicelib.events import ARTICLES_CHANGED, BEHIND, RECOVERED
from chalicelib.publishing.states import MOVES, State

if TYPE_CHECKING:
    from collections.abc import Iterable

TEST: Final = "webhook.test"
DISABLED: Final = "webhook.disabled"

_MEANINGS: Final = {
    "task.scheduled": "The task waits for its time, or for its account's turn.",
    "task.queued": "The task waits for a worker: after its submission, a retry, an approval, a passing fault.",
    "task.running": "A worker has taken the task up, or goes on after a code.",
    "task.needs_verification": "The platform wants the code that it has sent by SMS.",
    "task.awaiting_review": "The form is filled and photographed; a person is to approve or reject it.",
    "task.submitting": "The click on 发布 is about to be made.",
    "task.outcome_unknown": "Nobody knows yet whether the work was published; the works list is looked at.",
    "task.published": "The work is published, or in Douyin's own schedule.",
    "task.failed": "The task has failed; its error says why and what to do.",
    "task.canceled": "A person has ended the task; nothing was submitted.",
    "login.starting": "A login was asked for.",
    "login.qr_ready": "A QR code can be scanned: the first, or a fresh one.",
    "login.scanned": "The code was scanned; the phone is to confirm.",
    "login.verification_required": "The platform wants the code that it has sent by SMS.",
    "login.verifying": "The code was taken, and is being tried.",
    "login.success": "The account is logged in.",
    "login.failed": "The login has failed; its error says why.",
    "login.expired": "The login's time is over, or another one took its place.",
    "account.logged_in": "A login succeeded, or a session in doubt turned out to be alive.",
    "account.expired": "The platform itself says that the session is over: log in again.",
    "account.unknown": "Nobody could tell for a day whether the session is alive.",
    "account.needs_verification": "The platform wants the owner to verify the identity.",
    DELETED: "The account was removed, with its sessions and its evidence.",
    BEHIND: "A channel of the content sync has not been complete for days.",
    RECOVERED: "A channel that was behind is complete again.",
    ARTICLES_CHANGED: "A run has brought new, changed or withdrawn articles of a channel: one event a run.",
    DISABLED: "An endpoint was disabled by itself: it answered 410, or nothing but failures for days.",
    TEST: "Somebody asked for a test of this endpoint.",
}

_STATES: Final = (
    *(f"task.{state}" for state in State),
    *(state.event for state in LoginState),
    *(state.event for state in AccountState),
)
_OTHERS: Final = (DELETED, BEHIND, RECOVERED, ARTICLES_CHANGED, DISABLED, TEST)

TYPES: Final[dict[str, str]] = {kind: _MEANINGS[kind] for kind in (*_STATES, *_OTHERS)}
"""Each type with what it means."""

PATTERN: Final = re.compile(r"\*|[a-z]+\.(\*|[a-z_]+)")


def told_of_tasks() -> set[str]:
    """The types that the moves of the table make, and the two in which a task begins."""
    made = {move.event for move in MOVES if move.event is not None}
    return made | {f"task.{State.QUEUED}", f"task.{State.SCHEDULED}"}


def known(pattern: str) -> bool:
    """Whether a pattern (`*`, `task.*`, `task.failed`) chooses any type at all."""
    return any(chooses([pattern], kind) for kind in TYPES)


def chooses(patterns: Iterable[str], kind: str) -> bool:
    """Whether an endpoint with these patterns is told of events of this type."""
    wanted = {"*", kind, f"{kind.partition('.')[0]}.*"}
    return any(pattern in wanted for pattern in patterns)
