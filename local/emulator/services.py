"""What we need to know of ministack's inside: taking the services' state out and putting it back.

These names are private to ministack, which is pinned exactly for this reason. The rest of the package does not
know them.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from importlib import import_module
from json.encoder import encode_basestring_ascii
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from local.emulator import CANONICAL_ORIGIN
from local.emulator.snapshots import StateUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

logger = logging.getLogger(__name__)

# Changes that concern only one service, told by the start of X-Amz-Target. Anything else saves everything.
_TARGETS: Final = {
    "DynamoDB_20120810": frozenset({"dynamodb"}),
    "AmazonSQS": frozenset({"sqs"}),
    "TrentService": frozenset({"kms"}),
}
_READING: Final = ("Get", "Query", "Scan", "BatchGet", "TransactGet", "Describe", "List", "Receive")
# Services whose `get_state` leaves alone what it copies: theirs needs no copies (`_state_of`).
_PLAIN_STATE: Final = frozenset({"dynamodb", "sqs"})
_KMS_READING: Final = ("GenerateDataKey", "Encrypt", "Decrypt", "ReEncrypt", "Sign", "Verify")


def configure(data: Path, *, auth: bool = False) -> None:
    """Sets ministack's variables, before its import: state under `data`, no other ports, no Docker.

    With `auth` it verifies each request's signature and enforces the policies of whoever made it.
    """
    objects, temporary = data / "s3", data / "tmp"
    objects.mkdir(parents=True, exist_ok=True)
    temporary.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "GATEWAY_PORT": CANONICAL_ORIGIN.rpartition(":")[2],
        "BIND_HOST": "127.0.0.1",
        "AUTH": "true" if auth else "false",
        # We save and restore by ourselves; its own way loses everything since the start on a kill.
        "PERSIST_STATE": "0",
        "STATE_DIR": str(data / "services"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(objects),
        "TMPDIR": str(temporary),
        # Otherwise it opens an MQTT port on all interfaces.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # Otherwise it removes containers that it takes for its own from the user's Docker.
        "DOCKER_HOST": f"unix://{temporary / 'no-docker.sock'}",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
    }
    os.environ.pop("MINISTACK_HOST", None)


def application() -> Any:
    """ministack's ASGI application."""
    return import_module("ministack.app").app


def touched_services(method: str, headers: Iterable[tuple[bytes, bytes]]) -> frozenset[str] | None:
    """The services whose state a request may change: an empty set for a reading one, None for all.

    CloudFormation's readers count as changing everything: they report what its background tasks did, and what
    is reported as done must be on disk.
    """
    target = b""
    for name, value in headers:
        if name.lower() == b"x-amz-target":
            target = value
    service, _, action = target.decode("latin-1").partition(".")
    if service in _TARGETS:
        reading = action.startswith(_READING) or (service == "TrentService" and action.startswith(_KMS_READING))
        return frozenset() if reading else _TARGETS[service]
    if not target and method in ("GET", "HEAD", "OPTIONS"):
        return frozenset()
    return None


