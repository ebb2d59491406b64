"""What the end of a task means, and durations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.publishing.states import State, actions
from publisher.errors import Exit
from publisher.following import LONGEST, ending, follow, parse_duration

if TYPE_CHECKING:
    from tests.publisher.conftest import Patient, Scripted

_ENDS = {
    State.PUBLISHED: Exit.DONE,
    State.FAILED: Exit.FAILED,
    State.CANCELED: Exit.FAILED,
    State.AWAITING_REVIEW: Exit.NEEDS_PERSON,
    State.NEEDS_VERIFICATION: Exit.NEEDS_PERSON,
}


def _task(state: State, *, intended: bool = False) -> dict[str, Any]:
    return {"state": state.value, "allowed": list(actions(state, intended=intended)), "verification": None}


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_its_exit_status_or_goes_on(state: State) -> None:
    assert ending(_task(state)) == _ENDS.get(state)
    assert (ending(_task(state)) is None) == (state.watched and state is not State.NEEDS_VERIFICATION)


def test_a_failed_task_that_was_submitted_has_an_unknown_outcome() -> None:
    assert ending(_task(State.FAILED, intended=True)) is Exit.OUTCOME_UNKNOWN


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ([State.QUEUED, State.RUNNING, State.SUBMITTING, State.PUBLISHED], Exit.DONE),
        ([State.SUBMITTING, State.OUTCOME_UNKNOWN, State.PUBLISHED], Exit.DONE),
        ([State.RUNNING, State.NEEDS_VERIFICATION], Exit.NEEDS_PERSON),
    ],
)
def test_a_task_is_watched_to_its_end(
    scripted: Scripted, patient: Patient, states: list[State], status: Exit
) -> None:
    scripted.answers(*((200, {}, _task(state)) for state in states))
    seen: list[str] = []
    task, ended = follow(
        patient.client, "an-id", show=lambda task: seen.append(task["state"]), pause=lambda _: None
    )
    assert (seen, task["state"], ended) == ([state.value for state in states], states[-1].value, status)


@pytest.mark.parametrize(
    ("state", "status"), [(State.OUTCOME_UNKNOWN, Exit.OUTCOME_UNKNOWN), (State.RUNNING, Exit.NOT_FINISHED)]
)
def test_the_time_may_be_over_before(scripted: Scripted, patient: Patient, state: State, status: Exit) -> None:
    scripted.answers((200, {}, _task(state)))
    assert follow(patient.client, "an-id", show=lambda _: None, seconds=0)[1] is status


def test_a_person_who_is_there_is_asked_until_the_task_goes_on(scripted: Scripted, patient: Patient) -> None:
    waiting: tuple[int, dict[str, str], Any] = (200, {}, _task(State.NEEDS_VERIFICATION))
    scripted.answers(waiting, waiting, (200, {}, _task(State.PUBLISHED)))
    asked: list[str] = []
    _, ended = follow(
        patient.client, "an-id", show=lambda _: None, ask=lambda task: asked.append(task["state"])
    )
    assert (asked, ended) == (["needs_verification"] * 2, Exit.DONE)


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from("smhd")), min_size=1, max_size=4))
def test_durations_add_up(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    seconds = sum(number * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit] for number, unit in parts)
    if 0 < seconds <= LONGEST:
        assert parse_duration(text) == seconds
    else:
        with pytest.raises(ValueError, match="90s"):
            parse_duration(text)


@given(st.text(max_size=30))
def test_any_other_text_is_refused(text: str) -> None:
    if not re.fullmatch(r"([0-9]+[smhd])+", text):
        with pytest.raises(ValueError, match="must be a duration"):
            parse_duration(text)


@pytest.mark.parametrize("text", ["", "90", "s", "-1s", "1.5h", "1h ", "١m", "9" * 5000 + "s"])
def test_a_duration_without_a_unit_or_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)
