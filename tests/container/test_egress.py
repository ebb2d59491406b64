"""A browser whose account has a proxy: everything goes through it, or nowhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import Error as PlaywrightError

from chalicelib.errors import (
    AccountError,
    PlatformUnreachable,
    ProxyForbidden,
    ProxyRefused,
    ProxyUnreachable,
)
from container import browser as browser_module
from container import egress
from container.browser import Browser, open_page, platform_hosts
from container.douyin.login import QrLogin, QrState
from container.douyin.publish import Work
from container.egress import HostRefused, Proxy, Relay, allows
from container.evidence import Timeline
from container.profile import BrowserProfile
from local.processes import free_port
from tests.container.media_server import MediaServer, media_server
from tests.container.proxies import PASSWORD, USERNAME, HttpProxy, SocksProxy, proxy_server
from tests.container.support import VIDEO, publish, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.container.conftest import Run
    from tests.container.proxies import ProxyServer
    from tests.container.support import Site

BOTH = pytest.mark.parametrize("kind", [HttpProxy, SocksProxy], ids=["http", "socks5"])


@pytest.fixture
def proxy(kind: type[ProxyServer]) -> Iterator[ProxyServer]:
    with proxy_server(kind) as server:
        yield server


@pytest.fixture(scope="module")
def proxied(run: Run, standin: Site, chromium_path: str) -> Iterator[Browser]:
    """A browser whose proxies may stand on loopback."""
    browser = Browser(chromium_path, allowed_hosts=platform_hosts(standin.origin))
    yield browser
    run(browser.close())


@pytest.fixture
def destination() -> Iterator[MediaServer]:
    with media_server() as server:
        server.serve("/hello", b"hello")
        yield server


def _allow(browser: Browser, *servers: ProxyServer) -> None:
    browser._proxy_allow_loopback = frozenset(server.host for server in servers)


async def _get(proxy: Proxy, destination: MediaServer, *allowed: str) -> bytes:
    host, _, port = destination.host.partition(":")
    reader, writer = await proxy.open_tunnel(host, int(port), allowed)
    writer.write(b"GET /hello HTTP/1.1\r\nHost: here\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


# A tunnel


@BOTH
def test_a_tunnel_leads_through_the_proxy_with_its_credentials(
    proxy: ProxyServer, destination: MediaServer
) -> None:
    answer = asyncio.run(_get(proxy.with_credentials(), destination, proxy.host))

    assert answer.endswith(b"\r\n\r\nhello")
    assert proxy.asked == [destination.host]


@BOTH
def test_a_proxy_that_wants_no_credentials_gets_none(kind: type[ProxyServer], destination: MediaServer) -> None:
    with proxy_server(kind, open_to_all=True) as proxy:
        assert asyncio.run(_get(Proxy(proxy.url), destination, proxy.host)).endswith(b"hello")


@BOTH
@pytest.mark.parametrize("password", ["wrong", None])
def test_credentials_that_the_proxy_does_not_take_are_an_error_that_no_retry_mends(
    proxy: ProxyServer, destination: MediaServer, password: str | None
) -> None:
    given = proxy.with_credentials(password) if password else Proxy(proxy.url)

    with pytest.raises(ProxyRefused) as refused:
        asyncio.run(_get(given, destination, proxy.host))

    assert not refused.value.retryable
    assert "`proxy`" in refused.value.next_step
    assert USERNAME not in str(refused.value)
    assert proxy.refused_credentials == 1
    assert destination.asked == []


@BOTH
@pytest.mark.parametrize("fails", [False, True])
def test_a_host_that_the_proxy_does_not_lead_to_is_told_apart_from_a_proxy_that_fails(
    proxy: ProxyServer, destination: MediaServer, fails: bool
) -> None:
    proxy.refuses.add("127.0.0.1")
    proxy.fails = fails

    with pytest.raises(HostRefused, match=r"502|host unreachable" if fails else r"403|rules") as refused:
        asyncio.run(_get(proxy.with_credentials(), destination, proxy.host))

    assert refused.value.passing is fails


@BOTH
def test_names_are_left_to_the_proxy(proxy: ProxyServer) -> None:
    async def ask() -> None:
        with contextlib.suppress(AccountError, HostRefused):
            await proxy.with_credentials().open_tunnel("nowhere.invalid", 443, {proxy.host})

    asyncio.run(ask())

    assert proxy.asked == ["nowhere.invalid:443"]


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_is_down_may_be_up_later(scheme: str, destination: MediaServer) -> None:
    host = f"127.0.0.1:{free_port()}"

    with pytest.raises(ProxyUnreachable, match="Connection refused") as failed:
        asyncio.run(_get(Proxy(f"{scheme}://{host}"), destination, host))

    assert failed.value.retryable


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_does_not_answer_is_given_up(
    scheme: str, destination: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "_TUNNEL_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ProxyUnreachable, match="did not answer"):
            asyncio.run(_get(Proxy(f"{scheme}://{host}"), destination, host))


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize(
    "answer", [b"", b"220 mail.example.com ESMTP\r\n\r\n", b"\x15\x03\x03" + b"x" * 600_000]
)
def test_what_is_no_proxy_is_called_none(scheme: str, answer: bytes, destination: MediaServer) -> None:
    with MediaLike(answer) as host, pytest.raises(ProxyUnreachable):
        asyncio.run(_get(Proxy(f"{scheme}://{host}"), destination, host))


@pytest.mark.parametrize(
    "name", ["localhost", "127.0.0.1", "2130706433", "[::1]", "169.254.169.254", "10.0.0.1"]
)
def test_a_proxy_on_no_public_address_is_refused_when_it_is_used(name: str, destination: MediaServer) -> None:
    port = destination.host.partition(":")[2]

    with pytest.raises(ProxyForbidden, match="not a public address"):
        asyncio.run(_get(Proxy(f"http://{name}:{port}"), destination))

    assert destination.asked == []


class MediaLike:
    """Answers every connection with the same bytes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._server = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> str:
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return f"127.0.0.1:{self._server.getsockname()[1]}"

    def __exit__(self, *_: Any) -> None:
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        connection, _ = self._server.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(self._answer)


