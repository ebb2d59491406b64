"""Nothing that can happen publishes a task twice, loses it or makes it lie: every reachable world is seen."""

from __future__ import annotations

import pytest

from chalicelib.publishing.states import State
from tests.publishing.protocol_model import (
    LOST,
    NO_CLICK,
    SHIPPED,
    TWO_WORKS,
    WORK_DENIED,
    Protocol,
    search,
)

BEFORE = (State.RUNNING, State.NEEDS_VERIFICATION)


def unfenced() -> Protocol:
    protocol = SHIPPED
    for name in SHIPPED.moves:
        protocol = protocol.changed(name, fenced=False)
    return protocol


def retrying_after_the_intent() -> Protocol:
    protocol = SHIPPED
    for name in ("back off", "recover"):
        protocol = protocol.changed(name, sources=(*BEFORE, State.SUBMITTING), intent=None, voids=True)
    return protocol


@pytest.mark.parametrize("review", [False, True], ids=["at once", "after a review"])
def test_no_reachable_world_breaks_a_promise(review: bool) -> None:
    outcome = search(SHIPPED, review=review)

    assert outcome.violation is None
    # A model that has lost an actor would have fewer worlds.
    assert outcome.states > 10_000


def test_the_search_comes_by_every_move_of_the_table() -> None:
    made = search(SHIPPED, review=False).moves | search(SHIPPED, review=True).moves

    assert made == set(SHIPPED.moves)


WITHOUT_A_RULE = {
    "an intent before the click": (Protocol(SHIPPED.moves, intent_before_click=False), TWO_WORKS),
    "fencing": (unfenced(), TWO_WORKS),
    # Of the single fences these three are needed; the others are a second line behind state and intent.
    "a fenced intent": (SHIPPED.changed("intend", fenced=False), TWO_WORKS),
    "a fenced question for a code": (SHIPPED.changed("ask", fenced=False), WORK_DENIED),
    "a fenced refusal": (SHIPPED.changed("refuse", fenced=False), WORK_DENIED),
    "a new epoch with each claim": (Protocol(SHIPPED.moves, claims_raise_the_epoch=False), TWO_WORKS),
    "no retry after the intent": (retrying_after_the_intent(), TWO_WORKS),
    "no retry of what the list does not show": (
        SHIPPED.changed("miss", target=State.QUEUED, voids=True),
        TWO_WORKS,
    ),
    "no retry by a person before a denial": (SHIPPED.changed("retry", intent=None), TWO_WORKS),
    "no cancel after the intent": (
        SHIPPED.changed("cancel", sources=(State.QUEUED, State.SUBMITTING)),
        WORK_DENIED,
    ),
    "an intent that covers the code": (SHIPPED.changed("ask", voids=True), TWO_WORKS),
    "a failure after the click that is none": (
        SHIPPED.changed("miss", voids=True),
        WORK_DENIED,
    ),
    "no confirmation without an intent": (
        SHIPPED.changed("prove", sources=(State.OUTCOME_UNKNOWN,)).changed("miss", target=State.PUBLISHED),
        NO_CLICK,
    ),
    "the sweeper ends leases": (Protocol(SHIPPED.moves, sweeper_ends_leases=False), LOST),
    "the outbox": (Protocol(SHIPPED.moves, outbox=False), LOST),
    "recovery": (SHIPPED.without("recover").without("fail"), LOST),
    "doubt": (SHIPPED.without("doubt"), LOST),
    "an end of looking": (SHIPPED.without("miss"), LOST),
    "held tasks fall due": (SHIPPED.without("fall due"), LOST),
}


@pytest.mark.parametrize("rule", WITHOUT_A_RULE)
def test_without_any_one_rule_a_promise_is_broken(rule: str) -> None:
    protocol, broken = WITHOUT_A_RULE[rule]

    outcome = search(protocol, review=False, only=broken)

    assert outcome.violation is not None, f"{outcome.states} worlds, and the rule is not needed"
    assert outcome.violation.what == broken, outcome.violation.trace
