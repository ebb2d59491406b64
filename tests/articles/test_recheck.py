"""What is due is asked for again: over real sockets, against the stand-in and the emulated AWS."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.articles.index import AT_ONCE
from chalicelib.articles.recheck import run_recheck
from chalicelib.articles.runs import new_run_id
from chalicelib.articles.store import Store
from chalicelib.articles.sync import Order
from chalicelib.clock import from_rfc3339
from tests.articles.support import CHANNEL, Fuse, Killed, World

if TYPE_CHECKING:
    from chalicelib.articles.changelog import Row
    from chalicelib.articles.runs import RunSummary

HOUR = 3600.0
DAY = 24 * HOUR
FOREIGN = "7000000000000000001"


def synced(world: World) -> list[str]:
    """Everything is synced; the ids in the order of sync."""
    assert world.turn()[CHANNEL]["scan"] == "succeeded"
    return world.upstream.scannable()


def upstream_does(world: World, verb: str, group_id: str, body: object = None) -> None:
    world.upstream.admin("POST", f"articles/{group_id}/{verb}", body)


def rows_of(world: World, group_id: str) -> list[Row]:
    return [row for row in world.rows() if row.group_id == group_id]


def last_recheck(world: World) -> dict[str, Any]:
    return [run for run in world.runs() if run["kind"] == "recheck"][-1]


def refresh(world: World, *group_ids: str) -> dict[str, str]:
    return world.turn(Order(group_ids=group_ids))[CHANNEL]


# By age


def test_nothing_is_asked_before_it_is_due(small_world: World) -> None:
    world = small_world
    synced(world)
    world.clock.sleep(0.9 * HOUR)
    world.turn()

    assert "MGetSyncArticles" not in world.upstream.admin("GET", "requests")["requests"]
    assert {run["kind"] for run in world.runs()} == {"scan"}


def test_every_article_is_looked_at_by_age_in_calls_of_thirty(world: World) -> None:
    ids = synced(world)
    world.clock.sleep(2 * HOUR)
    world.turn()
    record = last_recheck(world)

    assert (record["checked"], record["changed"], record["rows"], record["caught_up"]) == (95, 0, 0, True)
    assert world.upstream.admin("GET", "requests")["requests"]["MGetSyncArticles"] == 4
    for group_id in ids:
        entry = world.entry(group_id)
        assert entry.checks == 1
        assert entry.next_check_at is not None
        age = from_rfc3339(entry.next_check_at) - from_rfc3339(entry.first_seen_at or "")
        assert timedelta(hours=6) <= age <= timedelta(hours=7.2)


def test_unchanged_articles_write_no_row_though_counters_and_signatures_differ(world: World) -> None:
    synced(world)
    for _ in range(3):
        world.clock.sleep(2 * DAY)
        world.turn()

    assert len(world.rows()) == 95
    assert world.state().objects == 1


def test_a_changed_article_gets_one_new_row_and_its_entry_follows(world: World) -> None:
    ids = synced(world)
    upstream_does(world, "change", ids[7], {"title": "新的题目"})
    cursor = world.state().cursor
    for pause in (10 * HOUR, 30 * HOUR):
        world.clock.sleep(pause)
        world.turn()
    old, new = rows_of(world, ids[7])

    assert old.article is not None
    assert new.article is not None
    assert (new.article["Title"], new.seq, new.pos) == ("新的题目", 2, 0)
    assert world.latest()[ids[7]] == new
    assert (world.entry(ids[7]).title, world.entry(ids[7]).seq) == ("新的题目", 2)
    assert [run["changed"] for run in world.runs() if run["kind"] == "recheck"] == [1, 0]
    assert world.state().cursor == cursor


def test_the_rate_of_lookups_stays_within_the_limit(world: World) -> None:
    world.upstream.catalogue.add(600, world.clock.now())
    synced(world)
    world.clock.sleep(2 * HOUR)
    world.turn()
    requests = world.upstream.admin("GET", "requests")

    assert last_recheck(world)["checked"] == 695
    assert requests["requests"]["MGetSyncArticles"] >= 695 / 30
    assert requests["peak_per_second"]["MGetSyncArticles"] <= 20


def recheck(world: World, *, looks_at_the_clock: int) -> RunSummary:
    """A recheck whose time is up when it has looked at the clock so often."""
    left = itertools.count(10 + looks_at_the_clock, -1)
    done = run_recheck(
        CHANNEL,
        world.upstream.client(),
        world.s3,
        world.bucket,
        world.index,
        run_id=new_run_id(world.clock.now()),
        deadline=lambda: float(next(left)),
        clock=world.clock.now,
    )
    world.clock.sleep(1)
    assert done is not None
    return done


def test_a_recheck_ends_in_time_and_the_next_one_goes_on(world: World) -> None:
    synced(world)
    world.clock.sleep(2 * HOUR)
    first = recheck(world, looks_at_the_clock=6)
    second = recheck(world, looks_at_the_clock=1000)

    assert 0 < first.checked < 95
    assert (first.status, first.caught_up) == ("succeeded", False)
    assert (first.checked + second.checked, second.caught_up) == (95, True)


# Asked for


def test_a_refresh_looks_at_once_at_what_is_not_due(world: World) -> None:
    ids = synced(world)
    upstream_does(world, "change", ids[3])
    refresh(world, *ids[:5])

    assert (last_recheck(world)["checked"], last_recheck(world)["changed"]) == (5, 1)
    assert len(rows_of(world, ids[3])) == 2
    assert world.entry(ids[3]).refresh_requested_at is None


def test_an_id_that_was_never_scanned_is_brought_by_a_refresh(world: World) -> None:
    world.upstream.clock.sleep(30 * DAY)  # Beyond the window: the scan lists none of them any more.
    ids = [row["group_id"] for row in world.upstream.catalogue.truth(world.clock.now())]
    assert world.upstream.scannable() == []
    refresh(world, *ids[:40])

    assert set(world.latest()) == set(ids[:40])
    assert {entry.group_id for entry in world.listed()} == set(ids[:40])
    assert world.state().cursor == "", "the scan has not moved"
    assert world.entry(ids[0]).next_check_at != AT_ONCE


def test_an_id_that_is_not_ours_is_reported_once_and_not_looked_for_again(small_world: World) -> None:
    world = small_world
    synced(world)
    refresh(world, FOREIGN)
    entry = world.entry(FOREIGN)

    assert last_recheck(world)["not_ours"] == 1
    assert (entry.op, entry.miss_reason, entry.next_check_at) == (None, 500001, None)
    assert rows_of(world, FOREIGN) == []
    assert FOREIGN not in {listed.group_id for listed in world.listed()}
    world.clock.sleep(100 * DAY)
    world.turn()
    assert last_recheck(world)["not_ours"] == 0


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", range(2, 10, 3))
def test_a_refresh_that_was_asked_for_survives_any_death(
    small_world: World, write: int, *, after: bool
) -> None:
    world = small_world
    ids = synced(world)
    upstream_does(world, "change", ids[0])
    world.index.request_refresh(CHANNEL, [ids[0]], world.clock.now())
    with pytest.raises(Killed):
        world.turn(fuse=Fuse(write, after=after))
    world.turn()

    assert len(rows_of(world, ids[0])) == 2
    assert world.entry(ids[0]).content_sha256 == rows_of(world, ids[0])[1].content_sha256
    assert world.entry(ids[0]).refresh_requested_at is None


# Unavailable


def test_an_unavailable_article_is_noted_once_kept_and_looked_for_until_it_is_back(small_world: World) -> None:
    world = small_world
    ids = synced(world)
    title = world.entry(ids[4]).title or ""
    upstream_does(world, "unavailable", ids[4])
    for pause in (2 * HOUR, 5 * HOUR, DAY):
        world.clock.sleep(pause)
        world.turn()
    assert [(row.op, row.miss_reason) for row in rows_of(world, ids[4])] == [
        ("upsert", None),
        ("unavailable", 500008),
    ]
    assert ids[4] not in world.latest()
    assert (world.entry(ids[4]).op, world.entry(ids[4]).miss_reason) == ("unavailable", 500008)
    assert world.holding(title), "its content is kept"

    upstream_does(world, "available", ids[4])
    world.clock.sleep(40 * DAY)
    world.turn()
    assert [row.op for row in rows_of(world, ids[4])] == ["upsert", "unavailable", "upsert"]
    assert world.latest()[ids[4]].seq == 3
    assert world.entry(ids[4]).op == "upsert"


# Withdrawn

SECRET = "绝密:这篇文章已被下架"


def with_secret(world: World) -> str:
    """An article whose secret text lies in two objects of the live log and in one of a backfill's."""
    group_id = synced(world)[3]
    upstream_does(world, "change", group_id, {"title": f"{SECRET}一"})
    refresh(world, group_id)
    upstream_does(world, "change", group_id, {"title": f"{SECRET}二"})
    refresh(world, group_id)
    world.turn(Order(backfill="again"))
    assert len(world.holding(SECRET)) == 4
    return group_id


