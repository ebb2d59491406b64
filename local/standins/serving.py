"""How a stand-in is served: on loopback only, ready when it says so, gone when its parent is."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from local.processes import end_at_stdin_eof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.applications import Starlette

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every stand-in has."""
    made = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    made.add_argument("--host", default="127.0.0.1", choices=["127.0.0.1", "::1", "localhost"])
    made.add_argument("--port", type=int, required=True, help="0 picks a free one")
    made.add_argument("--data", type=Path, required=True, metavar="DIR", help="keeps the whole state")
    made.add_argument("--exit-on-stdin-eof", action="store_true", help="stop when standard input ends")
    return made


def serve(
    app: Starlette,
    arguments: argparse.Namespace,
    *,
    on_stop: Callable[[], object] = lambda: None,
    date_header: bool = True,
) -> None:
    """Serves until a signal, or the end of standard input where that is asked for. Prints `ready http://…` once
    connections are accepted. `on_stop` is called when the end begins: requests that are held must let go then.
    Without `date_header` the app sends its own.
    """
    try:
        listener = listen(arguments.host, arguments.port)
    except OSError as error:
        raise SystemExit(f"cannot listen on {arguments.host}:{arguments.port}: {error.strerror}") from error
    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=0,
        date_header=date_header,
    )
    server = _Server(config, on_stop)
    if arguments.exit_on_stdin_eof:
        end_at_stdin_eof(server.stop)
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port, *_ = sockets[0].getsockname()
            print(f"ready http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stop()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A signal ends the server, and only that: uvicorn's own handler raises it once more at the end."""
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A bound and listening TCP socket; port 0 picks a free one.

    The protocol is named because asyncio switches Nagle's algorithm off only on sockets that say TCP; without
    it every answer waits 40 ms for the client's delayed acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen()
    return listener
