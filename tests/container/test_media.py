"""Fetching media from a server that may mean harm, over real sockets."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import hashlib
import ipaddress
import itertools
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import addresses
from chalicelib.addresses import is_public
from chalicelib.errors import (
    MediaDamaged,
    MediaError,
    MediaForbidden,
    MediaTooLarge,
    MediaTooLong,
    MediaTypeRejected,
    MediaUnreachable,
)
from chalicelib.media import MAX_IMAGE_BYTES
from chalicelib.sniff import sniff
from container.media import fetch_media
from container.media_file import Limits, MediaFile
from tests.container.media_server import MediaServer, head, media_server
from tests.container.support import COVER, VIDEO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MP4 = VIDEO.read_bytes()
_PNG = COVER.read_bytes()


@pytest.fixture
def server() -> Iterator[MediaServer]:
    with media_server() as server:
        yield server


@pytest.fixture
def fetch(server: MediaServer, tmp_path: Path) -> Callable[..., MediaFile]:
    def fetch(url: str, kind: Any = "video", **changes: Any) -> MediaFile:
        allowed = changes.pop("allow_loopback", frozenset({server.host}))
        return fetch_media(url, kind, tmp_path, _limits(**changes), allow_loopback=allowed)

    return fetch


def _limits(**changes: Any) -> Limits:
    given: dict[str, Any] = {"max_bytes": 10**7, "max_seconds": 3600, "deadline": lambda: 60.0}
    return Limits(**{**given, **changes})


# What arrives


def test_a_video_arrives_whole(server: MediaServer, fetch: Callable[..., MediaFile], tmp_path: Path) -> None:
    heard: list[tuple[int, int | None]] = []
    url = server.serve("/a%20folder/%E8%A7%86%E9%A2%91%2F..%2Fx.mp4", _MP4)
    got = fetch(f"{url}?token=secret", progress=lambda *step: heard.append(step))
    assert got == MediaFile(
        path=tmp_path / "video.mp4",
        kind="video",
        media_type="video/mp4",
        size=len(_MP4),
        sha256=hashlib.sha256(_MP4).hexdigest(),
        file_name="视频_.._x.mp4",
        duration_ms=6000,
        width=720,
        height=1280,
    )
    assert got.path.read_bytes() == _MP4
    assert heard[-1] == (len(_MP4), len(_MP4))


def test_a_picture_of_unannounced_length_arrives_whole(
    server: MediaServer, fetch: Callable[..., MediaFile]
) -> None:
    def chunked(connection: socket.socket, _: str) -> None:
        connection.sendall(head("200 OK", "Transfer-Encoding: chunked"))
        for piece in _pieces(_PNG):
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")

    got = fetch(server.on("/p", chunked), "image")
    assert (got.media_type, got.size, got.path.name) == ("image/png", len(_PNG), "image.png")


def test_three_redirects_are_followed(server: MediaServer, fetch: Callable[..., MediaFile]) -> None:
    server.serve("/end", _MP4)
    server.redirect("/3", "/end")
    server.redirect("/2", f"{server.origin}/3", "307 Temporary Redirect")
    assert fetch(server.redirect("/1", "2", "301 Moved Permanently")).size == len(_MP4)


def test_nothing_of_ours_is_sent(
    server: MediaServer, fetch: Callable[..., MediaFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    fetch(server.serve("/v", _MP4))
    sent = {line.partition(":")[0].lower() for line in server.requests[0].split("\r\n")[1:] if line}
    assert sent <= {"host", "user-agent", "accept", "accept-encoding", "connection"}


# What does not


@pytest.mark.parametrize(
    ("body", "kind", "found"),
    [
        (b"<!DOCTYPE html><title>Log in</title>" + b" " * 100, "video", "a web page"),
        (b'{"error": "expired"}', "video", "JSON"),
        (_PNG, "video", "image/png"),
        (_MP4, "image", "video/mp4"),
        (b"GIF89a" + bytes(100), "image", "image/gif"),
        (b"", "video", "an empty file"),
        (b"\x00\x00\x00\x20ftypheic" + bytes(60), "image", "image/heic"),
        (bytes(range(1, 100)), "video", "of an unknown type"),
    ],
)
def test_what_is_not_of_the_kind_is_named(
    server: MediaServer, fetch: Callable[..., MediaFile], tmp_path: Path, body: bytes, kind: str, found: str
) -> None:
    with pytest.raises(MediaTypeRejected, match=found):
        fetch(server.serve("/x", body, "Content-Type: video/mp4"), kind)
    assert list(tmp_path.iterdir()) == []


def test_a_length_beyond_the_cap_is_refused_unread(
    server: MediaServer, fetch: Callable[..., MediaFile]
) -> None:
    def announce(connection: socket.socket, _: str) -> None:
        connection.sendall(head("200 OK", "Content-Length: 1000001"))

    with pytest.raises(MediaTooLarge, match="1000000 bytes"):
        fetch(server.on("/big", announce), max_bytes=1_000_000)


def test_more_bytes_than_the_cap_are_refused_on_the_way(
    server: MediaServer, fetch: Callable[..., MediaFile], tmp_path: Path
) -> None:
    def flood(connection: socket.socket, _: str) -> None:
        connection.sendall(head("200 OK") + _MP4)
        with contextlib.suppress(OSError):
            while not server.stopping.is_set():
                connection.sendall(bytes(65536))

    with pytest.raises(MediaTooLarge):
        fetch(server.on("/flood", flood), max_bytes=1_000_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("headers", [(f"Content-Length: {len(_MP4)}",), ("Transfer-Encoding: chunked",)])
def test_a_body_that_breaks_off_is_no_video(
    server: MediaServer, fetch: Callable[..., MediaFile], tmp_path: Path, headers: tuple[str, ...]
) -> None:
    def stop_short(connection: socket.socket, _: str) -> None:
        part = _MP4[:5000]
        connection.sendall(head("200 OK", *headers))
        connection.sendall(part if "Length" in headers[0] else b"%x\r\n%s\r\n" % (len(part), part))

    with pytest.raises(MediaUnreachable, match="broke off"):
        fetch(server.on("/short", stop_short))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("phase", ["silence", "header", "body"])
def test_the_time_cap_holds_against_single_bytes(
    server: MediaServer, fetch: Callable[..., MediaFile], phase: str
) -> None:
    started = threading.Event()

    def drip(connection: socket.socket, _: str) -> None:
        started.set()
        connection.sendall(b"" if phase == "silence" else head("200 OK")[: 20 if phase == "header" else None])
        with contextlib.suppress(OSError):
            while not server.stopping.wait(0.05):
                if phase != "silence":
                    connection.sendall(b"x")

    clock = iter(itertools.chain([0.4, 0.4, 0.4, 0.2], itertools.repeat(0.0)))
    with pytest.raises(MediaError) as caught:
        fetch(server.on("/drip", drip), deadline=lambda: next(clock))
    assert started.is_set()
    assert isinstance(caught.value, MediaUnreachable)
    assert "time" in caught.value.detail


def test_a_compressed_body_is_not_unpacked(
    server: MediaServer, fetch: Callable[..., MediaFile], tmp_path: Path
) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    with pytest.raises(MediaTypeRejected, match="gzip"):
        fetch(server.serve("/bomb", bomb, "Content-Encoding: gzip"), max_bytes=200_000)
    assert list(tmp_path.iterdir()) == []


def test_bytes_beyond_the_announced_length_are_not_taken(
    server: MediaServer, fetch: Callable[..., MediaFile]
) -> None:
    def overrun(connection: socket.socket, _: str) -> None:
        connection.sendall(head("200 OK", f"Content-Length: {len(_MP4)}") + _MP4 + b"<script>" * 1000)

    got = fetch(server.on("/overrun", overrun))
    assert (got.size, got.path.read_bytes()) == (len(_MP4), _MP4)


@pytest.mark.parametrize("length", ["-1", "9" * 5000, "0x10", f"{len(_MP4)}, {len(_MP4) - 1}", "", "1e3"])
def test_a_length_that_is_no_number_gains_nothing(
    server: MediaServer, fetch: Callable[..., MediaFile], tmp_path: Path, length: str
) -> None:
    def lie(connection: socket.socket, _: str) -> None:
        connection.sendall(head("200 OK", f"Content-Length: {length}") + _MP4)
        with contextlib.suppress(OSError):
            while not server.stopping.is_set():
                connection.sendall(bytes(65536))

    with pytest.raises(MediaError):
        fetch(server.on("/lie", lie), max_bytes=1_000_000)
    assert list(tmp_path.iterdir()) == []


def test_headers_without_end_are_cut(server: MediaServer, fetch: Callable[..., MediaFile]) -> None:
    def flood(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        with contextlib.suppress(OSError):
            while not server.stopping.is_set():
                connection.sendall(b"X-More: " + b"x" * 1000 + b"\r\n")

    with pytest.raises(MediaUnreachable):
        fetch(server.on("/headers", flood))


def test_a_video_beyond_the_limits_leaves_nothing_on_disk(
    server: MediaServer, fetch: Callable[..., MediaFile], tmp_path: Path
) -> None:
    url = server.serve("/v", _MP4)
    with pytest.raises(MediaTooLong, match="0 min 5 s"):
        fetch(url, max_seconds=5)
    with pytest.raises(MediaDamaged):
        fetch(server.serve("/cut", _MP4[:-1]))
    assert list(tmp_path.iterdir()) == []


def test_a_picture_has_a_cap_of_its_own(server: MediaServer, fetch: Callable[..., MediaFile]) -> None:
    def announce(connection: socket.socket, _: str) -> None:
        connection.sendall(head("200 OK", f"Content-Length: {MAX_IMAGE_BYTES + 1}"))

    with pytest.raises(MediaTooLarge, match="20 MiB"):
        fetch(server.on("/big.png", announce), "image", max_bytes=10**12)


@pytest.mark.parametrize(
    "status", ["404 Not Found", "403 Forbidden", "500 Internal Server Error", "206 Partial"]
)
def test_an_answer_that_is_not_200_is_told(
    server: MediaServer, fetch: Callable[..., MediaFile], status: str
) -> None:
    with pytest.raises(MediaUnreachable, match=f"HTTP {status[:3]}") as caught:
        fetch(f"{server.serve('/secret', _MP4, status=status)}?token=canary")
    assert "canary" not in str(caught.value.describe())
    assert caught.value.retryable is not status.startswith("4")


def test_a_fourth_redirect_is_one_too_many(server: MediaServer, fetch: Callable[..., MediaFile]) -> None:
    with pytest.raises(MediaUnreachable, match="more than 3 times"):
        fetch(server.redirect("/round", "/round"))
    assert len(server.asked) == 4


def test_a_refused_connection_and_an_unknown_name_are_told(fetch: Callable[..., MediaFile]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    host = f"127.0.0.1:{port}"
    with pytest.raises(MediaUnreachable, match="refused"):
        fetch(f"http://{host}/v?token=canary", allow_loopback=frozenset({host}))
    with pytest.raises(MediaUnreachable, match="does not resolve") as caught:
        fetch("https://name.invalid/v?token=canary")
    assert "canary" not in str(caught.value)


# What is forbidden


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/v.mp4", "ftp://example.com/v.mp4", "file:///etc/passwd", "data:video/mp4,x"),
        *("https://user:secret@example.com/v.mp4", "https://example.com:8443/v.mp4", "https:///v.mp4"),
        *("https://example.com:99999/v.mp4", "http://[::1/v.mp4", "//example.com/v.mp4", ""),
        *("https://example.com@169.254.169.254/v.mp4", "https://example.com:80@127.0.0.1/v.mp4"),
        *("https://example.com\\@127.0.0.1/v.mp4", "https://127.0.0.1\\.example.com/v.mp4"),
        *("https://exam\tple.com/v.mp4", "https://example.com/v\r\nHost: x", " https://example.com/v.mp4"),
        *("https://example.com:22/v.mp4", "https://example.com:6379/v.mp4", "gopher://example.com/1"),
    ],
)
def test_a_url_that_breaks_the_rules_is_forbidden(fetch: Callable[..., MediaFile], url: str) -> None:
    with pytest.raises(MediaForbidden) as caught:
        fetch(url)
    assert "secret" not in caught.value.detail


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "0.0.0.0", "169.254.169.254", "100.100.100.200", "10.0.0.1", "192.168.1.1"),
        *("172.16.0.1", "[::1]", "[fe80::1]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[fd00::1]"),
        *(
            "[2002:7f00:1::]",
            "[::127.0.0.1]",
            "[fec0::1]",
            "[5f00::1]",
            "192.88.99.1",
            "192.0.0.192",
            "224.0.0.1",
        ),
        *("2130706433", "0x7f000001", "127.1", "0", "0177.0.0.1", "017700000001", "0x7f.1", "0x7f.0.0.0x1"),
        *("127.0.0.2", "127.255.255.254", "169.254.170.2", "255.255.255.255", "240.0.0.1", "198.18.0.1"),
        *("192.0.2.1", "198.51.100.1", "203.0.113.1", "100.64.0.1", "100.127.255.255", "172.31.255.255"),
        *("[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:a00:1]", "[64:ff9b:1::7f00:1]"),
        *("[100::1]", "[2001:db8::1]", "[2001::1]", "[2001:20::1]", "[3fff::1]", "[fc00::1]", "[ff02::1]"),
        "LOCALHOST",
    ],
)
def test_an_address_that_is_not_public_is_forbidden(fetch: Callable[..., MediaFile], host: str) -> None:
    with pytest.raises(MediaForbidden, match="not a public address"):
        fetch(f"https://{host}/v.mp4")


@pytest.mark.parametrize(
    "host", ["localhost.", "127.0.0.1.", "[fe80::1%25lo]", "0x7f000001.", "127.0.0.1%00.com"]
)
def test_an_odd_spelling_of_loopback_leads_nowhere(fetch: Callable[..., MediaFile], host: str) -> None:
    with pytest.raises((MediaForbidden, MediaUnreachable)) as caught:
        fetch(f"https://{host}/v.mp4")
    assert "refused" not in caught.value.detail  # By a port of ours: then it would have been tried.


def test_a_redirect_to_an_address_that_is_not_public_is_forbidden(
    server: MediaServer, fetch: Callable[..., MediaFile]
) -> None:
    with pytest.raises(MediaForbidden, match=r"169\.254\.169\.254"):
        fetch(server.redirect("/out", "https://169.254.169.254/latest/meta-data/"))
    with pytest.raises(MediaForbidden, match="https"):
        fetch(server.redirect("/down", "http://example.com/v.mp4"))
    for number, location in enumerate(
        (
            "file:///etc/passwd",
            "https://user:secret@example.com/",
            "//169.254.169.254/",
            "https://example.com:22/",
        )
    ):
        with pytest.raises(MediaForbidden) as caught:
            fetch(server.redirect(f"/{number}", location))
        assert "secret" not in caught.value.detail


def test_loopback_is_allowed_for_one_port_only(server: MediaServer, fetch: Callable[..., MediaFile]) -> None:
    with media_server() as other:
        other.serve("/v", _MP4)
        with pytest.raises(MediaForbidden):
            fetch(f"http://{other.host}/v")
        with pytest.raises(MediaForbidden):
            fetch(server.redirect("/side", f"{other.origin}/v"))
        assert other.asked == []


def test_the_address_that_was_checked_is_the_one_that_is_used(
    fetch: Callable[..., MediaFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that changes its mind between the check and the connection gains nothing by it."""
    asked: list[str] = []

    def rebind(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        address = "192.0.2.1" if len(asked) > 1 else "93.184.216.34"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    connected: list[Any] = []

    def connect(address: Any, *args: Any, **kwargs: Any) -> Any:
        connected.append(address)
        raise OSError("no way out of here")

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    with pytest.raises(MediaUnreachable):
        fetch("https://rebinding.example/v.mp4")
    assert connected == [("93.184.216.34", 443)]
    assert asked == ["rebinding.example"]


@pytest.mark.parametrize(
    ("answers", "connects_to"),
    [
        (["93.184.216.34", "10.0.0.1"], [("93.184.216.34", 443)]),
        (["93.184.216.34", "2606:4700::1111"], [("93.184.216.34", 443)]),
        (["10.0.0.1", "93.184.216.34"], []),
        (["fe80::1", "93.184.216.34"], []),
        (["::ffff:10.0.0.1", "93.184.216.34"], []),
        (["::ffff:93.184.216.34", "10.0.0.1"], [("93.184.216.34", 443)]),
    ],
)
def test_of_several_addresses_only_the_checked_one_is_ever_tried(
    fetch: Callable[..., MediaFile],
    monkeypatch: pytest.MonkeyPatch,
    answers: list[str],
    connects_to: list[tuple[str, int]],
) -> None:
    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in answers]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for family, address in zip(families, answers, strict=True)
        ]

    connected: list[Any] = []

    def connect(address: Any, *args: Any, **kwargs: Any) -> Any:
        connected.append(address)
        raise OSError("no way out of here")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    with pytest.raises(MediaUnreachable if connects_to else MediaForbidden):
        fetch("https://several.example/v.mp4")
    assert connected == connects_to


