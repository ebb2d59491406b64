"""Files on their way to the system, announced by size and checksum and then sent once; and pictures of it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import requests

from publisher.client import TIMEOUT, new_session
from publisher.errors import Refused, Unreachable, UnusableFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from publisher.client import Client, Document

Kind = Literal["video", "image"]

TYPES: dict[Kind, dict[str, str]] = {
    "video": {
        ".mp4": "video/mp4",
        ".m4v": "video/mp4",
        ".mov": "video/quicktime",
        ".webm": "video/webm",
        ".mkv": "video/x-matroska",
        ".flv": "video/x-flv",
        ".avi": "video/x-msvideo",
    },
    "image": {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"},
}

_CHUNK = 1024 * 1024
_TRIES = 3
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Meter(Protocol):
    """What is told of how far it is."""

    def __call__(self, doing: str, done: int, total: int) -> None: ...


def is_address(text: str) -> bool:
    """Whether it is a URL, or the media_url of an upload, and not the name of a file."""
    return _ADDRESS.match(text) is not None


def media_url(client: Client, file_or_url: str, kind: Kind, meter: Meter) -> str:
    """The URL itself, or that of the file's upload. Raises UnusableFile and what `Client` raises."""
    if is_address(file_or_url):
        return file_or_url
    path = Path(file_or_url)
    media_type = _type_of(path, kind)
    try:
        with path.open("rb") as file:
            return _upload(client, file, path.name, media_type, meter)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None


def fetch(url: str) -> bytes:
    """What a signed URL of the API leads to. Raises Unreachable."""
    try:
        with new_session(url) as session:
            response = session.get(url, auth=_unchanged, timeout=TIMEOUT, allow_redirects=False)
            response.raise_for_status()
            return response.content
    except requests.RequestException:
        raise Unreachable(
            "The file could not be fetched from the storage.",
            "Ask for it again: its address works for minutes only.",
        ) from None


def _type_of(path: Path, kind: Kind) -> str:
    media_type = TYPES[kind].get(path.suffix.lower())
    if media_type is None:
        endings = ", ".join(TYPES[kind])
        raise UnusableFile(
            f"{path} does not end like a {kind} that can be published.", f"Give a file with one of: {endings}."
        )
    return media_type


def _upload(client: Client, file: BinaryIO, name: str, media_type: str, meter: Meter) -> str:
    size = file.seek(0, 2)
    if size == 0:
        raise UnusableFile(f"{name} is empty.", "Give the whole file.")
    announced = {
        "file_name": name[-255:],
        "content_type": media_type,
        "size": size,
        "sha256": _sha256(file, size, meter),
    }
    ticket = client.open_upload(announced)
    _send(ticket, file, size, meter)
    return str(ticket["media_url"])


def _sha256(file: BinaryIO, size: int, meter: Meter) -> str:
    digest, done = hashlib.sha256(), 0
    file.seek(0)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        done += len(chunk)
        meter("checksum", done, size)
    return digest.hexdigest()


def _send(ticket: Document, file: BinaryIO, size: int, meter: Meter) -> None:
    """Sends the file until it has arrived. Sending it again is safe: the storage takes it once, and no other
    file under this ticket.
    """
    with new_session(ticket["url"]) as session:
        for left in reversed(range(_TRIES)):
            try:
                response = session.request(
                    ticket["method"],
                    ticket["url"],
                    data=_Body(file, size, meter),
                    headers=ticket["headers"],
                    auth=_unchanged,
                    timeout=TIMEOUT,
                    allow_redirects=False,
                )
            except requests.RequestException:
                if left:
                    continue
                raise Unreachable(
                    "The connection to the storage that takes uploads failed again and again.",
                    "Check the network, then do the same again.",
                ) from None
            # 412: it is there already, by a try whose answer was lost.
            if response.ok or response.status_code == 412:
                return
            if response.status_code < 500 or not left:
                raise _refused(response)


class _Body:
    """The file, as requests sends it: with its length known, so not in chunks."""

    def __init__(self, file: BinaryIO, size: int, meter: Meter) -> None:
        self._file, self._size, self._meter, self._done = file, size, meter, 0
        file.seek(0)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(_CHUNK):
            yield chunk

    def read(self, amount: int = -1) -> bytes:
        chunk = self._file.read(amount)
        self._done += len(chunk)
        self._meter("upload", self._done, self._size)
        return chunk


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """No credentials of a ~/.netrc: the URL is signed."""
    return request


def _refused(response: requests.Response) -> Refused:
    """S3's error is XML: <Error><Code>BadDigest</Code>…"""
    code = re.search(r"<Code>([^<]{1,100})</Code>", response.text[:10_000])
    why = f"status {response.status_code}" + (f", {code[1]}" if code else "")
    return Refused(
        {
            "code": "client.upload_refused",
            "status": response.status_code,
            "detail": f"The storage refused the file ({why}).",
            "next_step": "Do the same again, and leave the file unchanged meanwhile.",
            "request_id": response.headers.get("x-amz-request-id"),
        }
    )


def _unusable(path: Path, why: str) -> UnusableFile:
    return UnusableFile(f"{path} cannot be read: {why}.", "Give a file that you can read, or an https URL.")
