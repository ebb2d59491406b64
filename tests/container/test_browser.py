"""Chromium itself: what it may reach, what it knows of us, and that it comes back."""

from __future__ import annotations

import asyncio
import http.server
import os
import signal
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import Error as PlaywrightError

from chalicelib.errors import BrowserFailed, ConfigurationError
from container import browser as module
from container.browser import Browser, open_page, platform_hosts
from container.profile import BrowserProfile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.container.conftest import Run
    from tests.container.support import Site


@pytest.fixture
def outsider() -> Iterator[tuple[str, list[str]]]:
    """Another server on this machine, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_the_hosts_of_the_real_site_are_patterns_and_those_of_a_stand_in_one_port() -> None:
    assert "*.douyin.com" in platform_hosts("https://creator.douyin.com")
    assert platform_hosts("http://127.0.0.1:8123") == ("127.0.0.1:8123",)
    assert platform_hosts("https://notdouyin.com") == ("notdouyin.com:443",)
    assert platform_hosts("http://[::1]:80") == ("[::1]:80",)


@pytest.mark.system
def test_nothing_but_the_allowed_hosts_can_be_reached(
    run: Run, browser: Browser, site: Site, outsider: tuple[str, list[str]]
) -> None:
    host, asked = outsider
    port = host.partition(":")[2]
    barred = [
        *(f"http://{host}/number", f"http://localhost:{port}/name", f"http://[::1]:{port}/six"),
        *(f"http://[::ffff:127.0.0.1]:{port}/mapped", f"http://2130706433:{port}/decimal"),
        *(f"http://0.0.0.0:{port}/any", "http://169.254.169.254/latest/meta-data/", "http://example.com/"),
    ]

    async def go() -> None:
        async with browser.context() as context:
            page = await open_page(context)
            for url in barred:
                with pytest.raises(PlaywrightError, match="ERR_NAME_NOT_RESOLVED"):
                    await page.goto(url)
            page = await open_page(context)
            await page.goto(f"{site.origin}/")
            for url in (*barred, f"ws://{host}/socket", "file:///etc/hostname"):
                assert await page.evaluate(_REACHES, url) is False
            # A redirect of an allowed host leads nowhere else, either.
            await page.route(
                "**/leave", lambda route: route.fulfill(status=302, headers={"Location": barred[0]})
            )
            with pytest.raises(PlaywrightError, match="ERR_NAME_NOT_RESOLVED"):
                await page.goto(f"{site.origin}/leave")

    run(go())
    assert asked == []


@pytest.mark.system
def test_a_page_cannot_open_files(run: Run, browser: Browser, site: Site) -> None:
    async def go() -> None:
        async with browser.context() as context:
            page = await open_page(context)
            await page.goto(f"{site.origin}/")
            said: list[str] = []
            page.on("console", lambda message: said.append(message.text))
            for way in ("location.href = url", "window.open(url)", "document.body.append(frame(url))"):
                await page.evaluate(_OPENS.replace("WAY", way), "file:///etc/hostname")
            assert page.url.startswith(site.origin)
            assert all(not frame.url.startswith("file:") for page in context.pages for frame in page.frames)
            assert any("Not allowed to load local resource" in text for text in said)

    run(go())


@pytest.mark.system
def test_the_browser_says_nothing_of_automation(run: Run, browser: Browser, site: Site) -> None:
    async def go() -> dict[str, Any]:
        async with browser.context() as context:
            page = await open_page(context)
            async with page.expect_request(f"{site.origin}/") as first:
                await page.goto(f"{site.origin}/")
            told = await page.evaluate(_TELLS)
            return {**told, "headers": await (await first.value).all_headers()}

    told = run(go())
    assert "Headless" not in str(told)
    assert told["webdriver"] is False
    assert (told["languages"], told["zone"]) == (["zh-CN"], "Asia/Shanghai")
    assert (told["width"], told["height"]) == (1440, 900)


_AGENT = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"


@pytest.mark.system
@pytest.mark.parametrize(
    ("desktop", "platform", "hint"),
    [
        ("Windows NT 10.0; Win64; x64", "Win32", "Windows"),
        ("Macintosh; Intel Mac OS X 10_15_7", "MacIntel", "macOS"),
        ("X11; Linux x86_64", "Linux x86_64", "Linux"),
    ],
)
def test_all_that_the_browser_tells_agrees_with_its_profile(
    run: Run, browser: Browser, site: Site, desktop: str, platform: str, hint: str
) -> None:
    profile = BrowserProfile(
        user_agent=_AGENT.format(desktop, 99), locale="zh-TW", time_zone="America/New_York"
    )

    async def go() -> tuple[str, dict[str, Any], dict[str, str]]:
        async with browser.context(profile=profile) as context:
            assert context.browser is not None
            page = await open_page(context)
            async with page.expect_request(f"{site.origin}/") as first:
                await page.goto(f"{site.origin}/")
            headers = await (await first.value).all_headers()
            return context.browser.version.partition(".")[0], await page.evaluate(_TELLS), headers

    major, told, headers = run(go())
    # The version is the browser's own, whichever the profile names.
    assert (told["agent"], headers["user-agent"]) == (_AGENT.format(desktop, major),) * 2
    assert (told["platform"], headers["sec-ch-ua-platform"]) == (platform, f'"{hint}"')
    assert f'"{hint}"' in told["brands"]
    assert f'"version":"{major}"' in told["brands"]
    assert (told["languages"], headers["accept-language"]) == (["zh-TW"], "zh-TW")
    assert (told["zone"], told["written"]) == ("America/New_York", "12:00:00")


@pytest.mark.system
def test_chromium_inherits_nothing_of_our_environment(
    run: Run, chromium_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    monkeypatch.setenv("HTTPS_PROXY", "http://canary.invalid:1")
    browser = Browser(chromium_path, allowed_hosts=())
    run(browser.start())
    tree = _tree(browser)
    assert tree
    for pid in tree:
        assert b"canary" not in Path(f"/proc/{pid}/environ").read_bytes()
    run(browser.close())
    assert not any(_alive(pid) for pid in tree)


@pytest.mark.system
def test_starting_side_by_side_launches_one_browser(run: Run, chromium_path: str) -> None:
    browser = Browser(chromium_path, allowed_hosts=())

    async def start_twice() -> None:
        await asyncio.gather(browser.start(), browser.start())

    run(start_twice())
    first = _tree(browser)
    run(browser.start())
    assert set(first) <= set(_tree(browser))
    run(browser.close())


@pytest.mark.system
def test_a_killed_browser_is_replaced(run: Run, chromium_path: str) -> None:
    browser = Browser(chromium_path, allowed_hosts=())
    run(browser.start())
    before = _tree(browser)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    run(_use(browser))
    assert not set(before) & set(_tree(browser))
    browser.kill()


@pytest.mark.system
def test_a_browser_that_hangs_is_replaced(
    run: Run, chromium_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CONTEXT_SECONDS", 1.0)
    browser = Browser(chromium_path, allowed_hosts=())
    run(browser.start())
    before = _tree(browser)
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    run(_use(browser))
    assert not any(_alive(pid) for pid in before)
    run(browser.close())


@pytest.mark.system
def test_a_browser_of_another_event_loop_is_replaced(run: Run, chromium_path: str) -> None:
    browser = Browser(chromium_path, allowed_hosts=())
    run(browser.start())
    before = _tree(browser)

    # As a thread of its own, for Playwright's other API may occupy this one.
    def elsewhere() -> None:
        asyncio.run(_use_and_close(browser))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert not any(_alive(pid) for pid in before)


@pytest.mark.system
def test_a_headed_browser_gets_a_display_of_its_own(run: Run, headed_chromium_path: str) -> None:
    browser = Browser(headed_chromium_path, headed=True, allowed_hosts=())
    run(_use(browser))
    tree = _tree(browser)
    run(browser.close())
    assert not any(_alive(pid) for pid in tree)


def test_a_browser_that_does_not_exist_is_a_matter_of_configuration(run: Run) -> None:
    with pytest.raises(ConfigurationError, match="CHROMIUM_PATH"):
        run(Browser("/nowhere/chromium", allowed_hosts=()).start())


def test_a_browser_that_does_not_come_up_fails_as_such(run: Run) -> None:
    with pytest.raises(BrowserFailed):
        run(Browser("/bin/false", allowed_hosts=()).start())


@pytest.mark.system
@pytest.mark.parametrize("executable", ["/bin/false", "/nowhere/chromium"])
def test_a_launch_that_fails_leaves_no_process_behind(run: Run, executable: str) -> None:
    before = module._drivers()
    with pytest.raises((BrowserFailed, ConfigurationError)):
        run(Browser(executable, allowed_hosts=()).start())
    assert not [pid for pid in module._drivers() - before if _alive(pid)]


@pytest.mark.system
def test_a_killed_browser_leaves_no_files_behind(
    run: Run, chromium_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    browser = Browser(chromium_path, allowed_hosts=())
    run(browser.start())
    assert list(tmp_path.iterdir())
    browser.kill()
    assert list(tmp_path.iterdir()) == []


async def _use(browser: Browser) -> None:
    async with browser.context() as context:
        page = await open_page(context)
        assert await page.evaluate("1 + 1") == 2


async def _use_and_close(browser: Browser) -> None:
    await _use(browser)
    await browser.close()


def _tree(browser: Browser) -> list[int]:
    return module._tree(browser._mark)


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


_REACHES = """
(url) => url.startsWith("ws")
  ? new Promise((resolve) => {
      const socket = new WebSocket(url);
      socket.onopen = () => resolve(true);
      socket.onerror = () => resolve(false);
    })
  : fetch(url, {mode: "no-cors"}).then(() => true, () => false)
"""

_OPENS = """
(url) => {
  const frame = (url) => Object.assign(document.createElement("iframe"), {src: url});
  try { WAY; } catch (error) { console.log(String(error)); }
}
"""

_TELLS = """
() => ({
  agent: navigator.userAgent,
  brands: JSON.stringify(navigator.userAgentData),
  platform: navigator.platform,
  webdriver: navigator.webdriver,
  languages: [...navigator.languages],
  zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  written: new Date(Date.UTC(2026, 0, 1, 17)).toTimeString().slice(0, 8),
  width: innerWidth,
  height: innerHeight,
})
"""