def test_a_takedown_has_the_other_channels_looked_at_that_know_the_article(small_world: World) -> None:
    world = small_world
    ids = synced(world)
    known = [replace(row, group_id=group_id) for row, group_id in zip(world.rows(), ids, strict=True)]
    world.index.put_rows("sibling", "an/object.jsonl.gz", known[:2])
    for group_id in ids[1:3]:
        upstream_does(world, "takedown", group_id)

    world.turn(Order(channel=CHANNEL, group_ids=tuple(ids)), channels=[CHANNEL, "sibling"])

    due = world.index.due("sibling", world.clock.now(), 10)
    assert [entry.group_id for entry in due] == [ids[1]]


def test_an_article_that_the_service_refuses_to_look_up_is_passed_over_even_where_the_run_fails(
    world: World,
) -> None:
    ids = synced(world)
    world.upstream.fault("garbage", count=200, action="MGetSyncArticles")
    looks = [refresh(world, *ids[:30]), *(world.turn()[CHANNEL] for _ in range(5))]

    assert looks[0]["recheck"] == "sync.malformed"
    assert looks[-1]["recheck"] == "succeeded"
    assert not world.index.due(CHANNEL, world.clock.now(), 1)


def test_after_a_takedown_no_object_and_no_entry_holds_the_text(small_world: World) -> None:
    world = small_world
    group_id = with_secret(world)
    before = {row.group_id: row for row in world.rows() if row.group_id != group_id}
    backfilled = world.rows("again")
    upstream_does(world, "takedown", group_id)
    world.clock.sleep(2 * HOUR)
    world.turn()

    assert world.holding(SECRET) == []
    assert world.holding(f"/a{group_id}/") == []
    assert group_id not in world.latest()
    entry = world.entry(group_id)
    assert (entry.op, entry.miss_reason, entry.title, entry.next_check_at) == ("takedown", 500009, None, None)
    assert group_id not in {listed.group_id for listed in world.listed()}
    rows = rows_of(world, group_id)
    assert [(row.op, row.article, row.content_sha256) for row in rows] == [("takedown", None, None)] * 4
    assert [(row.seq, row.pos) for row in rows] == [(1, 3), (2, 0), (3, 0), (4, 0)]
    # Everything else is as it was, in its place.
    assert {row.group_id: row for row in world.rows() if row.group_id != group_id} == before
    assert [row.group_id for row in world.rows("again")] == [row.group_id for row in backfilled]
    assert last_recheck(world)["withdrawn"] == 1
    assert last_recheck(world)["purged"] == 4
    assert world.state().rows == len(world.rows())


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", range(2, 14, 4))
def test_a_purge_that_dies_is_taken_up_again(small_world: World, write: int, *, after: bool) -> None:
    world = small_world
    group_id = with_secret(world)
    upstream_does(world, "takedown", group_id)
    world.index.request_refresh(CHANNEL, [group_id], world.clock.now())
    with pytest.raises(Killed):
        world.turn(fuse=Fuse(write, after=after))
    world.turn()

    assert world.holding(SECRET) == []
    assert [row.op for row in rows_of(world, group_id)] == ["takedown"] * 4
    assert world.entry(group_id).next_check_at is None


