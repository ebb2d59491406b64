"""A terminal, as far as the command uses one: what its screen shows, cell by cell, and a photograph of it."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
import unicodedata
from typing import TYPE_CHECKING, Any

import zxingcpp
from PIL import Image, ImageDraw

from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

Colour = tuple[int, int, int]
Cell = tuple[str, Colour, Colour]

_SECONDS = 60.0

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()].|\x1b[=>78]")
# Characters are twice as high as they are wide.
_WIDTH, _HEIGHT = 6, 12


class Terminal:
    """Light text on a dark background, unless `dark` is False."""

    def __init__(self, columns: int, *, dark: bool = True) -> None:
        self.columns = columns
        self.usual = (_WHITE, _BLACK) if dark else (_BLACK, _WHITE)
        self.rows: list[list[Cell]] = [[]]
        self._row = self._column = 0
        self._ink, self._paper = self.usual
        self._rest = ""

    @property
    def code(self) -> str:
        """What a scanner reads from the screen."""
        return read_code(self.photograph())

    def photograph(self) -> Image.Image:
        """Of the lines that hold a code."""
        usual = self.usual[1]
        rows = [row for row in self.rows if any(cell[0] in "▀▄█" or cell[2] != usual for cell in row)]
        return photographed(rows, around=usual)

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


class Session:
    """A command that somebody runs in a terminal of this size."""

    def __init__(
        self,
        argv: list[str],
        environment: dict[str, str],
        *,
        size: tuple[int, int] = (100, 50),
        dark: bool = True,
    ) -> None:
        columns, lines = size
        self.terminal = Terminal(columns, dark=dark)
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env={"TERM": "xterm-256color", **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - no threads of ours between fork and exec matter here
        )
        os.close(theirs)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def until(self, seen: Callable[[Terminal], bool]) -> Terminal:
        """Reads until the screen is so."""
        deadline = time.monotonic() + _SECONDS
        while not seen(self.terminal):
            assert self._read(deadline), f"it has ended, or {_SECONDS} s are over:\n{self.terminal.text}"
        return self.terminal

    def shows(self, text: str) -> Terminal:
        return self.until(lambda terminal: text in terminal.text)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def ended(self) -> int:
        """The exit status."""
        deadline = time.monotonic() + _SECONDS
        while self._read(deadline):
            pass
        return self._process.wait(timeout=60)

    def _read(self, deadline: float) -> bool:
        """Whether there was anything more."""
        if not select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        try:
            chunk = os.read(self._ours, 65536)
        except OSError:  # The other side is closed.
            return False
        self.terminal.write(self._decoder.decode(chunk))
        return bool(chunk)


def _take_terminal() -> None:
    """So that Ctrl-C reaches the command."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
