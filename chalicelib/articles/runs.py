"""Run records: what each run did, for people and for `GET /api/v1/sync`.

    <prefix>runs/dt=YYYY-MM-DD/utm_source=<u>/<run_id>.json
    <prefix>backfill-runs/dt=YYYY-MM-DD/utm_source=<u>/name=<n>/<run_id>.json

`dt` is the UTC date on which the run started. A record is written twice: at the start as `running` and at the
end. One that stays `running` belongs to a run that was killed.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

from chalicelib.articles.records import read_record
from chalicelib.articles.state import LIVE
from chalicelib.clock import to_rfc3339
from chalicelib.errors import PublisherError
from chalicelib.trace import request_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from types import TracebackType

    from chalicelib.articles.store import Store
    from chalicelib.clock import Clock

logger = logging.getLogger(__name__)

Status = Literal["running", "succeeded", "failed"]
Kind = Literal["scan", "recheck"]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run of a channel: a scan, of the state `name`, or a recheck of articles that were due for one.

    `objects` are the keys committed, `rows` the rows in them, `pages` the answers of the service used and
    `retries` its calls repeated. `adopted` says that the first object was left behind by a killed run.
    `caught_up` says that the scan reached its end, or that nothing is due any more; without it the next run
    goes on. A recheck counts the articles `checked` and, among them, those `changed`, `unavailable`,
    `withdrawn` and `not_ours`, as well as the objects `purged` of withdrawn content. Times are RFC 3339 in UTC.
    `restarted` says that the scan is on its way from the start of the service's window, because its cursor was
    no longer good; `gap` that articles are missing for that, which were synced from `gap_from` to `gap_to`.
    `error_code` and `error` are set where `status` is `failed`; `request_id` where a request asked for the run.
    """

    run_id: str
    channel: str
    status: Status
    started_at: str
    cursor_before: str
    cursor_after: str
    kind: Kind = "scan"
    name: str = LIVE
    ended_at: str | None = None
    caught_up: bool = False
    adopted: bool = False
    objects: tuple[str, ...] = ()
    rows: int = 0
    pages: int = 0
    retries: int = 0
    checked: int = 0
    changed: int = 0
    unavailable: int = 0
    withdrawn: int = 0
    not_ours: int = 0
    purged: int = 0
    restarted: bool = False
    gap: bool = False
    gap_from: str | None = None
    gap_to: str | None = None
    error_code: str | None = None
    error: str | None = None
    request_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        return read_record(cls, {**value, "objects": tuple(value["objects"])})


def new_run_id(started_at: datetime) -> str:
    """A unique run id that sorts by the start of the run: `20261121T094438Z-1f0c9a7e`."""
    return f"{started_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def runs_prefix(prefix: str, utm_source: str, day: str, name: str = LIVE) -> str:
    channel = f"dt={day}/utm_source={quote(utm_source, safe='')}/"
    return f"{prefix}runs/{channel}" if name == LIVE else f"{prefix}backfill-runs/{channel}name={name}/"


def save_run(store: Store, run: RunSummary) -> None:
    prefix = runs_prefix(store.prefix, run.channel, run.started_at[:10], run.name)
    store.put_json(f"{prefix}{run.run_id}.json", run.to_dict())


class Recording:
    """Keeps the record of a run: entered, it is `running`; left, it tells how it ended. A kill leaves it as it
    is. `progress` returns what the record is to say by then.
    """

    def __init__(
        self, store: Store, summary: RunSummary, clock: Clock, progress: Callable[[], dict[str, Any]]
    ) -> None:
        self.summary = replace(summary, request_id=request_id())
        self._store = store
        self._clock = clock
        self._progress = progress

    def __enter__(self) -> Self:
        save_run(self._store, self.summary)
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            code = error.code if isinstance(error, PublisherError) else PublisherError.code
            self._end("failed", error_code=code, error=str(error))
        elif error is None:
            self._end("succeeded")

    def _end(self, status: Status, *, error_code: str | None = None, error: str | None = None) -> None:
        self.summary = replace(
            self.summary,
            status=status,
            ended_at=to_rfc3339(self._clock()),
            error_code=error_code,
            error=error,
            **self._progress(),
        )
        save_run(self._store, self.summary)
        logger.info(
            "a run has ended",
            extra={
                "channel": self.summary.channel,
                "scan": self.summary.name,
                "kind": self.summary.kind,
                "run_id": self.summary.run_id,
                "status": status,
                "code": error_code,
                "rows": self.summary.rows,
                "pages": self.summary.pages,
                "objects": len(self.summary.objects),
                "retries": self.summary.retries,
                "caught_up": self.summary.caught_up,
            },
        )
