"""A task's media, from wherever its URL leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.fetching import fetching
from container.media_file import Limits, MediaFile, keep

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.media import Kind


def fetch_media(
    url: str, kind: Kind, directory: Path, limits: Limits, *, allow_loopback: frozenset[str] = frozenset()
) -> MediaFile:
    """Downloads `url` into `directory` and says what came. Blocks; run it in a thread.

    `allow_loopback` as in `fetching`. Raises what `fetching` raises, and what `keep` raises of the file itself.
    Nothing is left on disk then.
    """
    with fetching(url, limits.deadline, allow_loopback=allow_loopback) as arriving:
        return keep(
            arriving.pieces,
            arriving.length,
            kind,
            directory,
            limits,
            source=arriving.source,
            file_name=arriving.file_name,
        )
