"""Many small objects of a day into few: fewer requests for whoever reads the lake, and better compression.

The order of writes keeps every row readable, once, at every moment, for whoever reads through `reader`:

1. the compacted object, named by the sequence numbers in it, which is all a reader needs to pass the originals
   over;
2. the index, which from then on points to the compacted object, and has the purge of a withdrawn article look
   into it;
3. a manifest of what was compacted;
4. only then are the originals deleted, each after its rows were counted in the compacted object. The scheduled
   compaction leaves them for some hours, to those who have listed them and are about to read them.

Killed anywhere, or out of time, the next compaction of the day goes on where this one stopped
(docs/decisions/086, 097).

    <prefix>compactions/utm_source=<u>/name=<log>/dt=YYYY-MM-DD/<first:012>-<last:012>.json
"""

from __future__ import annotations

import gzip
import io
import logging
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from chalicelib.articles.changelog import compacted_key, parse_day, parse_span, read_rows
from chalicelib.articles.reader import LogObject, log_of
from chalicelib.articles.sink import OutOfTime
from chalicelib.articles.state import commit_state, load_state
from chalicelib.articles.store import PreconditionFailed
from chalicelib.clock import Clock, from_rfc3339, to_rfc3339, utc_now
from chalicelib.errors import SyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from chalicelib.articles.reader import Log
    from chalicelib.articles.sink import RowMover
    from chalicelib.articles.state import CursorState
    from chalicelib.articles.store import Store

logger = logging.getLogger(__name__)

MAX_BYTES = 16 * 1024 * 1024
"""Of the objects that are made one: some 50,000 articles. One is looked up in it in less than a second."""
SCHEDULED_MAX_BYTES = 4 * 1024 * 1024
"""The same within a turn of the sync: some 12,000 articles, whose index entries take half a minute."""
KEPT_FOR = timedelta(hours=6)
"""How long the scheduled compaction leaves the originals."""
GROUP_SECONDS = 90.0
"""What has to be left of a turn for another compacted object to be begun."""
RESERVE_SECONDS = 10.0

_GZIP_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Compaction:
    """What one compacted object is made of. `originals` are the keys that it stands for and that are gone,
    `kept`
    those that are left for a while.
    """

    key: str
    originals: tuple[str, ...]
    rows: int
    kept: tuple[str, ...] = ()


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
    index: RowMover,
    channel: str,
    log: Log,
    day: str,
    *,
    max_bytes: int = MAX_BYTES,
    keep: timedelta = timedelta(0),
    time_left: Callable[[], float] = lambda: inf,
    clock: Clock = utc_now,
) -> list[Compaction]:
    """Compacts the committed objects of a day (`YYYY-MM-DD`) that is over; none if there is nothing to gain.

    Neighbours are put together as long as they have `max_bytes` between them; a gap in the numbers is never
    closed over. Originals are deleted when they have stood beside the compacted object for as long as `keep`.
    `time_left` returns seconds. Raises OutOfTime, ValueError for a day that is not over, SyncError if an object
    does not hold what it should (nothing of it is deleted then), and botocore's errors.
    """
    if day >= to_rfc3339(clock())[:10]:
        raise ValueError(f"{day} is not over: the sync still writes to it.")
    return list(_Compactor(store, index, channel, log, day, keep, time_left, clock).run(max_bytes))


def days_over(store: Store, log: Log, clock: Clock = utc_now, *, since: str = "") -> list[str]:
    """The days of the log that can be compacted, in order, from the day `since` on."""
    today, after = to_rfc3339(clock())[:10], f"{log.prefix}dt={since}" if since else ""
    return sorted({day for key in store.keys(log.prefix, after=after) if (day := parse_day(key)) < today})


def is_due(state: CursorState, now: datetime) -> bool:
    """Whether the scheduled compaction has something to look at: once a day, where the log has days that it has
    not done with, and the index knows all of them.
    """
    last, today = parse_day(state.last_key), to_rfc3339(now)[:10]
    first = state.compacted_until or (state.created_at or "")[:10]
    return (
        bool(last)
        and first < today
        and first <= last
        and state.compacted_on < today
        and state.indexed_key == state.last_key
    )


