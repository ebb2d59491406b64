"""Copies the articles' media into the bucket, while their signed links are valid.

The mirror walks the change log behind the scan, from a position of its own: nothing of the sync waits for it,
it needs none of the sync's keys, and one that is switched on later begins with the first row. It can be killed
anywhere, because of the order in which it writes: the copy, the article's manifest, its index entry, its own
position. What is done again is found in the manifest and left out (docs/decisions/090).
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.articles.changelog import parse_day, parse_span
from chalicelib.articles.lookup import newest_row
from chalicelib.articles.media import (
    Copy,
    Medium,
    copy_key,
    load_manifest,
    manifest_key,
    media_of,
    save_manifest,
    withdraw_media,
)
from chalicelib.articles.mirror_state import WHOLE, MirrorState, load_mirror, save_mirror
from chalicelib.articles.reader import channel_logs, iter_objects, version
from chalicelib.clock import Clock, to_rfc3339, utc_now
from chalicelib.errors import CloudFailed, MediaError, MediaTypeRejected, PublisherError
from chalicelib.fetching import capped, fetching, head_of
from chalicelib.media import ACCEPTED, WANTED
from chalicelib.sniff import SNIFF_BYTES, sniff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chalicelib.articles.changelog import Row
    from chalicelib.articles.index import ArticleIndex, Entry
    from chalicelib.articles.mirror_state import Position
    from chalicelib.articles.reader import Log
    from chalicelib.articles.store import Store
    from chalicelib.media import Kind
    from chalicelib.settings import MirrorMode

logger = logging.getLogger(__name__)

FETCH_SECONDS: Final = 600.0
"""What one file may take."""
RESERVE_SECONDS: Final = 30.0
"""Kept back from a run's time for uploading what has arrived, and for the records."""
RETRY_AFTER: Final = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1))

_CONNECTIONS = 4
_ROWS_A_BATCH = 16
_MAX_RETRIES_KEPT = 1_000
# Beside what can be published: formats that image services choose by themselves.
_TYPES: Final[dict[Kind, dict[str, str]]] = {
    "video": ACCEPTED["video"],
    "image": {**ACCEPTED["image"], "image/gif": ".gif", "image/avif": ".avif", "image/heic": ".heic"},
}

Outcome = Literal["done", "retry", "unfinished"]


def run_mirror(
    channel: str,
    mode: MirrorMode,
    store: Store,
    index: ArticleIndex,
    *,
    deadline: Callable[[], float],
    max_bytes: int,
    allow_loopback: frozenset[str] = frozenset(),
    clock: Clock = utc_now,
) -> MirrorState:
    """Goes on from the channel's position to the end of its logs, or as far as the time allows.

    `deadline` returns the seconds left. No file of more than `max_bytes` is copied; four are on disk at a time.
    A file that could not be had for a reason that may pass is tried three times more, over a day.

    Raises CursorConflict if another run mirrors the channel, and botocore's errors.
    """
    with tempfile.TemporaryDirectory(prefix="mirror-") as directory:
        copier = _Copier(
            channel,
            mode,
            store,
            index,
            directory=Path(directory),
            deadline=deadline,
            max_bytes=max_bytes,
            allow_loopback=allow_loopback,
            clock=clock,
        )
        return _Mirror(channel, store, index, copier, deadline, clock).run()


def run_mirrors(
    modes: Mapping[str, MirrorMode],
    store: Store,
    index: ArticleIndex,
    *,
    deadline: Callable[[], float],
    max_bytes: int,
    allow_loopback: frozenset[str] = frozenset(),
    clock: Clock = utc_now,
) -> dict[str, str]:
    """Mirrors each channel that wants it, the one that was served longest ago first; how each run ended:
    `succeeded`, or an error's code. One that fails keeps no other from its turn.
    """
    wanting = [channel for channel, mode in modes.items() if mode != "none"]
    if len(wanting) > 1:
        wanting.sort(key=lambda channel: load_mirror(store, channel)[0].last_run_at or "")
    outcomes = {}
    for channel in wanting:
        try:
            run_mirror(
                channel,
                modes[channel],
                store,
                index,
                deadline=deadline,
                max_bytes=max_bytes,
                allow_loopback=allow_loopback,
                clock=clock,
            )
            outcomes[channel] = "succeeded"
        except PublisherError as error:
            logger.exception("a mirror failed", extra={"channel": channel})
            outcomes[channel] = error.code
        except (ClientError, BotoCoreError, S3UploadFailedError):
            logger.exception("a mirror failed", extra={"channel": channel})
            outcomes[channel] = CloudFailed.code
    return outcomes


