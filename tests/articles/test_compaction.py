"""Compaction: every row stays readable, once, at every moment, wherever the process is killed."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import TYPE_CHECKING, Any, cast

import pytest

from chalicelib.articles.changelog import article_key, compacted_key, parse_day, parse_span, read_rows
from chalicelib.articles.compaction import GROUP_SECONDS, compact_day, compact_log, is_due
from chalicelib.articles.reader import channel_logs, iter_objects, iter_rows
from chalicelib.articles.recheck import run_recheck
from chalicelib.articles.sink import OutOfTime
from chalicelib.articles.state import load_state
from chalicelib.articles.store import Store
from chalicelib.errors import SyncError
from tests.articles.support import CHANNEL, START, Killed, Lake, Upstream, World, before_first_put
from tests.articles.views import by_duckdb, download

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from chalicelib.articles.changelog import Row
    from chalicelib.articles.compaction import Compaction
    from chalicelib.articles.index import ArticleIndex

pytestmark = pytest.mark.system

DAY = "2026-11-21"
FOLDER = f"articles/utm_source={CHANNEL}/dt={DAY}/"


def tomorrow() -> datetime:
    return datetime(2026, 11, 22, 0, 0, 1, tzinfo=UTC)


class NotedIndex:
    """What an index was told: the object of each row."""

    def __init__(self) -> None:
        self.objects: dict[tuple[int, int], str] = {}

    def move_rows(self, channel: str, key: str, rows: Iterable[Row], **_: object) -> None:
        self.objects |= {(row.seq, row.pos): key for row in rows}


def compact(lake: Lake, index: Any = None, *, s3: S3Client | None = None, **options: Any) -> list[Compaction]:
    store = Store(s3 or lake.s3, lake.bucket, lake.prefix)
    (log,) = channel_logs(store, CHANNEL)
    options = {"clock": tomorrow} | options
    return compact_day(store, index or NotedIndex(), CHANNEL, log, DAY, **options)


def rows(lake: Lake) -> list[Row]:
    return list(iter_rows(lake.s3, lake.bucket, CHANNEL, prefix=lake.prefix))


@pytest.fixture
def small_objects(lake: Lake, upstream: Upstream) -> Lake:
    """159 rows in eight objects."""
    lake.run(rows_per_object=30)
    for _ in range(2):
        upstream.admin("POST", "articles", {"count": 32})
        lake.run(rows_per_object=30)
    assert [parse_span(key) for key in lake.keys("articles/")] == [(seq, seq) for seq in range(1, 9)]
    return lake


def test_the_objects_of_a_day_become_one_with_the_same_rows(small_objects: Lake) -> None:
    before, originals = rows(small_objects), small_objects.keys("articles/")
    (done,) = compact(small_objects)

    assert done.key == f"{FOLDER}000000000001-000000000008.jsonl.gz"
    assert done.originals == tuple(originals)
    assert small_objects.keys("articles/") == [done.key]
    assert rows(small_objects) == before
    assert done.rows == len(before) == 159
    assert compact(small_objects) == []


def test_the_index_leads_to_the_row_in_the_compacted_object(small_objects: Lake, index: ArticleIndex) -> None:
    before = rows(small_objects)
    (done,) = compact(small_objects, index)
    store = Store(small_objects.s3, small_objects.bucket)

    for row in (before[0], before[77], before[-1]):
        entry = index.get(CHANNEL, row.group_id)
        assert entry is not None
        assert (entry.object, entry.seq, entry.pos) == (done.key, row.seq, row.pos)
        # The purge of a withdrawn article goes by these.
        assert done.key in entry.objects
    found = store.get(done.key)
    assert found is not None
    assert list(read_rows(found[0])) == before


class KilledAt:
    """An S3 client whose process is killed at its nth change, just before or just after it takes effect."""

    def __init__(self, s3: S3Client, change: int, *, after: bool) -> None:
        self._s3 = s3
        self._left = change
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **arguments: Any) -> Any:
        return self._change(self._s3.put_object, arguments)

    def delete_object(self, **arguments: Any) -> Any:
        return self._change(self._s3.delete_object, arguments)

    def _change(self, call: Any, arguments: dict[str, Any]) -> Any:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Killed
        answer = call(**arguments)
        if self._left == 0:
            raise Killed
        return answer


@pytest.mark.parametrize("after", [False, True])
def test_killed_anywhere_it_loses_and_doubles_nothing_and_the_next_one_finishes(
    s3: S3Client, bucket: str, upstream: Upstream, tmp_path: Path, *, after: bool
) -> None:
    for change in count(1):
        lake = Lake(s3, bucket, upstream, prefix=f"killed-{change}/")
        lake.run(rows_per_object=30)
        before = rows(lake)
        killer = cast("S3Client", KilledAt(s3, change, after=after))
        try:
            compact(lake, s3=killer)
        except Killed:
            killed = True
        else:
            killed = False

        assert rows(lake) == before
        folder = tmp_path / str(change)
        download(lake, folder)
        assert [row["group_id"] for row in by_duckdb(folder / lake.prefix)] == sorted(
            row.group_id for row in before
        )
        index = NotedIndex()
        compact(lake, index)
        (key,) = lake.keys("articles/")
        assert parse_span(key) == (1, 4)
        assert rows(lake) == before
        if killed:
            assert index.objects in ({}, {(row.seq, row.pos): key for row in before})
        manifest = Store(s3, bucket, lake.prefix).get_json(
            f"{lake.prefix}compactions/utm_source={CHANNEL}/name=live/dt={DAY}/000000000001-000000000004.json"
        )
        assert manifest is not None
        assert manifest[0]["originals"] == [article_key(lake.prefix, CHANNEL, DAY, seq) for seq in range(1, 5)]
        if not killed:
            # The compacted object, the manifest, four deletions.
            assert change == 7
            return


@pytest.mark.parametrize("taken", [0, 1, 31, 90, 158])
def test_who_reads_meanwhile_gets_every_row_once(small_objects: Lake, taken: int) -> None:
    before = rows(small_objects)
    reading = iter_rows(small_objects.s3, small_objects.bucket, CHANNEL)
    found = list(islice(reading, taken))
    compact(small_objects)
    found += reading

    assert found == before


def test_later_objects_of_the_day_are_put_to_the_compacted_one(small_objects: Lake, upstream: Upstream) -> None:
    compact(small_objects)
    upstream.admin("POST", "articles", {"count": 5})
    small_objects.run()
    before = rows(small_objects)
    reading = iter_rows(small_objects.s3, small_objects.bucket, CHANNEL)
    found = list(islice(reading, 10))
    (done,) = compact(small_objects)
    found += reading

    assert done.originals == (compacted_key(FOLDER, 1, 8), article_key("", CHANNEL, DAY, 9))
    assert small_objects.keys("articles/") == [compacted_key(FOLDER, 1, 9)]
    assert found == rows(small_objects) == before


def test_the_scan_goes_on_after_its_last_object_was_compacted(small_objects: Lake, upstream: Upstream) -> None:
    compact(small_objects)
    upstream.admin("POST", "articles", {"count": 5})
    run = small_objects.run()

    assert run.rows == 5
    assert [row.group_id for row in rows(small_objects)] == upstream.scannable()


def test_objects_are_put_together_up_to_a_size(small_objects: Lake) -> None:
    sizes = {
        parse_span(key)[0]: size
        for key, size in Store(small_objects.s3, small_objects.bucket).sizes("articles/")
    }
    before = rows(small_objects)
    compact(small_objects, max_bytes=sum(sizes[seq] for seq in (1, 2, 3)))

    spans = [parse_span(key) for key in small_objects.keys("articles/")]
    assert spans[0] == (1, 3)
    assert all(last - first < 8 for first, last in spans)
    assert rows(small_objects) == before


def test_a_gap_is_not_closed_over(small_objects: Lake) -> None:
    small_objects.s3.delete_object(Bucket=small_objects.bucket, Key=article_key("", CHANNEL, DAY, 3))
    compact(small_objects)

    assert [parse_span(key) for key in small_objects.keys("articles/")] == [(1, 2), (4, 8)]


def test_what_is_not_committed_is_left_alone(small_objects: Lake) -> None:
    stray = article_key("", CHANNEL, DAY, 9)
    small_objects.s3.copy_object(
        Bucket=small_objects.bucket,
        Key=stray,
        CopySource={"Bucket": small_objects.bucket, "Key": article_key("", CHANNEL, DAY, 8)},
    )
    compact(small_objects)

    assert small_objects.keys("articles/") == [compacted_key(FOLDER, 1, 8), stray]


def test_an_original_whose_rows_are_not_in_the_compacted_object_stays(small_objects: Lake) -> None:
    s3, bucket = small_objects.s3, small_objects.bucket
    originals = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in small_objects.keys("art")}
    compact(small_objects)
    key = article_key("", CHANNEL, DAY, 1)
    s3.put_object(Bucket=bucket, Key=key, Body=originals[key] + originals[key])

    with pytest.raises(SyncError, match="does not hold the rows"):
        compact(small_objects)
    assert key in small_objects.keys("articles/")


def test_a_day_that_is_not_over_is_refused(small_objects: Lake) -> None:
    with pytest.raises(ValueError, match="2026-11-21 is not over"):
        compact(small_objects, clock=lambda: START)


def test_no_object_is_read_twice_where_both_stand(small_objects: Lake) -> None:
    store = Store(small_objects.s3, small_objects.bucket)
    (log,) = channel_logs(store, CHANNEL)
    keys = small_objects.keys("articles/")
    saved = {key: found[0] for key in keys if (found := store.get(key))}
    (done,) = compact(small_objects)
    for key, content in saved.items():
        small_objects.s3.put_object(Bucket=small_objects.bucket, Key=key, Body=content)

    assert [item.key for item in iter_objects(store, log)] == [done.key]


# On schedule


def scheduled(lake: Lake, index: Any = None, *, seconds: float = 280, now: datetime) -> list[Compaction]:
    store = Store(lake.s3, lake.bucket, lake.prefix)
    assert is_due(load_state(store, CHANNEL).state, now)
    return compact_log(
        store, index or NotedIndex(), CHANNEL, "live", time_left=lambda: seconds, clock=lambda: now
    )


def is_still_due(lake: Lake, now: datetime) -> bool:
    return is_due(load_state(Store(lake.s3, lake.bucket, lake.prefix), CHANNEL).state, now)


def test_on_schedule_originals_are_left_to_their_readers_until_the_next_day(
    small_objects: Lake, tmp_path: Path
) -> None:
    before, originals = rows(small_objects), small_objects.keys("articles/")
    first_day, next_day = tomorrow(), tomorrow() + timedelta(days=1)
    assert not is_still_due(small_objects, START)
    (made,) = scheduled(small_objects, now=first_day)

    assert (made.originals, made.kept) == ((), tuple(originals))
    assert small_objects.keys("articles/") == [made.key, *originals]
    assert rows(small_objects) == before
    download(small_objects, tmp_path)
    assert len(by_duckdb(tmp_path)) == len({row.group_id for row in before})
    assert not is_still_due(small_objects, first_day + timedelta(hours=20))

    (done,) = scheduled(small_objects, now=next_day)
    assert (done.key, done.originals, done.kept) == (made.key, tuple(originals), ())
    assert small_objects.keys("articles/") == [made.key]
    assert rows(small_objects) == before
    # Nothing of this log is ever looked at again before there is more in it.
    assert not is_still_due(small_objects, next_day + timedelta(days=300))


def test_on_schedule_every_day_that_is_over_has_its_turn(small_objects: Lake, upstream: Upstream) -> None:
    for _ in range(3):
        upstream.clock.sleep(86_400)
        for _ in range(2):
            upstream.catalogue.add(5, upstream.clock.now())
            small_objects.run()
    before = rows(small_objects)
    now = upstream.clock.now()
    made = scheduled(small_objects, now=now)

    assert [parse_day(one.key) for one in made] == ["2026-11-21", "2026-11-22", "2026-11-23"]
    assert len(scheduled(small_objects, now=now + timedelta(days=1))) == 4
    assert rows(small_objects) == before
    assert len(small_objects.keys("articles/")) == 3 + 3
    scheduled(small_objects, now=now + timedelta(days=2))
    assert len(small_objects.keys("articles/")) == 4
    assert rows(small_objects) == before


def test_on_schedule_it_stops_in_time_and_goes_on_in_the_next_turn(small_objects: Lake) -> None:
    before = rows(small_objects)
    left = [280.0]

    class Slow(NotedIndex):
        def move_rows(self, channel: str, key: str, rows: Iterable[Row], **options: Any) -> None:
            left[0] = 9.0
            if not options["has_time"]():
                raise OutOfTime
            raise AssertionError("there is no time")

    store = Store(small_objects.s3, small_objects.bucket)
    cut_off = compact_log(store, Slow(), CHANNEL, "live", time_left=lambda: left[0], clock=tomorrow)
    assert cut_off == []
    assert rows(small_objects) == before
    assert scheduled(small_objects, seconds=GROUP_SECONDS - 1, now=tomorrow()) != [], (
        "what is begun is gone on with"
    )
    index = NotedIndex()
    scheduled(small_objects, index, now=tomorrow() + timedelta(days=1))

    assert index.objects == {}, "the index was written once"
    assert rows(small_objects) == before
    assert len(small_objects.keys("articles/")) == 1


def test_on_schedule_nothing_new_is_begun_without_the_time_for_it(small_objects: Lake) -> None:
    originals = small_objects.keys("articles/")

    assert scheduled(small_objects, seconds=GROUP_SECONDS - 1, now=tomorrow()) == []
    assert small_objects.keys("articles/") == originals
    assert is_still_due(small_objects, tomorrow())


def test_turns_compact_the_days_that_are_over_and_the_index_follows(world: World) -> None:
    for _ in range(3):
        world.turn()
        world.upstream.catalogue.add(9, world.clock.now())
    before = world.latest()
    compactions = []
    for _ in range(4):
        world.clock.sleep(86_400)
        outcome = world.turn()[CHANNEL]
        assert set(outcome.values()) == {"succeeded"}
        compactions.append("compaction" in outcome)

    assert len(before) == 95 + 18
    assert world.latest().keys() == {*before, *world.upstream.scannable()}
    spans = [parse_span(key) for key in world.store.keys("articles/")]
    assert spans[0] == (1, 3)
    assert all(world.store.get(entry.object or "") for entry in world.listed())
    assert compactions[0]
    assert not compactions[-1], "nothing has come since"


# Withdrawn content


@pytest.fixture
def indexed(s3: S3Client, bucket: str, upstream: Upstream, index: ArticleIndex) -> Lake:
    lake = Lake(s3, bucket, upstream, index=index)
    lake.run(rows_per_object=30)
    return lake


def take_down(lake: Lake, index: ArticleIndex, group_id: str) -> None:
    lake.upstream.admin("POST", f"articles/{group_id}/takedown")
    lake.upstream.clock.sleep(1)
    index.request_refresh(CHANNEL, [group_id], lake.upstream.clock.now())
    recheck(lake, index)


def recheck(lake: Lake, index: ArticleIndex) -> None:
    clock = lake.upstream.clock
    end = clock.monotonic() + 900
    run_recheck(
        CHANNEL,
        lake.upstream.client(),
        lake.s3,
        lake.bucket,
        index,
        run_id="recheck",
        deadline=lambda: end - clock.monotonic(),
        clock=clock.now,
    )


def holding(lake: Lake, group_id: str) -> list[str]:
    """The objects with content of the article: each article's ArticleUrl has its id in the path."""
    text = f"open.toutiao.com/a{group_id}".encode()
    contents = {
        key: lake.s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read() for key in lake.keys("articles/")
    }
    return [key for key, content in contents.items() if text in gzip.decompress(content)]