# The relay


def test_the_relay_reads_the_list_as_chromium_does() -> None:
    hosts = ("*.douyin.com", "rmc.bytedance.com", "127.0.0.1:8123", "[::1]:80")
    for host, port in [
        ("creator.douyin.com", 443),
        ("rmc.bytedance.com", 443),
        ("127.0.0.1", 8123),
        ("::1", 80),
    ]:
        assert allows(hosts, host, port)
    for host, port in [
        *[("douyin.com", 443), ("notdouyin.com", 443), ("creator.douyin.com.example", 443), ("", 443)],
        *[
            ("127.0.0.1", 8124),
            ("localhost", 8123),
            ("::1", 81),
            ("bytedance.com", 443),
            ("x.rmc.bytedance.com", 1),
        ],
    ]:
        assert not allows(hosts, host, port)


@BOTH
def test_a_tunnel_of_the_browser_carries_bytes_both_ways_until_both_ends_are_done(proxy: ProxyServer) -> None:
    """What Chromium does for https."""
    sent, back = b"up" * 400_000, b"down" * 400_000

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read() == sent
        writer.write(back)
        writer.write_eof()
        await writer.drain()
        writer.close()

    async def talk() -> tuple[bytes, bytes]:
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            relay = Relay(proxy.with_credentials(), (f"127.0.0.1:{port}",), (proxy.host,))
            async with relay.serve():
                reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
                writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: here\r\n\r\n".encode() + sent)
                writer.write_eof()
                head = await reader.readuntil(b"\r\n\r\n")
                received = await reader.read()
                writer.close()
                return head, received

    head, received = asyncio.run(talk())
    assert head.startswith(b"HTTP/1.1 200 ")
    assert received == back


