"""Fetches from addresses that strangers give us, without becoming their way into our network.

The connection is made by requests-hardened: it resolves the name once, refuses private addresses, and connects
to the very address that it checked, under the name's certificate. Added here: the address ranges that its list
lacks, the rules for URLs and redirects, and caps on bytes and time. What arrives, the caller looks at.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

import requests
from requests_hardened import Config, HTTPSession  # type: ignore[import-untyped]
from requests_hardened.ip_filter import InvalidIPAddress  # type: ignore[import-untyped]
from requests_hardened.ip_filter_adapter import IPFilterAdapter  # type: ignore[import-untyped]
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from chalicelib.addresses import PORTS, fault_of, is_public
from chalicelib.errors import MediaForbidden, MediaNotServed, MediaTooLarge, MediaUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK = 256 * 1024
MAX_REDIRECTS = 3
_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 30.0
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
# Refusals that may pass: request time-out, too early, too many requests (RFC 9110, 8470, 6585).
_PASSING = frozenset((408, 425, 429))


@dataclass(frozen=True, slots=True)
class Arriving:
    """A file that a server has begun to send. `source` is how errors call where it comes from: its URL without
    the query. `length` is what was announced, None where nothing was; `file_name` what its origin calls it.
    """

    source: str
    length: int | None
    file_name: str
    pieces: Iterator[bytes]


@contextlib.contextmanager
def fetching(
    url: str, deadline: Callable[[], float], *, allow_loopback: frozenset[str] = frozenset()
) -> Iterator[Arriving]:
    """Connects to `url` and gives what arrives; what goes wrong until it is left is raised as one of ours.

    `deadline` returns the seconds left, again and again. `allow_loopback` lists the `host:port` pairs on
    loopback that may be fetched from, over http too.

    Raises MediaForbidden (the URL or an address it leads to), MediaNotServed, MediaUnreachable (no answer, a
    bad one, a broken one, too slow).
    """
    target = _Target(url, allow_loopback)
    with (
        _speaking(target, deadline) as session,
        contextlib.closing(_follow(session, target, deadline)) as response,
    ):
        declared = response.headers.get("Content-Length", "")
        length = int(declared) if declared.isdecimal() else None
        yield Arriving(str(target), length, target.file_name, _body(response))


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered, whatever it was, with the first bytes of its body."""

    status: int
    head: bytes


def post(
    url: str,
    body: bytes,
    headers: dict[str, str],
    deadline: Callable[[], float],
    *,
    allow_loopback: frozenset[str] = frozenset(),
    head_bytes: int = 1024,
) -> Reply:
    """Posts to `url`, follows no redirect, and returns the answer; of its body no more than `head_bytes` are
    kept, and it need not arrive whole.

    Raises what `fetching` raises, and MediaUnreachable where there is no answer.
    """
    target = _Target(url, allow_loopback)
    with _speaking(target, deadline) as session:
        left = max(0.1, deadline())
        with session.post(
            target.url,
            data=body,
            headers={"Accept-Encoding": "identity", **headers},
            stream=True,
            timeout=(min(_CONNECT_SECONDS, left), min(_SILENCE_SECONDS, left)),
        ) as response:
            head = b""
            with contextlib.suppress(requests.RequestException, HTTPError, OSError, ValueError):
                for piece in _body(response):
                    head += piece
                    if len(head) >= head_bytes:
                        break
            return Reply(response.status_code, head[:head_bytes])


@contextlib.contextmanager
def _speaking(target: _Target, deadline: Callable[[], float]) -> Iterator[HTTPSession]:
    """A session to speak with a target; what goes wrong until it is left is raised as one of ours."""
    with _session(target.allow_loopback) as session, _time_cap(session, deadline) as late:
        try:
            yield session
        except InvalidIPAddress as error:
            raise MediaForbidden(f"{target} leads to {error}, which is not a public address.") from error
        except requests.exceptions.InvalidURL as error:
            raise MediaForbidden(f"{target} names no host that can be looked up.") from error
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            if late():
                raise too_late(str(target)) from error
            raise MediaUnreachable(f"{target} could not be fetched: {_plainly(error)}.") from error


def capped(
    pieces: Iterator[bytes],
    length: int | None,
    max_bytes: int,
    deadline: Callable[[], float],
    *,
    source: str,
    progress: Callable[[int, int | None], None] | None = None,
) -> Iterator[bytes]:
    """The pieces, as long as they stay within the caps and amount to the `length` that was announced, if any.
    `progress` hears (bytes so far, bytes in all or None).

    Raises MediaTooLarge, and MediaUnreachable for what breaks off or comes too late.
    """
    if length is not None and length > max_bytes:
        raise _too_large(source, max_bytes)
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > max_bytes:
            raise _too_large(source, max_bytes)
        if deadline() <= 0:
            raise too_late(source)
        if progress is not None:
            progress(size, length)
        yield piece
    # A connection that was cut at the deadline looks like an end where no length was announced.
    if deadline() <= 0:
        raise too_late(source)
    if length is not None and size != length:
        raise MediaUnreachable(f"{source} broke off after {size} of {length} bytes.")


def head_of(pieces: Iterator[bytes], size: int) -> bytes:
    """So many bytes of the pieces, or all there are; a little more where a piece brings it."""
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= size:
            break
    return head


def _too_large(source: str, max_bytes: int) -> MediaTooLarge:
    return MediaTooLarge(f"{source} is larger than {max_bytes} bytes ({max_bytes / 2**20:.0f} MiB).")


def too_late(source: str) -> MediaUnreachable:
    return MediaUnreachable(f"{source} did not arrive within the time that was left.")