class _Mirror:
    """One run: which articles come next, and how far it has come."""

    def __init__(
        self,
        channel: str,
        store: Store,
        index: ArticleIndex,
        copier: _Copier,
        deadline: Callable[[], float],
        clock: Clock,
    ) -> None:
        self._channel = channel
        self._store = store
        self._index = index
        self._copier = copier
        self._deadline = deadline
        self._clock = clock
        self._state, self._etag = load_mirror(store, channel)

    def run(self) -> MirrorState:
        with ThreadPoolExecutor(_CONNECTIONS, "mirror") as pool:
            caught_up = self._retry(pool) and self._walk(pool)
        self._state = replace(self._state, caught_up=caught_up, last_run_at=to_rfc3339(self._clock()))
        self._save()
        logger.info(
            "the media were copied so far",
            extra={
                "channel": self._channel,
                "copied": self._state.copied,
                "bytes": self._state.bytes,
                "failed": self._state.failed,
                "waiting": len(self._state.retries),
                "caught_up": caught_up,
            },
        )
        return self._state

    def _retry(self, pool: ThreadPoolExecutor) -> bool:
        now = to_rfc3339(self._clock())
        due = [group_id for group_id, (_, not_before) in self._state.retries.items() if not_before <= now]
        for batch in _batches(due):
            entries = [self._index.get(self._channel, group_id) for group_id in batch]
            rows = [newest_row(self._store, entry) for entry in entries if entry is not None]
            if not self._take(pool, [row for row in rows if row is not None]):
                return False
            # What there is no row of any more needs no copy.
            gone = set(batch) - {row.group_id for row in rows if row is not None}
            kept = {group_id: kept for group_id, kept in self._state.retries.items() if group_id not in gone}
            self._state = replace(self._state, retries=kept)
            self._save()
        return True

    def _walk(self, pool: ThreadPoolExecutor) -> bool:
        for log in channel_logs(self._store, self._channel, besides=self._state.finished):
            if not self._walk_log(pool, log):
                return False
            if log.complete:
                self._state = replace(self._state, finished=self._state.finished | {log.name})
        return True

    def _walk_log(self, pool: ThreadPoolExecutor, log: Log) -> bool:
        seq, pos, since = self._state.positions.get(log.name, (0, -1, ""))
        if (seq + 1, WHOLE) == (log.end, pos):
            return True
        for found in iter_objects(self._store, log, start=seq, since=since):
            day, (_, last) = parse_day(found.key), parse_span(found.key)
            for chunk in found.chunks():
                for batch in _batches([row for row in chunk if (row.seq, row.pos) > (seq, pos)]):
                    if not self._take(pool, batch):
                        return False
                    self._reached(log.name, (batch[-1].seq, batch[-1].pos, day))
            self._reached(log.name, (last, WHOLE, day))
        return True

    def _reached(self, log: str, position: Position) -> None:
        if position != self._state.positions.get(log):
            self._state = replace(self._state, positions={**self._state.positions, log: position})
            self._save()

    def _take(self, pool: ThreadPoolExecutor, rows: Sequence[Row]) -> bool:
        """Copies what the rows name; False where the time did not suffice and they are to be taken again."""
        if self._deadline() <= RESERVE_SECONDS:
            return False
        results = list(pool.map(self._copier.copy, rows))
        retries = dict(self._state.retries)
        for row, result in zip(rows, results, strict=True):
            attempts, _ = retries.pop(row.group_id, (0, ""))
            if result.outcome == "retry" and attempts < len(RETRY_AFTER):
                not_before = to_rfc3339(self._clock() + RETRY_AFTER[attempts])
                retries[row.group_id] = (attempts + 1, not_before)
        while len(retries) > _MAX_RETRIES_KEPT:
            given_up = {"channel": self._channel, "group_id": retries.popitem()[0]}
            logger.error("an article's media are given up: too many fail", extra=given_up)
        self._state = replace(
            self._state,
            retries=retries,
            copied=self._state.copied + sum(result.copied for result in results),
            failed=self._state.failed + sum(result.failed for result in results),
            bytes=self._state.bytes + sum(result.bytes for result in results),
        )
        return all(result.outcome != "unfinished" for result in results)

    def _save(self) -> None:
        self._etag = save_mirror(self._store, self._channel, self._state, self._etag)


@dataclass(frozen=True, slots=True)
class _Result:
    outcome: Outcome = "done"
    copied: int = 0
    failed: int = 0
    bytes: int = 0


