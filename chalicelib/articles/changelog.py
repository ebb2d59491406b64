"""The append-only change log: what a row holds, how rows become an object, and where the object lies.

    <prefix>articles/utm_source=<u>/dt=YYYY-MM-DD/<seq:012>.jsonl.gz             the live log
    <prefix>backfill/utm_source=<u>/name=<n>/dt=YYYY-MM-DD/<seq:012>.jsonl.gz    the log of a backfill
    …/dt=YYYY-MM-DD/<first:012>-<last:012>.jsonl.gz                              a compacted object of either

One gzip object of one JSON row a line, named by the log's uncommitted sequence number and never written
twice (docs/decisions/021). `dt` is the UTC date on which the rows were observed (docs/decisions/020). A
compacted object holds the rows of all objects from the first to the last number, unchanged, and sorts before
them (docs/decisions/086).
"""

from __future__ import annotations

import gzip
import hashlib
import io
from dataclasses import dataclass, fields
from typing import IO, TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

from chalicelib.articles import exact
from chalicelib.articles.records import read_record
from chalicelib.articles.state import LIVE

if TYPE_CHECKING:
    from collections.abc import Iterator

Op = Literal["upsert", "takedown", "unavailable"]

_GZIP_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Row:
    """One observation of one article.

    `observed_at` is RFC 3339 in UTC. `(seq, pos)` orders the rows of one log: the object's sequence number and
    the place in it, from 0; `(observed_at, seq, pos)` those of all the channel's logs. `miss_reason` and a null
    `article` come with a takedown or an unavailable article. `article` is the service's JSON: values, unknown
    fields, order of members and the digits of numbers kept. `content_sha256` changes only when the content does
    (see `content_sha256()`). `article` is always the last member: readers of the text cut the line before it
    (sql/).
    """

    group_id: str
    op: Op
    observed_at: str
    seq: int
    pos: int
    run_id: str
    request_id: str
    miss_reason: int | None
    content_sha256: str | None
    article: dict[str, Any] | None

    def to_line(self) -> bytes:
        """The row as UTF-8 JSON with its newline."""
        row = {field.name: getattr(self, field.name) for field in fields(self)}
        try:
            return exact.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        except UnicodeEncodeError:
            # A title cut in the middle of an emoji holds half a surrogate pair, which UTF-8 cannot carry.
            return exact.dumps(row, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        return read_record(cls, exact.loads(line))


def article_prefix(prefix: str, utm_source: str, name: str = LIVE) -> str:
    """Where the objects of a log lie. The channel is percent-encoded, as Hive-style readers expect."""
    channel = f"utm_source={quote(utm_source, safe='')}"
    return f"{prefix}articles/{channel}/" if name == LIVE else f"{prefix}backfill/{channel}/name={name}/"


def article_key(prefix: str, utm_source: str, day: str, seq: int, name: str = LIVE) -> str:
    return f"{article_prefix(prefix, utm_source, name)}dt={day}/{seq:012d}.jsonl.gz"


def compacted_key(folder: str, first: int, last: int) -> str:
    """`folder` is a log's prefix with the day's `dt=…/`."""
    return f"{folder}{first:012d}-{last:012d}.jsonl.gz"


def parse_span(key: str) -> tuple[int, int]:
    """The first and the last sequence number in an object of the log."""
    first, _, last = key.rpartition("/")[2].removesuffix(".jsonl.gz").partition("-")
    return int(first), int(last or first)


def parse_seq(key: str) -> int:
    """The (first) sequence number in an object of the log."""
    return parse_span(key)[0]


def parse_day(key: str) -> str:
    """The date in a key made by `article_key`; "" in none."""
    return key.rpartition("/dt=")[2][:10]


def content_sha256(article: dict[str, Any]) -> str:
    """Hash of what an editor would call the content.

    Left out are `Interactions` (counters) and the query of every URL (signatures, expiry, tracking), which
    differ in every answer of the service, and the order of members.
    """
    content = {name: _without_queries(value) for name, value in article.items() if name != "Interactions"}
    text = exact.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class ObjectBuilder:
    """Collects one object's rows, compressed as they come, so that an object costs its compressed size."""

    def __init__(self, *, seq: int, day: str, run_id: str) -> None:
        self.seq = seq
        self.day = day
        self.rows = 0
        self._run_id = run_id
        self._buffer = io.BytesIO()
        self._gzip = open_object(self._buffer)

    def add(
        self,
        group_id: str,
        op: Op,
        article: dict[str, Any] | None,
        *,
        observed_at: str,
        request_id: str,
        miss_reason: int | None = None,
    ) -> None:
        """Appends a row."""
        row = Row(
            group_id=group_id,
            op=op,
            observed_at=observed_at,
            seq=self.seq,
            pos=self.rows,
            run_id=self._run_id,
            request_id=request_id,
            miss_reason=miss_reason,
            content_sha256=None if article is None else content_sha256(article),
            article=article,
        )
        self._gzip.write(row.to_line())
        self.rows += 1

    def finish(self) -> bytes:
        """The whole object. Nothing can be added afterwards."""
        self._gzip.close()
        return self._buffer.getvalue()


def open_object(file: IO[bytes]) -> gzip.GzipFile:
    """Compresses what is written into `file`. No time and no name: the same rows give the same bytes."""
    return gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=file, mtime=0)


def read_rows(content: bytes) -> Iterator[Row]:
    """The rows of one object, in order."""
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as lines:
        for line in lines:
            yield Row.from_line(line)


def _without_queries(value: Any) -> Any:
    match value:
        case dict():
            return {name: _without_queries(item) for name, item in value.items()}
        case list():
            return [_without_queries(item) for item in value]
        case str() if value.startswith(("https://", "http://")) and " " not in value:
            return value.partition("?")[0]
        case _:
            return value
