"""Turns of the sync: index, backfills, alarms, several channels."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, replace
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from chalicelib.articles import health
from chalicelib.articles.client import Page
from chalicelib.articles.index import ArticleIndex
from chalicelib.articles.reader import sync_status
from chalicelib.articles.scan import run_scan
from chalicelib.articles.state import CursorState, commit_state, load_state
from chalicelib.articles.sync import Order
from chalicelib.clock import to_rfc3339
from chalicelib.errors import ChannelNotFound, ConfigurationError, ValidationFailed
from tests.articles.support import CHANNEL, START, Fuse, Killed, World

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = 3600.0
DAY = 24 * HOUR


def indexed(world: World) -> dict[str, tuple[Any, ...]]:
    return {entry.group_id: (entry.object, entry.seq, entry.pos) for entry in world.listed()}


def in_the_log(world: World, name: str = "live") -> dict[str, tuple[int, int]]:
    return {row.group_id: (row.seq, row.pos) for row in world.rows(name)}


def assert_index_is_the_latest_view(world: World) -> None:
    latest = world.latest()
    entries = {entry.group_id: entry for entry in world.listed()}
    assert entries.keys() == latest.keys()
    for group_id, row in latest.items():
        entry = entries[group_id]
        assert row.article is not None
        assert (entry.seq, entry.pos, entry.observed_at) == (row.seq, row.pos, row.observed_at)
        assert (entry.title, entry.content_sha256) == (row.article["Title"], row.content_sha256)


# The index


def test_every_committed_article_is_in_the_index(world: World) -> None:
    assert world.turn() == {CHANNEL: dict.fromkeys(("alarm", "recheck", "scan", "metric"), "succeeded")}

    assert list(world.latest()) == world.upstream.scannable()
    assert_index_is_the_latest_view(world)
    state = world.state()
    assert state.indexed_key == state.last_key != ""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", [2, 3, 4, 6, 8])
def test_a_run_that_dies_between_the_log_and_the_index_is_caught_up_by_the_next(
    small_world: World, write: int, *, after: bool
) -> None:
    with pytest.raises(Killed):
        small_world.turn(fuse=Fuse(write, after=after))
    small_world.turn()

    assert list(in_the_log(small_world)) == small_world.upstream.scannable()
    assert_index_is_the_latest_view(small_world)


def test_a_state_from_before_there_was_an_index_fills_it_from_the_log(small_world: World) -> None:
    small_world.turn()
    stored = load_state(small_world.store, CHANNEL)
    commit_state(small_world.store, replace(stored.state, indexed_key=""), stored.etag)
    fresh = make_empty_index(small_world)
    assert fresh.listed() == []
    fresh.turn()

    assert_index_is_the_latest_view(fresh)


def make_empty_index(world: World) -> World:
    """The same world, whose index was lost."""
    for item in world.dynamodb.scan(TableName=world.table)["Items"]:
        key = {name: item[name] for name in ("channel", "group_id")}
        world.dynamodb.delete_item(TableName=world.table, Key=key)
    return world


class FailingTable:
    """A DynamoDB client that takes no write."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def update_item(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "UpdateItem")

    batch_execute_statement = update_item


def test_an_index_that_fails_does_not_hold_the_articles_back(world: World) -> None:
    real, world.dynamodb = world.dynamodb, FailingTable(world.dynamodb)  # type: ignore[assignment]
    for _ in range(2):
        new = world.upstream.catalogue.add(3, world.clock.now())
        assert world.turn()[CHANNEL]["scan"] == "internal.cloud"
        assert list(in_the_log(world))[-3:] == new
    assert world.state().last_success_at is None
    world.dynamodb = real
    assert world.turn()[CHANNEL]["scan"] == "succeeded"

    assert list(in_the_log(world)) == world.upstream.scannable()
    assert_index_is_the_latest_view(world)


# Backfill


def test_a_backfill_that_came_to_its_end_before_its_index_did_is_carried_on(small_world: World) -> None:
    world = small_world
    world.turn()
    world.turn(Order(backfill="again"))
    through = load_state(world.store, CHANNEL, "again")
    commit_state(world.store, replace(through.state, indexed_key=""), through.etag)

    assert world.turn()[CHANNEL]["backfill again"] == "succeeded"
    state = load_state(world.store, CHANNEL, "again").state
    assert state.indexed_key == state.last_key == through.state.last_key
    assert "backfill again" not in world.turn()[CHANNEL]


