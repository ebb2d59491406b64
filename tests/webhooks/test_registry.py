"""Every change has a type of event, and every type a meaning and a line in the docs."""

from __future__ import annotations

import re
import string
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.accounts.logins import LoginState
from chalicelib.accounts.store import AccountState
from chalicelib.publishing.states import MOVES, State
from chalicelib.webhooks import registry
from chalicelib.webhooks.registry import PATTERN, TYPES, chooses, known
from chalicelib.webhooks.schedule import DELAYS, JITTER, MAX_TRIES, delay_after
from tests.conftest import ROOT


def test_every_state_of_tasks_logins_and_accounts_has_its_type_and_no_other_is_invented() -> None:
    of_states = {f"task.{state}" for state in State}
    of_states |= {f"login.{state}" for state in LoginState}
    of_states |= {f"account.{state}" for state in AccountState} | {"account.deleted"}

    groups = ("task.", "login.", "account.")
    assert {kind for kind in TYPES if kind.startswith(groups)} == of_states
    assert set(registry._MEANINGS) == set(TYPES)


def test_every_move_of_the_table_tells_of_the_state_it_leads_to_or_changes_none() -> None:
    for move in MOVES:
        assert move.event == f"task.{move.target}" or (move.event is None and move.sources == (move.target,))
    assert registry.told_of_tasks() == {f"task.{state}" for state in State}


def test_the_docs_have_one_line_for_each_type_in_the_registrys_own_words() -> None:
    text = (ROOT / "docs" / "webhooks.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \| (.+) \|$", text, re.MULTILINE))

    assert rows == TYPES


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_is_chosen_by_itself_its_group_and_everything(kind: str) -> None:
    group = kind.partition(".")[0]
    for pattern in (kind, f"{group}.*", "*"):
        assert PATTERN.fullmatch(pattern)
        assert known(pattern)
        assert chooses([pattern], kind)
    assert not chooses(["other.*", f"{kind}x"], kind)


@given(st.text(string.ascii_lowercase + ".*_", max_size=20))
def test_a_pattern_is_known_exactly_where_it_chooses_a_type(pattern: str) -> None:
    chosen = [kind for kind in TYPES if chooses([pattern], kind)]

    assert known(pattern) is bool(chosen)
    if pattern not in ("*", *TYPES) and not pattern.endswith(".*"):
        assert not chosen


@given(st.lists(st.floats(-1, 1), min_size=MAX_TRIES, max_size=MAX_TRIES))
def test_ten_tries_are_made_over_about_three_days_whatever_the_jitter(jitters: list[float]) -> None:
    delays = [delay_after(tries, jitter) for tries, jitter in enumerate(jitters, start=1)]

    *waits, last = delays
    assert last is None
    assert len(delays) == 10
    total = timedelta()
    for wait, nominal in zip(waits, DELAYS, strict=True):
        assert wait is not None
        assert nominal * (1 - JITTER) <= wait <= nominal * (1 + JITTER)
        total += wait
    assert timedelta(days=2.6) < total < timedelta(days=3.4)
    assert list(waits) == sorted(wait for wait in waits if wait is not None)


@given(st.integers(1, MAX_TRIES - 1))
def test_the_jitter_that_nobody_gives_is_within_its_bounds(tries: int) -> None:
    wait = delay_after(tries)

    assert wait is not None
    assert abs(wait / DELAYS[tries - 1] - 1) <= JITTER