_BARRED = [str(network) for network in addresses._BARRED]


@given(st.sampled_from(_BARRED), st.data())
def test_no_address_of_a_barred_range_is_public(network: str, data: st.DataObject) -> None:
    barred = ipaddress.ip_network(network)
    number = data.draw(st.integers(int(barred.network_address), int(barred.broadcast_address)))
    assert not is_public(str(type(barred.network_address)(number)))


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_judged_by_what_it_maps_to(address: ipaddress.IPv4Address) -> None:
    assert is_public(f"::ffff:{address}") is is_public(str(address))


@given(st.ip_addresses())
def test_whatever_the_standard_library_calls_private_is_not_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    odd = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
    assert not (odd and is_public(str(address)))


def test_addresses_of_the_internet_are_public() -> None:
    for address in ("1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "240e::1"):
        assert is_public(address)


# TLS


def test_a_certificate_is_checked_against_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = tmp_path / "authority.pem"
    with media_server(_tls(tmp_path, authority, "127.0.0.1")) as server:
        server.serve("/v", _MP4)

        def fetch(host: str) -> MediaFile:
            allowed = frozenset({host})
            return fetch_media(f"https://{host}/v", "video", tmp_path, _limits(), allow_loopback=allowed)

        with pytest.raises(MediaUnreachable, match="certificate"):
            fetch(server.host)
        monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(authority))
        assert fetch(server.host).size == len(_MP4)
        with pytest.raises(MediaUnreachable, match="certificate"):
            fetch(f"localhost:{server.host.partition(':')[2]}")