def test_a_backfill_reads_the_window_again_beside_the_live_scan(world: World) -> None:
    world.turn()
    live = world.state()
    outcome = world.turn(Order(backfill="again"))[CHANNEL]
    after = world.state()

    assert outcome["backfill again"] == "succeeded"
    assert list(in_the_log(world, "again")) == world.upstream.scannable()
    assert (after.cursor, after.seq, after.objects, after.rows) == (
        live.cursor,
        live.seq,
        live.objects,
        live.rows,
    )
    assert list(world.store.keys("backfill/")) == [
        f"backfill/utm_source={CHANNEL}/name=again/dt=2026-11-21/000000000001.jsonl.gz"
    ]
    assert world.state("again").cursor == live.cursor
    assert [run["name"] for run in world.runs()] == ["live", "live"]
    (record,) = world.runs("backfill-runs/")
    assert (record["name"], record["rows"], record["caught_up"]) == ("again", 95, True)
    # The later observation is the newer one.
    assert {entry.object for entry in world.listed()} == set(world.store.keys("backfill/"))
    assert_index_is_the_latest_view(world)


def test_a_backfill_goes_on_by_itself_until_it_is_through_and_then_rests(world: World) -> None:
    world.turn()
    # Time for two pages of the backfill after the live scan's last one.
    world.turn(Order(backfill="again"), seconds=10.25)
    begun = world.state("again")
    assert begun.caught_up_at is None
    assert begun.rows < 95
    world.turn()
    done = world.state("again")
    assert (done.rows, done.caught_up_at is None) == (95, False)

    world.upstream.catalogue.add(3, world.clock.now())
    assert "backfill again" not in world.turn()[CHANNEL]
    assert world.state("again") == done


def test_a_backfill_that_was_asked_for_is_started_even_if_the_turn_dies_at_once(small_world: World) -> None:
    small_world.turn()
    with pytest.raises(Killed):
        small_world.turn(Order(backfill="again"), fuse=Fuse(2, after=False))
    small_world.turn()

    assert list(in_the_log(small_world, "again")) == small_world.upstream.scannable()


def test_backfills_of_several_names_do_not_mix(small_world: World) -> None:
    small_world.turn(Order(backfill="one"))
    small_world.turn(Order(backfill="two"))

    for name in ("live", "one", "two"):
        assert list(in_the_log(small_world, name)) == small_world.upstream.scannable()


# Time


def test_a_slow_index_is_left_in_time_and_carried_on_by_the_next_turns(world: World) -> None:
    world.upstream.catalogue.add(505, world.clock.now())
    end = world.clock.monotonic() + 40
    # 24 calls of 25 rows each are an object's; the time is enough for some of them.
    assert world.turn(seconds=40, index_seconds=2)[CHANNEL]["scan"] == "succeeded"
    assert world.clock.monotonic() - 1 < end
    state = world.state()
    assert (state.rows, state.indexed_key, state.caught_up_at is None) == (600, "", False)
    assert 0 < len(world.listed()) < 600
    world.turn()

    assert world.state().indexed_key == state.last_key
    assert_index_is_the_latest_view(world)


def test_a_write_of_the_index_that_never_comes_back_does_not_hold_the_run_up(small_world: World) -> None:
    world, asked, over = small_world, threading.Event(), threading.Event()

    class Hanging:
        def __init__(self, client: Any) -> None:
            self._client = client

        def __getattr__(self, name: str) -> Any:
            return getattr(self._client, name)

        def update_item(self, **arguments: Any) -> Any:
            asked.set()
            assert over.wait(timeout=60)
            return self._client.update_item(**arguments)

    try:
        run = run_scan(
            CHANNEL,
            world.upstream.client(),
            world.s3,
            world.bucket,
            ArticleIndex(cast("Any", Hanging(world.dynamodb)), world.table),
            run_id="hanging",
            # Plenty until the index hangs; then what is left for the last writes.
            deadline=lambda: 0.0 if asked.is_set() else 60.0,
            clock=world.clock.now,
        )
        assert (run.status, run.rows) == ("succeeded", 5)
        assert (world.state().rows, world.state().indexed_key) == (5, "")
    finally:
        over.set()
    world.turn()

    assert_index_is_the_latest_view(world)


# Orders


@pytest.mark.parametrize(
    "detail",
    [
        {"backfill": "live"},
        {"backfill": "a/b"},
        {"backfill": ""},
        {"backfill": 5},
        {"group_ids": "725"},
        {"group_ids": [725]},
        {"group_ids": [""]},
        {"group_ids": ["1"] * 10_001},
        {"channel": 5},
    ],
)
def test_orders_that_make_no_sense_are_refused(detail: dict[str, Any]) -> None:
    with pytest.raises(ValidationFailed):
        Order.from_detail(detail)