def test_a_purge_ends_in_time_and_the_next_one_goes_on(small_world: World) -> None:
    world = small_world
    group_id = with_secret(world)
    upstream_does(world, "takedown", group_id)
    world.index.request_refresh(CHANNEL, [group_id], world.clock.now())
    recheck(world, looks_at_the_clock=8)
    left = world.holding(SECRET)
    recheck(world, looks_at_the_clock=1000)

    assert world.entry(group_id).op == "takedown"
    assert 0 < len(left) <= 4
    assert world.holding(SECRET) == []


def test_an_object_of_a_dead_backfill_that_holds_withdrawn_text_is_purged_when_it_is_adopted(
    small_world: World,
) -> None:
    world = small_world
    group_id = synced(world)[3]
    upstream_does(world, "change", group_id, {"title": SECRET})
    refresh(world, group_id)
    (before,) = (key for key in world.holding(SECRET) if key.startswith("articles/"))
    # Dies after the backfill's object is written and before it is committed.
    with pytest.raises(Killed):
        world.turn(Order(backfill="dead"), fuse=Fuse(6, after=True))
    left = [key for key in world.holding(SECRET) if key.startswith("backfill/")]
    assert len(left) == 1, "the fuse has to be set to the object's write"
    assert before in world.holding(SECRET)

    upstream_does(world, "takedown", group_id)
    refresh(world, group_id)
    world.turn()
    assert world.holding(SECRET) == []


