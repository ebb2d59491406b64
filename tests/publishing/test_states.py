"""The table of moves keeps what it promises, whatever the rest of the code does."""

from __future__ import annotations

import pytest

from chalicelib.publishing import states
from chalicelib.publishing.states import MOVES, State, actions

INTENDED = {State.SUBMITTING, State.OUTCOME_UNKNOWN}


def reachable(start: State, *, with_people: bool = True) -> set[State]:
    found, frontier = {start}, [start]
    while frontier:
        here = frontier.pop()
        for move in MOVES:
            if here in move.sources and move.target not in found and (with_people or move.by != "person"):
                found.add(move.target)
                frontier.append(move.target)
    return found


def test_every_move_stands_in_the_table() -> None:
    declared = {value for value in vars(states).values() if isinstance(value, states.Move)}

    assert declared == set(MOVES)
    assert len({move.name for move in MOVES}) == len(MOVES)


@pytest.mark.parametrize("state", [state for state in State if state.terminal])
def test_nothing_but_a_person_leaves_a_terminal_state(state: State) -> None:
    assert reachable(state, with_people=False) == {state}


@pytest.mark.parametrize("state", [State.PUBLISHED, State.CANCELED])
def test_nobody_leaves_published_or_canceled(state: State) -> None:
    assert reachable(state) == {state}


@pytest.mark.parametrize("state", [state for state in State if state.watched])
def test_every_watched_state_can_end_without_a_person(state: State) -> None:
    assert any(end.terminal for end in reachable(state, with_people=False))


@pytest.mark.parametrize("state", sorted(INTENDED))
def test_after_the_intent_nothing_goes_back_to_the_queue_by_itself(state: State) -> None:
    """From needs_verification the queue is reached without an intent only."""
    for move in MOVES:
        if move.target in (State.SCHEDULED, State.QUEUED, State.RUNNING, State.AWAITING_REVIEW):
            assert state not in move.sources
            assert State.NEEDS_VERIFICATION not in move.sources or move.intent is False


def test_nothing_is_published_without_an_intent() -> None:
    for move in MOVES:
        if move.target is State.PUBLISHED:
            assert move.intent is True


def test_whatever_a_worker_or_reconciler_writes_to_a_held_or_uncertain_task_is_fenced() -> None:
    for move in MOVES:
        if any(who in move.by for who in ("worker", "reconciler")) and State.QUEUED not in move.sources:
            assert move.fenced


def test_a_person_needs_no_epoch_and_everybody_else_no_action() -> None:
    for move in MOVES:
        assert (move.by == "person") is (move.action is not None)
        assert not (move.action and move.fenced)


@pytest.mark.parametrize(
    ("state", "intended", "allowed"),
    [
        (State.SCHEDULED, False, ("cancel",)),
        (State.QUEUED, False, ("cancel",)),
        (State.RUNNING, False, ("cancel",)),
        (State.NEEDS_VERIFICATION, False, ("cancel", "verification")),
        (State.NEEDS_VERIFICATION, True, ("cancel", "verification")),
        (State.AWAITING_REVIEW, False, ("approve", "reject", "cancel")),
        (State.SUBMITTING, True, ()),
        (State.OUTCOME_UNKNOWN, True, ("resolve",)),
        (State.PUBLISHED, True, ()),
        (State.FAILED, False, ("retry",)),
        (State.FAILED, True, ("resolve",)),
        (State.CANCELED, False, ()),
    ],
)
def test_what_a_person_can_do_follows_from_the_table(
    state: State, intended: bool, allowed: tuple[str, ...]
) -> None:
    assert actions(state, intended=intended) == allowed


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.SCHEDULED, "pending"),
        (State.QUEUED, "pending"),
        (State.RUNNING, "running"),
        (State.NEEDS_VERIFICATION, "running"),
        (State.AWAITING_REVIEW, "pending"),
        (State.SUBMITTING, "running"),
        (State.OUTCOME_UNKNOWN, "running"),
        (State.PUBLISHED, "success"),
        (State.FAILED, "failed"),
        (State.CANCELED, "failed"),
    ],
)
def test_each_state_shows_as_one_of_the_contracts_four(state: State, status: str) -> None:
    assert state.status == status
