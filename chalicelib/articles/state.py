"""Where a channel's scan stands: one small JSON object a scan, moved by conditional writes only.

<prefix>state/utm_source=<u>.json             the live scan
<prefix>state/utm_source=<u>/name=<n>.json    another one, from the window's start: a backfill
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from chalicelib.articles.records import read_record
from chalicelib.articles.store import PreconditionFailed, encode_json
from chalicelib.clock import to_rfc3339
from chalicelib.errors import CursorConflict

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.articles.store import Store

VERSION = 1
LIVE = "live"
"""The name of the scan that goes on for ever."""


@dataclass(frozen=True, slots=True)
class CursorState:
    """What is committed.

    `cursor` is the service's opaque NextToken, "" before the first page. `seq` names the next object to be
    written, from 1; everything below it is committed. `last_key` is the newest committed object, "" if none;
    `indexed_key` the newest that the index is known to hold, with everything before it.
    `objects` and `rows` count what was ever committed. `created_at` is the start of the first run,
    `last_success_at` the end of the last run without an error, `caught_up_at` the last time the scan reached
    its end, all RFC 3339 in UTC. `alarm` is the alarm that was last told of (see `health`); `told_seq`,
    `told_objects` and `told_rows` are what of the committed was (see `news`).

    `observed_until` is the newest `observed_at` of the log: none after it is earlier. Of the scheduled
    compaction `compacted_on` is the day of the last one, and `compacted_until` the first day of the log that it
    has not done with (YYYY-MM-DD).

    `restarted_at` is when the scan last went on from the start of the service's window, because its cursor was
    no longer good. What was synced from `gap_from` to `gap_to` is missing then; both are None where nothing is.
    `gap_told` is False while nobody was told of it yet.
    """

    utm_source: str
    name: str = LIVE
    cursor: str = ""
    seq: int = 1
    last_key: str = ""
    indexed_key: str = ""
    objects: int = 0
    rows: int = 0
    last_run_id: str = ""
    created_at: str | None = None
    last_success_at: str | None = None
    caught_up_at: str | None = None
    alarm: str | None = None
    told_seq: int = 1
    told_objects: int = 0
    told_rows: int = 0
    observed_until: str = ""
    compacted_on: str = ""
    compacted_until: str = ""
    restarted_at: str | None = None
    gap_from: str | None = None
    gap_to: str | None = None
    gap_told: bool = True

    @property
    def gap(self) -> bool:
        """Whether articles are missing that the service had forgotten before they could be read."""
        return self.gap_from is not None

    @property
    def restarting(self) -> bool:
        """Whether the scan has not come to its end since it went on from the window's start."""
        return self.restarted_at is not None and self.restarted_at > (self.caught_up_at or "")

    @property
    def complete(self) -> bool:
        """Whether the scan has been through, and the index holds all that it brought."""
        return self.caught_up_at is not None and self.indexed_key == self.last_key

    def to_dict(self) -> dict[str, Any]:
        return {"version": VERSION, **asdict(self), "gap": self.gap}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        return read_record(cls, value)


@dataclass(frozen=True, slots=True)
class Stored:
    """A state as read or written, with the ETag that the next write is conditional on; None if unwritten."""

    state: CursorState
    etag: str | None


def state_key(prefix: str, utm_source: str, name: str = LIVE) -> str:
    channel = f"{prefix}state/utm_source={quote(utm_source, safe='')}"
    return f"{channel}.json" if name == LIVE else f"{channel}/name={name}.json"


def load_state(store: Store, utm_source: str, name: str = LIVE) -> Stored:
    """The state of that name; a fresh one if it was never written."""
    found = store.get_json(state_key(store.prefix, utm_source, name))
    if found is None:
        return Stored(CursorState(utm_source, name), None)
    value, etag = found
    return Stored(CursorState.from_dict(value), etag)


def create_state(store: Store, utm_source: str, name: str, now: datetime) -> None:
    """Writes a fresh state of that name, where there is none: whichever turn comes next begins its scan."""
    state = CursorState(utm_source, name, created_at=to_rfc3339(now))
    with suppress(PreconditionFailed):
        store.put_if(
            state_key(store.prefix, utm_source, name),
            encode_json(state.to_dict()),
            etag=None,
            content_type="application/json",
        )


def backfill_names(store: Store, utm_source: str) -> list[str]:
    """The names of the channel's states beside the live one."""
    prefix = state_key(store.prefix, utm_source).removesuffix(".json") + "/name="
    return [key.removeprefix(prefix).removesuffix(".json") for key in store.keys(prefix)]


def commit_state(store: Store, state: CursorState, etag: str | None) -> Stored:
    """Replaces the state that has `etag` (None: none yet) by `state`.

    Raises CursorConflict if another run has moved the channel meanwhile.
    """
    key = state_key(store.prefix, state.utm_source, state.name)
    body = encode_json(state.to_dict())
    try:
        return Stored(state, store.put_if(key, body, etag=etag, content_type="application/json"))
    except PreconditionFailed as error:
        found = store.get(key)
        if found is not None and found[0] == body:
            # Our own write, repeated after its answer was lost: the run id in the body tells.
            return Stored(state, found[1])
        raise CursorConflict(
            f"Another run has moved the cursor of {state.utm_source!r}.", channel=state.utm_source
        ) from error
