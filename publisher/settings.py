"""Where the API is, and the key to it: from the environment, else from a file that only its owner can read."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from publisher.errors import Misconfigured
from publisher.private_file import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_URL = "http://localhost:8989"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_KEY_CHARACTERS = frozenset(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class Settings:
    """`api_key` is None where there is none: a system on loopback needs none."""

    url: str = DEFAULT_URL
    api_key: str | None = field(default=None, repr=False)


def config_file() -> Path:
    return Path(typer.get_app_dir("social-publisher")) / "config.json"


def load(environment: Mapping[str, str], path: Path) -> Settings:
    """PUBLISHER_URL and PUBLISHER_API_KEY go before the file. The file's key goes to the file's URL alone, or
    a variable could send it elsewhere.

    Raises Misconfigured.
    """
    kept = _read(path)
    kept_url = kept.get("url", DEFAULT_URL)
    url = checked_url(environment.get("PUBLISHER_URL") or kept_url)
    kept_key = kept.get("api_key") if url == kept_url else None
    key = environment.get("PUBLISHER_API_KEY") or kept_key
    return Settings(url=url, api_key=checked_key(key) if key else None)


def save(settings: Settings, path: Path) -> None:
    """Writes the file anew."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = {"url": settings.url, **({"api_key": settings.api_key} if settings.api_key else {})}
    write_private(path, json.dumps(content, indent=2).encode())


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK


def checked_url(url: str) -> str:
    """The URL without a slash at its end."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise _bad_url(url) from None
    if not parts.hostname or parts.query or parts.fragment or parts.username or parts.password:
        raise _bad_url(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
        raise _bad_url(url)
    return url.rstrip("/")


def checked_key(key: str) -> str:
    key = key.strip()
    if not key or not set(key) <= _KEY_CHARACTERS:
        raise Misconfigured(
            "The API key has characters that no key has.",
            "Set PUBLISHER_API_KEY to the whole key, sp_live_…, or run `publisher configure`.",
        )
    return key


def _bad_url(url: str) -> Misconfigured:
    return Misconfigured(
        f"{url!r} cannot be the URL of the API.",
        "Set PUBLISHER_URL, or run `publisher configure`, with an https URL such as https://api.example.com "
        f"(http is for this machine only: {DEFAULT_URL}).",
    )


def _read(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _bad_file(path, f"cannot be read: {error}") from None
    if os.name == "posix" and mode & 0o077:
        raise Misconfigured(
            f"Others can read {path}, which may hold an API key.",
            f"Run: chmod 600 '{path}'. If others use this machine, replace the key as well.",
        )
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise _bad_file(path, "is not what `publisher configure` writes")
    return content


def _bad_file(path: Path, why: str) -> Misconfigured:
    return Misconfigured(f"{path} {why}.", "Run `publisher configure` to write it anew, or delete it.")
