"""One article, from the object of the change log that holds it."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING

from chalicelib.articles.changelog import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.articles.index import Entry
    from chalicelib.articles.store import Store

MAX_VERSION_OBJECTS = 10
"""An object is about 1 MB: ten are read in about a second."""


def newest_row(store: Store, entry: Entry) -> Row | None:
    """The row that `entry` points at; None where its object holds it no longer."""
    if entry.object is None:
        return None
    rows = _rows_of(store, entry.object, entry.group_id)
    return next((row for row in rows if (row.seq, row.pos) == (entry.seq, entry.pos)), None)


def versions(store: Store, entry: Entry) -> list[Row]:
    """The rows with content of the article, the newest first, from the last MAX_VERSION_OBJECTS objects."""
    # Keys of one kind end with the date and the sequence number, so their ends sort by age.
    keys = sorted(entry.objects, key=lambda key: key.partition("/dt=")[2], reverse=True)
    rows = [row for key in keys[:MAX_VERSION_OBJECTS] for row in _rows_of(store, key, entry.group_id)]
    with_content = [row for row in rows if row.article is not None]
    return sorted(with_content, key=lambda row: (row.observed_at, row.seq, row.pos), reverse=True)


def _rows_of(store: Store, key: str, group_id: str) -> Iterator[Row]:
    found = store.get(key)
    if found is None:
        return
    # `group_id` is the first member of a row: the other rows need not be parsed.
    start = f'{{"group_id":{json.dumps(group_id)},'.encode()
    with gzip.GzipFile(fileobj=io.BytesIO(found[0])) as lines:
        for line in lines:
            if line.startswith(start):
                yield Row.from_line(line)
