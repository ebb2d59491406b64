"""The way out of a browser whose account has a proxy: a relay on loopback, and the tunnels that it opens.

Chromium can't give credentials to a SOCKS proxy, and with any proxy it leaves names to the proxy, past the list
of allowed hosts. So it is pointed at a relay of ours, which holds that list, and the credentials: Chromium
never sees them. Whatever fails, nothing goes out beside the proxy (decision 060).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import logging
import os
import re
import socket
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chalicelib.addresses import is_public
from chalicelib.errors import AccountError, ProxyForbidden, ProxyRefused, ProxyUnreachable

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator, Collection

logger = logging.getLogger(__name__)

# What a proxy may take to let us through to a host; a chain of them answers in seconds.
_TUNNEL_SECONDS = 20.0
_BUFFER_BYTES = 256 * 1024
_LOOPBACK = "127.0.0.1"

# RFC 1928, section 6: what a SOCKS proxy says of a host that it does not lead to.
_SOCKS_REPLIES = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "timed out",
    7: "command not supported",
    8: "address type not supported",
}
_SOCKS_PASSING = (1, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True)
class Proxy:
    """An account's proxy. `url` is as `identity.proxy_url` makes it; `username` and `password` are both given,
    or both empty.
    """

    url: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    async def open_tunnel(
        self, host: str, port: int, allow_loopback: Collection[str] = ()
    ) -> tuple[StreamReader, StreamWriter]:
        """A connection to the host by way of the proxy, which looks the name up itself. `allow_loopback` lists
        the `host:port` pairs on loopback at which the proxy may stand.

        Raises ProxyForbidden, ProxyUnreachable, ProxyRefused of the proxy itself, and HostRefused where it
        works but does not lead to this host.
        """
        parts = urlsplit(self.url)
        writer: StreamWriter | None = None
        try:
            async with asyncio.timeout(_TUNNEL_SECONDS):
                reader, writer = await self._connect(parts.hostname or "", parts.port or 0, allow_loopback)
                greet = _greet_socks if parts.scheme == "socks5" else _greet_http
                await greet(self, reader, writer, host, port)
        except BaseException as error:
            if writer is not None:
                writer.transport.abort()
            if isinstance(error, TimeoutError):
                raise ProxyUnreachable(
                    f"The proxy {self.url} did not answer in {_TUNNEL_SECONDS:.0f} s."
                ) from error
            if isinstance(error, OSError):
                said = os.strerror(error.errno) if error.errno else "The connection broke"
                raise ProxyUnreachable(f"The proxy {self.url} cannot be used: {said}.") from error
            if isinstance(error, (EOFError, asyncio.LimitOverrunError)):
                raise ProxyUnreachable(f"What answers at {self.url} is no such proxy.") from error
            raise
        return reader, writer

    async def _connect(
        self, host: str, port: int, allow_loopback: Collection[str]
    ) -> tuple[StreamReader, StreamWriter]:
        """Looks the proxy's name up once, and connects to the very address that was checked."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )
        except socket.gaierror as error:
            raise ProxyUnreachable(f"The name of the proxy {self.url} does not resolve.") from error
        address = str(found[0][4][0])
        allowed = f"{host}:{port}" in allow_loopback and ipaddress.ip_address(address).is_loopback
        if not allowed and not is_public(address):
            raise ProxyForbidden(f"The proxy {self.url} is at {address}, which is not a public address.")
        return await asyncio.open_connection(address, port, limit=_BUFFER_BYTES)


class HostRefused(Exception):
    """The proxy works, and does not lead to this host. The text says why; `passing` says that it may later."""

    def __init__(self, why: str, *, passing: bool) -> None:
        super().__init__(why)
        self.passing = passing


async def _greet_http(proxy: Proxy, reader: StreamReader, writer: StreamWriter, host: str, port: int) -> None:
    """CONNECT, RFC 9110 section 9.3.6."""
    authority = _authority(host, port)
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if proxy.username:
        credentials = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.[01] (\d{3})\b", head)
    if status is None:
        raise ProxyUnreachable(f"What answers at {proxy.url} is no HTTP proxy.")
    if status[1] == b"407":
        raise ProxyRefused(_refusal(proxy))
    if not status[1].startswith(b"2"):
        raise HostRefused(f"HTTP {status[1].decode()}", passing=status[1].startswith(b"5"))


async def _greet_socks(proxy: Proxy, reader: StreamReader, writer: StreamWriter, host: str, port: int) -> None:
    """SOCKS 5, RFC 1928, with a username and password by RFC 1929."""
    method = 2 if proxy.username else 0
    writer.write(bytes([5, 1, method]))
    version, chosen = await reader.readexactly(2)
    if version != 5:
        raise ProxyUnreachable(f"What answers at {proxy.url} is no SOCKS 5 proxy.")
    if chosen != method:
        raise ProxyRefused(_refusal(proxy))
    if proxy.username:
        writer.write(b"\x01" + _short(proxy.username) + _short(proxy.password))
        if (await reader.readexactly(2))[1] != 0:
            raise ProxyRefused(_refusal(proxy))
    writer.write(b"\x05\x01\x00" + _socks_address(host) + struct.pack(">H", port))
    _, reply, _, kind = await reader.readexactly(4)
    if reply != 0:
        raise HostRefused(_SOCKS_REPLIES.get(reply, f"reply {reply}"), passing=reply in _SOCKS_PASSING)
    bound = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
    await reader.readexactly(bound + 2)


def _socks_address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return b"\x03" + _short(host)
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


def _short(text: str) -> bytes:
    data = text.encode()
    return bytes([len(data)]) + data