def _tls(folder: Path, authority: Path, address: str) -> ssl.SSLContext:
    """A server's context with a certificate for `address`, signed by itself; `authority` gets it to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "media test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    authority.write_bytes(pem)
    both = folder / "server.pem"
    both.write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context


# Sniffing


@pytest.mark.parametrize(
    ("start", "found"),
    [
        (b"\x00\x00\x00\x14ftypqt  ", "video/quicktime"),
        (b"\x00\x00\x00\x20ftypisom", "video/mp4"),
        (b"\x00\x00\x00\x20ftypM4A ", "audio/mp4"),
        (b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat", "video/quicktime"),
        (
            b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm",
            "video/webm",
        ),
        (b"\x1a\x45\xdf\xa3\xa3B\x86\x81\x01B\x82\x88matroska", "video/x-matroska"),
        (b"FLV\x01\x05", "video/x-flv"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "video/x-msvideo"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "another RIFF file"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\xef\xbb\xbf <?xml", "a web page or XML"),
        (b"PK\x03\x04", "a ZIP archive"),
    ],
)
def test_a_file_is_known_by_its_first_bytes(start: bytes, found: str) -> None:
    assert sniff(start) == found


@given(st.binary(max_size=80))
def test_any_bytes_are_called_something(start: bytes) -> None:
    assert sniff(start)


def _pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 30_000):
        yield body[start : start + 30_000]
