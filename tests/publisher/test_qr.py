"""A QR code's picture becomes modules and characters, and a scanner reads these as it reads the picture."""

from __future__ import annotations

import io
import random
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest
import segno
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from publisher import qr
from publisher.png import MAX_PIXELS, UnreadablePicture, read_png
from tests.publisher.terminal import photographed, read_code

if TYPE_CHECKING:
    from collections.abc import Callable

LINK = "https://creator.douyin.com/phone?token=0123456789abcdef0123456789abcdef01"


def code_png(text: str = LINK, **options: Any) -> bytes:
    out = io.BytesIO()
    segno.make(text, error="q").save(out, kind="png", **{"scale": 5, "border": 2, **options})
    return out.getvalue()


def repainted(png: bytes, change: Callable[[Image.Image], Image.Image]) -> bytes:
    out = io.BytesIO()
    change(Image.open(io.BytesIO(png)).convert("RGBA")).save(out, "PNG")
    return out.getvalue()


def tinted(image: Image.Image) -> Image.Image:
    return Image.eval(image.convert("L"), lambda value: 40 + value * 190 // 255)


def transparent(image: Image.Image) -> Image.Image:
    grey = image.convert("L")
    empty = Image.new("RGBA", image.size, (0, 0, 0, 0))
    empty.paste(Image.new("RGBA", image.size, (0, 0, 0, 255)), mask=grey.point(lambda value: 255 - value))
    return empty


def logo(image: Image.Image) -> Image.Image:
    middle, half = image.width // 2, image.width // 14
    ImageDraw.Draw(image).rectangle(
        (middle - half, middle - half, middle + half, middle + half), fill=(255, 44, 85)
    )
    return image


@given(
    text=st.text(min_size=1, max_size=150),
    error=st.sampled_from("lmqh"),
    scale=st.integers(1, 4),
    border=st.integers(0, 6),
)
@settings(max_examples=40, deadline=None)
def test_every_code_that_can_be_made_is_found_module_by_module(
    text: str, error: str, scale: int, border: int
) -> None:
    code = segno.make(text, error=error, micro=False)
    out = io.BytesIO()
    code.save(out, kind="png", scale=scale, border=border)
    assert qr.modules_of(out.getvalue()) == [[bool(module) for module in row] for row in code.matrix]


@pytest.mark.parametrize("ink_is_light", [False, True])
@pytest.mark.parametrize("quiet", [2, 4])
@pytest.mark.parametrize("text", ["https://e.cn/1", LINK, LINK + "&scene=" + "x" * 200])
def test_the_characters_are_read_by_a_scanner(text: str, quiet: int, ink_is_light: bool) -> None:
    drawn = qr.half_blocks(qr.framed(qr.modules_of(code_png(text)), quiet), ink_is_light=ink_is_light)
    ink, paper = ((255, 255, 255), (0, 0, 0)) if ink_is_light else ((0, 0, 0), (255, 255, 255))
    cells = [[(character, ink, paper) for character in line] for line in drawn]
    assert read_code(photographed(cells, around=paper)) == text


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda image: image.convert("L"), id="grey"),
        pytest.param(lambda image: image.convert("RGB"), id="colours"),
        pytest.param(lambda image: image.convert("LA"), id="grey and alpha"),
        pytest.param(lambda image: image.quantize(4), id="palette"),
        pytest.param(
            lambda image: image.convert("I").point(lambda value: value * 257).convert("I;16"), id="16 bits"
        ),
        pytest.param(lambda image: image.resize((331, 331), Image.Resampling.BICUBIC), id="blurred"),
        pytest.param(tinted, id="dark blue on light grey"),
        pytest.param(transparent, id="on nothing"),
        pytest.param(logo, id="a logo in its middle"),
    ],
)
def test_pictures_as_pages_show_them_are_read(change: Callable[[Image.Image], Image.Image]) -> None:
    drawn = qr.half_blocks(qr.framed(qr.modules_of(repainted(code_png(), change)), 4), ink_is_light=False)
    cells = [[(character, (0, 0, 0), (255, 255, 255)) for character in line] for line in drawn]
    assert read_code(photographed(cells, around=(255, 255, 255))) == LINK


def encoded(image: Image.Image, filters: list[int]) -> bytes:
    """A PNG whose rows have these filters, by the specification's own words and not by a library."""
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[image.mode]
    length, data = image.width * channels, image.tobytes()
    raw, above = b"", bytes(length)
    for number in range(image.height):
        row = data[number * length : (number + 1) * length]
        kind = filters[number % len(filters)]
        raw += bytes([kind])
        for at, value in enumerate(row):
            left = row[at - channels] if at >= channels else 0
            up, corner = above[at], above[at - channels] if at >= channels else 0
            guess = left + up - corner
            near = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))
            raw += bytes([(value - (0, left, up, (left + up) // 2, near[2])[kind]) % 256])
        above = row
    colour = {"L": 0, "RGB": 2, "RGBA": 6}[image.mode]

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", image.width, image.height, 8, colour, 0, 0, 0)
    packed = zlib.compress(raw)
    half = len(packed) // 2
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", packed[:half])
        + chunk(b"IDAT", packed[half:])
        + chunk(b"IEND", b"")
    )


_BEGUN = code_png()[:60]


@given(
    mode=st.sampled_from(["L", "RGB", "RGBA"]),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    filters=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150, deadline=None)
def test_every_filter_of_the_specification_is_undone(
    mode: str, size: tuple[int, int], filters: list[int], seed: int
) -> None:
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    image = Image.frombytes(mode, size, random.Random(seed).randbytes(size[0] * size[1] * channels))
    png = encoded(image, filters)
    assert Image.open(io.BytesIO(png)).convert(mode).tobytes() == image.tobytes()
    white = Image.new("RGBA", size, (255, 255, 255, 255))
    white.alpha_composite(image.convert("RGBA"))
    expected = white.convert("RGB").tobytes()
    read = read_png(png)
    assert (read.width, read.height) == size
    for at, luma in enumerate(read.luma):
        red, green, blue = expected[3 * at : 3 * at + 3]
        assert abs(luma - (red * 299 + green * 587 + blue * 114) / 1000) <= 2


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_what_is_no_picture_is_refused_and_nothing_else(data: bytes) -> None:
    for start in (b"", _BEGUN, b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(UnreadablePicture):
            read_png(start + data)


def test_a_picture_that_unpacks_to_too_much_is_refused() -> None:
    header = struct.pack(">IIBBBBB", MAX_PIXELS, 2, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + bytes(4)
    with pytest.raises(UnreadablePicture, match="too large"):
        read_png(png + struct.pack(">I", 4) + b"IDAT" + bytes(8))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda image: Image.new("L", (200, 200), 255), id="blank"),
        pytest.param(lambda image: image.rotate(30, fillcolor=(255, 255, 255, 255), expand=True), id="askew"),
        pytest.param(lambda image: image.crop((0, 0, image.width // 2, image.height)), id="half of it"),
    ],
)
def test_a_picture_without_an_upright_code_is_refused(change: Callable[[Image.Image], Image.Image]) -> None:
    with pytest.raises(qr.NoCodeFound):
        qr.modules_of(repainted(code_png(), change))


def test_the_scanner_of_these_tests_can_fail() -> None:
    assert zxingcpp.read_barcodes(Image.new("L", (200, 200), 255)) == []
