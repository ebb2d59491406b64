"""What webhooks are told of a channel: once a run that brought anything, whatever dies in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.articles.state import load_state
from chalicelib.articles.sync import Order
from tests.articles.support import CHANNEL, Fuse, Killed, World

if TYPE_CHECKING:
    from datetime import datetime

DAY = 24 * 3600.0


@dataclass
class Told:
    events: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, event_id: str, kind: str, at: datetime, data: dict[str, Any]) -> None:
        self.events.append((event_id, kind, data))

    @property
    def rows(self) -> list[int]:
        return [data["rows"] for _, kind, data in self.events if kind == "articles.changed"]


@pytest.fixture
def told(small_world: World) -> Told:
    told = Told()
    small_world.tell = told
    return told


def test_a_run_that_brings_articles_is_told_once_with_its_counts_and_others_are_not(
    small_world: World, told: Told
) -> None:
    world = small_world
    world.turn()
    world.turn()
    first = len(world.upstream.scannable())
    world.upstream.catalogue.add(3, world.clock.now())
    world.turn()
    world.turn()

    assert told.rows == [first, 3]
    event_id, kind, data = told.events[-1]
    assert kind == "articles.changed"
    assert event_id.startswith("evt_")
    assert data["channel"] == CHANNEL
    assert (data["scan"], data["objects"], data["url"]) == ("live", 1, f"/api/v1/articles?channel={CHANNEL}")


def test_a_backfill_is_told_by_its_name(small_world: World, told: Told) -> None:
    small_world.turn()
    small_world.turn(Order(backfill="again"))

    assert [data["scan"] for _, _, data in told.events] == ["live", "again"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", range(2, 12))
def test_a_run_that_is_killed_anywhere_loses_no_news(
    small_world: World, told: Told, write: int, *, after: bool
) -> None:
    try:
        small_world.turn(fuse=Fuse(write, after=after))
    except Killed:
        small_world.turn()

    assert told.rows[-1] == len(small_world.upstream.scannable())
    assert len({event_id for event_id, _, _ in told.events}) == 1
    state = load_state(small_world.store, CHANNEL).state
    assert (state.told_seq, state.told_rows) == (state.seq, state.rows)


def test_where_nobody_wants_news_no_state_is_written_for_them(small_world: World) -> None:
    small_world.turn()

    assert small_world.state().told_seq == 1


def test_a_sync_that_falls_behind_and_recovers_is_told_by_the_same_ids_when_it_is_told_again(
    small_world: World, told: Told
) -> None:
    small_world.turn()
    told.events.clear()
    small_world.clock.sleep(4 * DAY)
    small_world.turn()
    small_world.turn()

    kinds = [(kind, data.get("alarm")) for _, kind, data in told.events if kind.startswith("sync.")]
    assert kinds == [("sync.behind", "cursor_ageing"), ("sync.recovered", None)]
