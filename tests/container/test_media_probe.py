"""What files say of themselves: real ones, ones built box by box, and bytes that mean harm."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.errors import MediaDamaged, MediaDimensions, MediaTooLong
from chalicelib.media import MAX_IMAGE_PIXELS, MAX_VIDEO_SIDE, MIN_IMAGE_SIDE
from container.media_file import check_shape
from container.probe import Shape, probe
from tests.container.support import COVER, VIDEO

if TYPE_CHECKING:
    from pathlib import Path

_MP4 = VIDEO.read_bytes()
_PNG = COVER.read_bytes()
_TURNED = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
_STRAIGHT = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _mvhd(seconds: float, *, scale: int = 600, version: int = 0) -> bytes:
    length = round(seconds * scale)
    times = struct.pack(">QQIQ", 0, 0, scale, length) if version else struct.pack(">IIII", 0, 0, scale, length)
    return _box(b"mvhd", bytes([version, 0, 0, 0]), times, bytes(80))


def _track(
    width: int = 1920,
    height: int = 1080,
    *,
    handler: bytes = b"vide",
    version: int = 0,
    matrix: tuple[int, ...] = _STRAIGHT,
) -> bytes:
    start = bytes([version, 0, 0, 7]) + bytes((52 if version else 40) - 4)
    tkhd = _box(b"tkhd", start, struct.pack(">9iII", *matrix, width << 16, height << 16))
    hdlr = _box(b"hdlr", bytes(8), handler, bytes(12))
    stbl = _box(b"minf", _box(b"stbl", _box(b"stsd", bytes(8))))
    return _box(b"trak", tkhd, _box(b"mdia", hdlr, stbl))


def _movie(*moov: bytes, after: bytes = _box(b"mdat", bytes(100))) -> bytes:
    return _box(b"ftyp", b"isom", bytes(12)) + _box(b"moov", *moov) + after


def _jpeg(width: int, height: int, *, sof: int = 0xC0, end: bytes = b"\xff\xd9") -> bytes:
    frame = struct.pack(">BBHBHHB", 0xFF, sof, 11, 8, height, width, 1) + b"\x01\x11\x00"
    app = b"\xff\xe1" + struct.pack(">H", 12) + b"Exif\0\0\xff\xd8\xff\xd9"
    return (
        b"\xff\xd8" + app + b"\xff" + frame + b"\xff\xda\x00\x08\x01\x01\x00\x00?\x00" + b"\x12\x34" * 20 + end
    )


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")


def _webp(kind: bytes, body: bytes) -> bytes:
    content = b"WEBP" + kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(content)) + content


def _probe(folder: Path, content: bytes, media_type: str = "video/mp4") -> Shape:
    path = folder / "file"
    path.write_bytes(content)
    return probe(path, media_type)


# What whole files say


def test_a_real_video_tells_its_length_and_its_size(tmp_path: Path) -> None:
    assert _probe(tmp_path, _MP4) == Shape(6000, 720, 1280)


def test_a_video_with_its_index_at_the_end_is_as_good(tmp_path: Path) -> None:
    content = (
        _box(b"ftyp", b"qt  ", bytes(8)) + _box(b"mdat", bytes(500)) + _box(b"moov", _mvhd(61.5), _track())
    )
    assert _probe(tmp_path, content, "video/quicktime") == Shape(61_500, 1920, 1080)


def test_wide_headers_and_sixty_four_bit_sizes_are_read(tmp_path: Path) -> None:
    large = struct.pack(">I4sQ", 1, b"mdat", 16 + 40) + bytes(40)
    content = _movie(_mvhd(3600, version=1), _track(version=1), after=large)
    assert _probe(tmp_path, content) == Shape(3_600_000, 1920, 1080)


def test_a_box_of_size_zero_reaches_to_the_end(tmp_path: Path) -> None:
    content = _movie(_mvhd(1), _track(), after=struct.pack(">I4s", 0, b"mdat") + bytes(40))
    assert _probe(tmp_path, content).duration_ms == 1000


def test_a_video_that_a_phone_turns_is_measured_as_shown(tmp_path: Path) -> None:
    assert _probe(tmp_path, _movie(_mvhd(1), _track(matrix=_TURNED))) == Shape(1000, 1080, 1920)


def test_the_first_track_with_pictures_counts(tmp_path: Path) -> None:
    content = _movie(_mvhd(1), _track(0, 0, handler=b"soun"), _track(640, 480))
    assert _probe(tmp_path, content) == Shape(1000, 640, 480)


@pytest.mark.parametrize(
    ("extends", "length"), [(_box(b"mehd", bytes(4), struct.pack(">I", 1200)), 2000), (b"", None)]
)
def test_a_fragmented_video_tells_its_length_where_it_can(
    tmp_path: Path, extends: bytes, length: int | None
) -> None:
    content = _movie(_mvhd(0), _track(), _box(b"mvex", extends, _box(b"trex", bytes(24))))
    assert _probe(tmp_path, content + _box(b"moof") + _box(b"mdat")).duration_ms == length


@pytest.mark.parametrize(
    ("content", "media_type", "sides"),
    [
        (_PNG, "image/png", (1080, 1440)),
        (_png(300, 200), "image/png", (300, 200)),
        (_jpeg(300, 200), "image/jpeg", (300, 200)),
        (_jpeg(300, 200, sof=0xC2), "image/jpeg", (300, 200)),
        (_jpeg(300, 200) + bytes(3 << 20), "image/jpeg", (300, 200)),
        (_webp(b"VP8X", bytes(4) + b"\x2b\x01\x00\xc7\x00\x00"), "image/webp", (300, 200)),
        (_webp(b"VP8L", b"\x2f" + struct.pack("<I", 299 | 199 << 14) + bytes(8)), "image/webp", (300, 200)),
        (
            _webp(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", 300, 200 | 0x4000)),
            "image/webp",
            (300, 200),
        ),
    ],
)
def test_a_picture_tells_its_size(
    tmp_path: Path, content: bytes, media_type: str, sides: tuple[int, int]
) -> None:
    assert _probe(tmp_path, content, media_type) == Shape(None, *sides)


@pytest.mark.parametrize("media_type", ["video/webm", "video/x-matroska", "video/x-flv", "video/x-msvideo"])
def test_containers_that_only_the_platform_reads_are_taken_as_they_are(tmp_path: Path, media_type: str) -> None:
    assert _probe(tmp_path, b"anything", media_type) == Shape()


# What broken files are


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (_MP4[:-1], "not whole"),
        (_MP4[:3000], "not whole"),
        (_MP4[:32], "no index"),
        (_box(b"ftyp", b"isom", bytes(8)) + _box(b"mdat", bytes(99)), "no index"),
        (_movie(_mvhd(1), _track(), after=b""), "no content"),
        (_movie(_mvhd(1), _track(handler=b"soun")), "no video track"),
        (_movie(_mvhd(1)), "no video track"),
        (_movie(_mvhd(1), _box(b"trak", _box(b"mdia", _box(b"hdlr", bytes(8), b"vide")))), "no video track"),
        (_movie(_track()), "no proper header"),
        (_movie(_mvhd(1, scale=0), _track()), "time scale"),
        (_movie(_mvhd(0), _track()), "how long"),
        (_movie(_box(b"mvhd", bytes(12), struct.pack(">II", 600, 2**32 - 1)), _track()), "how long"),
        (_movie(_mvhd(1), struct.pack(">I4s", 4, b"trak")), "not whole"),
        (_movie(_mvhd(1), struct.pack(">I4sQ", 1, b"trak", 2**63)), "not whole"),
    ],
)
def test_a_broken_video_is_told_apart(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(MediaDamaged, match=says):
        _probe(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (_PNG[:-1], "image/png"),
        (_PNG[:20], "image/png"),
        (_png(300, 200).replace(b"IHDR", b"IDAT"), "image/png"),
        (_jpeg(300, 200, end=b""), "image/jpeg"),
        (_jpeg(300, 200, sof=0xC4), "image/jpeg"),
        (_jpeg(300, 200)[:30], "image/jpeg"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (_webp(b"VP8L", b"\x2f" + bytes(12))[:-1], "image/webp"),
        (_webp(b"ICCP", bytes(20)), "image/webp"),
    ],
)
def test_a_broken_picture_is_told_apart(tmp_path: Path, content: bytes, media_type: str) -> None:
    with pytest.raises(MediaDamaged):
        _probe(tmp_path, content, media_type)


# What is within the limits


@pytest.mark.parametrize(
    ("shape", "kind", "error", "says"),
    [
        (Shape(3_600_001, 1080, 1920), "video", MediaTooLong, "60 min 0 s"),
        (Shape(1000, MAX_VIDEO_SIDE + 1, 1), "video", MediaDimensions, str(MAX_VIDEO_SIDE)),
        (Shape(1000, 1, 0), "video", MediaDimensions, "1 x 0"),
        (Shape(None, MIN_IMAGE_SIDE - 1, 500), "image", MediaDimensions, f"at least {MIN_IMAGE_SIDE}"),
        (Shape(None, 50_000, 50_000), "image", MediaDimensions, "40 million"),
    ],
)
def test_what_is_beyond_a_limit_is_told_the_limit(
    shape: Shape, kind: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        check_shape(shape, kind, 3600)  # type: ignore[arg-type]


def test_what_stands_exactly_at_a_limit_is_within_it() -> None:
    check_shape(Shape(3_600_000, MAX_VIDEO_SIDE, 1), "video", 3600)
    check_shape(Shape(None, MIN_IMAGE_SIDE, MAX_IMAGE_PIXELS // MIN_IMAGE_SIDE), "image", 3600)
    check_shape(Shape(), "video", 3600)


# Harm

_TYPES = ("video/mp4", "image/png", "image/jpeg", "image/webp")


def _any_end(folder: Path, content: bytes, media_type: str) -> None:
    """A shape or MediaDamaged; nothing else may come of any bytes."""
    try:
        shape = _probe(folder, content, media_type)
    except MediaDamaged:
        return
    assert shape.width is not None
    assert shape.height is not None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400), st.sampled_from(_TYPES))
def test_any_bytes_end_in_a_shape_or_in_damage(tmp_path: Path, content: bytes, media_type: str) -> None:
    _any_end(tmp_path, content, media_type)


_WHOLE = {
    "video/mp4": _movie(_mvhd(1), _track(640, 480, handler=b"soun"), _track()),
    "image/png": _png(300, 200),
    "image/jpeg": _jpeg(300, 200),
    "image/webp": _webp(b"VP8X", bytes(4) + b"\x2b\x01\x00\xc7\x00\x00"),
}


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.sampled_from(_TYPES))
def test_a_whole_file_with_any_bytes_changed_ends_so_too(
    tmp_path: Path, data: st.DataObject, media_type: str
) -> None:
    content = bytearray(_WHOLE[media_type])
    places = st.integers(0, len(content) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8)):
        content[place] = value
    cut = data.draw(st.integers(0, len(content)))
    _any_end(tmp_path, bytes(content[:cut]), media_type)


_names = st.sampled_from(
    [b"moov", b"trak", b"mdia", b"hdlr", b"minf", b"stbl", b"stsd", b"mvhd", b"tkhd", b"mdat"]
)
_trees: st.SearchStrategy[bytes] = st.recursive(
    st.builds(_box, _names, st.binary(max_size=120)),
    lambda inner: st.builds(lambda kind, parts: _box(kind, *parts), _names, st.lists(inner, max_size=4)),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_trees, max_size=4))
def test_any_tree_of_boxes_ends_so_too(tmp_path: Path, trees: list[bytes]) -> None:
    _any_end(tmp_path, b"".join(trees), "video/mp4")


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (_box(b"free") * 2_000_000, "video/mp4"),
        (_box(b"ftyp", bytes(8)) + _box(b"moov", _box(b"trak") * 2_000_000), "video/mp4"),
        (
            b"\x89PNG\r\n\x1a\n"
            + struct.pack(">I4s", 0, b"IHDR")
            + bytes(4)
            + (bytes(4) + b"tEXt" + bytes(4)) * 10**6,
            "image/png",
        ),
        (b"\xff\xd8" + b"\xff" * 16_000_000, "image/jpeg"),
        (b"\xff\xd8" + b"\xff\xe1\x00\x02" * 4_000_000, "image/jpeg"),
    ],
)
def test_a_file_of_nothing_but_parts_costs_neither_time_nor_memory(
    tmp_path: Path, content: bytes, media_type: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(MediaDamaged):
            probe(path, media_type)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 10
    assert peak < 40 * 2**20


def test_a_sparse_file_of_sixteen_gigabytes_is_walked_by_its_headers(tmp_path: Path) -> None:
    path = tmp_path / "large.mp4"
    head = _box(b"ftyp", b"isom", bytes(8)) + _box(b"moov", _mvhd(3000), _track())
    size = 16 * 2**30
    with path.open("wb") as file:
        file.write(head + struct.pack(">I4sQ", 1, b"mdat", size - len(head)))
        file.truncate(size)
    assert probe(path, "video/mp4") == Shape(3_000_000, 1920, 1080)