def compact_log(
    store: Store,
    index: RowMover,
    channel: str,
    name: str,
    *,
    time_left: Callable[[], float],
    clock: Clock = utc_now,
) -> list[Compaction]:
    """The scheduled compaction of the log `name`: every day that is over and not done with. Out of time it
    stops;
    the next turn goes on. Raises as `compact_day`, and CursorConflict if a run works on the log.
    """
    stored = load_state(store, channel, name)
    today = to_rfc3339(clock())[:10]
    log = log_of(store, stored.state)
    done: list[Compaction] = []
    unsettled: list[str] = []
    try:
        for day in days_over(store, log, clock, since=stored.state.compacted_until):
            made = compact_day(
                *(store, index, channel, log, day),
                max_bytes=SCHEDULED_MAX_BYTES,
                keep=KEPT_FOR,
                time_left=time_left,
                clock=clock,
            )
            unsettled += [day for compaction in made if compaction.kept]
            done += made
    except OutOfTime:
        return done
    until = min(unsettled, default=today)
    commit_state(store, replace(stored.state, compacted_on=today, compacted_until=until), stored.etag)
    return done


class _Compactor:
    def __init__(
        self,
        store: Store,
        index: RowMover,
        channel: str,
        log: Log,
        day: str,
        keep: timedelta,
        time_left: Callable[[], float],
        clock: Clock,
    ) -> None:
        self._store = store
        self._index = index
        self._channel = channel
        self._log = log
        self._day = day
        self._folder = f"{log.prefix}dt={day}/"
        self._keep = keep
        self._time_left = time_left
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
            if self._time_left() < GROUP_SECONDS:
                raise OutOfTime
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
        keys = tuple(part.key for part in covered)
        # One that is there was written after the index, and while all originals were.
        manifest = self._store.get_json(self._manifest_key(key))
        if manifest is not None and self._is_young(manifest[0]):
            return Compaction(key, (), manifest[0]["rows"], kept=keys)
        rows: Counter[int] = Counter()
        for chunk in LogObject(key, self._content(key), after=0).chunks():
            self._check_time()
            if manifest is None:
                self._index.move_rows(self._channel, key, chunk, has_time=self._has_time)
            rows.update(row.seq for row in chunk)
        for part in covered:
            self._check_time()
            held = Counter(row.seq for row in read_rows(self._content(part.key)))
            if any(rows[seq] != count for seq, count in held.items()):
                raise SyncError(f"{key} does not hold the rows of {part.key}, which stays.")
        if manifest is None:
            self._save_manifest(key, covered, rows.total())
            if self._keep:
                return Compaction(key, (), rows.total(), kept=keys)
        for part in covered:
            self._check_time()
            self._store.delete(part.key)
        return Compaction(key, keys, rows.total())

    def _has_time(self) -> bool:
        return self._time_left() > RESERVE_SECONDS

    def _check_time(self) -> None:
        if not self._has_time():
            raise OutOfTime

    def _is_young(self, manifest: dict[str, Any]) -> bool:
        return self._clock() - from_rfc3339(manifest["compacted_at"]) < self._keep

    def _manifest_key(self, key: str) -> str:
        channel = f"utm_source={quote(self._channel, safe='')}/name={quote(self._log.name, safe='')}"
        name = key.rpartition("/")[2].removesuffix(".jsonl.gz")
        return f"{self._store.prefix}compactions/{channel}/dt={self._day}/{name}.json"

    def _save_manifest(self, key: str, covered: Sequence[_Part], rows: int) -> None:
        value: dict[str, Any] = {
            "version": 1,
            "object": key,
            "rows": rows,
            "originals": [part.key for part in covered],
            "compacted_at": to_rfc3339(self._clock()),
        }
        self._store.put_json(self._manifest_key(key), value)

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
