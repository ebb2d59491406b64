"""A QR code from its picture to a terminal: its modules are found, and drawn again with characters.

Nothing is decoded: what a phone reads from the terminal is what the picture shows, a logo in its middle
included.
"""

from __future__ import annotations

from publisher.png import read_png

# Versions 1 to 40 (ISO/IEC 18004, 5.3.1).
_SIZES = range(21, 178, 4)
_FINDER = ("1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111")

# By whether there is ink in the upper and in the lower half.
_BLOCKS = {(False, False): " ", (False, True): "▄", (True, False): "▀", (True, True): "█"}

Modules = list[list[bool]]


class NoCodeFound(ValueError):
    """The picture shows no QR code that could be drawn module by module."""


def modules_of(png: bytes) -> Modules:
    """The code's modules, row by row, True where dark, without its quiet zone.

    The picture is an upright one of the code alone, of any scale, as login pages show them. Raises NoCodeFound
    and UnreadablePicture.
    """
    rows = read_png(png).dark()
    filled = [number for number, row in enumerate(rows) if 1 in row]
    if not filled:
        raise NoCodeFound("The picture is blank.")
    top, bottom = filled[0], filled[-1] + 1
    left = min(row.find(1) for row in rows[top:bottom] if 1 in row)
    right = max(row.rfind(1) for row in rows[top:bottom]) + 1
    for size in _SIZES:
        height, width = (bottom - top) / size, (right - left) / size
        if min(height, width) < 1:
            break
        modules = [
            [bool(rows[int(top + (y + 0.5) * height)][int(left + (x + 0.5) * width)]) for x in range(size)]
            for y in range(size)
        ]
        if _is_code(modules):
            return modules
    raise NoCodeFound("The picture shows no upright QR code, or more than one.")


def _is_code(modules: Modules) -> bool:
    """Whether the three finder patterns and both timing patterns are there."""
    size = len(modules)
    finders = all(
        modules[y + row][x + column] is (_FINDER[row][column] == "1")
        for y, x in ((0, 0), (0, size - 7), (size - 7, 0))
        for row in range(7)
        for column in range(7)
    )
    return finders and all(
        modules[6][at] is (at % 2 == 0) and modules[at][6] is (at % 2 == 0) for at in range(8, size - 8)
    )


def framed(modules: Modules, quiet: int) -> Modules:
    """With a quiet zone of so many light modules around."""
    sides = [False] * quiet
    blank = [False] * (len(modules) + 2 * quiet)
    return [[*blank] for _ in range(quiet)] + [[*sides, *row, *sides] for row in modules] + [blank] * quiet


def half_blocks(modules: Modules, *, ink_is_light: bool) -> list[str]:
    """Lines of half blocks, two modules high: a module is as wide as a character, and about half as high.

    The ink draws the dark modules, or the light ones where the terminal's text is lighter than its background.
    """
    rows = modules if len(modules) % 2 == 0 else [*modules, [False] * len(modules[0])]
    return [
        "".join(
            _BLOCKS[up is not ink_is_light, down is not ink_is_light]
            for up, down in zip(rows[at], rows[at + 1], strict=True)
        )
        for at in range(0, len(rows), 2)
    ]