def test_withdrawn_content_leaves_a_compacted_object(
    indexed: Lake, index: ArticleIndex, upstream: Upstream
) -> None:
    gone = upstream.scannable()[33]
    (done,) = compact(indexed, index)
    assert holding(indexed, gone) == [done.key]

    take_down(indexed, index, gone)

    assert holding(indexed, gone) == []
    assert [row.op for row in rows(indexed) if row.group_id == gone] == ["takedown", "takedown"]


def test_withdrawn_content_leaves_the_object_of_a_compaction_that_was_killed(
    indexed: Lake, index: ArticleIndex, upstream: Upstream
) -> None:
    gone = upstream.scannable()[33]
    with pytest.raises(Killed):
        compact(indexed, index, s3=cast("S3Client", KilledAt(indexed.s3, 1, after=True)))
    assert len(holding(indexed, gone)) == 2

    take_down(indexed, index, gone)

    assert holding(indexed, gone) == []
    compact(indexed, index)
    assert holding(indexed, gone) == []


def test_what_is_withdrawn_while_objects_are_compacted_is_purged_by_the_next_turn(
    indexed: Lake, index: ArticleIndex, upstream: Upstream
) -> None:
    gone = upstream.scannable()[33]
    with before_first_put(
        indexed.s3, "-000000000004.jsonl.gz", lambda: take_down(indexed, index, gone)
    ) as interrupted:
        compact(indexed, index, s3=interrupted)
    assert holding(indexed, gone) == [compacted_key(FOLDER, 1, 4)]

    recheck(indexed, index)

    assert holding(indexed, gone) == []


def test_a_lost_state_is_rebuilt_from_compacted_objects(small_objects: Lake, upstream: Upstream) -> None:
    compact(small_objects)
    upstream.admin("POST", "articles", {"count": 5})
    small_objects.run()
    before = rows(small_objects)
    small_objects.s3.delete_object(Bucket=small_objects.bucket, Key=f"state/utm_source={CHANNEL}.json")
    run = small_objects.run()

    assert (run.adopted, run.rows) == (True, len(before))
    assert rows(small_objects) == before