class _Copier:
    """Copies one article's media. Used by several threads."""

    def __init__(
        self,
        channel: str,
        mode: MirrorMode,
        store: Store,
        index: ArticleIndex,
        *,
        directory: Path,
        deadline: Callable[[], float],
        max_bytes: int,
        allow_loopback: frozenset[str],
        clock: Clock,
    ) -> None:
        self._channel = channel
        self._mode = mode
        self._store = store
        self._index = index
        self._directory = directory
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._allow_loopback = allow_loopback
        self._clock = clock
        self._numbers = itertools.count()

    def copy(self, row: Row) -> _Result:
        media = media_of(row.article or {}, self._mode, self._max_bytes)
        if not media and row.op != "takedown":
            return _Result()
        entry = self._index.get(self._channel, row.group_id)
        if entry is None or entry.observed_at is None:
            return _Result("unfinished")  # It is committed, and about to be indexed.
        if entry.op == "takedown":
            # The purge has been here; a mirror that was killed may have come after it.
            withdraw_media(self._store, self._channel, row.group_id)
            return _Result()
        if entry.op != "upsert" or _is_newer(entry, row):
            return _Result()  # Its newer row comes later.
        known = {copy.identity: copy for copy in load_manifest(self._store, self._channel, row.group_id)}
        missing = [medium for medium in media if not _is_copied(known.get(medium.identity))]
        result = _Result()
        for medium in missing:
            result, made = self._try(row, medium, result)
            if made is None:
                break
            known[medium.identity] = made
        copies = list(known.values())
        # A run that was killed may have left the index behind the manifest.
        if copies and (missing or entry.media != self._told(row.group_id, copies)):
            self._record(row.group_id, copies)
        return result

    def _try(self, row: Row, medium: Medium, result: _Result) -> tuple[_Result, Copy | None]:
        """What became of the medium; None where the run's time is over first."""
        if self._deadline() <= RESERVE_SECONDS:
            return replace(result, outcome="unfinished"), None
        try:
            made = self._fetch(row, medium)
        except MediaError as error:
            if self._deadline() <= RESERVE_SECONDS:
                return replace(result, outcome="unfinished"), None
            failed = {"channel": self._channel, "group_id": row.group_id, "code": error.code}
            logger.warning("a medium could not be copied", extra=failed)
            outcome: Outcome = "retry" if error.retryable else result.outcome
            made = replace(_copy(row, medium, "failed"), error_code=error.code, error=error.detail)
            return replace(result, outcome=outcome, failed=result.failed + 1), made
        return replace(result, copied=result.copied + 1, bytes=result.bytes + (made.size or 0)), made

    def _record(self, group_id: str, copies: list[Copy]) -> None:
        save_manifest(self._store, self._channel, group_id, copies)
        if not self._index.mirrored(self._channel, group_id, self._told(group_id, copies)):
            # Withdrawn meanwhile, perhaps after the purge had looked.
            withdraw_media(self._store, self._channel, group_id)

    def _told(self, group_id: str, copies: list[Copy]) -> dict[str, Any]:
        """What the index tells of the copies."""
        copied = sum(_is_copied(copy) for copy in copies)
        key = manifest_key(self._store, self._channel, group_id)
        return {"manifest": key, "copied": copied, "failed": len(copies) - copied}

    def _fetch(self, row: Row, medium: Medium) -> Copy:
        left = min(FETCH_SECONDS, self._deadline() - RESERVE_SECONDS)
        over = self._deadline() - left
        path = self._directory / str(next(self._numbers))
        digest = hashlib.sha256()
        size = 0

        def time_left() -> float:
            return self._deadline() - over

        try:
            with fetching(medium.url, time_left, allow_loopback=self._allow_loopback) as arriving:
                source = arriving.source
                pieces = capped(arriving.pieces, arriving.length, self._max_bytes, time_left, source=source)
                head = head_of(pieces, SNIFF_BYTES)
                media_type = sniff(head)
                if media_type not in _TYPES[medium.kind]:
                    raise MediaTypeRejected(f"{source} is {media_type}, not {WANTED[medium.kind]}.")
                with path.open("xb") as file:
                    for piece in itertools.chain((head,), pieces):
                        file.write(piece)
                        digest.update(piece)
                        size += len(piece)
            key = copy_key(self._store, self._channel, row.group_id, medium, _TYPES[medium.kind][media_type])
            self._store.put_file(key, path, content_type=media_type)
        finally:
            path.unlink(missing_ok=True)
        return replace(
            _copy(row, medium, "copied"),
            source=source,
            key=key,
            media_type=media_type,
            size=size,
            sha256=digest.hexdigest(),
            copied_at=to_rfc3339(self._clock()),
        )


def _copy(row: Row, medium: Medium, status: Literal["copied", "failed"]) -> Copy:
    return Copy(
        kind=medium.kind,
        identity=medium.identity,
        source=medium.url.partition("?")[0],
        status=status,
        observed_at=row.observed_at,
        width=medium.width,
        height=medium.height,
        definition=medium.definition,
    )


def _is_copied(copy: Copy | None) -> bool:
    return copy is not None and copy.status == "copied"


def _is_newer(entry: Entry, row: Row) -> bool:
    return (entry.observed_at or "", entry.seq or 0, entry.pos or 0) > version(row)


def _batches(items: Sequence[Any]) -> list[Any]:
    return [items[start : start + _ROWS_A_BATCH] for start in range(0, len(items), _ROWS_A_BATCH)]
