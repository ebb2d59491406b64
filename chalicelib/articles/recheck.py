"""One recheck run: what is due in the index is asked for again, and what has changed goes into the live log.

    500001 not ours     reported. An id that was only asked for is not looked for again; an article that a scan
                        has brought keeps its schedule, so that a later takedown is not missed.
    500008 unavailable  a row, once. The older rows stay; it is looked for at rising ages of its absence.
    500009 withdrawn    a row without content; then the content is purged from every object that holds it.

What has changed is committed and indexed before its entry is marked as looked at: whatever dies, it stays due.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from chalicelib.articles.changelog import content_sha256
from chalicelib.articles.checks import next_check
from chalicelib.articles.index import Look
from chalicelib.articles.log import ChannelLog, Observation
from chalicelib.articles.media import withdraw_media
from chalicelib.articles.purge import WITHDRAWN, purge_object
from chalicelib.articles.reader import channel_logs, holders, strays
from chalicelib.articles.runs import Recording, RunSummary
from chalicelib.articles.sink import RowSink
from chalicelib.articles.store import Store
from chalicelib.clock import Clock, from_rfc3339, to_rfc3339, utc_now
from chalicelib.errors import UpstreamDenied, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from mypy_boto3_s3 import S3Client

    from chalicelib.articles.client import Lookup
    from chalicelib.articles.index import Entry

logger = logging.getLogger(__name__)

NOT_OURS: Final = 500001
UNAVAILABLE: Final = 500008

_IDS_A_CALL = 30
_ENTRIES_A_ROUND = 600
"""What a second's calls ask for; at most as many rows in the object that a round ends with."""
_SPLITS_A_RUN = 20
"""Each halves the ids of a call that was refused, to find the one that it was refused for."""
_AGAIN_AFTER_SILENCE = timedelta(hours=1)


class ArticleSource(Protocol):
    """The part of `ContentClient` that a recheck uses."""

    retries: int

    def mget(
        self, utm_source: str, group_ids: Sequence[str], *, deadline: Callable[[], float] | None = ...
    ) -> Lookup: ...


class Checklist(RowSink, Protocol):
    """The part of `ArticleIndex` that a recheck uses."""

    def due(self, channel: str, now: datetime, limit: int) -> list[Entry]: ...

    def checked(self, looks: Iterable[Look]) -> None: ...

    def purged(self, entry: Entry) -> None: ...

    def get(self, channel: str, group_id: str) -> Entry | None: ...

    def request_refresh(self, channel: str, group_ids: Iterable[str], at: datetime) -> None: ...


def run_recheck(
    channel: str,
    client: ArticleSource,
    s3: S3Client,
    bucket: str,
    index: Checklist,
    *,
    run_id: str,
    deadline: Callable[[], float],
    siblings: Sequence[str] = (),
    prefix: str = "",
    clock: Clock = utc_now,
) -> RunSummary | None:
    """Looks at what is due, what somebody waits for first, until nothing is or the time is up. None, and no
    record, where nothing is due. What turns out to be withdrawn becomes due in the `siblings`, the other
    channels: the service withdraws everywhere.

    Raises CursorConflict if another run works on the channel, the client's errors, and botocore's. What was
    learnt before a failure is committed first.
    """
    if not index.due(channel, clock(), 1):
        return None
    store = Store(s3, bucket, prefix)
    log = ChannelLog(store, channel, index, run_id=run_id, deadline=deadline, clock=clock)
    recheck = _Recheck(log, client, index, clock, siblings)
    summary = RunSummary(
        run_id=run_id,
        channel=channel,
        kind="recheck",
        status="running",
        started_at=to_rfc3339(clock()),
        cursor_before=log.cursor,
        cursor_after=log.cursor,
    )
    with Recording(store, summary, clock, recheck.progress) as recording, log:
        recheck.run()
    return recording.summary


@dataclass(frozen=True, slots=True)
class _Finding:
    """What was learnt of an entry, and the row to write if it is news."""

    look: Look
    news: Observation | None = None


