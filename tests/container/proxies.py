"""Proxies on loopback, over real sockets: an HTTP one (CONNECT, Basic) and a SOCKS 5 one, with credentials."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, ClassVar

from container.egress import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

USERNAME, PASSWORD = "canary-user", "canary-proxy-password"

_SECONDS = 30


class ProxyServer:
    """Takes USERNAME and PASSWORD, connects to whatever it is asked for, and remembers that.

    `asked`: `host:port`, as the client named it. `carried`: bytes from clients. `refuses`: hosts it leads
    nobody to; `fails`: by a fault of its own. With `open_to_all` it wants no credentials.
    """

    scheme: ClassVar[str]

    def __init__(self, *, open_to_all: bool = False) -> None:
        self.open_to_all = open_to_all
        self.asked: list[str] = []
        self.refused_credentials = 0
        self.refuses: set[str] = set()
        self.fails = False
        self.carried = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def with_credentials(self, password: str = PASSWORD) -> Proxy:
        return Proxy(self.url, USERNAME, password)

    def stop_listening(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close(self) -> None:
        self.stop_listening()
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _greet(self, client: socket.socket) -> tuple[str, int] | None:
        """Where the client wants to go; None where it was refused."""
        raise NotImplementedError

    def _agree(self, client: socket.socket) -> None:
        raise NotImplementedError

    def _decline(self, client: socket.socket) -> None:
        """The answer for a host in `refuses`."""
        raise NotImplementedError

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._run(self._serve, client)

    def _run(self, target: object, *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()
        return thread

    def _serve(self, client: socket.socket) -> None:
        self._sockets.add(client)
        client.settimeout(_SECONDS)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, contextlib.suppress(OSError, EOFError):
            target = self._greet(client)
            if target is None:
                return
            host, port = target
            self.asked.append(f"{host}:{port}")
            if host in self.refuses:
                self._decline(client)
                return
            with socket.create_connection((host, port), timeout=_SECONDS) as server:
                self._sockets.add(server)
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._agree(client)
                back = self._run(self._pump, server, client)
                self._pump(client, server, count=True)
                back.join()
            self._sockets.discard(server)
        self._sockets.discard(client)

    def _pump(self, source: socket.socket, sink: socket.socket, *, count: bool = False) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(262144):
                if count:
                    self.carried += len(piece)
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class HttpProxy(ProxyServer):
    scheme = "http"

    def _greet(self, client: socket.socket) -> tuple[str, int] | None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += _exactly(client, 1)
        line, *fields = head.decode().split("\r\n")
        wanted = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        if not self.open_to_all and f"Proxy-Authorization: Basic {wanted}" not in fields:
            self.refused_credentials += 1
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
            return None
        method, target, _ = line.split(" ")
        assert method == "CONNECT"
        host, _, port = target.rpartition(":")
        return host, int(port)

    def _agree(self, client: socket.socket) -> None:
        # In two pieces: an answer need not come as one.
        client.sendall(b"HTTP/1.1 200 Connection est")
        client.sendall(b"ablished\r\nVia: 1.1 test\r\n\r\n")

    def _decline(self, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 %s\r\n\r\n" % (b"502 Bad Gateway" if self.fails else b"403 Forbidden"))


class SocksProxy(ProxyServer):
    scheme = "socks5"

    def _greet(self, client: socket.socket) -> tuple[str, int] | None:
        _, count = _exactly(client, 2)
        methods = _exactly(client, count)
        method = 0 if self.open_to_all else 2
        if method not in methods:
            self.refused_credentials += 1
            client.sendall(b"\x05\xff")
            return None
        client.sendall(bytes([5, method]))
        if method:
            _exactly(client, 1)
            given = [_exactly(client, _exactly(client, 1)[0]).decode() for _ in range(2)]
            taken = given == [USERNAME, PASSWORD]
            client.sendall(b"\x01\x00" if taken else b"\x01\x01")
            if not taken:
                self.refused_credentials += 1
                return None
        _, command, _, kind = _exactly(client, 4)
        assert command == 1
        if kind == 3:
            host = _exactly(client, _exactly(client, 1)[0]).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, _exactly(client, size))
        return host, int.from_bytes(_exactly(client, 2), "big")

    def _agree(self, client: socket.socket) -> None:
        client.sendall(b"\x05\x00\x00\x03\x04")
        client.sendall(b"here\x00\x50")

    def _decline(self, client: socket.socket) -> None:
        client.sendall(bytes([5, 4 if self.fails else 2, 0, 1, 0, 0, 0, 0, 0, 0]))


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


@contextlib.contextmanager
def proxy_server(kind: type[ProxyServer], *, open_to_all: bool = False) -> Iterator[ProxyServer]:
    server = kind(open_to_all=open_to_all)
    try:
        yield server
    finally:
        server.close()