@pytest.mark.parametrize("day", ["2026-11-20", "2026-11-22"])
def test_the_object_of_a_stale_run_that_no_state_has_committed_is_purged_too(
    small_world: World, day: str
) -> None:
    world = small_world
    group_id = synced(world)[3]
    upstream_does(world, "change", group_id, {"title": SECRET})
    refresh(world, group_id)
    (key,) = (key for key in world.holding(SECRET) if key.startswith("articles/"))
    # It was at the same number, and had begun before midnight, or went on after it.
    world.s3.copy_object(
        Bucket=world.bucket,
        Key=key.replace("dt=2026-11-21", f"dt={day}"),
        CopySource={"Bucket": world.bucket, "Key": key},
    )
    assert len(world.holding(SECRET)) == 3

    upstream_does(world, "takedown", group_id)
    refresh(world, group_id)

    assert world.holding(SECRET) == []


def test_what_a_dead_run_has_left_uncommitted_is_purged_before_anybody_adopts_it(small_world: World) -> None:
    world = small_world
    group_id = synced(world)[3]
    with pytest.raises(Killed):
        world.turn(Order(backfill="dead"), fuse=Fuse(6, after=True))
    (left,) = (key for key in world.holding(f"/a{group_id}/") if key.startswith("backfill/"))
    assert world.state("dead").seq == 1

    upstream_does(world, "takedown", group_id)
    world.index.request_refresh(CHANNEL, [group_id], world.clock.now())
    recheck(world, looks_at_the_clock=1000)

    assert world.state("dead").seq == 1
    assert world.holding(f"/a{group_id}/") == []
    world.turn()
    assert world.state("dead").last_key == left
    assert [row.op for row in world.rows("dead") if row.group_id == group_id] == ["takedown"]