def test_another_users_connection_is_not_served(
    destination: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask() -> bytes:
        with proxy_server(HttpProxy) as proxy:
            relay = Relay(proxy.with_credentials(), (destination.host,), (proxy.host,))
            async with relay.serve():
                reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
                writer.write(f"GET {destination.origin}/hello HTTP/1.1\r\n\r\n".encode())
                try:
                    return await reader.read()
                except ConnectionError:
                    return b""
                finally:
                    writer.close()

    assert asyncio.run(ask()).endswith(b"hello")
    monkeypatch.setattr("os.getuid", lambda: 4711)
    assert asyncio.run(ask()) == b""


# The browser


@pytest.mark.system
@BOTH
def test_the_login_page_and_the_phones_confirmation_go_through_the_proxy(
    run: Run, proxied: Browser, site: Site, proxy: ProxyServer
) -> None:
    _allow(proxied, proxy)

    async def log_in() -> None:
        async with proxied.context(profile=BrowserProfile(proxy=proxy.with_credentials())) as context:
            login = QrLogin(await open_page(context), site.origin, Timeline(_forget))
            await login.open()
            event = await login.next_event(None, 10)
            token = site.scan(event.qr_png or b"")
            scanned = await login.next_event(event, 10)
            site.confirm(token)
            assert (await login.next_event(scanned, 10)).state is QrState.LOGGED_IN

    run(log_in())
    assert set(proxy.asked) == {site.origin.removeprefix("http://")}


@pytest.mark.system
@BOTH
def test_a_publish_and_its_video_go_through_the_proxy(
    run: Run, proxied: Browser, site: Site, proxy: ProxyServer
) -> None:
    _allow(proxied, proxy)

    async def go() -> None:
        profile = BrowserProfile(proxy=proxy.with_credentials())
        async with visit(proxied, site, profile=profile) as visited:
            await publish(visited, Work(VIDEO, "经过代理"))

    run(go())
    assert [work["title"] for work in site.works()] == ["经过代理"]
    assert set(proxy.asked) == {site.origin.removeprefix("http://")}
    assert proxy.carried > VIDEO.stat().st_size


@pytest.mark.system
@BOTH
def test_with_the_proxy_down_nothing_reaches_the_site(
    run: Run, chromium_path: str, destination: MediaServer, proxy: ProxyServer
) -> None:
    browser = Browser(
        chromium_path,
        allowed_hosts=platform_hosts(destination.origin),
        proxy_allow_loopback={proxy.host},
    )
    try:
        proxy.stop_listening()
        with pytest.raises(ProxyUnreachable) as failed:
            run(_open(browser, destination.origin, proxy.with_credentials()))
        assert failed.value.describe()["step"] == "open_login"
        assert destination.asked == []
        # Without a proxy it is reached.
        destination.serve("/", b"")
        run(_visit(browser, destination.origin))
        assert "/" in destination.asked
    finally:
        run(browser.close())


@pytest.mark.system
@BOTH
def test_a_wrong_password_is_what_the_job_fails_with(
    run: Run, proxied: Browser, site: Site, proxy: ProxyServer
) -> None:
    _allow(proxied, proxy)

    with pytest.raises(ProxyRefused):
        run(_open(proxied, site.origin, proxy.with_credentials("wrong")))

    assert proxy.asked == []


@pytest.mark.system
@BOTH
@pytest.mark.parametrize("fails", [False, True])
def test_a_proxy_that_does_not_lead_to_the_platform_is_what_the_job_fails_with(
    run: Run, proxied: Browser, site: Site, proxy: ProxyServer, fails: bool
) -> None:
    _allow(proxied, proxy)
    proxy.refuses.add("127.0.0.1")
    proxy.fails = fails

    with pytest.raises(ProxyUnreachable if fails else ProxyRefused, match="does not lead to"):
        run(_open(proxied, site.origin, proxy.with_credentials()))


@pytest.mark.system
def test_a_proxy_that_dies_under_way_is_what_the_job_fails_with(run: Run, proxied: Browser, site: Site) -> None:
    async def go(proxy: ProxyServer) -> None:
        async with proxied.context(profile=BrowserProfile(proxy=proxy.with_credentials())) as context:
            page = await open_page(context)
            await page.goto(site.origin)
            proxy.stop_listening()
            await page.goto(f"{site.origin}/again")

    with proxy_server(HttpProxy) as proxy:
        _allow(proxied, proxy)
        with pytest.raises(ProxyUnreachable):
            run(go(proxy))


@pytest.mark.system
def test_an_error_of_the_platform_stays_its_own_while_the_proxy_works(
    run: Run, proxied: Browser, site: Site
) -> None:
    async def go(proxy: ProxyServer) -> None:
        async with (
            proxied.context(profile=BrowserProfile(proxy=proxy.with_credentials())) as context,
            Timeline(_forget).step("visit"),
        ):
            page = await open_page(context)
            await page.goto(site.origin)
            await page.goto("http://example.com/")

    with proxy_server(HttpProxy) as proxy:
        _allow(proxied, proxy)
        with pytest.raises(PlatformUnreachable):
            run(go(proxy))


@pytest.mark.system
def test_a_proxy_opens_no_other_hosts(run: Run, proxied: Browser, site: Site, destination: MediaServer) -> None:
    port = destination.host.partition(":")[2]
    barred = [
        *(f"{destination.origin}/hello", f"http://localhost:{port}/hello", f"https://127.0.0.1:{port}/hello"),
        *(f"ws://127.0.0.1:{port}/hello", f"http://2130706433:{port}/hello", "http://169.254.169.254/latest/"),
        *("https://example.com/", f"http://{proxied._relay_host}:{port}/hello"),
    ]

    async def go(proxy: ProxyServer) -> None:
        async with proxied.context(profile=BrowserProfile(proxy=proxy.with_credentials())) as context:
            page = await open_page(context)
            await page.goto(f"{site.origin}/")
            for url in barred:
                assert await page.evaluate(_REACHES, url) is False, url
            page = await open_page(context)
            for url in barred:
                with pytest.raises(PlaywrightError):
                    await page.goto(url)

    with proxy_server(HttpProxy) as proxy:
        _allow(proxied, proxy)
        run(go(proxy))
        assert set(proxy.asked) == {site.origin.removeprefix("http://")}
    assert destination.asked == []


@pytest.mark.system
def test_two_accounts_at_once_keep_their_own_proxies(run: Run, proxied: Browser, site: Site) -> None:
    async def go(first: ProxyServer, second: ProxyServer) -> None:
        async def visit_through(proxy: ProxyServer, path: str) -> None:
            async with proxied.context(profile=BrowserProfile(proxy=proxy.with_credentials())) as context:
                page = await open_page(context)
                for _ in range(3):
                    await page.goto(f"{site.origin}{path}")

        async with proxied.context() as direct:
            page = await open_page(direct)
            await asyncio.gather(
                visit_through(first, "/first"),
                visit_through(second, "/second"),
                page.goto(f"{site.origin}/none"),
            )

    with proxy_server(HttpProxy) as first, proxy_server(SocksProxy) as second:
        _allow(proxied, first, second)
        run(go(first, second))
        assert first.asked
        assert second.asked


@pytest.mark.system
def test_the_password_is_in_nothing_that_chromium_or_the_log_sees(
    run: Run, proxied: Browser, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[bytes] = []

    async def go(proxy: ProxyServer) -> None:
        for given in (proxy.with_credentials(), proxy.with_credentials(f"not-{PASSWORD}")):
            assert PASSWORD not in repr(given)
            with contextlib.suppress(AccountError, PlaywrightError):
                async with proxied.context(profile=BrowserProfile(proxy=given)) as context:
                    page = await open_page(context)
                    await page.goto(site.origin)
                    seen.append(_told_to(proxied))

    with proxy_server(SocksProxy) as proxy:
        _allow(proxied, proxy)
        run(go(proxy))
    assert caplog.text
    assert PASSWORD not in caplog.text
    assert b"chrom" in seen[0]
    assert all(PASSWORD.encode() not in told for told in seen)


async def _open(browser: Browser, origin: str, proxy: Proxy) -> None:
    """The first step of a login."""
    async with browser.context(profile=BrowserProfile(proxy=proxy)) as context:
        await QrLogin(await open_page(context), origin, Timeline(_forget)).open()


async def _visit(browser: Browser, url: str) -> None:
    async with browser.context() as context:
        await (await open_page(context)).goto(url)


def _told_to(browser: Browser) -> bytes:
    """The command lines and environments of all its processes."""
    return b"".join(
        Path(f"/proc/{pid}/{name}").read_bytes()
        for pid in browser_module._tree(browser._mark)
        for name in ("cmdline", "environ")
    )


async def _forget(_: dict[str, Any]) -> None:
    pass


_REACHES = """
(url) => url.startsWith("ws")
  ? new Promise((resolve) => {
      const socket = new WebSocket(url);
      socket.onopen = () => resolve(true);
      socket.onerror = () => resolve(false);
    })
  : fetch(url, {mode: "no-cors"}).then(() => true, () => false)
"""
