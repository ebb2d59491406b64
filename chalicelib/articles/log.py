"""The one writer of a channel's change log: rows become objects, objects are committed, and then indexed.

The order of writes is what makes every row arrive: the data object first, the state that commits it after, the
index last. A run that is killed between the first two leaves an object behind which the next run adopts, so
that nothing is lost, fetched again or doubled; one that is killed before the third leaves objects that the next
run indexes. Objects are only ever created here, so that not even a stale second run can damage committed data
(docs/decisions/021).
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, unquote

from chalicelib.articles import health
from chalicelib.articles.changelog import (
    ObjectBuilder,
    article_key,
    article_prefix,
    parse_day,
    parse_seq,
    parse_span,
    read_rows,
)
from chalicelib.articles.sink import OutOfTime
from chalicelib.articles.state import LIVE, CursorState, Stored, commit_state, load_state
from chalicelib.articles.store import PreconditionFailed
from chalicelib.clock import Clock, to_rfc3339
from chalicelib.errors import CursorConflict, SyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from concurrent.futures import Future

    from chalicelib.articles.changelog import Op
    from chalicelib.articles.sink import RowSink
    from chalicelib.articles.store import Store

logger = logging.getLogger(__name__)

ROWS_PER_OBJECT = 3_000
"""About 1 MB of gzip, and two writes per 100 pages."""

RESERVE_SECONDS = 10.0
"""Kept back from a run's time for writing the last object, its index entries, the state and the run record."""


INDEX_RESERVE_SECONDS = RESERVE_SECONDS / 2
"""Of these, what is left when no more of the index is written."""

LAST_RESERVE_SECONDS = RESERVE_SECONDS / 4
"""Of these, what is left for the state and the run record when a write of the index does not come back."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What the service says of one article: its content, or why there is none."""

    group_id: str
    op: Op
    article: dict[str, Any] | None = None
    miss_reason: int | None = None