def test_a_withdrawn_article_that_is_back_and_asked_for_is_stored_again(small_world: World) -> None:
    world = small_world
    group_id = with_secret(world)
    upstream_does(world, "takedown", group_id)
    refresh(world, group_id)
    upstream_does(world, "available", group_id)
    refresh(world, group_id)

    assert world.entry(group_id).op == "upsert"
    assert world.latest()[group_id].article is not None
    refresh(world, group_id)
    assert len(rows_of(world, group_id)) == 5
    assert world.entry(group_id).next_check_at not in (None, AT_ONCE)


def test_a_refresh_of_a_withdrawn_article_changes_nothing(small_world: World) -> None:
    world = small_world
    group_id = with_secret(world)
    upstream_does(world, "takedown", group_id)
    for _ in range(2):
        refresh(world, group_id)

    assert len(rows_of(world, group_id)) == 4
    assert world.entry(group_id).next_check_at is None
    assert world.entry(group_id).refresh_requested_at is None


def test_an_article_that_was_withdrawn_before_it_was_ever_seen_leaves_a_tombstone(small_world: World) -> None:
    world = small_world
    group_id = world.upstream.scannable()[0]
    upstream_does(world, "takedown", group_id)
    refresh(world, group_id)
    world.turn()

    assert [row.op for row in rows_of(world, group_id)] == ["takedown"]
    assert world.entry(group_id).next_check_at is None


# Answers that do not fit


def test_an_article_that_the_answer_does_not_mention_is_looked_for_an_hour_later(small_world: World) -> None:
    world = small_world
    ids = synced(world)
    world.upstream.fault("silent_id")
    refresh(world, ids[0])
    entry = world.entry(ids[0])

    assert (entry.op, entry.refresh_requested_at) == ("upsert", None)
    assert entry.next_check_at is not None
    wait = from_rfc3339(entry.next_check_at) - world.clock.now()
    assert timedelta(minutes=59) < wait <= timedelta(hours=1)


def test_an_article_whose_answer_cannot_be_read_does_not_hide_the_others(world: World) -> None:
    ids = synced(world)
    for group_id in ids:
        upstream_does(world, "change", group_id)
    # The first call and each half that holds the odd article: 30, 15, 7, 3 and 1 of them.
    for _ in range(5):
        world.upstream.fault("odd_article")
    outcome = refresh(world, *ids[:30])

    assert outcome["recheck"] == "succeeded"
    assert sum(len(rows_of(world, group_id)) == 2 for group_id in ids[:30]) == 29


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "http503", "count": 5}, "sync.unavailable"),
        ({"kind": "error", "code": "LackPolicy"}, "sync.denied"),
        ({"kind": "garbage", "count": 60}, "sync.malformed"),
    ],
)
def test_what_was_learnt_before_a_failure_is_kept_and_the_scan_goes_on(
    world: World, fault: dict[str, Any], code: str
) -> None:
    ids = synced(world)
    for group_id in ids[:60]:
        upstream_does(world, "change", group_id)
    world.upstream.fault("ok", action="MGetSyncArticles")
    world.upstream.fault(**fault, action="MGetSyncArticles")
    outcome = refresh(world, *ids[:60])

    assert (outcome["recheck"], outcome["scan"]) == (code, "succeeded")
    assert (last_recheck(world)["status"], last_recheck(world)["error_code"]) == ("failed", code)
    assert len(world.rows()) == 95 + 30
    world.upstream.admin("DELETE", "faults")
    # Articles that were found to be unreadable wait for an hour.
    world.clock.sleep(3600)
    world.turn()
    assert len(world.rows()) == 95 + 60


# Together


def test_purging_keeps_what_a_killed_runs_object_says_about_itself(small_world: World) -> None:
    world = small_world
    group_id = with_secret(world)
    (key,) = (key for key in world.holding(SECRET) if key.endswith("000000000002.jsonl.gz"))
    before = Store(world.s3, world.bucket).metadata(key)
    upstream_does(world, "takedown", group_id)
    refresh(world, group_id)

    assert Store(world.s3, world.bucket).metadata(key) == before
