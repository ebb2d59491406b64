"""Lines from stdin, read from the file itself: what one reader takes, the next one does not miss."""

from __future__ import annotations

import os
import queue
import sys
import threading


def read_line() -> str:
    """The next line without blanks around; empty at the end."""
    number, line = sys.stdin.fileno(), b""
    while (byte := os.read(number, 1)) not in (b"", b"\n"):
        line += byte
    return line.decode(errors="replace").strip()


class Lines:
    """Lines from stdin, read beside whatever goes on, only once they are wanted."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader: threading.Thread | None = None

    def get(self, seconds: float) -> str | None:
        """The next line without blanks around; None where there is none yet. Raises EOFError at the end."""
        if self._reader is None:
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            return None
        if line is None:
            self._lines.put(None)
            raise EOFError
        return line.strip()

    def _read(self) -> None:
        """From the file itself: a reader that waits in sys.stdin would hold its lock when the command ends."""
        number, rest = sys.stdin.fileno(), b""
        while chunk := os.read(number, 1024):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._lines.put(line.decode(errors="replace"))
        if rest:
            self._lines.put(rest.decode(errors="replace"))
        self._lines.put(None)