def _refusal(proxy: Proxy) -> str:
    given = "the username and password that were given" if proxy.username else "anybody without a password"
    return f"The proxy {proxy.url} does not take {given}."


@dataclass(slots=True)
class Relay:
    """What Chromium takes for its proxy: speaks HTTP on loopback, lets only our own user in, and only to the
    allowed hosts, by way of the account's proxy.

    `failure` is what is wrong with the proxy, as far as the latest tunnel tells; None where nothing is.
    """

    proxy: Proxy
    allowed_hosts: Collection[str]
    allow_loopback: Collection[str] = ()
    port: int = 0
    failure: AccountError | None = None
    _led_somewhere: bool = False
    _barred: set[str] = field(default_factory=set)
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://{_LOOPBACK}:{self.port}"

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[Relay]:
        """Listens on a free port of loopback until the end; all connections end with it."""
        server = await asyncio.start_server(self._accept, _LOOPBACK, 0, limit=_BUFFER_BYTES)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            connections = list(self._connections)
            for connection in connections:
                connection.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        connection = asyncio.create_task(self._serve_connection(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve_connection(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            if _is_ours(writer.get_extra_info("peername")[1], self.port):
                await self._relay(reader, writer)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            logger.info("A connection of the browser broke.", exc_info=error)
        finally:
            writer.close()

    async def _relay(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Carries one request of the browser and all that follows on its connection."""
        host, port, request = _request(await reader.readuntil(b"\r\n\r\n"))
        tunnel = await self._open_tunnel(host, port)
        if tunnel is None:
            return  # Chromium takes a connection that ends without a word for a failure, whatever it asked for.
        far_reader, far_writer = tunnel
        try:
            if request is None:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                far_writer.write(request)
            await _join((reader, writer), (far_reader, far_writer))
        except BaseException:
            far_writer.transport.abort()
            raise
        far_writer.close()

    async def _open_tunnel(self, host: str, port: int) -> tuple[StreamReader, StreamWriter] | None:
        if not allows(self.allowed_hosts, host, port):
            if host not in self._barred:
                self._barred.add(host)
                logger.warning("The page was not let through.", extra={"host": _authority(host, port)})
            return None
        try:
            tunnel = await self.proxy.open_tunnel(host, port, self.allow_loopback)
        except AccountError as error:
            logger.warning("The proxy gave no tunnel.", extra={"host": _authority(host, port)}, exc_info=error)
            self.failure = error
        except HostRefused as error:
            why = f"The proxy {self.proxy.url} does not lead to {_authority(host, port)}: {error}."
            logger.warning(
                "The proxy does not lead there.", extra={"host": _authority(host, port)}, exc_info=error
            )
            if not self._led_somewhere:  # Else it is a matter of that host alone.
                self.failure = (ProxyUnreachable if error.passing else ProxyRefused)(why)
        else:
            self.failure, self._led_somewhere = None, True
            return tunnel
        return None


def allows(allowed_hosts: Collection[str], host: str, port: int) -> bool:
    """Whether the list lets through to the host: `*.douyin.com`, `rmc.bytedance.com` or `127.0.0.1:8123`."""
    return any(
        allowed in (host, _authority(host, port)) or (allowed[:2] == "*." and host.endswith(allowed[1:]))
        for allowed in allowed_hosts
    )


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _request(head: bytes) -> tuple[str, int, bytes | None]:
    """(host, port, None) of a CONNECT; of any other request what to send to the host instead: the same as to a
    server, and the last on its connection, for the next one might be for another host. ValueError where it is
    no request to a proxy.
    """
    line, *fields = head.decode("latin-1").split("\r\n")
    method, target, version = line.split(" ")
    parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
    host = (parts.hostname or "").lower()
    if method == "CONNECT":
        return host, parts.port or 443, None
    if parts.scheme != "http":
        raise ValueError(f"{method} of a URL that no proxy is asked for")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = [text for text in fields if not text.lower().startswith(("proxy-", "connection:"))]
    rest = "\r\n".join([f"{method} {path} {version}", "Connection: close", *kept])
    return host, parts.port or 80, rest.encode("latin-1")


async def _join(near: tuple[StreamReader, StreamWriter], far: tuple[StreamReader, StreamWriter]) -> None:
    """Carries bytes both ways until both have said all, or one of them breaks."""
    try:
        async with asyncio.TaskGroup() as ways:
            ways.create_task(_pump(near[0], far[1]))
            ways.create_task(_pump(far[0], near[1]))
    except* OSError as broken:
        logger.debug("A tunnel broke.", exc_info=broken)


async def _pump(reader: StreamReader, writer: StreamWriter) -> None:
    while piece := await reader.read(_BUFFER_BYTES):
        writer.write(piece)
        await writer.drain()
    writer.write_eof()


def _is_ours(from_port: int, to_port: int) -> bool:
    """Whether a connection on loopback was opened by our own user, by the kernel's word: on a machine with
    others, the relay would else lend them the account's proxy. A password for the relay would do less, and make
    Playwright intercept each request of the page to fill it in.
    """
    table = Path("/proc/net/tcp")
    if not table.exists():
        return True  # Only Linux tells.
    ends = [f"{_hex_address()}:{port:04X}" for port in (from_port, to_port)]
    rows = (row.split() for row in table.read_text(encoding="ascii").splitlines())
    return any(row[1:3] == ends and row[7] == str(os.getuid()) for row in rows)


def _hex_address() -> str:
    return f"{int.from_bytes(socket.inet_aton(_LOOPBACK), sys.byteorder):08X}"
