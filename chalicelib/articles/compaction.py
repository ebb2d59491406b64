"""Many small objects of a day into few: fewer requests for whoever reads the lake, and better compression.

The order of writes keeps every row readable, once, at every moment, for whoever reads through `reader`:

1. the compacted object, named by the sequence numbers in it, which is all a reader needs to pass the originals
   over;
2. the index, which from then on points to the compacted object, and has the purge of a withdrawn article look
   into it;
3. a manifest of what was compacted;
4. only then are the originals deleted, each after its rows were counted in the compacted object.

Killed anywhere, the next compaction of the day goes on where this one stopped (docs/decisions/086).

    <prefix>compactions/utm_source=<u>/name=<log>/dt=YYYY-MM-DD/<first:012>-<last:012>.json
"""

from __future__ import annotations

import gzip
import io
import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from chalicelib.articles.changelog import compacted_key, parse_day, parse_span, read_rows
from chalicelib.articles.reader import LogObject
from chalicelib.articles.store import PreconditionFailed
from chalicelib.clock import Clock, to_rfc3339, utc_now
from chalicelib.errors import SyncError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.articles.changelog import Row
    from chalicelib.articles.reader import Log
    from chalicelib.articles.store import Store

logger = logging.getLogger(__name__)

MAX_BYTES = 16 * 1024 * 1024
"""Of the objects that are made one: some 50,000 articles. One is looked up in it in less than a second."""

_GZIP_LEVEL = 6


class RowSink(Protocol):
    """The part of `ArticleIndex` that a compaction writes to."""

    def put_rows(self, channel: str, key: str, rows: Iterable[Row]) -> None: ...


@dataclass(frozen=True, slots=True)
class Compaction:
    """What one compacted object is made of. `originals` are the keys that it stands for and that are gone."""

    key: str
    originals: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class _Part:
    key: str
    size: int
    first: int
    last: int

    def holds(self, other: _Part) -> bool:
        return self != other and self.first <= other.first and other.last <= self.last


def compact_day(
    store: Store,
    index: RowSink,
    channel: str,
    log: Log,
    day: str,
    *,
    max_bytes: int = MAX_BYTES,
    clock: Clock = utc_now,
) -> list[Compaction]:
    """Compacts the committed objects of a day (`YYYY-MM-DD`) that is over; none if there is nothing to gain.

    Neighbours are put together as long as they have `max_bytes` between them; a gap in the numbers is never
    closed over. Raises ValueError for a day that is not over, SyncError if an object does not hold what it
    should (nothing of it is deleted then), and botocore's errors.
    """
    if day >= to_rfc3339(clock())[:10]:
        raise ValueError(f"{day} is not over: the sync still writes to it.")
    return list(_Compactor(store, index, channel, log, day, clock).run(max_bytes))


def days_over(store: Store, log: Log, clock: Clock = utc_now) -> list[str]:
    """The days of the log that can be compacted, in order."""
    today = to_rfc3339(clock())[:10]
    return sorted({day for key in store.keys(log.prefix) if (day := parse_day(key)) < today})


class _Compactor:
    def __init__(self, store: Store, index: RowSink, channel: str, log: Log, day: str, clock: Clock) -> None:
        self._store = store
        self._index = index
        self._channel = channel
        self._log = log
        self._day = day
        self._folder = f"{log.prefix}dt={day}/"
        self._clock = clock

    def run(self, max_bytes: int) -> Iterator[Compaction]:
        parts = []
        for key, size in self._store.sizes(self._folder):
            first, last = parse_span(key)
            if last < self._log.end:
                parts.append(_Part(key, size, first, last))
        widest = [part for part in parts if not any(other.holds(part) for other in parts)]
        for whole in widest:
            # What a killed compaction left to be done.
            if covered := [part for part in parts if whole.holds(part)]:
                yield self._settle(whole.key, covered)
        for group in _groups(widest, max_bytes):
            key = compacted_key(self._folder, group[0].first, group[-1].last)
            self._write(key, group)
            yield self._settle(key, group)

    def _write(self, key: str, group: Sequence[_Part]) -> None:
        buffer = io.BytesIO()
        rows = 0
        with gzip.GzipFile(
            filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=buffer, mtime=0
        ) as target:
            for part in group:
                for line in LogObject(part.key, self._content(part.key), after=0).lines():
                    target.write(line)
                    rows += 1
        # Where the last original's cursor is known, a lost state can be rebuilt from this object as well.
        metadata = {**(self._store.metadata(group[-1].key) or {}), "rows": str(rows)}
        try:
            self._store.put_if(
                key, buffer.getvalue(), etag=None, content_type="application/gzip", metadata=metadata
            )
        except PreconditionFailed:
            logger.info("another compaction of the day has written it", extra={"object": key})

    def _settle(self, key: str, covered: Sequence[_Part]) -> Compaction:
        """Steps 2 to 4, each of which may have been done before."""
        rows: Counter[int] = Counter()
        for chunk in LogObject(key, self._content(key), after=0).chunks():
            self._index.put_rows(self._channel, key, chunk)
            rows.update(row.seq for row in chunk)
        for part in covered:
            held = Counter(row.seq for row in read_rows(self._content(part.key)))
            if any(rows[seq] != count for seq, count in held.items()):
                raise SyncError(f"{key} does not hold the rows of {part.key}, which stays.")
        self._save_manifest(key, covered, rows.total())
        for part in covered:
            self._store.delete(part.key)
        return Compaction(key, tuple(part.key for part in covered), rows.total())

    def _save_manifest(self, key: str, covered: Sequence[_Part], rows: int) -> None:
        channel = f"utm_source={quote(self._channel, safe='')}/name={quote(self._log.name, safe='')}"
        name = key.rpartition("/")[2].removesuffix(".jsonl.gz")
        manifest = f"{self._store.prefix}compactions/{channel}/dt={self._day}/{name}.json"
        # One that is there was written while all originals were: this list may be what is left of them.
        if self._store.get(manifest) is not None:
            return
        value: dict[str, Any] = {
            "version": 1,
            "object": key,
            "rows": rows,
            "originals": [part.key for part in covered],
            "compacted_at": to_rfc3339(self._clock()),
        }
        self._store.put_json(manifest, value)

    def _content(self, key: str) -> bytes:
        found = self._store.get(key)
        if found is None:
            raise SyncError(f"{key} is gone: another compaction of the day is at work.")
        return found[0]


def _groups(parts: Sequence[_Part], max_bytes: int) -> Iterator[list[_Part]]:
    """Neighbours in the order of the log, as many together as `max_bytes` allow; never one alone."""
    group: list[_Part] = []
    for part in sorted(parts, key=lambda part: part.first):
        fits = group and part.first == group[-1].last + 1
        if fits and sum(one.size for one in group) + part.size <= max_bytes:
            group.append(part)
            continue
        if len(group) > 1:
            yield group
        group = [part]
    if len(group) > 1:
        yield group