def stack_operation_running() -> bool:
    """Whether a stack is being created, updated or deleted just now."""
    module = sys.modules.get("ministack.services.cloudformation")
    if module is None:
        return False
    statuses = (stack.get("StackStatus", "") for _, stack in module._stacks.all_items())
    return any(status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS" for status in statuses)


class Snapshots:
    """Takes the services' state out as JSON, each in ministack's own file format.

    A table's items are most of the state, and a write changes one of them. ministack never changes a stored
    item: it puts a new object in its place. So an item's text is kept for as long as that object is stored.
    """

    def __init__(self) -> None:
        # By the item's identity; the item is held so that no other object can get the same one.
        self._texts: dict[int, tuple[Any, str]] = {}

    def take(self, services: frozenset[str] | None) -> dict[str, bytes]:
        """The present state of the services; None: of all that are in use."""
        persistence = import_module("ministack.core.persistence")
        snapshots = {}
        for name, module_name in import_module("ministack.app")._state_map.items():
            module = sys.modules.get(f"ministack.services.{module_name}")
            if module is None or not hasattr(module, "get_state") or not (services is None or name in services):
                continue
            payload = _state_of(module) if name in _PLAIN_STATE else module.get_state()
            items = self._take_items_out(payload) if name == "dynamodb" else {}
            content = {"__ministack_format__": persistence._state_format_version(name), "payload": payload}
            # dumps, not dump: only dumps encodes in C, which is ten times faster.
            text = json.dumps(content, default=persistence._json_default)
            for placeholder, items_text in items.items():
                text = text.replace(f'"{placeholder}"', items_text)
            snapshots[name] = text.encode()
        return snapshots

    def _take_items_out(self, payload: Any) -> dict[str, str]:
        """Puts a placeholder in the place of each table's items; returns the JSON text of each placeholder."""
        tables = payload["tables"]
        texts: dict[int, tuple[Any, str]] = {}
        taken = {}
        for key, table in tables.all_items():
            placeholder = f"items-{uuid4()}"
            partitions = []
            # Lists, because the thread that removes expired items may change the dicts meanwhile.
            for partition, rows in list(table["items"].items()):
                written = []
                for sort_key, item in list(rows.items()):
                    held = self._texts.get(id(item))
                    if held is None:
                        held = (item, f"{encode_basestring_ascii(sort_key)}: {json.dumps(item)}")
                    texts[id(item)] = held
                    written.append(held[1])
                partitions.append(f"{encode_basestring_ascii(partition)}: {{{', '.join(written)}}}")
            taken[placeholder] = f"{{{', '.join(partitions)}}}"
            tables._data[key] = {**table, "items": placeholder}
        self._texts = texts
        return taken


def restore(snapshots: Mapping[str, bytes]) -> None:
    """Puts the services' state back. Raises StateUnreadable rather than starting with less than there was."""
    application_module = import_module("ministack.app")
    persistence = import_module("ministack.core.persistence")
    for name, snapshot in snapshots.items():
        try:
            content = json.loads(snapshot, object_hook=persistence._json_object_hook)
            newer = content["__ministack_format__"] > persistence._state_format_version(name)
            if not newer:
                module = application_module._get_module(application_module._state_map[name])
                module.load_persisted_state(content["payload"])
        except Exception as error:
            raise StateUnreadable(f"The state of {name} cannot be restored: {error!r}") from error
        if newer:
            raise StateUnreadable(f"The state of {name} was written by a newer version of the emulator.")


def return_messages_in_flight() -> int:
    """Makes every message that was received and not deleted visible again; returns how many there were.

    Only for start-up: those who held them are gone with the emulator. On AWS the consumer's visibility time-out
    does this; nobody who restarts a laptop should wait for it. The receive count stays, so that a message that
    kills everything still reaches the dead-letter queue.
    """
    module = sys.modules.get("ministack.services.sqs")
    returned = 0
    for _, queue in module._queues.all_items() if module is not None else ():
        for message in queue["messages"]:
            if message.get("receive_count", 0) > 0 and message.get("receipt_handle"):
                message["receipt_handle"] = None
                message["visible_at"] = message["sent_at"]
                returned += 1
    return returned


def repair_objects(folder: Path) -> int:
    """Mends objects whose overwriting was cut off between the body and its description; returns how many.

    ministack replaces an object's file and then the `.meta.json` beside it. A kill in between leaves the new
    body with the old size and ETag; these are dropped, so that they are computed anew from the body.
    """
    mended = 0
    for description in folder.rglob("*.meta.json"):
        body = description.with_name(description.name.removesuffix(".meta.json"))
        if not body.is_file():
            continue
        content = json.loads(description.read_bytes())
        if content.get("size") in (None, body.stat().st_size) and (
            body.stat().st_mtime_ns <= description.stat().st_mtime_ns
        ):
            continue
        for name in ("size", "etag", "checksums"):
            content.pop(name, None)
        description.write_text(json.dumps(content))
        mended += 1
    return mended


def _state_of(module: Any) -> Any:
    """The module's own `get_state`, without its deep copies.

    They exist for callers that keep the result; ours turns it into text before anything else can run. At 5,000
    items the copies take most of the time of a save.
    """
    no_copies = SimpleNamespace(deepcopy=_same, copy=_same)
    return FunctionType(module.get_state.__code__, {**vars(module), "copy": no_copies})()


def _same(value: Any) -> Any:
    return value
