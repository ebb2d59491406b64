"""What was synced to the one channel, in order, and in what state it is: the stand-in's truth, kept on disk."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from local.processes import replace_file
from local.standins.volcengine.content import Content
from local.standins.volcengine.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

WINDOW = timedelta(days=14)
"""How far back a scan reaches."""
DEFAULT_RESULTS = 10
MAX_RESULTS = 30

# The service's tokens look like seconds << 20 | n, so an article's token tells when it was synced. Tokens are
# some apart, so that an empty page has somewhere to move on to.
_SECOND_BITS = 20
_TOKEN_STEP = 64
FIRST_ARTICLES_SPAN = timedelta(days=13)
"""Over how long the first articles were synced: all of them are within the window, the oldest not for long."""

State = Literal["available", "unavailable", "takedown"]
_MISS_REASONS: dict[State, int] = {"unavailable": 500008, "takedown": 500009}
_NOT_SYNCED = 500001


@dataclass(slots=True)
class Entry:
    """One synced article. `token` is its place in the scan; `title` replaces the one that was made for it."""

    number: int
    token: int
    state: State = "available"
    revision: int = 0
    title: str | None = None

    @property
    def synced_at(self) -> int:
        """Seconds since the epoch."""
        return self.token >> _SECOND_BITS


class Catalogue:
    """The channel's articles.

    The first time there are `count`, synced evenly over the `span` before `now`. After that `directory` holds
    them, and wins.
    """

    def __init__(
        self,
        directory: Path,
        *,
        utm_source: str,
        count: int,
        now: datetime,
        span: timedelta = FIRST_ARTICLES_SPAN,
        seed: str = "2026",
        media_origin: str | None = None,
    ) -> None:
        self.utm_source = utm_source
        self._path = directory / "articles.json"
        self._entries: list[Entry] = []
        self._fetches = 0
        if self._path.exists():
            saved = json.loads(self._path.read_text())
            seed = saved["seed"]
            self._entries = [Entry(**entry) for entry in saved["articles"]]
        self._seed = seed
        self._content = Content(seed, utm_source, media_origin)
        self._by_id = {self._content.group_id(entry.number): entry for entry in self._entries}
        if not self._entries:
            for index in range(count):
                self._append(now - span + span / count * index)
            self._save()

    def add(self, count: int, now: datetime) -> list[str]:
        """Syncs `count` more articles at `now`; their ids."""
        ids = [self._append(now) for _ in range(count)]
        self._save()
        return ids

    def set_state(self, group_id: str, state: State) -> None:
        """Raises KeyError for an unknown id."""
        self._by_id[group_id].state = state
        self._save()

    def change(self, group_id: str, title: str | None = None) -> None:
        """Edits the content, as an author would; `title` may be given. Raises KeyError for an unknown id."""
        entry = self._by_id[group_id]
        entry.revision += 1
        entry.title = title or entry.title
        self._save()

    def truth(self, now: datetime) -> list[dict[str, Any]]:
        """Every article in order of sync; `scannable` says whether a scan from the start lists it now."""
        oldest = self._oldest_token(now)
        return [
            {
                "group_id": self._content.group_id(entry.number),
                "synced_at": datetime.fromtimestamp(entry.synced_at, UTC).isoformat(),
                "state": entry.state,
                "revision": entry.revision,
                "scannable": entry.state == "available" and entry.token >= oldest,
            }
            for entry in self._entries
        ]

    def scan(self, token: object, max_results: object, now: datetime, *, fault: str | None) -> dict[str, Any]:
        """The Result of ScanSyncArticles.

        Decided here, because the reference does not say: a malformed token is an error; a token older than the
        window goes on at its start; withdrawn articles are not listed. `fault` is one of the page kinds.
        """
        sent = token if isinstance(token, str) else ""
        if sent and not (sent.isascii() and sent.isdecimal()):
            raise ApiError("MissingParameter", "NextToken is malformed.")
        limit = 1 if fault == "short_page" else _page_size(max_results)
        position = int(sent) if sent else 0
        first = bisect_right(self._entries, max(position, self._oldest_token(now) - 1), key=_token)
        if fault == "empty_page" and (moved := self._between(position, first)):
            return {"NextToken": moved, "Articles": []}
        if fault == "duplicate_page" and (moved := self._between(position, first)):
            end = bisect_right(self._entries, position, key=_token)
            return {"NextToken": moved, "Articles": self._render(self._available(max(0, end - limit), end))}
        page = list(islice(self._available(first, len(self._entries)), limit))
        moves = page and fault != "stuck"
        return {"NextToken": str(page[-1].token) if moves else sent, "Articles": self._render(page)}

    def mget(self, ids: list[str]) -> dict[str, Any]:
        """The Result of MGetSyncArticles: beyond 30 ids the rest is dropped without a word."""
        found: list[Entry] = []
        missed: dict[str, int] = {}
        for group_id in ids[:MAX_RESULTS]:
            entry = self._by_id.get(group_id)
            if entry is None:
                missed[group_id] = _NOT_SYNCED
            elif entry.state == "available":
                found.append(entry)
            else:
                missed[group_id] = _MISS_REASONS[entry.state]
        articles = {article["GroupId"]: article for article in self._render(found)}
        return {"Articles": articles, "MissReasons": missed}

    def _append(self, at: datetime) -> str:
        token = int(at.timestamp()) << _SECOND_BITS
        if self._entries:
            token = max(token, self._entries[-1].token + _TOKEN_STEP)
        entry = Entry(number=len(self._entries), token=token)
        self._entries.append(entry)
        group_id = self._content.group_id(entry.number)
        self._by_id[group_id] = entry
        return group_id

    def _between(self, position: int, first: int) -> str | None:
        """A token after `position` that skips no article; None where there is no room for one."""
        if first >= len(self._entries):
            return None
        moved = max(position + 1, self._entries[first].token - _TOKEN_STEP // 2)
        return str(moved) if moved < self._entries[first].token else None

    def _available(self, first: int, end: int) -> Iterator[Entry]:
        entries = (self._entries[index] for index in range(first, end))
        return (entry for entry in entries if entry.state == "available")

    def _render(self, entries: Iterable[Entry]) -> list[dict[str, Any]]:
        self._fetches += 1
        return [
            self._content.article(
                entry.number,
                synced_at=entry.synced_at,
                revision=entry.revision,
                fetch=self._fetches,
                title=entry.title,
            )
            for entry in entries
        ]

    def _oldest_token(self, now: datetime) -> int:
        return int((now - WINDOW).timestamp()) << _SECOND_BITS

    def _save(self) -> None:
        saved = {"seed": self._seed, "articles": [asdict(entry) for entry in self._entries]}
        replace_file(self._path, json.dumps(saved).encode())


def _token(entry: Entry) -> int:
    return entry.token


def _page_size(max_results: object) -> int:
    """Absent or illegal values mean ten, says the reference; so does one beyond the maximum."""
    if isinstance(max_results, bool) or not isinstance(max_results, int):
        return DEFAULT_RESULTS
    return max_results if 1 <= max_results <= MAX_RESULTS else DEFAULT_RESULTS
