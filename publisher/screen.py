"""What somebody sees who logs an account in: the QR code, how long it lives, and what to do next."""

from __future__ import annotations

import base64
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.text import Text

from publisher import qr
from publisher.output import shown
from publisher.png import UnreadablePicture
from publisher.private_file import write_private

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console

    from publisher.client import Document

# The specification wants 4 light modules around a code; phones manage with fewer where there is no room.
_QUIET_ZONES = (4, 2, 1)
# What stands below the code.
_OTHER_LINES = 2
# Black and white of the 256 colours: unlike the first 16, no theme changes them.
_INK = "color(16) on color(231)"
_PAPER = {True: "on color(16)", False: "on color(231)"}


@dataclass
class LoginScreen:
    """On a terminal the code is redrawn in its place; elsewhere each new one is written once.

    `qr_file`: where the picture is kept as well, for whoever shows it elsewhere; it goes when the login ends.
    """

    console: Console
    qr_file: Path | None = None
    dark_terminal: bool = True
    _live: Live | None = None
    _picture: str | None = None
    _modules: qr.Modules | None = None
    _said: str | None = None

    def __enter__(self) -> LoginScreen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rest()
        if self.qr_file is not None:
            self.qr_file.unlink(missing_ok=True)

    def show(self, login: Document, now: datetime) -> None:
        picture = login["qr_code_base64"] if login["state"] == "qr_ready" else None
        fresh = picture is not None and picture != self._picture
        if picture is not None and fresh:
            self._take(picture)
        code = None if picture is None else self._code()
        if not self.console.is_terminal:
            if code is not None and fresh:
                self.console.print(code, soft_wrap=True)
            self._say_once(shown(login["msg"]))
            return
        text = Text(shown(login["msg"]), style="bold")
        if picture is not None:
            text += Text(_countdown(login["qr_expires_at"], now), style="not bold dim")
        if self._live is None:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(text if code is None else Group(code, text), refresh=True)

    def rest(self) -> None:
        """Takes the code away: to ask for something, or at the end."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _take(self, picture: str) -> None:
        self._picture = picture
        png = base64.b64decode(picture)
        if self.qr_file is not None:
            write_private(self.qr_file, png)
        try:
            self._modules = qr.modules_of(png)
        except (qr.NoCodeFound, UnreadablePicture):
            self._modules = None

    def _code(self) -> Text | None:
        """The code as it fits now. Where it does not, it is told where the picture is."""
        drawn = None if self._modules is None else self._drawn(self._modules)
        if drawn is None:
            if self.qr_file is None and self._picture is not None:
                self.qr_file = _new_file()
                write_private(self.qr_file, base64.b64decode(self._picture))
            why = (
                "cannot be drawn here" if self._modules is None else "has no room here: make the window larger"
            )
            self._say_once(f"The QR code {why}, or open its picture and scan it: {self.qr_file}")
        return drawn

    def _drawn(self, modules: qr.Modules) -> Text | None:
        """None where the terminal has no room for it, or no way to draw it."""
        coloured = self.console.color_system is not None and not self.console.no_color
        utf8 = self.console.encoding.lower().replace("-", "") == "utf8"
        if not (utf8 or coloured):
            return None
        for quiet in _QUIET_ZONES:
            rows = qr.framed(modules, quiet)
            width, height = (len(rows), -(-len(rows) // 2)) if utf8 else (2 * len(rows), len(rows))
            if not self.console.is_terminal or (
                width <= self.console.width and height + _OTHER_LINES <= self.console.height
            ):
                break
        else:
            return None
        if not utf8:
            lines = (Text.assemble(*(("  ", _PAPER[dark]) for dark in row)) for row in rows)
            return Text("\n").join(lines)
        lines = (
            Text(line, style=_INK if coloured else "")
            for line in qr.half_blocks(rows, ink_is_light=not coloured and self.dark_terminal)
        )
        return Text("\n").join(lines)

    def _say_once(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self.console.print(Text(text), soft_wrap=True)


def _new_file() -> Path:
    number, name = tempfile.mkstemp(prefix="publisher-login-", suffix=".png")
    os.close(number)
    return Path(name)


def _countdown(expires_at: str | None, now: datetime) -> str:
    if expires_at is None:
        return ""
    left = round((datetime.fromisoformat(expires_at) - now).total_seconds())
    return f". This code lives {left} s more" if left > 0 else ". A new code is on its way"
