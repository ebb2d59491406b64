"""``python -m local.standins.douyin --port N --data DIR``: serve the stand-in until told to stop."""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from .app import build
from .site import Site

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Server(uvicorn.Server):
    """Uvicorn that says when it is ready and lets go of held requests when it stops."""

    def __init__(self, config: uvicorn.Config, site: Site, origin: str) -> None:
        super().__init__(config)
        self._site = site
        self._origin = origin

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(f"ready {self._origin}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._site.stopping.set()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A signal ends the server, and only that: uvicorn's own would kill the process once more after."""
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self.stop)
        yield
        for number in _STOP_SIGNALS:
            loop.remove_signal_handler(number)

    def stop(self) -> None:
        self.should_exit = True


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.standins.douyin", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", choices=["127.0.0.1", "::1", "localhost"])
    parser.add_argument("--port", type=int, required=True, help="0 picks a free one")
    parser.add_argument("--data", type=Path, required=True, help="directory of all state")
    parser.add_argument("--exit-on-stdin-eof", action="store_true", help="stop when standard input ends")
    args = parser.parse_args()

    family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((args.host, args.port))
    except OSError as error:
        parser.exit(1, f"cannot listen on {args.host}:{args.port}: {error.strerror}\n")
    host = f"[{args.host}]" if ":" in args.host else args.host

    app = build(args.data)
    site: Site = app.state.site
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = _Server(config, site, f"http://{host}:{listener.getsockname()[1]}")
    if args.exit_on_stdin_eof:
        threading.Thread(target=_stop_at_eof, args=(server,), daemon=True).start()
    server.run(sockets=[listener])
    site.store.close()


def _stop_at_eof(server: _Server) -> None:
    # os.read, not sys.stdin: a reader blocked inside the buffered stream would hang the interpreter's exit.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    server.stop()


if __name__ == "__main__":
    main()
