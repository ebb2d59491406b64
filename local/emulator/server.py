"""The emulator's server: ministack's application, with answers that wait until what they say is on disk."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import signal
import socket
import time
from typing import IO, TYPE_CHECKING, Any, Final

from local.emulator import services
from local.emulator.snapshots import Committer, SnapshotStore
from local.processes import LOOPBACK, end_at_stdin_eof

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Message = dict[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

logger = logging.getLogger(__name__)

_LOCK_SECONDS: Final = 15.0
_NOT_SAVED: Final = json.dumps(
    {"__type": "InternalServerError", "message": "The emulator could not save its state; see its log."}
).encode()


class DurableApplication:
    """ASGI: holds back the answer to a changing request until a save that began after the change has finished.

    An answer that reports an error promises nothing and is not held back.
    """

    def __init__(self, application: Any, committer: Committer) -> None:
        self._application = application
        self._committer = committer

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        touched = None
        if scope["type"] == "http":
            touched = services.touched_services(scope["method"], scope["headers"])
        if scope["type"] != "http" or touched == frozenset():
            await self._application(scope, receive, send)
            return
        refused = False

        async def send_when_saved(message: Message) -> None:
            nonlocal refused
            if refused:
                return
            if message["type"] == "http.response.start" and message["status"] < 400:
                try:
                    await self._committer.commit(touched)
                except Exception:  # noqa: BLE001  # logged by the committer; whatever it is, nothing was saved
                    refused = True
                    await _refuse(send)
                    return
            await send(message)

        await self._application(scope, receive, send_when_saved)


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"application/x-amz-json-1.0"), (b"content-length", b"%d" % len(_NOT_SAVED))]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": _NOT_SAVED})


async def serve(
    port: int,
    data: Path,
    *,
    auth: bool = False,
    exit_on_stdin_eof: bool = False,
    keep_nothing: bool = False,
) -> None:
    """Serves on loopback until SIGTERM, SIGINT or, if asked for, the end of stdin; then saves once more. Where
    nothing is to be kept, nothing is saved: a save writes all that there is.

    Raises OSError where the port is taken, StateUnreadable where the state on disk cannot be read.
    """
    services.configure(data, auth=auth)
    # Kept until the process ends. The emulator of a run that was killed may still be saving its state.
    lock = await asyncio.to_thread(_lock, data / "emulator.lock")
    store = SnapshotStore(data / "services")
    snapshots = store.load()
    if mended := services.repair_objects(data / "s3"):
        logger.warning("%d objects were being overwritten at the last stop and have been mended", mended)
    application = services.application()
    services.restore(snapshots)
    if returned := services.return_messages_in_flight():
        logger.warning("%d messages were in flight at the last stop and are visible again", returned)

    committer = Committer(store, services.Snapshots().take, services.stack_operation_running)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if exit_on_stdin_eof:
        end_at_stdin_eof(lambda: _call_on(loop, stopped.set))

    # After ministack: its import changes how hypercorn answers.
    from hypercorn.asyncio import serve as hypercorn_serve  # noqa: PLC0415
    from hypercorn.config import Config  # noqa: PLC0415

    listener = socket.create_server((LOOPBACK, port), backlog=512)
    address = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    config.accesslog = None
    committing = asyncio.create_task(committer.run())
    served = application if keep_nothing else DurableApplication(application, committer)
    announcing = _Announcing(served, address)
    try:
        await hypercorn_serve(announcing, config, shutdown_trigger=stopped.wait)  # type: ignore[arg-type]
        if not keep_nothing:
            await committer.commit(None)
    finally:
        committing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await committing
        lock.close()


def _lock(path: Path) -> IO[bytes]:
    """Waits until no other emulator works on the same data. Raises OSError after some seconds."""
    file = path.open("wb")
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.close()
                raise OSError(f"another emulator works on {path.parent}") from None
            time.sleep(0.05)
        else:
            return file


class _Announcing:
    """Says `ready <address>` on stdout once the application has started; the port listens before that."""

    def __init__(self, application: Any, address: str) -> None:
        self._application = application
        self._address = address

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        async def send_and_announce(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                print(f"ready {self._address}", flush=True)

        await self._application(scope, receive, send_and_announce if scope["type"] == "lifespan" else send)


def _call_on(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended by itself
        loop.call_soon_threadsafe(function)
