"""What the site must know of a video file: that it is an MP4, and how long it runs."""

import struct
from pathlib import Path
from typing import BinaryIO


class NotMp4Error(ValueError):
    """The file is no MP4 this site can play."""


def duration_ms(path: Path) -> int:
    """Length of the movie from ``moov/mvhd``; an ``ftyp`` box must open the file."""
    with path.open("rb") as file:
        size = path.stat().st_size
        kinds: list[bytes] = []
        found: int | None = None
        for kind, start, end in _boxes(file, 0, size):
            kinds.append(kind)
            if kind == b"moov":
                found = _movie_duration(file, start, end)
        if not kinds or kinds[0] != b"ftyp":
            raise NotMp4Error("no ftyp box")
        if found is None:
            raise NotMp4Error("no moov box with an mvhd in it")
        return found


def _movie_duration(file: BinaryIO, start: int, end: int) -> int | None:
    for kind, body, _ in _boxes(file, start, end):
        if kind != b"mvhd":
            continue
        file.seek(body)
        header = file.read(32)
        try:
            if header[:1] == b"\x01":
                scale, length = struct.unpack(">IQ", header[20:32])
            else:
                scale, length = struct.unpack(">II", header[12:20])
        except struct.error:
            return None
        return round(length * 1000 / scale) if scale else None
    return None


def _boxes(file: BinaryIO, start: int, end: int) -> list[tuple[bytes, int, int]]:
    """(kind, first byte of the content, end) of each box between two offsets."""
    boxes = []
    at = start
    while at + 8 <= end:
        file.seek(at)
        header = file.read(16)
        size = int.from_bytes(header[:4], "big")
        head = 8
        if size == 1:
            size, head = int.from_bytes(header[8:16], "big"), 16
        elif size == 0:
            size = end - at
        if size < head or at + size > end:
            raise NotMp4Error("a box runs over the end of the file")
        boxes.append((header[4:8], at + head, at + size))
        at += size
    return boxes
