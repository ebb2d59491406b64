"""Every way in which a task can go: two workers, messages that come again, crashes and pauses anywhere, a works
list that lags, the sweeper, and people. Built from the shipped table; what the actors do between its moves is
written here, once more, as plainly as possible.

A worker that is paused is one that takes no step for a while, so any lease may lapse while its worker lives.
Times and counts are left out: whatever may happen after some time, or after some tries, may happen at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.publishing.states import MOVES, Move, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True)
class Protocol:
    """The table, and the rules that are not in it. A test takes one away and expects to be told."""

    moves: dict[str, Move]
    intent_before_click: bool = True
    claims_raise_the_epoch: bool = True
    sweeper_ends_leases: bool = True
    outbox: bool = True

    def changed(self, name: str, **changes: object) -> Protocol:
        return replace(self, moves={**self.moves, name: replace(self.moves[name], **changes)})  # type: ignore[arg-type]

    def without(self, name: str) -> Protocol:
        return self.changed(name, sources=())


SHIPPED = Protocol({move.name: move for move in MOVES})


class Worker(NamedTuple):
    """`doing` is what it does next. `current`: its epoch is the task's. `licensed`: it was claimed, or wrote
    its intent, since a person last said that nothing was published.
    """

    doing: str = "idle"
    current: bool = False
    licensed: bool = False


class World(NamedTuple):
    """`clicks` took effect since a person last denied it; `hidden` is a work that the list does not show yet,
    `listed` one that it does and did not at the intent; `live`: there is a work at all.
    """

    state: State = State.QUEUED
    intent: bool = False
    due: bool = True
    mail: bool = False
    approved: bool = False
    code: bool = False
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    clicks: int = 0
    hidden: bool = False
    listed: bool = False
    live: bool = False


class Step(NamedTuple):
    """`hurts`: a crash, or a lost message; `by_person`: nobody can count on it."""

    label: str
    world: World
    hurts: bool = False
    by_person: bool = False


class Violation(NamedTuple):
    what: str
    trace: list[str]


class Outcome(NamedTuple):
    states: int
    violation: Violation | None
    moves: set[str]


TWO_WORKS = "two works"
NO_CLICK = "published without a click"
WORK_DENIED = "ended as if nothing had been submitted, with a work"
LOST = "the task is lost"


def search(protocol: Protocol, *, review: bool, only: str | None = None) -> Outcome:
    """Looks at every reachable world, and stops at the first that breaks a promise, or this one; the trace is a
    shortest one.
    """
    start = World()
    came_from: dict[World, tuple[World, str] | None] = {start: None}
    made: set[str] = set()
    helpful: dict[World, list[World]] = {}  # backwards
    frontier = deque([start])
    while frontier:
        world = frontier.popleft()
        for step in _steps(protocol, world, review=review):
            there = _canonical(step.world)
            made.add(step.label.rpartition(": ")[2].partition(",")[0])
            if not (step.hurts or step.by_person):
                helpful.setdefault(there, []).append(world)
            if there in came_from:
                continue
            came_from[there] = (world, step.label)
            if (broken := _broken(there)) and only in (None, broken):
                return Outcome(len(came_from), Violation(broken, _trace(came_from, there)), made)
            frontier.append(there)
    if lost := _lost(came_from, helpful):
        return Outcome(len(came_from), Violation(LOST, _trace(came_from, lost)), made)
    return Outcome(len(came_from), None, made & set(protocol.moves))


def _broken(world: World) -> str | None:
    if world.clicks > 1:
        return TWO_WORKS
    if world.state is State.PUBLISHED and not world.live:
        return NO_CLICK
    said_nothing = world.state is State.CANCELED or (world.state is State.FAILED and not world.intent)
    return WORK_DENIED if said_nothing and world.clicks else None


def _lost(came_from: Iterable[World], helpful: dict[World, list[World]]) -> World | None:
    """A world from which nothing but a person, or a crash, leads on."""
    saved = {world for world in came_from if not world.state.watched}
    frontier = deque(saved)
    while frontier:
        for before in helpful.get(frontier.popleft(), ()):
            if before not in saved:
                saved.add(before)
                frontier.append(before)
    return next((world for world in came_from if world not in saved), None)


def _canonical(world: World) -> World:
    """The two workers are alike."""
    first, second = world.workers
    return world if first <= second else world._replace(workers=(second, first))


def _trace(came_from: dict[World, tuple[World, str] | None], world: World) -> list[str]:
    labels: list[str] = []
    while before := came_from[world]:
        labels.append(before[1])
        world = before[0]
    return labels[::-1]


# What may happen next


def _steps(protocol: Protocol, world: World, *, review: bool) -> Iterator[Step]:
    if world.hidden:
        yield Step("the list shows the work", world._replace(hidden=False, listed=True))
    yield from _people(protocol, world)
    yield from _sweeper(protocol, world)
    if world.mail:
        yield from _dead_letter(protocol, world)
    for index, worker in enumerate(world.workers):
        if worker.doing == "idle":
            if world.mail:
                yield from _deliver(protocol, world, index)
            continue
        for mail in {world.mail, True}:
            crashed = _set(world, index, Worker())._replace(mail=mail)
            yield Step(f"{index} crashes in {worker.doing}", crashed, hurts=True)
        yield from _work(protocol, world, index, review=review)


def _people(protocol: Protocol, world: World) -> Iterator[Step]:
    def decide(name: str, **changes: object) -> Iterator[Step]:
        if after := _move(protocol, world, name):
            yield Step(f"a person: {name}", after._replace(**changes), by_person=True)  # type: ignore[arg-type]

    yield from decide("approve", approved=True)
    yield from decide("reject")
    yield from decide("cancel")
    yield from decide("retry")
    yield from decide("answer", code=True)
    if world.live:
        yield from decide("confirm")
    if not world.listed:  # The person looks and is honest, and may still be too early.
        unlicensed = tuple(worker._replace(licensed=False) for worker in world.workers)
        yield from decide("deny", clicks=0, workers=unlicensed)


def _sweeper(protocol: Protocol, world: World) -> Iterator[Step]:
    if not world.due:
        return
    match world.state:
        case State.SCHEDULED:
            yield from _any(protocol, world, "sweeper", ["fall due"])
        case State.QUEUED:
            yield Step("sweeper sends", world._replace(mail=True, due=False))
            yield Step("sweeper sends and dies", world._replace(mail=True), hurts=True)
        case state if state.held and protocol.sweeper_ends_leases:
            # The code asks for the intent; here the table alone decides which of these is possible.
            lapsed = ["recover", "doubt"] if world.intent else ["recover", "fail"]
            yield from _any(protocol, world, "sweeper, lease lapsed", lapsed)
        case State.OUTCOME_UNKNOWN:
            yield Step("sweeper sends", world._replace(mail=True))


def _any(protocol: Protocol, world: World, who: str, names: list[str]) -> Iterator[Step]:
    for name in names:
        if after := _move(protocol, world, name):
            yield Step(f"{who}: {name}", after)


def _dead_letter(protocol: Protocol, world: World) -> Iterator[Step]:
    if world.state is State.QUEUED:
        yield Step("dead letter, sent again later", world._replace(mail=False, due=True))
        if after := _move(protocol, world, "bury"):
            yield Step("dead letter: bury", after._replace(mail=False))
    else:
        yield Step("dead letter", world._replace(mail=False), hurts=True)


def _deliver(protocol: Protocol, world: World, index: int) -> Iterator[Step]:
    for mail in (False, True):  # The message may come again.
        left = world._replace(mail=mail)
        again = ", which will come again" if mail else ""
        if world.state is State.OUTCOME_UNKNOWN:
            looking = _set(left, index, Worker("look", current=True))
            yield Step(f"{index} is to look{again}", looking)
            continue
        if held := _move(protocol, left, "hold"):
            yield Step(f"{index}: hold{again}", held)
        if claimed := _move(protocol, left, "claim"):
            workers = list(claimed.workers)
            if protocol.claims_raise_the_epoch:
                workers = [worker._replace(current=False) for worker in workers]
            workers[index] = Worker("run", current=True, licensed=True)
            yield Step(f"{index}: claim{again}", claimed._replace(workers=(workers[0], workers[1])))
        else:
            yield Step(f"{index} has nothing to do{again}", left)


def _work(protocol: Protocol, world: World, index: int, *, review: bool) -> Iterator[Step]:
    worker = world.workers[index]

    def write(name: str, then: str = "idle", **changes: object) -> Iterator[Step]:
        """The move; where it is refused, the worker stops."""
        after = _move(protocol, world, name, current=worker.current)
        if after is None:
            yield Step(f"{index}: {name} is refused", _set(world, index, Worker()))
            return
        goes_on = Worker() if then == "idle" else worker._replace(doing=then)
        if name == "intend":
            goes_on = goes_on._replace(licensed=True)
            after = after._replace(intent=True, listed=False)
        yield Step(f"{index}: {name}", _set(after, index, goes_on)._replace(**changes))  # type: ignore[arg-type]

    def go(label: str, doing: str, **changes: object) -> Step:
        after = _set(world, index, worker._replace(doing=doing))
        return Step(f"{index} {label}", after._replace(**changes))  # type: ignore[arg-type]

    match worker.doing:
        case "run":
            yield from write("back off")
            yield from write("fail")
            yield go("is asked for a code", "ask, nothing clicked")
            if review and not world.approved:
                yield from write("rehearse")
            elif protocol.intent_before_click:
                yield from write("intend", "click")
            else:
                yield go("does without an intent", "click", listed=False)
        case "click" | "code given":
            if worker.doing == "code given":
                yield from write("intend again", "click")
            effect = {"clicks": world.clicks + 1} if worker.licensed else {}
            clicked = {**effect, "hidden": True, "live": True}
            yield go("clicks, and hears yes", "yes", **clicked)
            yield go("clicks, and hears nothing", "doubt", **clicked)
            yield go("clicks, and is refused", "no")
            yield go("clicks, and is asked for a code", "ask, clicked")
            yield go("clicks without effect", "doubt")
        case "yes":
            yield from write("prove")
        case "no":
            yield from write("refuse")
        case "doubt":
            yield from write("doubt")
            yield from write("back off")
        case "ask, nothing clicked":
            yield from write("ask", "wait, nothing clicked")
        case "ask, clicked":
            yield from write("ask", "wait, clicked")
        case "wait, nothing clicked" | "wait, clicked":
            yield from write("fail")  # Nobody has answered in time.
            yield from write("doubt" if world.intent else "back off")  # Something else went wrong.
            if world.code:
                # What was clicked before may be completed by the code, whatever is written about it.
                then = "run" if worker.doing == "wait, nothing clicked" else "code given"
                yield from write("resubmit" if world.intent else "resume", then, code=False)
        case "look":
            yield go("finds it" if world.listed else "does not find it", "found" if world.listed else "absent")
        case "found":
            yield from write("prove")
        case "absent":
            yield from write("miss")
            if world.state is State.OUTCOME_UNKNOWN:
                yield Step(f"{index} will look again", _set(world, index, Worker())._replace(due=True))


def _set(world: World, index: int, worker: Worker) -> World:
    other = world.workers[1 - index]
    return world._replace(workers=(worker, other) if index == 0 else (other, worker))


def _move(protocol: Protocol, world: World, name: str, *, current: bool = True) -> World | None:
    """The world after a move of the table; None where the table refuses it."""
    move = protocol.moves[name]
    if world.state not in move.sources or (move.fenced and not current):
        return None
    if move.intent is not None and move.intent is not world.intent:
        return None
    return world._replace(
        state=move.target,
        intent=world.intent and not move.voids,
        due=move.target.watched and (protocol.outbox or move.target is not State.QUEUED),
        code=world.code and move.target.held,
    )
