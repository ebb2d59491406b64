"""A terminal, as far as the command uses one: what its screen shows, cell by cell, and a photograph of it."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import zxingcpp
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Cell = tuple[str, Colour, Colour]

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()].|\x1b[=>78]")
# Characters are twice as high as they are wide.
_WIDTH, _HEIGHT = 6, 12


class Terminal:
    """Light text on a dark background, unless `dark` is False. It keeps every screen before a redraw."""

    def __init__(self, columns: int, *, dark: bool = True) -> None:
        self.columns = columns
        self.usual = (_WHITE, _BLACK) if dark else (_BLACK, _WHITE)
        self.rows: list[list[Cell]] = [[]]
        self.screens: list[list[list[Cell]]] = []
        self._row = self._column = 0
        self._ink, self._paper = self.usual
        self._rest = ""

    @property
    def text(self) -> str:
        return "\n".join("".join(character for character, *_ in row).rstrip() for row in self.rows)

    def write(self, text: str) -> None:
        text, at = self._rest + text, 0
        while at < len(text):
            matched = _SEQUENCE.match(text, at)
            if matched:
                at = matched.end()
                if matched[2]:
                    self._control(matched[1], matched[2])
            elif text[at] == "\x1b":
                break
            else:
                self._character(text[at])
                at += 1
        self._rest = text[at:]

    def _character(self, character: str) -> None:
        match character:
            case "\n":
                self._row += 1
                while len(self.rows) <= self._row:
                    self.rows.append([])
            case "\r":
                self._column = 0
            case "\x07":
                pass
            case _:
                assert unicodedata.category(character) != "Cc", repr(character)
                if self._column >= self.columns:
                    self._character("\n")
                    self._column = 0
                row = self.rows[self._row]
                row += [(" ", *self.usual)] * (self._column + 1 - len(row))
                row[self._column] = (character, self._ink, self._paper)
                self._column += 1

    def _control(self, numbers: str, kind: str) -> None:
        match kind:
            case "A":
                self.screens.append([list(row) for row in self.rows])
                self._row = max(0, self._row - int(numbers or 1))
            case "K":
                self.rows[self._row] = []
            case "J":
                del self.rows[self._row + 1 :]
            case "G":
                self._column = int(numbers or 1) - 1
            case "m":
                self._style([int(number or 0) for number in numbers.split(";")])
            case "h" | "l":
                pass
            case _:
                raise AssertionError(f"a sequence that is not known: {numbers}{kind}")

    def _style(self, numbers: list[int]) -> None:
        while numbers:
            match numbers:
                case [38, 5, colour, *rest]:
                    self._ink = _shade(colour)
                case [48, 5, colour, *rest]:
                    self._paper = _shade(colour)
                case [0, *rest]:
                    self._ink, self._paper = self.usual
                case [_, *rest]:
                    pass
            numbers = rest


def _shade(colour: int) -> Colour:
    """Of the 256: the cube's black and white, which are all that codes use."""
    return {16: _BLACK, 231: _WHITE}.get(colour, (128, 128, 128))


def photographed(rows: list[list[Cell]], *, around: Colour) -> Image.Image:
    """A picture of cells, with blank cells of the terminal around."""
    columns = max(len(row) for row in rows)
    picture = Image.new("RGB", (_WIDTH * (columns + 4), _HEIGHT * (len(rows) + 2)), around)
    draw = ImageDraw.Draw(picture)
    for y, row in enumerate(rows, 1):
        for x, (character, ink, paper) in enumerate(row, 2):
            left, top = x * _WIDTH, y * _HEIGHT
            draw.rectangle((left, top, left + _WIDTH - 1, top + _HEIGHT - 1), fill=paper)
            upper, lower = {"▀": (1, 0), "▄": (0, 1), "█": (1, 1)}.get(character, (0, 0))
            for filled, y0 in ((upper, top), (lower, top + _HEIGHT // 2)):
                if filled:
                    draw.rectangle((left, y0, left + _WIDTH - 1, y0 + _HEIGHT // 2 - 1), fill=ink)
    return picture


def read_code(picture: Image.Image) -> str:
    """What a phone's scanner reads: a code that is upright and dark on light."""
    found: list[Any] = zxingcpp.read_barcodes(picture.convert("L"), try_invert=False, try_rotate=False)
    assert len(found) == 1, f"{len(found)} codes"
    return str(found[0].text)
