"""The table of moves keeps what it promises, whatever the rest of the code does."""

from __future__ import annotations

import pytest

from chalicelib.publishing import states
from chalicelib.publishing.states import MOVES, State

INTENDED = {State.SUBMITTING, State.OUTCOME_UNKNOWN}


def reachable(start: State) -> set[State]:
    found, frontier = {start}, [start]
    while frontier:
        here = frontier.pop()
        for move in MOVES:
            if here in move.sources and move.target not in found:
                found.add(move.target)
                frontier.append(move.target)
    return found


def test_every_move_stands_in_the_table() -> None:
    declared = {value for value in vars(states).values() if isinstance(value, states.Move)}

    assert declared == set(MOVES)


@pytest.mark.parametrize("state", [state for state in State if state.terminal])
def test_nothing_leaves_a_terminal_state(state: State) -> None:
    assert reachable(state) == {state}


@pytest.mark.parametrize("state", [state for state in State if not state.terminal])
def test_every_other_state_can_end(state: State) -> None:
    assert any(end.terminal for end in reachable(state))


@pytest.mark.parametrize("state", sorted(INTENDED))
def test_after_the_intent_nothing_goes_back_to_the_queue(state: State) -> None:
    assert not reachable(state) & {State.SCHEDULED, State.QUEUED, State.RUNNING, State.AWAITING_REVIEW}


def test_nothing_is_published_without_an_intent() -> None:
    for move in MOVES:
        if move.target is State.PUBLISHED:
            assert set(move.sources) <= INTENDED


def test_whatever_a_worker_or_reconciler_writes_is_fenced() -> None:
    for move in MOVES:
        holds_the_task = any(who in move.by for who in ("worker", "reconciler"))
        assert move.fenced or not holds_the_task or move is states.CLAIM


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.SCHEDULED, "pending"),
        (State.QUEUED, "pending"),
        (State.RUNNING, "running"),
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
