"""One run of the scan: pages in cursor order, written to the change log, then committed.

The order of writes is what makes every article arrive: data objects first, the cursor after them. A run that is
killed between the two leaves an object behind which the next run adopts, so nothing is lost, fetched again or
doubled. Objects are only ever created, so that not even a stale second run can damage committed data
(docs/decisions/021).
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, unquote

from chalicelib.articles.changelog import ObjectBuilder, article_key, article_prefix, parse_day, parse_seq
from chalicelib.articles.runs import RunSummary, Status, save_run
from chalicelib.articles.state import CursorState, Stored, commit_state, load_state
from chalicelib.articles.store import PreconditionFailed, Store
from chalicelib.clock import Clock, to_rfc3339, utc_now
from chalicelib.errors import CursorConflict, PublisherError, ScanStuck, SyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from mypy_boto3_s3 import S3Client

    from chalicelib.articles.client import Page

logger = logging.getLogger(__name__)

ROWS_PER_OBJECT = 3_000
"""About 1 MB of gzip, and two writes per 100 pages."""

_PAGE_SIZE = 30
_RESERVE_SECONDS = 10.0
"""Kept back from the run's time for writing the last object, the state and the run record."""


class PageSource(Protocol):
    """The part of `ContentClient` that a scan uses."""

    retries: int

    def scan(
        self,
        utm_source: str,
        next_token: str,
        max_results: int = ...,
        *,
        deadline: Callable[[], float] | None = ...,
    ) -> Page: ...


def run_scan(
    channel: str,
    client: PageSource,
    s3: S3Client,
    bucket: str,
    *,
    run_id: str,
    deadline: Callable[[], float],
    prefix: str = "",
    clock: Clock = utc_now,
    rows_per_object: int = ROWS_PER_OBJECT,
) -> RunSummary:
    """Carries the channel (UtmSource) from its committed cursor to the scan's end, or as far as time allows.

    `run_id` is unique and sorts by time (`runs.new_run_id`). `deadline` returns the seconds left to this run;
    fetching stops when 10 are left, and the next run goes on. An object is closed at the first page that brings
    it to `rows_per_object`, and at midnight UTC. A second state and log, such as a backfill's, live under their
    own `prefix`.

    The end is an empty page whose NextToken equals the one sent; neither alone is the end (source: the page
    内容输出). Whatever was fetched before a failure is committed before the failure is raised.

    Raises CursorConflict if another run works on the channel, ScanStuck if the service repeats a token on a
    page that is not the end, the client's errors, and botocore's. The run record is written in every case but
    a kill.
    """
    store = Store(s3, bucket, prefix)
    return _Run(
        channel, client, store, run_id=run_id, deadline=deadline, clock=clock, rows_per_object=rows_per_object
    ).execute()


@dataclass(frozen=True, slots=True)
class _Fetched:
    page: Page
    observed_at: str


