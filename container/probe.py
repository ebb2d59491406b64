"""What a media file says of itself, and whether it is whole: read from its own structure, nothing is decoded.

The files are strangers': every length in them may lie. Boxes and chunks are walked by their headers, so memory
does not grow with the file, and only so many are looked at, so neither does time.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from chalicelib.errors import MediaDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# An hour in fragments of a tenth of a second has 72,000 boxes.
_MAX_BOXES = 100_000
_MAX_SEGMENTS = 10_000


@dataclass(frozen=True, slots=True)
class Shape:
    """None is what the file does not tell, or what is not looked for in files of its type."""

    duration_ms: int | None = None
    width: int | None = None
    height: int | None = None


def probe(path: Path, media_type: str) -> Shape:
    """The shape of a file of one of the accepted types. MediaDamaged where it is broken or lacks the essential.

    WebM, Matroska, FLV and AVI are taken as they are: the platform looks at them itself.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        match media_type:
            case "video/mp4" | "video/quicktime":
                return _Movie(file, size).shape()
            case "image/png":
                return _png(file, size)
            case "image/jpeg":
                return _jpeg(file, size)
            case "image/webp":
                return _webp(file, size)
    return Shape()


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int  # of the content
    end: int


class _Movie:
    """An ISO base media file (ISO/IEC 14496-12) or the QuickTime file that it descends from."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._left = _MAX_BOXES

    def shape(self) -> Shape:
        top = list(self._boxes(_Box(b"file", 0, self._size)))
        moov = next((box for box in top if box.kind == b"moov"), None)
        if moov is None:
            raise MediaDamaged("The video has no index (moov): it was cut off, or never finished.")
        if not any(box.kind == b"mdat" for box in top):
            raise MediaDamaged("The video has an index but no content (mdat).")
        inside = list(self._boxes(moov))
        track = next((track for track in inside if track.kind == b"trak" and self._shows_pictures(track)), None)
        if track is None:
            raise MediaDamaged("The file has no video track.")
        width, height = self._dimensions(track)
        return Shape(self._duration_ms(inside), width, height)

    def _boxes(self, parent: _Box) -> Iterator[_Box]:
        """The boxes in a box. MediaDamaged where one of them reaches beyond it."""
        at = parent.start
        while parent.end - at >= 8:
            self._left -= 1
            if self._left < 0:
                raise MediaDamaged(f"The video has more than {_MAX_BOXES} parts.")
            header = self._read(at, 16)
            size, kind, start = int.from_bytes(header[:4], "big"), header[4:8], at + 8
            if size == 1:
                size, start = int.from_bytes(header[8:16], "big"), at + 16
            elif size == 0:
                if kind == b"\0\0\0\0":  # QuickTime ends a list with a zero.
                    return
                size = parent.end - at
            end = at + size
            if not start <= end <= parent.end:
                name = kind.decode("latin-1") if kind.isalnum() else "unnamed"
                raise MediaDamaged(f"The video breaks off or is damaged: its part {name!r} is not whole.")
            yield _Box(kind, start, end)
            at = end

    def _child(self, parent: _Box, *path: bytes) -> _Box | None:
        box: _Box | None = parent
        for kind in path:
            if box is None:
                return None
            box = next((child for child in self._boxes(box) if child.kind == kind), None)
        return box

    def _shows_pictures(self, track: _Box) -> bool:
        handler = self._child(track, b"mdia", b"hdlr")
        samples = self._child(track, b"mdia", b"minf", b"stbl", b"stsd")
        return handler is not None and samples is not None and self._content(handler, 12)[8:12] == b"vide"

    def _dimensions(self, track: _Box) -> tuple[int, int]:
        """As shown: a phone's upright video is stored lying, with a matrix that turns it."""
        header = self._child(track, b"tkhd")
        content = self._content(header, 96) if header else b""
        start = 52 if content[:1] == b"\x01" else 40
        if len(content) < start + 44:
            raise MediaDamaged("The video's track has no proper header (tkhd).")
        matrix = struct.unpack(">9i", content[start : start + 36])
        width, height = (side >> 16 for side in struct.unpack(">II", content[start + 36 : start + 44]))
        turned = matrix[0] == 0 and matrix[4] == 0 and matrix[1] != 0
        return (height, width) if turned else (width, height)

    def _duration_ms(self, moov: list[_Box]) -> int | None:
        """None for a fragmented file that keeps it to itself."""
        header = next((box for box in moov if box.kind == b"mvhd"), None)
        content = self._content(header, 32) if header else b""
        wide = content[:1] == b"\x01"
        if len(content) < (32 if wide else 20):
            raise MediaDamaged("The video's index has no proper header (mvhd).")
        scale, length = struct.unpack(">IQ", content[20:32]) if wide else struct.unpack(">II", content[12:20])
        if scale == 0:
            raise MediaDamaged("The video's index has a time scale of zero.")
        extends = next((box for box in moov if box.kind == b"mvex"), None)
        if extends is not None and length == 0:
            fragments = self._child(extends, b"mehd")
            content = self._content(fragments, 12) if fragments else b""
            length = int.from_bytes(content[4 : 12 if content[:1] == b"\x01" else 8], "big")
            if length == 0:
                return None
        if length == 0 or length == (2**64 - 1 if wide else 2**32 - 1):
            raise MediaDamaged("The video does not say how long it runs, or runs for no time at all.")
        return round(int(length) * 1000 / int(scale))

    def _content(self, box: _Box, most: int) -> bytes:
        return self._read(box.start, min(most, box.end - box.start))

    def _read(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        return self._file.read(count)


def _png(file: BinaryIO, size: int) -> Shape:
    file.seek(8)
    first = file.read(16)
    if len(first) < 16 or first[4:8] != b"IHDR":
        raise MediaDamaged("The PNG has no header.")
    at, chunks = 8, 0
    while at + 12 <= size and chunks < _MAX_SEGMENTS:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        at, chunks = at + 12 + length, chunks + 1
        if kind == b"IEND" and at <= size:
            width, height = struct.unpack(">II", first[8:16])
            return Shape(None, width, height)
    raise MediaDamaged("The PNG breaks off before its end.")


def _jpeg(file: BinaryIO, size: int) -> Shape:
    """Markers are at B.1.1 of ITU-T T.81."""
    at, found = 2, None
    for _ in range(_MAX_SEGMENTS):
        file.seek(at)
        header = file.read(9)
        if len(header) < 4 or header[0] != 0xFF:
            break
        marker = header[1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == 0xDA:
            if found is None or not _ends(file, at):
                break
            return found
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(header) == 9:
            height, width = struct.unpack(">HH", header[5:9])
            found = Shape(None, width, height)
        at += 2 + max(2, int.from_bytes(header[2:4], "big"))
        if at > size:
            break
    raise MediaDamaged("The JPEG breaks off before its end, or is damaged.")


def _ends(file: BinaryIO, at: int) -> bool:
    """Whether an end-of-image marker follows; phones append whole videos to it."""
    file.seek(at)
    last = b""
    while piece := file.read(1 << 20):
        if b"\xff\xd9" in last + piece:
            return True
        last = piece[-1:]
    return False


def _webp(file: BinaryIO, size: int) -> Shape:
    """RFC 9649, section 2."""
    file.seek(0)
    head = file.read(30)
    if len(head) < 30 or int.from_bytes(head[4:8], "little") + 8 > size:
        raise MediaDamaged("The WebP breaks off before its end.")
    match head[12:16]:
        case b"VP8X":
            sides = int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            sides = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            sides = (
                int.from_bytes(head[26:28], "little") & 0x3FFF,
                int.from_bytes(head[28:30], "little") & 0x3FFF,
            )
        case _:
            raise MediaDamaged("The WebP holds no picture.")
    return Shape(None, *sides)
