"""Run records: what each run did, for people and for `GET /api/v1/sync`.

    <prefix>runs/dt=YYYY-MM-DD/utm_source=<u>/<run_id>.json

`dt` is the UTC date on which the run started. A record is written twice: at the start as `running` and at the
end. One that stays `running` belongs to a run that was killed.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

from chalicelib.articles.records import read_record

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.articles.store import Store

Status = Literal["running", "succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run.

    `objects` are the keys committed, `rows` the rows in them, `pages` the answers of the service used and
    `retries` its calls repeated. `adopted` says that the first object was left behind by a killed run.
    `caught_up` says that the scan reached its end; without it the next run goes on. Times are
    RFC 3339 in UTC. `error_code` and `error` are set where `status` is `failed`.
    """

    run_id: str
    channel: str
    status: Status
    started_at: str
    cursor_before: str
    cursor_after: str
    ended_at: str | None = None
    caught_up: bool = False
    adopted: bool = False
    objects: tuple[str, ...] = ()
    rows: int = 0
    pages: int = 0
    retries: int = 0
    error_code: str | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        return read_record(cls, {**value, "objects": tuple(value["objects"])})


def new_run_id(started_at: datetime) -> str:
    """A unique run id that sorts by the start of the run: `20261121T094438Z-1f0c9a7e`."""
    return f"{started_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def runs_prefix(prefix: str, utm_source: str, day: str) -> str:
    return f"{prefix}runs/dt={day}/utm_source={quote(utm_source, safe='')}/"


def save_run(store: Store, run: RunSummary) -> None:
    prefix = runs_prefix(store.prefix, run.channel, run.started_at[:10])
    store.put_json(f"{prefix}{run.run_id}.json", run.to_dict())
