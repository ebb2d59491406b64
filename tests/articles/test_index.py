"""The index on the emulated DynamoDB, in a table like the shipped one."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.articles.changelog import Row, content_sha256
from chalicelib.articles.checks import next_check
from chalicelib.articles.index import AT_ONCE, Entry, Look
from chalicelib.clock import from_rfc3339, to_rfc3339

if TYPE_CHECKING:
    from chalicelib.articles.changelog import Op
    from chalicelib.articles.index import ArticleIndex

CHANNEL = "channel"
SEEN = datetime(2026, 11, 21, 3, 20, tzinfo=UTC)
DAY = timedelta(days=1)
PUBLISHED = 1_688_487_019  # 2023-07-04T16:10:19Z


def row(
    group_id: str = "725",
    *,
    op: Op = "upsert",
    after: timedelta = timedelta(0),
    seq: int = 1,
    pos: int = 0,
    miss_reason: int | None = None,
    **fields: Any,
) -> Row:
    article = None
    if op == "upsert":
        article = {
            "GroupId": group_id,
            "Title": "题目",
            "ArticleType": "article",
            "PublishTime": PUBLISHED,
            "Tags": {
                "Categories": [{"Name": "财经", "SubCategories": [{"Name": "股票", "SubCategories": []}]}]
            },
            **fields,
        }
    return Row(
        group_id=group_id,
        op=op,
        observed_at=to_rfc3339(SEEN + after),
        seq=seq,
        pos=pos,
        run_id="run-1",
        request_id="R1",
        miss_reason=miss_reason,
        content_sha256=content_sha256(article) if article else None,
        article=article,
    )


def key(seq: int = 1) -> str:
    return f"articles/utm_source=channel/dt=2026-11-21/{seq:012d}.jsonl.gz"


def got(index: ArticleIndex, group_id: str = "725") -> Entry:
    entry = index.get(CHANNEL, group_id)
    assert entry is not None
    return entry


def listed(index: ArticleIndex, **options: Any) -> list[str]:
    return [entry.group_id for entry in index.page(CHANNEL, **options)[0]]


def due(index: ArticleIndex, after: timedelta) -> list[str]:
    return [entry.group_id for entry in index.due(CHANNEL, SEEN + after, 100)]


# Rows


def test_an_entry_says_where_the_newest_row_lies_and_what_it_is_about(index: ArticleIndex) -> None:
    index.put_rows(CHANNEL, key(), [row(pos=7)])

    assert got(index) == Entry(
        channel=CHANNEL,
        group_id="725",
        object=key(),
        seq=1,
        pos=7,
        op="upsert",
        content_sha256=row().content_sha256,
        type="article",
        title="题目",
        category="财经",
        categories=("财经", "股票"),
        published_at="2023-07-04T16:10:19.000Z",
        observed_at="2026-11-21T03:20:00.000Z",
        first_seen_at="2026-11-21T03:20:00.000Z",
        next_check_at=to_rfc3339(next_check("725", SEEN, SEEN)),
        checks=0,
        objects=frozenset({key()}),
    )
    assert index.get(CHANNEL, "726") is None
    assert index.get("another", "725") is None


def test_rows_in_any_order_and_any_number_of_times_give_the_same_entries(index: ArticleIndex) -> None:
    rows = [
        (key(1), row(seq=1, Title="first")),
        (key(2), row(seq=2, pos=0, after=DAY, Title="second")),
        (key(2), row(seq=2, pos=1, after=DAY, Title="third")),
        (key(3), row(seq=3, op="unavailable", after=2 * DAY, miss_reason=500008)),
        (key(4), row(seq=4, after=3 * DAY, Title="fourth")),
    ]
    chance = random.Random(5)
    for _ in range(8):
        for object_key, one in chance.sample(rows, len(rows)):
            index.put_rows(CHANNEL, object_key, [one])
        entry = got(index)
        assert (entry.title, entry.object, entry.op, entry.miss_reason) == ("fourth", key(4), "upsert", None)
        assert entry.objects == {key(1), key(2), key(4)}
        assert listed(index) == ["725"]


def test_a_later_observation_wins_over_a_higher_sequence_number(index: ArticleIndex) -> None:
    index.put_rows(CHANNEL, "backfill/000000000001.jsonl.gz", [row(after=DAY, seq=1, Title="later")])
    index.put_rows(CHANNEL, key(900), [row(seq=900, Title="earlier")])

    assert got(index).title == "later"
    assert got(index).objects == {"backfill/000000000001.jsonl.gz", key(900)}


def test_the_last_row_of_an_article_in_an_object_counts(index: ArticleIndex) -> None:
    index.put_rows(CHANNEL, key(), [row(pos=0, Title="one"), row("726", pos=1), row(pos=2, Title="two")])

    assert (got(index).title, got(index).pos) == ("two", 2)
    assert listed(index) == ["726", "725"]


def test_when_an_article_was_first_seen_and_is_due_stays_when_it_comes_again(index: ArticleIndex) -> None:
    index.put_rows(CHANNEL, key(1), [row(seq=1)])
    first = got(index)
    index.put_rows(CHANNEL, key(2), [row(seq=2, after=DAY)])

    assert got(index).observed_at == "2026-11-22T03:20:00.000Z"
    assert (got(index).first_seen_at, got(index).next_check_at) == (first.first_seen_at, first.next_check_at)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"PublishTime": None}, {"published_at": None}),
        ({"PublishTime": "soon"}, {"published_at": None}),
        ({"PublishTime": 10**30}, {"published_at": None}),
        ({"PublishTime": True}, {"published_at": None}),
        ({"Title": 5, "ArticleType": []}, {"title": None, "type": None}),
        ({"Title": "半\ud83d"}, {"title": "半?"}),
        ({"Title": "长" * 600}, {"title": "长" * 500}),
        ({"Tags": None}, {"category": None, "categories": ()}),
        ({"Tags": {"Categories": [None, {"Name": ""}, {"SubCategories": 5}]}}, {"category": None}),
    ],
)
def test_no_field_of_the_service_is_trusted(
    index: ArticleIndex, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    index.put_rows(CHANNEL, key(), [row(**fields)])
    entry = got(index)

    assert {name: getattr(entry, name) for name in expected} == expected
    assert listed(index) == ["725"]


# Withdrawn and unavailable


def test_a_takedown_takes_everything_of_the_content_and_is_due_at_once(index: ArticleIndex) -> None:
    index.put_rows(CHANNEL, key(1), [row(seq=1)])
    index.put_rows(CHANNEL, key(2), [row(seq=2, op="takedown", after=DAY, miss_reason=500009)])
    entry = got(index)

    assert (entry.op, entry.miss_reason, entry.object) == ("takedown", 500009, key(2))
    assert (entry.title, entry.category, entry.categories, entry.published_at) == (None, None, (), None)
    assert (entry.type, entry.content_sha256) == (None, None)
    assert entry.objects == {key(1)}, "where the content still lies"
    assert listed(index) == []
    assert due(index, timedelta(0)) == ["725"]


def test_after_the_purge_nothing_is_due(index: ArticleIndex) -> None:
    index.put_rows(CHANNEL, key(1), [row(seq=1)])
    index.put_rows(CHANNEL, key(2), [row(seq=2, op="takedown", after=DAY)])
    index.purged(got(index))

    assert got(index).objects == frozenset()
    assert got(index).next_check_at is None
    assert due(index, 1000 * DAY) == []


@pytest.mark.parametrize("purged", [False, True])
def test_an_older_object_that_comes_to_a_withdrawn_article_makes_it_due_for_a_purge(
    index: ArticleIndex, *, purged: bool
) -> None:
    index.put_rows(CHANNEL, key(2), [row(seq=2, op="takedown", after=DAY)])
    seen = got(index)
    if purged:
        index.purged(seen)
    index.put_rows(CHANNEL, "backfill/1", [row()])
    if not purged:
        index.purged(seen)

    assert got(index).op == "takedown"
    assert got(index).objects == {"backfill/1"}
    assert listed(index) == []
    assert due(index, timedelta(0)) == ["725"]


def test_an_unavailable_article_is_kept_but_not_listed_until_it_is_back(index: ArticleIndex) -> None:
    index.put_rows(CHANNEL, key(1), [row(seq=1)])
    index.put_rows(CHANNEL, key(2), [row(seq=2, op="unavailable", after=DAY, miss_reason=500008)])
    assert (got(index).op, got(index).title, got(index).miss_reason) == ("unavailable", "题目", 500008)
    assert listed(index) == []

    index.put_rows(CHANNEL, key(3), [row(seq=3, after=2 * DAY)])
    assert (got(index).op, got(index).miss_reason) == ("upsert", None)
    assert listed(index) == ["725"]


def test_a_withdrawn_article_that_is_back_is_listed_and_looked_at_again(index: ArticleIndex) -> None:
    index.put_rows(CHANNEL, key(1), [row(seq=1, op="takedown")])
    index.purged(got(index))
    index.put_rows(CHANNEL, key(2), [row(seq=2, after=DAY)])

    assert listed(index) == ["725"]
    assert due(index, 2 * DAY) == ["725"]


# Lists


def fill(index: ArticleIndex, count: int) -> list[str]:
    """Articles published a minute apart; ids from the newest to the oldest."""
    ids = [str(725_000 + number) for number in range(count)]
    index.put_rows(
        CHANNEL,
        key(),
        [
            row(
                group_id,
                pos=pos,
                PublishTime=PUBLISHED + 60 * pos,
                ArticleType=("article", "short_video")[pos % 2],
                Tags={"Categories": [{"Name": ("美食", "体育", "旅游")[pos % 3], "SubCategories": []}]},
            )
            for pos, group_id in enumerate(ids)
        ],
    )
    return ids[::-1]


def test_pages_hold_every_article_once_newest_first(index: ArticleIndex) -> None:
    ids = fill(index, 25)
    found: list[str] = []
    after, pages = None, 0
    while pages == 0 or after is not None:
        entries, after = index.page(CHANNEL, after=after, limit=10)
        found += [entry.group_id for entry in entries]
        pages += 1

    assert found == ids
    assert pages == 3
    assert index.page("another") == ([], None)


def test_lists_are_filtered_by_type_category_and_time_of_publication(index: ArticleIndex) -> None:
    ids = fill(index, 12)
    at = datetime.fromtimestamp(PUBLISHED, UTC)

    assert listed(index, type="short_video") == ids[0::2]
    assert listed(index, category="旅游") == ids[0::3]
    assert listed(index, category="旅游", type="short_video") == ids[0::6]
    assert listed(index, published_from=at + timedelta(minutes=10)) == ids[:2]
    assert listed(index, published_to=at + timedelta(minutes=2)) == ids[-2:]
    assert listed(index, published_from=at, published_to=at) == []
    assert listed(index, published_from=at, published_to=at - DAY) == []
    assert listed(index, type="feed_video") == []


def test_a_page_is_filled_across_what_the_filter_leaves_out_and_its_cursor_goes_on(index: ArticleIndex) -> None:
    ids = fill(index, 30)
    first, after = index.page(CHANNEL, category="旅游", limit=4)
    rest, _ = index.page(CHANNEL, category="旅游", limit=10, after=after)

    assert [entry.group_id for entry in first] == ids[0:12:3]
    assert [entry.group_id for entry in rest] == ids[12::3]


def test_a_filter_that_fits_nothing_ends_its_pages_and_then_the_list(index: ArticleIndex) -> None:
    fill(index, 25)
    pages = 0
    after = None
    while pages == 0 or after is not None:
        entries, after = index.page(CHANNEL, type="none", limit=1, after=after)
        assert entries == []
        pages += 1

    assert pages == 3


# What is to be done


def test_articles_are_due_when_their_time_has_come_the_longest_overdue_first(index: ArticleIndex) -> None:
    index.put_rows(CHANNEL, key(1), [row("1", after=DAY), row("2"), row("3", after=2 * DAY)])

    assert due(index, timedelta(0)) == []
    assert due(index, timedelta(hours=2)) == ["2"]
    assert due(index, 3 * DAY) == ["2", "1", "3"]
    assert [entry.group_id for entry in index.due(CHANNEL, SEEN + 3 * DAY, 2)] == ["2", "1"]
    assert index.due("another", SEEN + 3 * DAY, 2) == []


def test_a_look_is_counted_and_the_next_one_planned(index: ArticleIndex) -> None:
    index.put_rows(CHANNEL, key(1), [row()])
    index.checked([Look(got(index), SEEN + 9 * DAY, 500008)])

    assert (got(index).checks, got(index).miss_reason) == (1, 500008)
    assert got(index).next_check_at == "2026-11-30T03:20:00.000Z"
    assert due(index, 9 * DAY) == ["725"]
    index.checked([Look(got(index), None)])
    assert (got(index).checks, got(index).miss_reason, got(index).next_check_at) == (2, None, None)
    assert due(index, 900 * DAY) == []


def test_what_somebody_asked_for_goes_before_everything_that_is_due(index: ArticleIndex) -> None:
    index.put_rows(CHANNEL, key(1), [row("1"), row("2")])
    index.request_refresh(CHANNEL, ["2", "never-seen"], SEEN + 5 * DAY)

    assert sorted(due(index, 5 * DAY)[:2]) == ["2", "never-seen"]
    assert due(index, 5 * DAY)[2:] == ["1"]
    asked = got(index, "never-seen")
    assert (asked.object, asked.op, asked.refresh_requested_at) == (None, None, "2026-11-26T03:20:00.000Z")
    assert listed(index) == ["2", "1"]


def test_a_request_that_comes_while_an_older_one_is_being_answered_is_not_lost(index: ArticleIndex) -> None:
    index.put_rows(CHANNEL, key(1), [row()])
    index.request_refresh(CHANNEL, ["725"], SEEN + DAY)
    seen = got(index)
    index.request_refresh(CHANNEL, ["725"], SEEN + 2 * DAY)
    index.checked([Look(seen, SEEN + 9 * DAY)])

    assert got(index).next_check_at == AT_ONCE
    index.checked([Look(got(index), SEEN + 9 * DAY)])
    assert got(index).refresh_requested_at is None
    assert from_rfc3339(got(index).next_check_at or "") == SEEN + 9 * DAY


def test_a_request_for_a_withdrawn_article_survives_its_purge(index: ArticleIndex) -> None:
    index.put_rows(CHANNEL, key(1), [row()])
    index.put_rows(CHANNEL, key(2), [row(seq=2, op="takedown", after=DAY)])
    index.request_refresh(CHANNEL, ["725"], SEEN + DAY)
    index.purged(got(index))

    assert got(index).objects == frozenset()
    assert due(index, DAY) == ["725"]


def test_an_entry_that_a_newer_version_wrote_can_be_read(index: ArticleIndex) -> None:
    assert Entry.from_item({"channel": "c", "group_id": "1", "later": 1}) == replace(
        Entry(channel="c", group_id="1"), checks=0
    )


def test_a_row_that_comes_again_in_another_object_moves_the_entry_there(index: ArticleIndex) -> None:
    index.put_rows(CHANNEL, key(1), [row()])
    index.checked([Look(got(index), SEEN + 9 * DAY)])
    before = got(index)
    index.put_rows(CHANNEL, "compacted/1", [row()])

    assert got(index) == replace(before, object="compacted/1", objects=frozenset({key(1), "compacted/1"}))


def test_a_takedown_that_comes_again_after_its_purge_makes_nothing_due(index: ArticleIndex) -> None:
    withdrawn = row(seq=2, op="takedown", after=DAY)
    index.put_rows(CHANNEL, key(2), [withdrawn])
    index.purged(got(index))
    index.put_rows(CHANNEL, key(2), [withdrawn])

    assert due(index, 1000 * DAY) == []


def test_articles_in_bulk_are_as_those_that_come_one_by_one(index: ArticleIndex) -> None:
    known = [row(str(number), pos=number, after=DAY) for number in range(0, 60, 7)]
    index.put_rows(CHANNEL, key(2), known)
    rows = [row(str(number), pos=number) for number in range(60)]
    index.put_rows("bulk", key(1), rows)
    for one in rows:
        index.put_rows("single", key(1), [one])
    index.put_rows(CHANNEL, key(1), rows)

    for one in rows:
        bulk, single = index.get("bulk", one.group_id), index.get("single", one.group_id)
        assert bulk is not None
        assert single is not None
        assert replace(bulk, channel="single") == single
    for one in known:
        entry = got(index, one.group_id)
        assert (entry.object, entry.objects) == (key(2), frozenset({key(1), key(2)}))
    assert len(listed(index, limit=100)) == 60
    assert len(index.due("bulk", SEEN + DAY, 100)) == 60


def test_withdrawn_and_unavailable_articles_in_bulk_are_entries_like_any(index: ArticleIndex) -> None:
    rows = [
        row(
            str(number),
            pos=number,
            op="takedown" if number % 2 else "unavailable",
            miss_reason=500008 + number % 2,
        )
        for number in range(30)
    ]
    index.put_rows(CHANNEL, key(1), rows)

    assert listed(index) == []
    assert len(index.due(CHANNEL, SEEN, 100)) == 30
    assert (got(index, "1").op, got(index, "1").next_check_at, got(index, "1").objects) == (
        "takedown",
        AT_ONCE,
        frozenset(),
    )
