"""One run of a scan: pages in cursor order into the channel's log."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from chalicelib.articles import health
from chalicelib.articles.log import ROWS_PER_OBJECT, ChannelLog, Observation
from chalicelib.articles.runs import Recording, RunSummary
from chalicelib.articles.state import LIVE
from chalicelib.articles.store import Store
from chalicelib.clock import Clock, to_rfc3339, utc_now
from chalicelib.errors import PublisherError, ScanStuck, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from mypy_boto3_s3 import S3Client

    from chalicelib.articles.client import Page
    from chalicelib.articles.sink import RowSink

_PAGE_SIZE = 30


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
    index: RowSink,
    *,
    run_id: str,
    deadline: Callable[[], float],
    name: str = LIVE,
    prefix: str = "",
    clock: Clock = utc_now,
    rows_per_object: int = ROWS_PER_OBJECT,
) -> RunSummary:
    """Carries the scan `name` of the channel (UtmSource) from its committed cursor to its end, or as far as
    time allows. A name that is new starts at the beginning of the service's window.

    `run_id` is unique and sorts by time (`runs.new_run_id`). `deadline` returns the seconds left to this run;
    fetching stops when 10 are left, and the next run goes on. A second lake lives under a `prefix` of its own.

    The end is an empty page whose NextToken equals the one sent; neither alone is the end (source: the page
    内容输出). Whatever was fetched before a failure is committed before the failure is raised.

    A cursor that must be older than the service's window, or that the service refuses while it takes the start
    of its window, is given up: the scan goes on from there, and the record and the state say what is missing.

    Raises CursorConflict if another run works on the channel, ScanStuck if the service repeats a token on a
    page that is not the end, the client's errors, and botocore's. The run record is written in every case but
    a kill.
    """
    store = Store(s3, bucket, prefix)
    log = ChannelLog(
        store,
        channel,
        index,
        name=name,
        run_id=run_id,
        deadline=deadline,
        clock=clock,
        rows_per_object=rows_per_object,
    )
    scan = _Scan(log, client, clock)
    summary = RunSummary(
        run_id=run_id,
        channel=channel,
        name=name,
        status="running",
        started_at=to_rfc3339(clock()),
        cursor_before=log.cursor,
        cursor_after=log.cursor,
    )
    with Recording(store, summary, clock, scan.progress) as recording, log:
        scan.run()
    return recording.summary


@dataclass(frozen=True, slots=True)
class _Fetched:
    page: Page
    observed_at: str


class _Scan:
    def __init__(self, log: ChannelLog, client: PageSource, clock: Clock) -> None:
        self._log = log
        self._client = client
        self._clock = clock
        self._retries_before = client.retries
        self._failure: PublisherError | None = None
        self._pages_used = 0
        self._caught_up = False
        self._restart: dict[str, Any] = {}

    def progress(self) -> dict[str, Any]:
        return {
            "cursor_after": self._log.state.cursor,
            "caught_up": self._caught_up,
            "adopted": self._log.adopted,
            "objects": self._log.objects,
            "rows": self._log.rows,
            "pages": self._pages_used,
            "retries": self._client.retries - self._retries_before,
            **self._restart,
        }

    def run(self) -> None:
        self._log.recover()
        if health.expired(self._log.state, self._clock()):
            self._log.restart()
        self._note_restart()
        with ThreadPoolExecutor(1, "scan") as fetcher:
            for fetched in self._pages(fetcher):
                self._log.extend(
                    (
                        Observation(str(article["GroupId"]), "upsert", article)
                        for article in fetched.page.articles
                    ),
                    observed_at=fetched.observed_at,
                    request_id=fetched.page.request_id,
                    cursor=fetched.page.next_token,
                )
        if self._failure is not None:
            self._log.close()
            raise self._failure
        now = to_rfc3339(self._clock())
        if self._caught_up:
            self._log.close(last_success_at=now, caught_up_at=now)
        else:
            self._log.close(last_success_at=now)

    def _pages(self, fetcher: ThreadPoolExecutor) -> Iterator[_Fetched]:
        """Each page while the next one is being fetched, up to the end, the deadline or a failure."""
        sent = self._log.cursor
        pending = self._submit(fetcher, sent)
        if sent and pending is not None and _is_refused(pending):
            # Where the service takes the start of its window, it was the cursor that it refused.
            anew = self._submit(fetcher, "")
            if anew is not None and anew.exception() is None:
                self._log.restart()
                self._note_restart()
                sent, pending = "", anew
        seen = {"", sent}
        while pending is not None:
            try:
                fetched = pending.result()
            except PublisherError as error:
                self._failure = error
                return
            page = fetched.page
            self._pages_used += 1
            if not page.articles and page.next_token == sent:
                self._caught_up = True
                return
            if page.next_token in seen:
                self._failure = ScanStuck(
                    f"A page of {len(page.articles)} articles led back to the token {page.next_token!r}.",
                    channel=self._log.channel,
                    upstream_request_id=page.request_id,
                )
                return
            sent = page.next_token
            seen.add(sent)
            pending = self._submit(fetcher, sent)
            yield fetched

    def _note_restart(self) -> None:
        """Until the scan comes to its end, every run that goes on from the window's start says so."""
        state = self._log.state
        if state.restarting:
            self._restart = {
                "restarted": True,
                "gap": state.gap,
                "gap_from": state.gap_from,
                "gap_to": state.gap_to,
            }

    def _submit(self, fetcher: ThreadPoolExecutor, token: str) -> Future[_Fetched] | None:
        return fetcher.submit(self._fetch, token) if self._log.has_time() else None

    def _fetch(self, token: str) -> _Fetched:
        page = self._client.scan(self._log.channel, token, _PAGE_SIZE, deadline=self._log.time_left)
        return _Fetched(page, to_rfc3339(self._clock()))


def _is_refused(answer: Future[_Fetched]) -> bool:
    """Whether the service has understood the request and does not want it: no fault of the way, of the keys, or
    of the answer's form.
    """
    return type(answer.exception()) is UpstreamError