class _Recheck:
    def __init__(
        self,
        log: ChannelLog,
        client: ArticleSource,
        index: Checklist,
        clock: Clock,
        siblings: Sequence[str],
    ) -> None:
        self._log = log
        self._client = client
        self._index = index
        self._clock = clock
        self._siblings = siblings
        self._retries_before = client.retries
        self._splits_left = _SPLITS_A_RUN
        self._counts: Counter[str] = Counter()
        self._calls = 0
        self._nothing_due = False

    def progress(self) -> dict[str, Any]:
        counted = ("checked", "changed", "unavailable", "withdrawn", "not_ours", "purged")
        return {
            "cursor_after": self._log.state.cursor,
            "caught_up": self._nothing_due,
            "adopted": self._log.adopted,
            "objects": self._log.objects,
            "rows": self._log.rows,
            "pages": self._calls,
            "retries": self._client.retries - self._retries_before,
            **{name: self._counts[name] for name in counted},
        }

    def run(self) -> None:
        self._log.recover()
        # What was committed but not indexed would be taken for news.
        if not self._log.flush():
            return
        # The index by time may still show what was done a moment ago.
        seen: set[tuple[str, str | None]] = set()
        while self._log.has_time():
            due = self._index.due(self._log.channel, self._clock(), _ENTRIES_A_ROUND)
            fresh = [entry for entry in due if (entry.group_id, entry.op) not in seen]
            if not fresh:
                self._nothing_due = not due
                return
            seen.update((entry.group_id, entry.op) for entry in fresh)
            self._round(fresh)

    def _round(self, entries: Sequence[Entry]) -> None:
        self._purge([entry for entry in entries if entry.op == "takedown"])
        asked = [entry for entry in entries if entry.op != "takedown" or entry.refresh_requested_at]
        news: list[Look] = []
        try:
            for start in range(0, len(asked), _IDS_A_CALL):
                if not self._log.has_time():
                    break
                found = self._look(asked[start : start + _IDS_A_CALL])
                self._index.checked(finding.look for finding in found if finding.news is None)
                news += [finding.look for finding in found if finding.news is not None]
        finally:
            # Also what was learnt before a failure. A withdrawn article stays due: it is still to be purged.
            if self._log.flush():
                self._index.checked(look for look in news if look.miss_reason != WITHDRAWN)

    def _purge(self, withdrawn: Sequence[Entry]) -> None:
        clean: set[str] = set()
        # An object that was compacted a moment ago is not in the index yet.
        holding = cache(partial(holders, self._log.store))
        # What no run has committed is not in the index at all.
        logs = channel_logs(self._log.store, self._log.channel) if withdrawn else []
        unknown = {key for log in logs for key in strays(self._log.store, log)}
        keys = {
            entry.group_id: unknown | {key for known in entry.objects for key in holding(known)}
            for entry in withdrawn
        }
        for entry in withdrawn:
            for key in sorted(keys[entry.group_id] - clean):
                if not self._log.has_time():
                    return
                ids = {group_id for group_id, where in keys.items() if key in where}
                self._counts["purged"] += purge_object(self._log.store, key, ids)
                clean.add(key)
            self._counts["purged"] += withdraw_media(self._log.store, self._log.channel, entry.group_id)
            self._index.purged(entry)

    # Asking

    def _look(self, entries: Sequence[Entry]) -> list[_Finding]:
        try:
            lookup = self._client.mget(
                self._log.channel, [entry.group_id for entry in entries], deadline=self._log.time_left
            )
        except UpstreamError as error:
            if error.retryable or isinstance(error, UpstreamDenied):
                raise
            return self._look_apart(entries, error)
        finally:
            self._calls += 1
        now = self._clock()
        found = [self._judge(entry, lookup, now) for entry in entries]
        self._log.extend(
            [finding.news for finding in found if finding.news is not None],
            observed_at=to_rfc3339(now),
            request_id=lookup.request_id,
        )
        self._counts["checked"] += len(found)
        return found

    def _look_apart(self, entries: Sequence[Entry], error: UpstreamError) -> list[_Finding]:
        """One article whose answer cannot be read must not hide the others for ever."""
        if not self._splits_left:
            raise error
        if len(entries) == 1:
            logger.error(
                "the answer about an article cannot be read", extra=self._of(entries[0]), exc_info=error
            )
            again = self._clock() + _AGAIN_AFTER_SILENCE
            # At once, so that the next run does not begin with it if this one fails over too many of them.
            self._index.checked([Look(entries[0], again, entries[0].miss_reason)])
            return []
        self._splits_left -= 1
        middle = len(entries) // 2
        return self._look(entries[:middle]) + self._look(entries[middle:])

    def _of(self, entry: Entry) -> dict[str, str]:
        return {"channel": self._log.channel, "group_id": entry.group_id}

    def _judge(self, entry: Entry, lookup: Lookup, now: datetime) -> _Finding:
        seen_at = from_rfc3339(entry.first_seen_at) if entry.first_seen_at else now
        by_age = next_check(entry.group_id, seen_at, now)
        article = lookup.articles.get(entry.group_id)
        if article is not None:
            if entry.op == "upsert" and content_sha256(article) == entry.content_sha256:
                return _Finding(Look(entry, by_age))
            self._counts["changed"] += 1
            return _Finding(Look(entry, by_age), Observation(entry.group_id, "upsert", article))
        reason = lookup.miss_reasons.get(entry.group_id)
        if reason == WITHDRAWN:
            return self._withdrawn(entry)
        if reason == UNAVAILABLE:
            return self._unavailable(entry, now)
        if reason == NOT_OURS:
            self._counts["not_ours"] += 1
            logger.warning("an article is not this channel's", extra=self._of(entry))
            return _Finding(Look(entry, by_age if entry.op else None, NOT_OURS))
        if reason is None:
            logger.error("there is no word about an article", extra=self._of(entry))
            return _Finding(Look(entry, now + _AGAIN_AFTER_SILENCE, entry.miss_reason))
        logger.error("an article is missing", extra={**self._of(entry), "miss_reason": reason})
        return _Finding(Look(entry, by_age, reason))

    def _withdrawn(self, entry: Entry) -> _Finding:
        if entry.op == "takedown":
            return _Finding(Look(entry, None, WITHDRAWN))
        self._counts["withdrawn"] += 1
        logger.warning("an article was withdrawn", extra=self._of(entry))
        # Before our own row, after which nothing here would come back to it.
        for channel in self._siblings:
            theirs = self._index.get(channel, entry.group_id)
            if theirs is not None and theirs.object is not None and theirs.op != "takedown":
                self._index.request_refresh(channel, [entry.group_id], self._clock())
        return _Finding(
            Look(entry, None, WITHDRAWN), Observation(entry.group_id, "takedown", miss_reason=WITHDRAWN)
        )

    def _unavailable(self, entry: Entry, now: datetime) -> _Finding:
        match entry.op:
            case "takedown":
                return _Finding(Look(entry, None, UNAVAILABLE))
            case "unavailable":
                since = from_rfc3339(entry.observed_at) if entry.observed_at else now
                return _Finding(Look(entry, next_check(entry.group_id, since, now), UNAVAILABLE))
        self._counts["unavailable"] += 1
        return _Finding(
            Look(entry, next_check(entry.group_id, now, now), UNAVAILABLE),
            Observation(entry.group_id, "unavailable", miss_reason=UNAVAILABLE),
        )