def test_an_events_detail_is_an_order() -> None:
    assert Order.from_detail({}) == Order.from_detail({"run_id": "x", "group_ids": None}) == Order()
    assert Order.from_detail({"channel": "c", "backfill": "b-1", "group_ids": ["1"]}) == Order(
        "c", "b-1", ("1",)
    )


@pytest.mark.parametrize(
    ("order", "channels"),
    [
        (Order(channel="foreign"), ("a", "b")),
        (Order(group_ids=("1",)), ("a", "b")),
        (Order(group_ids=("1",)), ()),
    ],
)
def test_orders_for_channels_that_are_not_there_are_refused(order: Order, channels: Sequence[str]) -> None:
    with pytest.raises(ChannelNotFound):
        order.choose(channels)


def test_a_channel_that_fails_does_not_keep_the_others_from_their_turn(world: World) -> None:
    outcomes = world.turn(channels=["foreign", CHANNEL])

    assert (outcomes["foreign"]["scan"], outcomes[CHANNEL]["scan"]) == ("sync.denied", "succeeded")
    assert list(world.latest()) == world.upstream.scannable()


class OddSource:
    """Answers with content that nobody thought of, in one channel."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def scan(self, channel: str, *arguments: Any, **options: Any) -> Page:
        if channel == CHANNEL:
            return self._real.scan(channel, *arguments, **options)  # type: ignore[no-any-return]
        nested: Any = []
        for _ in range(5_000):
            nested = [nested]
        return Page([{"GroupId": "1", "Nested": nested}], "1", "r")


def test_content_that_nobody_thought_of_keeps_no_other_channel_from_its_turn(world: World) -> None:
    client: Any = OddSource(world.upstream.client())
    outcomes = world.turn(channels=["odd", CHANNEL], client=client)

    assert (outcomes["odd"]["scan"], outcomes[CHANNEL]["scan"]) == ("internal.error", "succeeded")
    assert list(world.latest()) == world.upstream.scannable()


def test_keys_that_are_missing_fail_the_runs_and_not_the_alarm_about_them(small_world: World) -> None:
    def missing() -> Any:
        raise ConfigurationError("There are no keys.")

    small_world.turn()
    small_world.clock.sleep(4 * DAY)
    outcome = small_world.turn(client_of=missing)[CHANNEL]

    assert outcome == {
        "alarm": "succeeded",
        "recheck": "internal.configuration",
        "scan": "internal.configuration",
        "compaction": "succeeded",
        "metric": "succeeded",
    }
    assert [told["alarm"] for told in small_world.bus.told] == ["cursor_ageing"]


def test_a_turn_for_one_channel_leaves_the_others_alone(world: World) -> None:
    assert list(world.turn(Order(channel=CHANNEL), channels=["foreign", CHANNEL])) == [CHANNEL]


# Alarms


def days(count: float) -> str:
    return to_rfc3339(START - timedelta(days=count))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (CursorState("u"), None),
        (CursorState("u", caught_up_at=days(2.9), last_success_at=days(0)), None),
        (CursorState("u", caught_up_at=days(3), last_success_at=days(3)), "cursor_ageing"),
        # Runs succeed, but the scan does not come to its end any more.
        (CursorState("u", caught_up_at=days(3), last_success_at=days(0)), "cursor_ageing"),
        (CursorState("u", caught_up_at=days(12.9)), "cursor_ageing"),
        (CursorState("u", caught_up_at=days(13)), "cursor_expired"),
        # The first pull of the window may take long.
        (CursorState("u", created_at=days(5), last_success_at=days(0)), None),
        (CursorState("u", created_at=days(5), last_success_at=days(4)), "cursor_ageing"),
        # It never worked.
        (CursorState("u", created_at=days(3)), "cursor_ageing"),
    ],
)
def test_the_alarm_comes_before_the_window_is_over(state: CursorState, expected: str | None) -> None:
    assert health.alarm(state, START) == expected


def test_a_channel_that_falls_behind_is_told_once_each_time_it_gets_worse_and_when_it_is_well(
    small_world: World,
) -> None:
    world = small_world
    world.turn()
    until = world.state().caught_up_at
    world.upstream.fault("error", code="LackPolicy", count=1000)
    for pause in (2.9 * DAY, 0.2 * DAY, HOUR, 10 * DAY, HOUR):
        world.clock.sleep(pause)
        assert world.turn()[CHANNEL]["scan"] == "sync.denied"
    status = sync_status(world.s3, world.bucket, CHANNEL, clock=world.clock.now)
    assert status.alarm == "cursor_expired"
    world.upstream.admin("DELETE", "faults")
    for _ in range(2):
        assert world.turn()[CHANNEL]["scan"] == "succeeded"

    assert [(told["kind"], told["alarm"], told["complete_until"]) for told in world.bus.told] == [
        ("Sync behind", "cursor_ageing", until),
        ("Sync behind", "cursor_expired", until),
        ("Sync recovered", None, world.bus.told[2]["complete_until"]),
    ]
    assert world.bus.told[2]["complete_until"] > world.bus.told[1]["at"]
    assert len({told["id"] for told in world.bus.told}) == 3
    assert {told["channel"] for told in world.bus.told} == {CHANNEL}
    assert sync_status(world.s3, world.bucket, CHANNEL, clock=world.clock.now).alarm is None


@pytest.mark.parametrize("bus_fails", [False, True])
def test_after_an_outage_beyond_the_window_the_recovery_tells_what_is_missing(
    small_world: World, *, bus_fails: bool
) -> None:
    world = small_world
    world.turn()
    before, until = world.latest(), world.state().caught_up_at
    world.clock.sleep(20 * DAY)
    new = world.upstream.catalogue.add(3, world.clock.now())
    reach = to_rfc3339(world.clock.now() - timedelta(days=14))
    # Also where the alarm could not be told, because the bus was down until the sync was well again.
    world.bus.failing = bus_fails
    assert world.turn()[CHANNEL]["scan"] == "succeeded"
    world.bus.failing = False
    for _ in range(2):
        world.turn()

    told = [(told["kind"], told["alarm"], told.get("gap")) for told in world.bus.told]
    behind = [] if bus_fails else [("Sync behind", "cursor_expired", None)]
    assert told == [*behind, ("Sync recovered", None, True)]
    assert (world.bus.told[-1]["gap_from"], world.bus.told[-1]["gap_to"]) == (until, reach)
    assert [run["gap"] for run in world.runs() if run["kind"] == "scan"] == [False, True, False, False]
    assert (world.state().gap, world.state().gap_from, world.state().gap_to) == (True, until, reach)
    assert world.latest().keys() == {*before, *new}
    assert_index_is_the_latest_view(world)


def test_an_alarm_is_owed_until_the_bus_has_taken_it_and_hinders_nothing(small_world: World) -> None:
    world = small_world
    world.turn()
    world.clock.sleep(4 * DAY)
    world.upstream.fault("error", code="LackPolicy", count=2)
    world.bus.failing = True
    outcome = world.turn()[CHANNEL]
    assert (outcome["alarm"], outcome["scan"]) == ("internal.event", "sync.denied")
    world.bus.failing = False
    world.turn()

    assert [told["alarm"] for told in world.bus.told] == ["cursor_ageing"]


@pytest.mark.parametrize("after", [False, True])
def test_an_alarm_comes_at_least_once_and_then_with_the_same_id(small_world: World, *, after: bool) -> None:
    world = small_world
    world.turn()
    world.clock.sleep(4 * DAY)
    world.upstream.fault("error", code="LackPolicy", count=1000)
    # The event is the first write of a turn, the state that remembers it the second.
    for write in (1, 2):
        with pytest.raises(Killed):
            world.turn(fuse=Fuse(write, after=after))
    world.turn()

    assert len(world.bus.told) >= 1
    assert len({told["id"] for told in world.bus.told}) == 1


def test_the_lag_is_a_line_that_cloudwatch_makes_a_metric_of(
    small_world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    small_world.turn()
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    value = json.loads(line)

    assert value["Channel"] == CHANNEL
    assert value["SyncLagSeconds"] == pytest.approx(0, abs=1)
    (directive,) = value["_aws"]["CloudWatchMetrics"]
    assert directive == {
        "Namespace": "SocialPublisher",
        "Dimensions": [["Channel"]],
        "Metrics": [{"Name": "SyncLagSeconds", "Unit": "Seconds"}],
    }


def test_the_metric_tells_how_far_behind_the_channel_is() -> None:
    output = StringIO()
    health.put_metric("c", timedelta(days=4), START, output)

    value = json.loads(output.getvalue())
    assert value["SyncLagSeconds"] == 4 * DAY
    assert value["_aws"]["Timestamp"] == START.timestamp() * 1000


# States


def test_a_state_of_before_there_were_names_is_the_live_one(small_world: World) -> None:
    old = {name: value for name, value in asdict(CursorState(CHANNEL)).items() if name != "name"}
    assert CursorState.from_dict({"version": 1, **old}) == CursorState(CHANNEL)
    small_world.turn()
    assert list(small_world.store.keys("state/")) == [f"state/utm_source={CHANNEL}.json"]
