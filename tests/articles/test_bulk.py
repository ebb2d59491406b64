"""Many articles cost few writes and no more memory than few articles."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.articles.client import Page
from chalicelib.articles.log import ROWS_PER_OBJECT
from chalicelib.articles.reader import iter_rows
from chalicelib.articles.scan import run_scan
from local.standins.volcengine.content import Content
from tests.articles.support import CHANNEL, START, NoIndex

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.system

CONTENT = Content("bulk", CHANNEL)
PAGE = 30


class Endless:
    """So many articles in pages of 30, made as they are asked for: nothing of them is kept."""

    def __init__(self, articles: int) -> None:
        self.retries = 0
        self._articles = articles

    def scan(
        self,
        utm_source: str,
        next_token: str,
        max_results: int = PAGE,
        *,
        deadline: Callable[[], float] | None = None,
    ) -> Page:
        first = int(next_token or 0)
        last = min(first + PAGE, self._articles)
        articles = [
            CONTENT.article(number, synced_at=1_795_000_000, revision=0, fetch=1)
            for number in range(first, last)
        ]
        return Page(articles, str(last), "R1")


class Counted:
    """An S3 client that counts what it writes."""

    def __init__(self, s3: S3Client) -> None:
        self.puts = 0
        self._s3 = s3

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **arguments: Any) -> Any:
        self.puts += 1
        return self._s3.put_object(**arguments)


def scan(s3: Any, bucket: str, prefix: str, articles: int, rows_per_object: int = ROWS_PER_OBJECT) -> None:
    run = run_scan(
        CHANNEL,
        Endless(articles),
        s3,
        bucket,
        NoIndex(),
        run_id="bulk",
        prefix=prefix,
        deadline=lambda: 900.0,
        clock=lambda: START,
        rows_per_object=rows_per_object,
    )
    assert (run.rows, run.caught_up) == (articles, True)


def test_a_bulk_of_articles_takes_a_write_for_300_of_them_at_the_most(s3: S3Client, bucket: str) -> None:
    counted = Counted(s3)
    scan(counted, bucket, "", 9_001)

    assert counted.puts <= 9_001 / 300
    assert sum(1 for _ in iter_rows(s3, bucket, CHANNEL)) == 9_001


def peak_of(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_articles(s3: S3Client, bucket: str) -> None:
    # What Python and botocore make on first use.
    scan(s3, bucket, "first/", 300, 300)
    few = peak_of(lambda: scan(s3, bucket, "few/", 300, 150))
    many = peak_of(lambda: scan(s3, bucket, "many/", 2400, 150))

    assert many < 1.2 * few
    reading_few = peak_of(lambda: sum(1 for _ in iter_rows(s3, bucket, CHANNEL, prefix="few/")))
    reading_many = peak_of(lambda: sum(1 for _ in iter_rows(s3, bucket, CHANNEL, prefix="many/")))
    assert reading_many < 1.2 * reading_few
