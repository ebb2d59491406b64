"""Takes withdrawn content out of objects that are already in a log: the one thing that ever rewrites them."""

from __future__ import annotations

import gzip
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chalicelib.articles.changelog import Row, open_object
from chalicelib.articles.store import PreconditionFailed
from chalicelib.errors import CursorConflict

if TYPE_CHECKING:
    from collections.abc import Collection

    from chalicelib.articles.store import Store

WITHDRAWN: Final = 500009
"""The service's MissReason of an article that was taken down everywhere for compliance."""

_ATTEMPTS = 3


def purge_object(store: Store, key: str, group_ids: Collection[str]) -> bool:
    """Makes the articles' rows in the log's object takedowns without content; whether there were any.

    Each row keeps its place, time and origin, so that nothing that points into the object moves; the object
    keeps its metadata. Safe to repeat. An object that is gone holds nothing.

    Raises CursorConflict if others keep rewriting the object, and botocore's errors.
    """
    for _ in range(_ATTEMPTS):
        found = store.get_with_metadata(key)
        if found is None:
            return False
        content, etag, metadata = found
        purged = _purged(content, group_ids)
        if purged is None:
            return False
        try:
            store.put_if(key, purged, etag=etag, content_type="application/gzip", metadata=metadata)
        except PreconditionFailed:
            continue
        return True
    raise CursorConflict(f"{key} is being rewritten by somebody else.")


def _purged(content: bytes, group_ids: Collection[str]) -> bytes | None:
    """The object without the articles' content; None where it holds none of it."""
    marks = [group_id.encode() for group_id in group_ids]
    buffer = io.BytesIO()
    changed = False
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as lines, open_object(buffer) as output:
        for line in lines:
            if any(mark in line for mark in marks):
                row = Row.from_line(line)
                if row.group_id in group_ids and row.article is not None:
                    changed = True
                    output.write(
                        replace(
                            row, op="takedown", miss_reason=WITHDRAWN, content_sha256=None, article=None
                        ).to_line()
                    )
                    continue
            output.write(line)
    return buffer.getvalue() if changed else None
