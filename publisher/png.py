"""Reads a PNG into light and dark, with the standard library alone.

What login pages make of a QR code: any colour type and bit depth of the specification (ISO/IEC 15948), not
interlaced.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
MAX_PIXELS = 4_000_000


class UnreadablePicture(ValueError):
    """Not a PNG, damaged, or of a kind that is not read here."""


@dataclass(frozen=True, slots=True)
class Picture:
    """`luma` has a byte a pixel, row after row, from black to white; what is transparent lies on white."""

    width: int
    height: int
    luma: bytes

    def dark(self) -> list[bytes]:
        """Rows of 1 where a pixel is nearer to the darkest than to the lightest, of 0 elsewhere."""
        middle = (min(self.luma) + max(self.luma)) / 2
        marks = bytes(value < middle for value in range(256))
        table = self.luma.translate(marks)
        return [table[at : at + self.width] for at in range(0, len(table), self.width)]


def read_png(data: bytes) -> Picture:
    """Raises UnreadablePicture."""
    try:
        return _read(data)
    except (struct.error, zlib.error, IndexError) as error:
        raise UnreadablePicture("The picture is damaged.") from error


def _read(data: bytes) -> Picture:
    if not data.startswith(_SIGNATURE):
        raise UnreadablePicture("The picture is no PNG.")
    chunks = _chunks(data)
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    if colour not in _CHANNELS or interlaced or not 0 < width * height <= MAX_PIXELS:
        raise UnreadablePicture("The picture is interlaced, too large, or of a kind that is not known.")
    channels = _CHANNELS[colour]
    length = (width * channels * depth + 7) // 8
    unpacked = zlib.decompressobj().decompress(chunks[b"IDAT"], (length + 1) * height)
    if len(unpacked) < (length + 1) * height:
        raise UnreadablePicture("The picture is cut off.")
    rows = _unfiltered(unpacked, length, height, max(1, channels * depth // 8))
    lumas = _lumas(colour, depth, chunks)
    return Picture(width, height, b"".join(lumas(_samples(row, depth, width * channels)) for row in rows))


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """By type; those of the same type joined."""
    found: dict[bytes, bytes] = {}
    at = len(_SIGNATURE)
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        found[kind] = found.get(kind, b"") + data[at + 8 : at + 8 + length]
        at += length + 12
    if b"IHDR" not in found or b"IDAT" not in found:
        raise UnreadablePicture("The picture is cut off.")
    return found


def _unfiltered(data: bytes, length: int, height: int, step: int) -> Iterator[bytes]:
    """Rows as they were before the filters of chapter 9; `step` is how many bytes a whole pixel takes."""
    above = bytearray(length)
    for number in range(height):
        start = number * (length + 1)
        row = bytearray(data[start + 1 : start + 1 + length])
        kind = data[start]
        if kind > 4:
            raise UnreadablePicture("The picture is damaged.")
        for at in range(length if kind else 0):
            left = row[at - step] if at >= step else 0
            corner = above[at - step] if at >= step else 0
            row[at] = (row[at] + _predicted(kind, left, above[at], corner)) & 0xFF
        yield bytes(row)
        above = row


def _predicted(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 1:
        return left
    if kind == 2:
        return up
    if kind == 3:
        return (left + up) // 2
    return min((left, up, corner), key=lambda value: abs(left + up - corner - value))


def _samples(row: bytes, depth: int, count: int) -> bytes:
    """The first 8 bits of each sample; those that have fewer, as they are."""
    if depth == 8:
        return row
    if depth == 16:
        return row[::2]
    mask = (1 << depth) - 1
    parts = range(8 - depth, -1, -depth)
    return bytes(byte >> shift & mask for byte in row for shift in parts)[:count]


def _lumas(colour: int, depth: int, chunks: dict[bytes, bytes]) -> Callable[[bytes], bytes]:
    """What makes a row of samples a row of lumas."""
    if colour == 3:
        palette = _palette(chunks)
        return lambda row: bytes(palette[index] for index in row)
    if colour == 0:
        most = (1 << min(depth, 8)) - 1
        return lambda row: bytes(value * 255 // most for value in row)
    if colour == 4:
        return lambda row: bytes(map(_on_white, row[::2], row[1::2]))
    if colour == 2:
        return lambda row: bytes(map(_luma, row[::3], row[1::3], row[2::3]))
    return lambda row: bytes(map(_on_white, map(_luma, row[::4], row[1::4], row[2::4]), row[3::4]))


def _palette(chunks: dict[bytes, bytes]) -> bytes:
    colours = chunks.get(b"PLTE", b"")
    alphas = chunks.get(b"tRNS", b"").ljust(len(colours) // 3, b"\xff")
    return bytes(map(_on_white, map(_luma, colours[::3], colours[1::3], colours[2::3]), alphas))


def _luma(red: int, green: int, blue: int) -> int:
    return (red * 299 + green * 587 + blue * 114) // 1000


def _on_white(luma: int, alpha: int) -> int:
    return 255 - (255 - luma) * alpha // 255
