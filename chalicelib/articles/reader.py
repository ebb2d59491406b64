"""What the lake holds for a channel. Reads only; imports neither requests nor boto3."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass
from datetime import UTC, timedelta
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING

from chalicelib.articles import health
from chalicelib.articles.changelog import Row, article_prefix, parse_day, parse_span, read_rows
from chalicelib.articles.runs import RunSummary, runs_prefix
from chalicelib.articles.state import LIVE, CursorState, backfill_names, load_state
from chalicelib.articles.store import Store
from chalicelib.clock import Clock, from_rfc3339, utc_now

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from mypy_boto3_s3 import S3Client

    from chalicelib.articles.health import Alarm

_DAYS_OF_RUNS = 7
_ROWS_AT_A_TIME = 3_000


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """`runs` newest first. `lag_seconds` and `alarm` as in `health`; `cursor_age_seconds` since the last run
    without an error. None before the first.
    """

    state: CursorState
    runs: tuple[RunSummary, ...]
    lag_seconds: float | None
    cursor_age_seconds: float | None
    alarm: Alarm | None


def sync_status(
    s3: S3Client,
    bucket: str,
    channel: str,
    *,
    prefix: str = "",
    runs: int = 10,
    clock: Clock = utc_now,
) -> SyncStatus:
    """The channel's committed state and its last `runs` runs of the past seven days.

    A channel that never ran has a fresh state and no runs. Raises botocore's errors.
    """
    store = Store(s3, bucket, prefix)
    state = load_state(store, channel).state
    now = clock()
    lag = health.lag(state, now)
    age = None
    if state.last_success_at is not None:
        age = max(0.0, (now - from_rfc3339(state.last_success_at)).total_seconds())
    return SyncStatus(
        state=state,
        runs=_last_runs(store, channel, runs, now),
        lag_seconds=None if lag is None else lag.total_seconds(),
        cursor_age_seconds=age,
        alarm=health.alarm(state, now),
    )


@dataclass(frozen=True, slots=True)
class Log:
    """One log of a channel. Its keys begin with `prefix`.

    `rows` are committed; what has a sequence number from `end` on is not. `complete` says that nothing more
    will be: a backfill that is through.
    """

    name: str
    prefix: str
    end: int
    rows: int
    complete: bool = False


@dataclass(frozen=True, slots=True)
class LogObject:
    """An object of a log as read. Of its rows, those up to the sequence number `after` were in another one."""

    key: str
    content: bytes
    after: int

    def lines(self) -> Iterator[bytes]:
        with gzip.GzipFile(fileobj=io.BytesIO(self.content)) as lines:
            yield from lines

    def rows(self) -> Iterator[Row]:
        return (row for row in read_rows(self.content) if row.seq > self.after)

    def chunks(self) -> Iterator[list[Row]]:
        """The rows, so many at a time as fit into memory with their articles."""
        rows = self.rows()
        while chunk := list(islice(rows, _ROWS_AT_A_TIME)):
            yield chunk


def channel_logs(store: Store, channel: str, *, besides: Collection[str] = ()) -> list[Log]:
    """The channel's logs as they are committed now: the live one, then its backfills; none of `besides`."""
    logs = []
    for name in (LIVE, *backfill_names(store, channel)):
        if name in besides:
            continue
        logs.append(log_of(store, load_state(store, channel, name).state))
    return logs


def log_of(store: Store, state: CursorState) -> Log:
    """The log as that state commits it."""
    prefix = article_prefix(store.prefix, state.utm_source, state.name)
    return Log(state.name, prefix, state.seq, state.rows, state.name != LIVE and state.complete)


def strays(store: Store, log: Log) -> set[str]:
    """The log's objects that no state may have committed: those beyond its end, and those that have numbers in
    common with an object of another day, of which only one can be the right one (docs/decisions/021).

    Lists the whole log.
    """
    found: set[str] = set()
    holders_of: dict[int, str] = {}
    for key in store.keys(log.prefix):
        first, last = parse_span(key)
        if last >= log.end:
            found.add(key)
        for number in range(first, last + 1):
            other = holders_of.setdefault(number, key)
            if parse_day(other) != parse_day(key):
                found |= {other, key}
    return found


def iter_objects(store: Store, log: Log, *, start: int = 0, since: str = "") -> Iterator[LogObject]:
    """The committed objects of a log that hold sequence numbers from `start` on, in its order. Each row is in
    one of them, compacted or not, even while objects are being compacted. Nothing before the day `since`
    (YYYY-MM-DD) is even listed.
    """
    after, day, done = f"{log.prefix}dt={since}/" if since else log.prefix, "", 0
    while after:
        listed, after = store.keys(log.prefix, after=after), ""
        for key in listed:
            first, last = parse_span(key)
            if parse_day(key) != day:
                # A compacted object holds rows of its own day only; another day begins anew.
                day, done = parse_day(key), 0
            if last <= done or last < start or first >= log.end:
                continue
            found = store.get(key)
            if found is None:
                # Compacted since it was listed: its rows are in an object of the same day that was not.
                after = f"{log.prefix}dt={day}/"
                break
            yield LogObject(key, found[0], done)
            done = last


def holders(store: Store, key: str) -> set[str]:
    """The objects that are there and may hold rows of the log's object `key`: itself, compacted ones."""
    first, last = parse_span(key)
    spans = {other: parse_span(other) for other in store.keys(f"{key.rpartition('/')[0]}/")}
    return {other for other, span in spans.items() if span[0] <= first and last <= span[1]}


def iter_rows(
    s3: S3Client, bucket: str, channel: str, *, prefix: str = "", name: str | None = None
) -> Iterator[Row]:
    """Every committed row of the channel's logs, or of the one of that name, by (observed_at, seq, pos).

    One object of each log is in memory at a time, compressed. Rows of one log stay in its order even where its
    clock went back. Raises botocore's errors.
    """
    store = Store(s3, bucket, prefix)
    logs = [log for log in channel_logs(store, channel) if name in (None, log.name)]
    return merge(*(_log_rows(store, log) for log in logs), key=version)


def version(row: Row) -> tuple[str, int, int]:
    """Of two rows of an article, the one with the greater version is its newer state."""
    return row.observed_at, row.seq, row.pos


def latest_articles(s3: S3Client, bucket: str, channel: str, *, prefix: str = "") -> dict[str, Row]:
    """The newest row, of all the channel's logs, of each article that is neither taken down nor unavailable, by
    GroupId.

    Reads the whole log into memory: for tests and for looking at a small lake.
    """
    latest: dict[str, Row] = {}
    for row in iter_rows(s3, bucket, channel, prefix=prefix):
        known = latest.get(row.group_id)
        if known is None or version(row) > version(known):
            latest[row.group_id] = row
    return {group_id: row for group_id, row in latest.items() if row.op == "upsert"}


def _log_rows(store: Store, log: Log) -> Iterator[Row]:
    for item in iter_objects(store, log):
        yield from item.rows()


def _last_runs(store: Store, channel: str, count: int, now: datetime) -> tuple[RunSummary, ...]:
    today = now.astimezone(UTC).date()
    keys: list[str] = []
    for age in range(_DAYS_OF_RUNS):
        day = (today - timedelta(days=age)).isoformat()
        keys += sorted(store.keys(runs_prefix(store.prefix, channel, day)), reverse=True)
        if len(keys) >= count:
            break
    records = (store.get_json(key) for key in keys[:count])
    return tuple(RunSummary.from_dict(record[0]) for record in records if record is not None)
