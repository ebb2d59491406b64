"""A web server over real sockets whose every byte a test decides."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    Answer = Callable[[socket.socket, str], None]


class MediaServer:
    """Answers each path by a function that writes to the socket; the connection is closed after it."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._answers: dict[str, Answer] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.asked: list[str] = []
        self.requests: list[str] = []
        self.stopping = threading.Event()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def origin(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}"

    def on(self, path: str, answer: Answer) -> str:
        """The URL at which this answer is given."""
        self._answers[path] = answer
        return self.origin + path

    def serve(self, path: str, body: bytes, *headers: str, status: str = "200 OK") -> str:
        def answer(connection: socket.socket, _: str) -> None:
            connection.sendall(head(status, f"Content-Length: {len(body)}", *headers) + body)

        return self.on(path, answer)

    def redirect(self, path: str, location: str, status: str = "302 Found") -> str:
        return self.serve(path, b"", f"Location: {location}", status=status)

    def close(self) -> None:
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(60)
                if self._tls is None:
                    self._answer(connection)
                else:
                    with self._tls.wrap_socket(connection, server_side=True) as wrapped:
                        self._answer(wrapped)

    def _answer(self, connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            received = connection.recv(65536)
            if not received:
                return
            request += received
        text = request.decode("latin-1")
        target = text.split(" ")[1]
        self.asked.append(target)
        self.requests.append(text)
        self._answers[target.partition("?")[0]](connection, text)


def head(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *headers, "", ""]).encode("latin-1")


@contextlib.contextmanager
def media_server(tls: ssl.SSLContext | None = None) -> Iterator[MediaServer]:
    server = MediaServer(tls)
    try:
        yield server
    finally:
        server.close()
