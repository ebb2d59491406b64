"""`verify` finds what is wrong, and nothing where nothing is."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.articles.changelog import Row, article_key
from chalicelib.articles.compaction import compact_day
from chalicelib.articles.newest import NewestRows
from chalicelib.articles.reader import channel_logs, iter_rows
from chalicelib.articles.recheck import run_recheck
from chalicelib.articles.runs import new_run_id
from chalicelib.articles.store import Store
from chalicelib.articles.verification import Difference, Report, Verification
from tests.articles.support import CHANNEL, Lake, Upstream

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.articles.index import ArticleIndex

pytestmark = pytest.mark.system

DAY = "2026-11-21"


@pytest.fixture
def log(lake: Lake) -> Lake:
    """95 articles in four objects."""
    lake.run(rows_per_object=30)
    return lake


@pytest.fixture
def indexed(s3: Any, bucket: str, upstream: Upstream, index: ArticleIndex) -> Lake:
    """The same, with its index."""
    lake = Lake(s3, bucket, upstream, index=index)
    lake.run(rows_per_object=30)
    return lake


def verify(lake: Lake, index: ArticleIndex | None, *, service: bool = False) -> Report:
    with NewestRows() as newest:
        verification = Verification(Store(lake.s3, lake.bucket, lake.prefix), CHANNEL, newest)
        verification.verify_log()
        if index is not None:
            verification.verify_index(index)
        if service:
            verification.verify_all(lake.upstream.client())
        return verification.report


def found(lake: Lake, index: ArticleIndex | None = None, *, service: bool = False) -> list[Difference]:
    return verify(lake, index, service=service).differences


def recheck(lake: Lake, index: ArticleIndex, *group_ids: str) -> None:
    clock = lake.upstream.clock
    clock.sleep(1)
    index.request_refresh(CHANNEL, group_ids, clock.now())
    end = clock.monotonic() + 900
    run_recheck(
        CHANNEL,
        lake.upstream.client(),
        lake.s3,
        lake.bucket,
        index,
        run_id=new_run_id(clock.now()),
        deadline=lambda: end - clock.monotonic(),
        clock=clock.now,
    )


def key(seq: int) -> str:
    return article_key("", CHANNEL, DAY, seq)


def rewrite(lake: Lake, seq: int, change: Callable[[list[dict[str, Any]]], None]) -> None:
    answer = lake.s3.get_object(Bucket=lake.bucket, Key=key(seq))
    rows = [json.loads(line) for line in gzip.decompress(answer["Body"].read()).splitlines()]
    change(rows)
    body = gzip.compress(b"".join(Row(**row).to_line() for row in rows))
    lake.s3.put_object(Bucket=lake.bucket, Key=key(seq), Body=body, Metadata=answer["Metadata"])


def rows(lake: Lake) -> list[Row]:
    return list(iter_rows(lake.s3, lake.bucket, CHANNEL))


def test_a_lake_in_order_has_no_difference(indexed: Lake, upstream: Upstream, index: ArticleIndex) -> None:
    ids = upstream.scannable()
    upstream.admin("POST", f"articles/{ids[0]}/takedown")
    upstream.admin("POST", f"articles/{ids[40]}/unavailable")
    upstream.admin("POST", f"articles/{ids[94]}/change")
    recheck(indexed, index, ids[0], ids[40], ids[94])
    indexed.run(name="spring", rows_per_object=30)
    later = upstream.clock.now().replace(day=22)
    for log in channel_logs(Store(indexed.s3, indexed.bucket), CHANNEL):
        compact_day(Store(indexed.s3, indexed.bucket), index, CHANNEL, log, DAY, clock=lambda: later)

    report = verify(indexed, index, service=True)

    assert report.differences == []
    # The backfill lists what is still there: 93.
    assert (report.objects, report.rows, report.articles) == (2, 95 + 3 + 93, 95)
    assert (report.indexed, report.asked) == (95, 95)


def test_missing_objects_are_named(log: Lake) -> None:
    for seq in (2, 3, 4):
        log.s3.delete_object(Bucket=log.bucket, Key=key(seq))
    log.run()
    prefix = f"articles/utm_source={CHANNEL}/"

    assert [(one.subject, one.detail) for one in found(log)] == [
        (prefix, "missing at the end: numbers 2 to 4"),
        (prefix, "holds 30 rows, 95 were committed"),
    ]
    log.upstream.admin("POST", "articles", {"count": 1})
    log.run()
    assert [(one.subject, one.detail) for one in found(log)] == [
        (key(5), "missing before it: numbers 2 to 4"),
        (prefix, "holds 31 rows, 96 were committed"),
    ]


def test_a_number_that_was_used_twice_is_named(log: Lake) -> None:
    stray = key(2).replace(DAY, "2026-11-22")
    log.s3.copy_object(Bucket=log.bucket, Key=stray, CopySource={"Bucket": log.bucket, "Key": key(2)})

    differences = {(one.subject, one.detail) for one in found(log)}
    assert (stray, "its number was used before") in differences


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda rows: rows.pop(3), "line 4 stands at (2, 4), not at (2, 3)"),
        (lambda rows: rows[5].update(seq=7), "line 6 stands at (7, 5), not at (2, 5)"),
        (lambda rows: rows[6]["article"].update(Title="!"), "line 7 does not have the content_sha256 of"),
        (lambda rows: rows[6].update(article=None), "line 7 is an upsert without content"),
        (lambda rows: rows[6].update(op="takedown"), "line 7 is a takedown with content"),
        (lambda rows: rows[6]["article"].update(GroupId="1"), "line 7 has the GroupId '1' under the group_id"),
        (list.clear, "has no row"),
    ],
)  # fmt: skip
def test_rows_that_are_not_what_they_say_are_named(
    log: Lake, change: Callable[[list[dict[str, Any]]], None], detail: str
) -> None:
    rewrite(log, 2, change)

    details = [one.detail for one in found(log) if (one.kind, one.subject) == ("log", key(2))]
    assert any(one.startswith(detail) for one in details), details


@pytest.mark.parametrize("cut", [slice(0, 400), slice(5, None)])
def test_an_object_that_cannot_be_read_is_named(log: Lake, cut: slice) -> None:
    body = log.s3.get_object(Bucket=log.bucket, Key=key(2))["Body"].read()
    log.s3.put_object(Bucket=log.bucket, Key=key(2), Body=body[cut])

    (first, *_) = found(log)
    assert first.subject == key(2)
    assert first.detail.startswith("cannot be decompressed")


def test_a_line_that_is_no_row_is_named(log: Lake) -> None:
    body = log.s3.get_object(Bucket=log.bucket, Key=key(2))["Body"].read()
    added = gzip.compress(b'{"group_id": 1\n[]\n{"seq": 2}\n')
    log.s3.put_object(Bucket=log.bucket, Key=key(2), Body=body + added)

    lines = [one.detail.split(":")[0] for one in found(log)]
    assert lines == [f"line {number} is not a row" for number in (31, 32, 33)]


def test_an_index_that_says_something_else_is_named(
    indexed: Lake, index: ArticleIndex, dynamodb: Any, upstream: Upstream
) -> None:
    ids = sorted(upstream.scannable())
    table = index._table

    def edit(edited: str, **attributes: Any) -> None:
        item = table.get((CHANNEL, edited)) or {}
        table.delete((CHANNEL, edited))
        table.put_new({**item, **attributes})

    table.delete((CHANNEL, ids[1]))
    edit(ids[2], content_sha256="0" * 64)
    edit(ids[3], op="unavailable")
    edit(ids[4], object=key(99))
    edit(ids[5], observed_at="2026-11-20T00:00:00.000Z")
    edit(ids[6], observed_at="2026-11-23T00:00:00.000Z")
    edit(ids[7], object=None)
    edit(ids[8], group_id="1")

    differences = found(indexed, index)
    assert {one.kind for one in differences} == {"index"}
    details = {one.subject: one.detail for one in differences}
    assert details.keys() == {"1", *ids[1:9]}
    assert details[ids[1]] == details[ids[8]] == "has no entry"
    assert details[ids[2]] == "has another content_sha256 than the log"
    assert details[ids[3]] == "says unavailable, the log upsert"
    assert details[ids[4]].startswith(f"points to {key(99)}, the row is in ")
    assert "the log has" in details[ids[5]]
    assert "the log ends with" in details[ids[6]]
    assert details[ids[7]] == "has no row in its entry"
    assert details["1"].endswith("not in the log")


def test_what_comes_while_the_log_is_read_is_no_difference(
    indexed: Lake, index: ArticleIndex, upstream: Upstream
) -> None:
    first = upstream.scannable()[0]
    with NewestRows() as newest:
        verification = Verification(Store(indexed.s3, indexed.bucket), CHANNEL, newest)
        verification.verify_log()
        upstream.admin("POST", "articles", {"count": 3})
        upstream.admin("POST", f"articles/{first}/change")
        indexed.run()
        recheck(indexed, index, first, "an id that nobody has")
        verification.verify_index(index)

        assert verification.report.differences == []


def test_what_the_service_says_otherwise_is_named(
    indexed: Lake, index: ArticleIndex, upstream: Upstream
) -> None:
    changed, gone, away, back = upstream.scannable()[:4]
    upstream.admin("POST", f"articles/{back}/unavailable")
    recheck(indexed, index, back)
    upstream.admin("POST", f"articles/{back}/available")
    upstream.admin("POST", f"articles/{changed}/change")
    upstream.admin("POST", f"articles/{gone}/takedown")
    upstream.admin("POST", f"articles/{away}/unavailable")
    (new,) = upstream.admin("POST", "articles", {"count": 1})["group_ids"]

    assert found(indexed, index) == []
    differences = found(indexed, index, service=True)
    assert {one.kind for one in differences} == {"upstream"}
    assert {one.subject: one.detail for one in differences} == {
        changed: "the service has other content than the log",
        gone: "the service says 500009, the log upsert",
        away: "the service says 500008, the log upsert",
        back: "the service has it, the log says unavailable",
        new: "the service has it, the log does not",
    }


def test_a_sample_is_drawn_evenly_and_asks_no_more(log: Lake, upstream: Upstream) -> None:
    drawn: Counter[int] = Counter()
    with NewestRows() as newest:
        verification = Verification(Store(log.s3, log.bucket), CHANNEL, newest)
        verification.verify_log()
        for group_id in upstream.scannable():
            upstream.catalogue.change(group_id)
        for seed in range(60):
            before = len(verification.report.differences)
            verification.verify_sample(upstream.client(), 20, Random(seed))
            drawn[len(verification.report.differences) - before] += 1

        assert drawn == {20: 60}
        assert verification.report.asked == 60 * 20
        assert len({one.subject for one in verification.report.differences}) == 95


def test_withdrawn_content_that_is_still_there_is_named(
    indexed: Lake, index: ArticleIndex, upstream: Upstream
) -> None:
    gone = upstream.scannable()[3]
    kept = indexed.s3.get_object(Bucket=indexed.bucket, Key=key(1))
    body = kept["Body"].read()
    upstream.admin("POST", f"articles/{gone}/takedown")
    recheck(indexed, index, gone)
    assert found(indexed, index) == []
    indexed.s3.put_object(Bucket=indexed.bucket, Key=key(1), Body=body, Metadata=kept["Metadata"])

    (difference,) = found(indexed, index)
    assert (difference.kind, difference.subject) == ("withdrawn", gone)
    assert key(1) in difference.detail