class _Target:
    """A URL that may be fetched, as far as it tells itself. Its text leaves out the query, for secrets."""

    def __init__(self, url: str, allow_loopback: frozenset[str]) -> None:
        self.url = url
        self.allow_loopback = allow_loopback
        try:
            self.parts = urlsplit(url)
            self.port = self.parts.port or PORTS.get(self.parts.scheme)
        except ValueError as error:
            raise MediaForbidden("The URL cannot be read.") from error
        if fault := fault_of(url, allow_loopback):
            shown = "".join(character if character.isprintable() else "?" for character in str(self))
            raise MediaForbidden(f"{shown} {fault}.")

    def __str__(self) -> str:
        host = self.parts.hostname or ""
        port = "" if self.port == PORTS.get(self.parts.scheme) else f":{self.port}"
        return f"{self.parts.scheme}://{host}{port}{self.parts.path}"

    def redirected(self, location: str) -> _Target:
        return _Target(urljoin(self.url, location), self.allow_loopback)

    @property
    def file_name(self) -> str:
        name = unquote(self.parts.path.rpartition("/")[2])
        return re.sub(r"[^\w.()\- ]+", "_", name).strip(". ")[:100] or "media"


class _Adapter(IPFilterAdapter):  # type: ignore[misc]
    """requests-hardened's pinning adapter with our list of ranges, and sockets that can be cut from outside."""

    def __init__(self, *, https: bool, allow_loopback: bool) -> None:
        self.sockets: set[socket.socket] = set()
        self._loopback = allow_loopback
        super().__init__(is_https_proto=https, allow_loopback=allow_loopback)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self.sockets)

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        host_params, pool_kwargs = super().build_connection_pool_key_attributes(*args, **kwargs)
        pinned = host_params["host"].strip("[]")
        loopback = ipaddress.ip_address(pinned.partition("%")[0]).is_loopback
        if not (self._loopback and loopback) and not is_public(pinned):
            raise InvalidIPAddress(pinned)
        return host_params, pool_kwargs


def _pools(sockets: set[socket.socket]) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools, whose connections enter their sockets into the set."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            sock = super()._new_conn()
            sockets.add(sock)
            return sock

    class Tls(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            sock = super()._new_conn()
            sockets.add(sock)
            return sock

        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


@contextlib.contextmanager
def _session(allow_loopback: frozenset[str]) -> Iterator[HTTPSession]:
    config = Config(
        ip_filter_enable=False,  # The adapters below filter, by a longer list.
        ip_filter_allow_loopback_ips=False,
        never_redirect=True,
        default_timeout=(_CONNECT_SECONDS, _SILENCE_SECONDS),
        user_agent_override="social-publisher",
    )
    with HTTPSession(config) as session:
        session.trust_env = False  # No proxy and no netrc of ours.
        session.mount("http://", _Adapter(https=False, allow_loopback=False))
        session.mount("https://", _Adapter(https=True, allow_loopback=False))
        for pair in allow_loopback:
            for scheme in PORTS:
                session.mount(f"{scheme}://{pair}/", _Adapter(https=scheme == "https", allow_loopback=True))
        yield session


@contextlib.contextmanager
def _time_cap(session: HTTPSession, deadline: Callable[[], float]) -> Iterator[Callable[[], bool]]:
    """Cuts the session's sockets when the deadline is over: a server that sends a byte now and then would keep
    every single read within its own time-out for ever.
    """
    over = threading.Event()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(min(max(deadline(), 0.0), 1.0)):
            if deadline() <= 0:
                over.set()
                break
        if over.is_set():
            for adapter in session.adapters.values():
                for sock in list(getattr(adapter, "sockets", ())):
                    with contextlib.suppress(OSError):
                        sock.shutdown(socket.SHUT_RDWR)

    watcher = threading.Thread(target=watch, name="media-deadline", daemon=True)
    watcher.start()
    try:
        yield over.is_set
    finally:
        ended.set()
        watcher.join()


def _follow(session: HTTPSession, target: _Target, deadline: Callable[[], float]) -> requests.Response:
    """The answer at the end of at most MAX_REDIRECTS redirects, its body not read yet."""
    first = target
    for _ in range(MAX_REDIRECTS + 1):
        left = max(0.1, deadline())
        response: requests.Response = session.get(
            target.url,
            stream=True,
            headers={"Accept-Encoding": "identity", "Accept": "*/*"},
            timeout=(min(_CONNECT_SECONDS, left), min(_SILENCE_SECONDS, left)),
        )
        if response.status_code == 200:
            return response
        response.close()
        location = response.headers.get("Location")
        if response.status_code not in _REDIRECTS or not location:
            refused = 400 <= response.status_code < 500 and response.status_code not in _PASSING
            error = MediaNotServed if refused else MediaUnreachable
            raise error(f"{target} answered with HTTP {response.status_code}.")
        target = target.redirected(location)
    raise MediaUnreachable(f"{first} redirects more than {MAX_REDIRECTS} times.")


def _body(response: requests.Response) -> Iterator[bytes]:
    """The body as it arrives: each piece is what one read brought, so that nothing waits for a whole chunk."""
    while piece := response.raw.read1(CHUNK, decode_content=False):
        yield piece


def _plainly(error: Exception) -> str:
    """The cause in a few words: requests' own texts repeat the URL with its query."""
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not valid, or TLS failed"
    text = str(error)
    for sign, words in (
        ("Failed to resolve", "its name does not resolve"),
        ("refused", "the connection was refused"),
        ("timed out", "it did not answer in time"),
        ("IncompleteRead", "it broke off"),
        ("reset by peer", "the connection was reset"),
    ):
        if sign in text:
            return words
    return type(error).__name__
