"""Looks for secrets, in clear or thinly veiled, in everything that a system has stored, logged and answered."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import threading
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# So few digits stand by chance within any long number; alone they do not.
_SHORT = 10
_LOOK_SECONDS = 0.2


class Canaries:
    """Secrets by name. `found_in` says which a piece of data holds, and how it was veiled.

    Known are the text itself in UTF-8 and UTF-16, escaped for JSON (once, and in a text within JSON) and for
    URLs, in hexadecimal, and in base64 at each of the three places where it may begin; and all of it within
    gzip and zlib.
    """

    def __init__(self, **secrets: str) -> None:
        self._patterns: dict[tuple[str, str], re.Pattern[bytes]] = {}
        self.add(**secrets)

    def add(self, **secrets: str) -> None:
        for name, secret in secrets.items():
            for how, form in _forms(secret).items():
                self._patterns[name, how] = _pattern(form, alone=len(secret) < _SHORT and how == "clear")

    def found_in(self, data: bytes) -> list[str]:
        found = [f"{name} in {how}" for (name, how), it in list(self._patterns.items()) if it.search(data)]
        for packed in _unpacked(data):
            found += [f"{what}, compressed" for what in self.found_in(packed)]
        return found


@dataclass
class Watch:
    """Where a canary was found: "place: name in clear"."""

    canaries: Canaries
    found: set[str] = field(default_factory=set)
    _seen: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def look_at(self, place: str, data: bytes) -> None:
        self.found |= {f"{place}: {what}" for what in self.canaries.found_in(data)}

    def look_into(self, folder: Path, *but: Path) -> None:
        """Every file below the folder, but for some below it; its name, too."""
        for path in _files(folder):
            if any(path.is_relative_to(other) for other in but):
                continue
            with suppress(OSError):  # It is gone, or a socket.
                if path.is_file():
                    self.look_at(str(path), str(path).encode())
                    self.look_at(str(path), path.read_bytes())

    def look_at_cloud(self, client: Callable[[str], Any]) -> None:
        """Every item, object and visible message of an (emulated) AWS."""
        dynamodb, s3, sqs = client("dynamodb"), client("s3"), client("sqs")
        for table in dynamodb.list_tables()["TableNames"]:
            for page in dynamodb.get_paginator("scan").paginate(TableName=table):
                for item in page["Items"]:
                    self.look_at(f"table {table}", json.dumps(item, default=_text, ensure_ascii=False).encode())
        for bucket in (entry["Name"] for entry in s3.list_buckets()["Buckets"]):
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for key in (entry["Key"] for entry in page.get("Contents", [])):
                    stored = s3.get_object(Bucket=bucket, Key=key)
                    self.look_at(f"s3://{bucket}/{key}", f"{key} {stored['Metadata']}".encode())
                    self.look_at(f"s3://{bucket}/{key}", stored["Body"].read())
        for queue in sqs.list_queues().get("QueueUrls", []):
            while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
                for message in messages:
                    self.look_at(f"queue {queue}", json.dumps(message).encode())

    @contextmanager
    def on(self, folder: Path) -> Iterator[None]:
        """Looks at each file below the folder whenever it has changed: what stood there for a moment counts."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(_LOOK_SECONDS):
                for path in _files(folder):
                    with suppress(OSError):
                        status = path.stat()
                        version = (status.st_mtime_ns, status.st_size)
                        if path.is_file() and self._seen.get(path) != version:
                            self._seen[path] = version
                            self.look_at(str(path), path.read_bytes())

        thread = threading.Thread(target=look, name="canaries")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _forms(secret: str) -> dict[str, bytes]:
    plain = secret.encode()
    forms = {
        "UTF-16": secret.encode("utf-16-le"),
        "JSON": _in_json(secret).encode(),
        "JSON within JSON": _in_json(_in_json(secret)).encode(),
        "a URL": quote(secret, safe="").encode(),
        "hexadecimal": plain.hex().encode(),
    }
    for start in range(3):
        # Only letters that depend on nothing but the secret: what stands around it decides the others.
        bits = base64.b64encode(b"\0" * start + plain)
        first, last = -(-start * 8 // 6), (start + len(plain)) * 8 // 6
        forms[f"base64 ({start})"] = bits[first:last]
        forms[f"base64 for URLs ({start})"] = bits[first:last].replace(b"+", b"-").replace(b"/", b"_")
    return {"clear": plain, **{how: form for how, form in forms.items() if form != plain}}


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _pattern(form: bytes, *, alone: bool) -> re.Pattern[bytes]:
    escaped = re.escape(form)
    return re.compile(rb"(?<![0-9A-Za-z])" + escaped + rb"(?![0-9A-Za-z])" if alone else escaped)


def _files(folder: Path) -> Iterator[Path]:
    """Below the folder; one that goes away meanwhile is no matter."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent) / name for name in names)


def _unpacked(data: bytes) -> Iterator[bytes]:
    if not data:
        return  # gzip finds nothing in nothing, for ever.
    with suppress(OSError, EOFError, zlib.error):
        yield gzip.decompress(data)
    with suppress(zlib.error):
        yield zlib.decompress(data)


def _text(value: Any) -> str:
    """A binary attribute of an item."""
    return bytes(value).decode("latin-1")
