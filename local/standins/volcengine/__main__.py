"""`python -m local.standins.volcengine --port N --data DIR`: serves the stand-in until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from local.processes import end_at_stdin_eof
from local.standins.volcengine.app import build_app
from local.standins.volcengine.catalogue import Catalogue
from local.standins.volcengine.listener import listen
from local.standins.volcengine.signature import Account

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main() -> None:
    arguments = _parse_arguments()
    listener = listen(arguments.host, arguments.port)
    catalogue = Catalogue(
        arguments.data, utm_source=arguments.utm_source, count=arguments.articles, now=datetime.now(UTC)
    )
    account = Account(arguments.access_key, arguments.secret_key, arguments.session_token)
    server = _Server(
        uvicorn.Config(
            build_app(catalogue, account),
            log_level="critical",
            access_log=False,
            lifespan="off",
            # A request that a fault holds back does not hold back the end.
            timeout_graceful_shutdown=0,
        )
    )
    if arguments.exit_on_stdin_eof:
        end_at_stdin_eof(server.stop)
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """Says when it accepts connections, and ends quietly on a signal."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port, *_ = (sockets or [])[0].getsockname()
        print(f"ready http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own handler raises the signal once more when it has ended.
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        self.should_exit = True


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.standins.volcengine", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 picks a free one")
    parser.add_argument("--data", type=Path, required=True, help="directory that keeps the articles")
    parser.add_argument("--host", default="127.0.0.1", choices=["127.0.0.1", "::1", "localhost"])
    parser.add_argument("--access-key", default="local-access-key")
    parser.add_argument("--secret-key", default="local-secret-key")
    parser.add_argument("--session-token", help="every request must carry it")
    parser.add_argument("--utm-source", default="local_default_content", help="the account's one channel")
    parser.add_argument("--articles", type=int, default=95, help="made when DIR is still empty")
    parser.add_argument("--exit-on-stdin-eof", action="store_true", help="stop when standard input ends")
    return parser.parse_args()


if __name__ == "__main__":
    main()