class ChannelLog:
    """A channel's log and state, for the length of one run: `live`, or of another name, such as a backfill's.

    `cursor` is the service's token after the last row that was added; it is committed together with that row.
    `objects`, `rows` and `adopted` tell what this run has committed.

    Use as a context manager: leaving it ends the thread that writes the index. Raises CursorConflict if another
    run works on the same log, SyncError for an object that no run of ours has written, and botocore's errors.
    """

    def __init__(
        self,
        store: Store,
        channel: str,
        index: RowSink,
        *,
        run_id: str,
        deadline: Callable[[], float],
        clock: Clock,
        name: str = LIVE,
        rows_per_object: int = ROWS_PER_OBJECT,
    ) -> None:
        self.store = store
        self.channel = channel
        self.objects: tuple[str, ...] = ()
        self.rows = 0
        self.adopted = False
        self._run_id = run_id
        self._deadline = deadline
        self._rows_per_object = rows_per_object
        self._stored: Stored = load_state(store, channel, name)
        self._clock = clock
        if self._stored.etag is None:
            self._change_state(created_at=to_rfc3339(clock()))
        self.cursor = self._stored.state.cursor
        self._observed_until = self._stored.state.observed_until
        self._builder: ObjectBuilder | None = None
        self._indexer = _Indexer(store, channel, index, self.state.indexed_key, deadline)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._indexer.stop()

    @property
    def state(self) -> CursorState:
        """What is committed."""
        return self._stored.state

    def time_left(self) -> float:
        """Seconds until only the reserve is left."""
        return self._deadline() - RESERVE_SECONDS

    def has_time(self) -> bool:
        return self.time_left() > 0

    def recover(self) -> None:
        """Commits and indexes what killed runs have left behind. Comes before everything else.

        Objects that were written but not committed are found by the order of keys; their metadata say where
        they end.
        """
        prefix = article_prefix(self.store.prefix, self.channel, self.state.name)
        if self.state.indexed_key != self.state.last_key:
            self._indexer.catch_up(prefix, self.state.seq)
        for key in self.store.keys(prefix, after=self.state.last_key):
            if not self.has_time():
                return
            if parse_seq(key) != self.state.seq:
                continue
            metadata = self.store.metadata(key) or {}
            if not metadata.keys() >= {"cursor-after", "rows"}:
                raise SyncError(f"{key} stands where the next object belongs, but this sync did not write it.")
            self.cursor = unquote(metadata["cursor-after"])
            self._observed_until = max(self._observed_until, metadata.get("observed-until", ""))
            self._commit(key, int(metadata["rows"]))
            self.adopted = True
            adopted = {"channel": self.channel, "object": key, "other_run": metadata.get("run-id")}
            logger.warning("adopted what another run has left behind", extra=adopted)

    def extend(
        self,
        observations: Iterable[Observation],
        *,
        observed_at: str,
        request_id: str,
        cursor: str | None = None,
    ) -> None:
        """Adds the rows of one answer of the service, and moves the cursor with them if one is given.

        An object is closed at the first answer that brings it to `rows_per_object`, and at midnight UTC. A
        clock that goes back does not take the log back: what comes after was observed no earlier.
        """
        # So the newest row of an article is its last one, and leftovers are found by the order of keys.
        observed_at = self._observed_until = max(observed_at, self._observed_until)
        day = max(observed_at[:10], parse_day(self.state.last_key))
        if self._builder is not None and self._builder.day != day:
            self._write()
        for observation in observations:
            builder = self._builder = self._builder or ObjectBuilder(
                seq=self.state.seq, day=day, run_id=self._run_id
            )
            builder.add(
                observation.group_id,
                observation.op,
                observation.article,
                miss_reason=observation.miss_reason,
                observed_at=observed_at,
                request_id=request_id,
            )
        if cursor is not None:
            self.cursor = cursor
        if self._builder is not None and self._builder.rows >= self._rows_per_object:
            self._write()

    def restart(self) -> None:
        """Has the scan go on from the start of the service's window, and notes in the state what is missing.

        What the service had synced before its window, and after the scan was last complete, cannot be had any
        more. Articles that the log has already come once more; the newest row of each counts, as ever.
        """
        now = self._clock()
        missing = health.missing(self.state, now)
        self.cursor = ""
        self._change_state(
            restarted_at=to_rfc3339(now),
            gap_from=missing and missing[0],
            gap_to=missing and missing[1],
            gap_told=missing is None,
        )
        told = {"channel": self.channel, "scan": self.state.name}
        told |= {"gap_from": missing[0], "gap_to": missing[1]} if missing else {}
        logger.error("the cursor is no longer good: on from the window's start", extra=told)
        # At once: a run that dies now must not leave the gap untold.
        self._save(self.state)

    def flush(self) -> bool:
        """Writes and commits what was added, and waits for the index; whether that holds everything now.

        It does not where the time is up. Raises what failed there.
        """
        self._write()
        if self._indexer.wait() != self.state.indexed_key:
            self._save(self.state)
        return self.state.indexed_key == self.state.last_key

    def close(self, **changes: str | None) -> None:
        """Flushes, and commits the cursor with the changes of the state.

        Raises what failed in the index, after committing the cursor without the changes: the data are not held
        back, and the next run catches up.
        """
        self._write()
        self._save(self.state, **(changes if self._indexer.settled() else {}))
        self._indexer.wait()

    def _write(self) -> None:
        """Writes the collected rows, if any, as the next object, and commits it."""
        builder, self._builder = self._builder, None
        if builder is None:
            return
        key = article_key(self.store.prefix, self.channel, builder.day, builder.seq, self.state.name)
        metadata = {
            "run-id": self._run_id,
            "rows": str(builder.rows),
            "cursor-after": quote(self.cursor, safe=""),
            "observed-until": self._observed_until,
        }
        try:
            self.store.put_if(
                key, builder.finish(), etag=None, content_type="application/gzip", metadata=metadata
            )
        except PreconditionFailed as error:
            if self.store.metadata(key) != metadata:
                raise CursorConflict(f"Another run has written {key}.", channel=self.channel) from error
        self._commit(key, builder.rows)

    def _commit(self, key: str, rows: int) -> None:
        state = self.state
        self._save(
            replace(
                state,
                seq=parse_span(key)[1] + 1,
                last_key=key,
                objects=state.objects + 1,
                rows=state.rows + rows,
            )
        )
        self.objects += (key,)
        self.rows += rows
        self._indexer.submit(key)

    def _change_state(self, **changes: Any) -> None:
        """What is to be committed next."""
        self._stored = replace(self._stored, state=replace(self._stored.state, **changes))

    def _save(self, state: CursorState, **changes: str | None) -> None:
        state = replace(
            state,
            cursor=self.cursor,
            observed_until=self._observed_until,
            indexed_key=self._indexer.indexed_key,
            last_run_id=self._run_id,
            **changes,  # type: ignore[arg-type]
        )
        self._stored = commit_state(self.store, state, self._stored.etag)


