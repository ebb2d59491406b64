"""What the lake holds for a channel. Reads only; imports neither requests nor boto3."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from chalicelib.articles import health
from chalicelib.articles.changelog import Row, article_prefix, parse_seq, read_rows
from chalicelib.articles.runs import RunSummary, runs_prefix
from chalicelib.articles.state import LIVE, CursorState, backfill_names, load_state
from chalicelib.articles.store import Store
from chalicelib.clock import Clock, from_rfc3339, utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mypy_boto3_s3 import S3Client

    from chalicelib.articles.health import Alarm

_DAYS_OF_RUNS = 7


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """`runs` newest first. `lag_seconds` since the last run without an error; None before the first. `alarm` as
    in `health`.
    """

    state: CursorState
    runs: tuple[RunSummary, ...]
    lag_seconds: float | None
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
    lag = None
    if state.last_success_at is not None:
        lag = max(0.0, (now - from_rfc3339(state.last_success_at)).total_seconds())
    return SyncStatus(
        state=state,
        runs=_last_runs(store, channel, runs, now),
        lag_seconds=lag,
        alarm=health.alarm(state, now),
    )


def iter_rows(s3: S3Client, bucket: str, channel: str, *, prefix: str = "", name: str = LIVE) -> Iterator[Row]:
    """Every committed row of one log of the channel, in the order of the log. Raises botocore's errors."""
    store = Store(s3, bucket, prefix)
    state = load_state(store, channel, name).state
    for key in store.keys(article_prefix(store.prefix, channel, name)):
        if parse_seq(key) < state.seq and (found := store.get(key)):
            yield from read_rows(found[0])


def latest_articles(s3: S3Client, bucket: str, channel: str, *, prefix: str = "") -> dict[str, Row]:
    """The newest row, of all the channel's logs, of each article that is neither taken down nor unavailable, by
    GroupId.

    Reads the whole log into memory: for tests and for looking at a small lake.
    """
    latest: dict[str, Row] = {}
    for name in (LIVE, *backfill_names(Store(s3, bucket, prefix), channel)):
        for row in iter_rows(s3, bucket, channel, prefix=prefix, name=name):
            known = latest.get(row.group_id)
            if known is None or _place(row) > _place(known):
                latest[row.group_id] = row
    return {group_id: row for group_id, row in latest.items() if row.op == "upsert"}


def _place(row: Row) -> tuple[str, int, int]:
    return (row.observed_at, row.seq, row.pos)


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