class _Run:
    def __init__(
        self,
        channel: str,
        client: PageSource,
        store: Store,
        *,
        run_id: str,
        deadline: Callable[[], float],
        clock: Clock,
        rows_per_object: int,
    ) -> None:
        self._channel = channel
        self._client = client
        self._store = store
        self._deadline = deadline
        self._clock = clock
        self._rows_per_object = rows_per_object
        self._stored: Stored = load_state(store, channel)
        self._retries_before = client.retries
        self._builder: ObjectBuilder | None = None
        self._failure: PublisherError | None = None
        # The token after the last page in the builder: committed together with it.
        self._cursor = self._stored.state.cursor
        self._summary = RunSummary(
            run_id=run_id,
            channel=channel,
            status="running",
            started_at=to_rfc3339(clock()),
            cursor_before=self._cursor,
            cursor_after=self._cursor,
        )

    def execute(self) -> RunSummary:
        save_run(self._store, self._summary)
        try:
            self._adopt_leftovers()
            with ThreadPoolExecutor(1, "scan") as fetcher:
                for fetched in self._pages(fetcher):
                    self._add(fetched)
            self._finish()
        except Exception as error:
            code = error.code if isinstance(error, PublisherError) else PublisherError.code
            self._record("failed", error_code=code, error=str(error))
            raise
        return self._record("succeeded")

    def _adopt_leftovers(self) -> None:
        """Commits objects that a killed run wrote but did not commit: their metadata say where they end."""
        leftovers = self._store.keys(
            article_prefix(self._store.prefix, self._channel), after=self._stored.state.last_key
        )
        for key in leftovers:
            if not self._has_time():
                return
            if parse_seq(key) != self._stored.state.seq:
                continue
            metadata = self._store.metadata(key) or {}
            if not metadata.keys() >= {"cursor-after", "rows"}:
                raise SyncError(f"{key} stands where the next object belongs, but this sync did not write it.")
            self._cursor = unquote(metadata["cursor-after"])
            self._commit(key, int(metadata["rows"]))
            self._summary = replace(self._summary, adopted=True)
            logger.warning("%s: adopted %s, left behind by run %s", self._channel, key, metadata.get("run-id"))

    def _pages(self, fetcher: ThreadPoolExecutor) -> Iterator[_Fetched]:
        """Each page while the next one is being fetched, up to the end, the deadline or a failure."""
        sent = self._cursor
        seen = {"", sent}
        pending = self._submit(fetcher, sent)
        while pending is not None:
            try:
                fetched = pending.result()
            except PublisherError as error:
                self._failure = error
                return
            page = fetched.page
            self._summary = replace(self._summary, pages=self._summary.pages + 1)
            if not page.articles and page.next_token == sent:
                self._summary = replace(self._summary, caught_up=True)
                return
            if page.next_token in seen:
                self._failure = ScanStuck(
                    f"A page of {len(page.articles)} articles led back to the token {page.next_token!r}.",
                    channel=self._channel,
                    upstream_request_id=page.request_id,
                )
                return
            sent = page.next_token
            seen.add(sent)
            pending = self._submit(fetcher, sent)
            yield fetched

    def _submit(self, fetcher: ThreadPoolExecutor, token: str) -> Future[_Fetched] | None:
        return fetcher.submit(self._fetch, token) if self._has_time() else None

    def _fetch(self, token: str) -> _Fetched:
        page = self._client.scan(self._channel, token, _PAGE_SIZE, deadline=self._time_left)
        return _Fetched(page, to_rfc3339(self._clock()))

    def _time_left(self) -> float:
        return self._deadline() - _RESERVE_SECONDS

    def _has_time(self) -> bool:
        return self._time_left() > 0

    def _add(self, fetched: _Fetched) -> None:
        # Never an earlier day than the last object's, even if the clock steps back over midnight: leftovers
        # are found by the order of keys.
        day = max(fetched.observed_at[:10], parse_day(self._stored.state.last_key))
        if self._builder is not None and self._builder.day != day:
            self._write()
        page = fetched.page
        if page.articles:
            self._builder = builder = self._builder or ObjectBuilder(
                seq=self._stored.state.seq, day=day, run_id=self._summary.run_id
            )
            for article in page.articles:
                builder.add_article(
                    str(article["GroupId"]),
                    article,
                    observed_at=fetched.observed_at,
                    request_id=page.request_id,
                )
        self._cursor = page.next_token
        if self._builder is not None and self._builder.rows >= self._rows_per_object:
            self._write()

    def _write(self) -> None:
        """Writes the collected rows, if any, as the next object, and commits it."""
        builder, self._builder = self._builder, None
        if builder is None:
            return
        key = article_key(self._store.prefix, self._channel, builder.day, builder.seq)
        metadata = {
            "run-id": self._summary.run_id,
            "rows": str(builder.rows),
            "cursor-after": quote(self._cursor, safe=""),
        }
        try:
            self._store.put_if(
                key, builder.finish(), etag=None, content_type="application/gzip", metadata=metadata
            )
        except PreconditionFailed as error:
            if self._store.metadata(key) != metadata:
                raise CursorConflict(f"Another run has written {key}.", channel=self._channel) from error
        self._commit(key, builder.rows)

    def _commit(self, key: str, rows: int) -> None:
        state = self._stored.state
        self._save(
            replace(
                state,
                seq=state.seq + 1,
                last_key=key,
                objects=state.objects + 1,
                rows=state.rows + rows,
            )
        )
        self._summary = replace(
            self._summary, objects=(*self._summary.objects, key), rows=self._summary.rows + rows
        )

    def _save(self, state: CursorState) -> None:
        state = replace(state, cursor=self._cursor, last_run_id=self._summary.run_id)
        self._stored = commit_state(self._store, state, self._stored.etag)
        self._summary = replace(self._summary, cursor_after=self._cursor)

    def _finish(self) -> None:
        self._write()
        if self._failure is not None:
            raise self._failure
        now = to_rfc3339(self._clock())
        state = self._stored.state
        caught_up_at = now if self._summary.caught_up else state.caught_up_at
        self._save(replace(state, last_success_at=now, caught_up_at=caught_up_at))

    def _record(self, status: Status, *, error_code: str | None = None, error: str | None = None) -> RunSummary:
        self._summary = replace(
            self._summary,
            status=status,
            ended_at=to_rfc3339(self._clock()),
            retries=self._client.retries - self._retries_before,
            error_code=error_code,
            error=error,
        )
        save_run(self._store, self._summary)
        logger.info(
            "%s: run %s %s, %d rows in %d pages, %d objects, %d retries, caught up: %s",
            self._channel,
            self._summary.run_id,
            status,
            self._summary.rows,
            self._summary.pages,
            len(self._summary.objects),
            self._summary.retries,
            self._summary.caught_up,
        )
        return self._summary
