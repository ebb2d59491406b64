"""One article, from the object of the change log that holds it."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING

from chalicelib.articles.changelog import Row
from chalicelib.articles.reader import version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.articles.index import Entry
    from chalicelib.articles.store import Store

MAX_VERSION_OBJECTS = 5
"""An object is about 1 MB, a day's compacted one 16: it is searched in less than a second."""


def newest_row(store: Store, entry: Entry) -> Row | None:
    """The row that `entry` points at; None where its object holds it no longer."""
    if entry.object is None:
        return None
    rows = _rows_of(store, entry.object, entry.group_id)
    return next((row for row in rows if (row.seq, row.pos) == (entry.seq, entry.pos)), None)


def versions(store: Store, entry: Entry) -> list[Row]:
    """The rows with content of the article, the newest first, from the last MAX_VERSION_OBJECTS objects."""
    # Keys end with the date and the sequence number, so their ends sort by age.
    keys = sorted(entry.objects, key=lambda key: key.partition("/dt=")[2], reverse=True)
    rows: dict[tuple[str, int, int], Row] = {}
    searched = 0
    for key in keys:
        found = list(_rows_of(store, key, entry.group_id))
        # A compacted object holds the rows of others, which may be gone by now.
        rows |= {version(row): row for row in found if row.article is not None}
        searched += bool(found)
        if searched == MAX_VERSION_OBJECTS:
            break
    return [rows[at] for at in sorted(rows, reverse=True)]


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