class _Indexer:
    """Writes committed objects to the index, in their order, beside whatever else the run does.

    It reads each object back, so that catching up after a kill is the same as keeping up. After a failure, or
    when the time is up, it does nothing more: `indexed_key` is how far it came, and the next run goes on there.
    A write that does not come back in time is left to itself: the index takes each only where it is news.
    """

    def __init__(
        self, store: Store, channel: str, index: RowSink, indexed_key: str, deadline: Callable[[], float]
    ) -> None:
        self.indexed_key = indexed_key
        self._store = store
        self._channel = channel
        self._index = index
        self._deadline = deadline
        self._executor = ThreadPoolExecutor(1, "indexer")
        self._tasks: list[Future[None]] = []
        self._halted = False

    def catch_up(self, prefix: str, seq: int) -> None:
        """Indexes what was committed before `seq` and is not indexed yet."""
        self._start(lambda: self._catch_up(prefix, seq))

    def submit(self, key: str) -> None:
        self._start(lambda: self._take(key))

    def settled(self) -> bool:
        """Waits as long as there is time, and tells whether nothing has failed."""
        return all(task.exception() is None for task in self._ended())

    def wait(self) -> str:
        """Waits as long as there is time, and returns the last key that is indexed. Raises what failed."""
        for task in self._ended():
            task.result()
        return self.indexed_key

    def stop(self) -> None:
        self._halted = True
        ended = self._ended()
        self._executor.shutdown(wait=len(ended) == len(self._tasks), cancel_futures=True)

    def _ended(self) -> Collection[Future[None]]:
        """What has ended in time. What has not is not waited for any more."""
        ended, hanging = wait(self._tasks, max(0.0, self._deadline() - LAST_RESERVE_SECONDS))
        if hanging:
            self._halted = True
            logger.error("the index does not answer in time", extra={"channel": self._channel})
        return ended

    def _has_time(self) -> bool:
        return not self._halted and self._deadline() > INDEX_RESERVE_SECONDS

    def _start(self, work: Callable[[], None]) -> None:
        self._tasks = [task for task in self._tasks if not task.done() or task.exception()]
        self._tasks.append(self._executor.submit(work))

    def _catch_up(self, prefix: str, seq: int) -> None:
        for key in self._store.keys(prefix, after=self.indexed_key):
            if parse_seq(key) < seq:
                self._take(key)

    def _take(self, key: str) -> None:
        if not self._has_time():
            self._halted = True
            return
        try:
            found = self._store.get(key)
            if found is not None:
                rows = read_rows(found[0])
                self._index.put_rows(self._channel, key, rows, has_time=self._has_time)
        except OutOfTime:
            self._halted = True
            return
        except BaseException:
            self._halted = True
            raise
        self.indexed_key = key
