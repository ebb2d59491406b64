"""A media file on its way to disk, wherever it comes from: capped, timed, hashed, and looked at."""

from __future__ import annotations

import errno
import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.errors import (
    MediaDimensions,
    MediaTooLarge,
    MediaTooLong,
    MediaTypeRejected,
)
from chalicelib.fetching import capped, head_of
from chalicelib.media import (
    ACCEPTED,
    MAX_IMAGE_BYTES,
    MAX_IMAGE_PIXELS,
    MAX_VIDEO_SIDE,
    MIN_IMAGE_SIDE,
    WANTED,
    Kind,
)
from chalicelib.sniff import SNIFF_BYTES, sniff
from container.probe import Shape, probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A whole file on disk, within all limits. `file_name` is what its origin calls it; `path` has a name of
    our own. What the file does not tell of its shape is None.
    """

    path: Path
    kind: Kind
    media_type: str
    size: int
    sha256: str
    file_name: str
    duration_ms: int | None = None
    width: int | None = None
    height: int | None = None

    def __str__(self) -> str:
        told = [f"{self.size} bytes of {self.media_type}"]
        if self.width is not None:
            told.append(f"{self.width} x {self.height}")
        if self.duration_ms is not None:
            told.append(f"{self.duration_ms / 1000:.1f} s")
        return ", ".join(told)


@dataclass(frozen=True, slots=True)
class Limits:
    """`deadline` says how many seconds are left, again and again; `progress` hears (bytes so far, bytes in all
    or None). `max_bytes` is the cap on a video; a picture has a lower one besides.
    """

    max_bytes: int
    max_seconds: int
    deadline: Callable[[], float]
    progress: Callable[[int, int | None], None] | None = None

    def bytes_of(self, kind: Kind) -> int:
        return min(self.max_bytes, MAX_IMAGE_BYTES) if kind == "image" else self.max_bytes


def keep(
    pieces: Iterator[bytes],
    total: int | None,
    kind: Kind,
    directory: Path,
    limits: Limits,
    *,
    source: str,
    file_name: str,
) -> MediaFile:
    """Writes what arrives into `directory` and says what it is. `total` is the length that was announced;
    `source` is how errors call where it comes from.

    Raises MediaUnreachable (broken off, too slow), MediaTooLarge, MediaTypeRejected, MediaDamaged,
    MediaTooLong, MediaDimensions. Nothing is left on disk then.
    """
    chunks = capped(
        pieces, total, limits.bytes_of(kind), limits.deadline, source=source, progress=limits.progress
    )
    head = head_of(chunks, SNIFF_BYTES)
    found = sniff(head)
    if found not in ACCEPTED[kind]:
        raise MediaTypeRejected(f"{source} is {found}, not {WANTED[kind]}.")
    path = directory / f"{kind}{ACCEPTED[kind][found]}"
    digest = hashlib.sha256()
    size = 0
    try:
        with path.open("xb") as file:
            for chunk in itertools.chain((head,), chunks):
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        shape = probe(path, found)
        check_shape(shape, kind, limits.max_seconds)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise MediaTooLarge(f"{source} does not fit on the worker's disk.") from error
        raise
    return MediaFile(
        path, kind, found, size, digest.hexdigest(), file_name, shape.duration_ms, shape.width, shape.height
    )


def check_shape(shape: Shape, kind: Kind, max_seconds: int) -> None:
    """Raises MediaTooLong and MediaDimensions, which name the limit."""
    if shape.duration_ms is not None and shape.duration_ms > max_seconds * 1000:
        raise MediaTooLong(
            f"The video runs for {_clock(shape.duration_ms // 1000)}; the limit is {_clock(max_seconds)}."
        )
    if shape.width is None or shape.height is None:
        return
    width, height = shape.width, shape.height
    if kind == "video" and not (0 < width <= MAX_VIDEO_SIDE and 0 < height <= MAX_VIDEO_SIDE):
        raise MediaDimensions(
            f"The video has {width} x {height} pixels; each side must have 1 to {MAX_VIDEO_SIDE}."
        )
    if kind == "image" and min(width, height) < MIN_IMAGE_SIDE:
        raise MediaDimensions(
            f"The picture has {width} x {height} pixels; each side must have at least {MIN_IMAGE_SIDE}."
        )
    if kind == "image" and width * height > MAX_IMAGE_PIXELS:
        raise MediaDimensions(
            f"The picture has {width} x {height} pixels, more than {MAX_IMAGE_PIXELS // 10**6} million in all."
        )


def _clock(seconds: int) -> str:
    return f"{seconds // 60} min {seconds % 60} s"
