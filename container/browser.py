"""Chromium: one per execution environment, kept warm between jobs, a fresh context for each job.

Chromium sees an environment of its own making (no credentials, no proxies) and resolves the names of the
allowed hosts only: everything else, addresses included, fails with ERR_NAME_NOT_RESOLVED before a packet
leaves. Decision 030 has the measurements and what the allow-list covers. A context of an account with a proxy
goes through a relay that holds the same list (decision 060).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import signal
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import async_playwright

from chalicelib.accounts.identity import DESKTOPS, USER_AGENT
from chalicelib.errors import BrowserFailed, ConfigurationError, PageTimeout, PlatformUnreachable
from container.egress import Relay
from container.profile import TIME_ZONE, BrowserProfile

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Collection, Iterator, Sequence

    from playwright.async_api import Browser as PlaywrightBrowser
    from playwright.async_api import BrowserContext, Page, Playwright, Request, StorageState

logger = logging.getLogger(__name__)

_DESKTOP: Final = "X11; Linux x86_64"
VIEWPORT: Final = {"width": 1440, "height": 900}

# Launch takes 0.4 s warm and a few seconds on a cold, throttled machine; a context takes 20 ms.
_LAUNCH_SECONDS = 30.0
_CONTEXT_SECONDS = 10.0
_CLOSE_SECONDS = 5.0
_VERSION_SECONDS = 5.0
_LAUNCH_ATTEMPTS = 2

_ACTION_MS = 10_000
_NAVIGATION_MS = 30_000

# Every process of one browser inherits this variable, so that the whole tree can be found and ended, also
# the helpers that Chromium detaches from itself.
_MARK = "BROWSER_INSTANCE"

# Playwright adds --no-sandbox and --disable-dev-shm-usage by itself on Linux; Lambda needs both.
_FLAGS = (
    "--no-zygote",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-blink-features=AutomationControlled",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
)

# With a window Chromium keeps a socket below TMPDIR, in /org.chromium.Chromium.abcdef/SingletonSocket, and a
# socket's path has 107 bytes at most. On one machine a worker's temporary folder is longer than that leaves.
_MAX_TEMP_PATH = 62

# What the creator center talks to. The first line is in the captures of 2026-09 (pages, APIs, passport; upload
# gateways vod. and imagex.bytedanceapi.com); the others are ByteDance's networks for static files, pictures,
# previews, risk control and captcha, which its web applications share. A host that is missing shows up in the
# log as a request that was not let through.
_DOUYIN_HOSTS = (
    *("*.douyin.com", "*.bytedanceapi.com"),
    *("*.douyinpic.com", "*.douyinvod.com", "*.douyinstatic.com", "*.amemv.com", "*.ixigua.com"),
    *("*.byteimg.com", "*.bytegoofy.com", "*.bytednsdoc.com", "*.bytetos.com", "*.bytescm.com"),
    *("*.byted-static.com", "*.bytecdn.cn", "*.pstatp.com", "*.volccdn.com", "*.yhgfb-cn-static.com"),
    *("*.zijieapi.com", "*.snssdk.com", "rmc.bytedance.com"),
)


def platform_hosts(origin: str) -> tuple[str, ...]:
    """The hosts that Chromium needs for the creator center at `origin`.

    Douyin's own hosts where `origin` is on douyin.com; else `host:port` of the origin, nothing beside it.
    """
    parts = urlsplit(origin)
    host = parts.hostname or ""
    if host == "douyin.com" or host.endswith(".douyin.com"):
        return _DOUYIN_HOSTS
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}",)


class Browser:
    """One Chromium, launched when it is first needed and launched again when it died or hangs.

    `allowed_hosts` are patterns (`*.douyin.com`) or `host:port` pairs; `proxy_allow_loopback` the `host:port`
    pairs on loopback that a proxy may stand at. All calls come from one event loop at a time; a browser left
    behind by an earlier loop is killed and replaced.
    """

    def __init__(
        self,
        executable_path: str | None,
        *,
        headed: bool = False,
        allowed_hosts: Sequence[str],
        proxy_allow_loopback: Collection[str] = (),
    ) -> None:
        self._executable_path = executable_path
        self._headed = headed
        self._allowed_hosts = tuple(allowed_hosts)
        self._proxy_allow_loopback = frozenset(proxy_allow_loopback)
        # The one name under which Chromium finds relays on loopback. No page can know it, or it could talk to
        # whatever else listens there.
        self._relay_host = f"{uuid.uuid4().hex}.invalid"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = asyncio.Lock()
        self._playwright: Playwright | None = None
        self._browser: PlaywrightBrowser | None = None
        self._display: Process | None = None
        self._driver_pids: set[int] = set()
        self._mark = ""
        self._home: Path | None = None
        self._version: str | None = None

    async def start(self) -> None:
        """Launches Chromium unless it runs already. May be called early, often and side by side.

        Raises ConfigurationError where there is no such executable, BrowserFailed where it does not come up.
        """
        await self._running()

    async def user_agent(self, profile: BrowserProfile) -> str:
        """What the browser calls itself to sites: asked of its executable, which takes 0.1 s, where it does not
        run. Raises as `start` does where that cannot tell.
        """
        if self._version is None:
            self._version = await _version_of(self._executable_path) or (await self._running()).version
        return _user_agent(profile, self._version)

    @contextlib.asynccontextmanager
    async def way_out(self, profile: BrowserProfile) -> AsyncIterator[Relay | None]:
        """The relay to the profile's proxy, as long as it is entered; None where it has none."""
        if profile.proxy is None:
            yield None
            return
        relay = Relay(profile.proxy, self._allowed_hosts, self._proxy_allow_loopback)
        async with relay.serve():
            yield relay

    @contextlib.asynccontextmanager
    async def context(
        self, *, storage_state: dict[str, Any] | None = None, profile: BrowserProfile | None = None
    ) -> AsyncIterator[BrowserContext]:
        """A fresh context, with the cookies and storage of `storage_state`, that appears as `profile` says;
        closed at the end.

        Open its pages with `open_page`. Raises as `start` does; and what is wrong with the profile's proxy
        (ProxyUnreachable, ProxyRefused, ProxyForbidden) in the place of the error that it led to.
        """
        profile = profile or BrowserProfile()
        async with contextlib.AsyncExitStack() as stack:
            relay = await stack.enter_async_context(self.way_out(profile))
            context = await self._new_context(storage_state, profile, relay)
            stack.push_async_callback(self._close_context, context)
            context.set_default_timeout(_ACTION_MS)
            context.set_default_navigation_timeout(_NAVIGATION_MS)
            try:
                yield context
            except (PlatformUnreachable, PageTimeout, PlaywrightError) as error:
                if relay is None or relay.failure is None:
                    raise
                step = getattr(error, "context", {}).get("step")
                relay.failure.context.update({"step": step} if step else {})
                raise relay.failure from error

    async def close(self) -> None:
        """Ends Chromium in good order, and by force where that takes too long."""
        browser, playwright = self._browser, self._playwright
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                if browser is not None:
                    await browser.close()
                if playwright is not None:
                    await playwright.stop()
        except (PlaywrightError, TimeoutError):
            logger.warning("The browser did not close in time; it is killed.")
        self.kill()

    def kill(self) -> None:
        """Ends every process of the browser at once. Safe at any time, in any state, from any thread."""
        for pid in _tree(self._mark) if self._mark else ():
            _end(pid)
        for pid in self._driver_pids:
            _end(pid)
        if self._display is not None:
            with contextlib.suppress(ProcessLookupError):
                self._display.kill()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
        self._browser = self._playwright = self._display = self._home = None
        self._driver_pids = set()
        self._mark = ""

    async def _new_context(
        self, storage_state: dict[str, Any] | None, profile: BrowserProfile, relay: Relay | None
    ) -> BrowserContext:
        for attempt in range(_LAUNCH_ATTEMPTS):
            browser = await self._running()
            try:
                async with asyncio.timeout(_CONTEXT_SECONDS):
                    return await browser.new_context(
                        storage_state=cast("StorageState | None", storage_state),
                        proxy={"server": f"http://{self._relay_host}:{relay.port}"} if relay else None,
                        user_agent=_user_agent(profile, browser.version),
                        locale=profile.locale,
                        timezone_id=profile.time_zone,
                        viewport=VIEWPORT,  # type: ignore[arg-type]
                        screen=VIEWPORT,  # type: ignore[arg-type]
                        service_workers="block",
                        accept_downloads=False,
                    )
            except (PlaywrightError, TimeoutError) as error:
                logger.warning("The browser gave no context.", extra={"attempt": attempt + 1}, exc_info=error)
                self.kill()
        raise BrowserFailed("The browser was launched afresh and still gave no context.")

    async def _close_context(self, context: BrowserContext) -> None:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await context.close()
        except (PlaywrightError, TimeoutError) as error:
            logger.warning("The browser's context did not close; the browser is killed.", exc_info=error)
            self.kill()

    async def _running(self) -> PlaywrightBrowser:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self.kill()
            self._loop, self._starting = loop, asyncio.Lock()
        async with self._starting:
            if self._browser is not None and self._browser.is_connected():
                return self._browser
            return await self._launch_until_up()

    async def _launch_until_up(self) -> PlaywrightBrowser:
        failure: Exception | None = None
        for _ in range(_LAUNCH_ATTEMPTS):
            self.kill()
            try:
                async with asyncio.timeout(_LAUNCH_SECONDS):
                    self._browser = await self._launch()
            except (PlaywrightError, TimeoutError, OSError) as error:
                if "executable doesn't exist" in str(error).lower():
                    self.kill()
                    raise ConfigurationError(
                        f"There is no browser at {self._executable_path!r}: set CHROMIUM_PATH."
                    ) from error
                logger.warning("Chromium did not come up.", exc_info=error)
                failure = error
            except BaseException:
                self.kill()
                raise
            else:
                return self._browser
        self.kill()
        raise BrowserFailed("Chromium could not be started.") from failure

    async def _launch(self) -> PlaywrightBrowser:
        self._mark = uuid.uuid4().hex
        self._home = Path(tempfile.mkdtemp(prefix="browser-"))
        with self._watching_for_driver(), _temporary_files_in(self._home):
            self._playwright = await async_playwright().start()
        return await self._playwright.chromium.launch(
            executable_path=self._executable_path,
            headless=not self._headed,
            env=await self._environment(self._home),
            args=[*_FLAGS, f"--host-resolver-rules={_resolver_rules(self._allowed_hosts, self._relay_host)}"],
            ignore_default_args=["--enable-automation"],
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
            timeout=_LAUNCH_SECONDS * 1000,
        )

    @contextlib.contextmanager
    def _watching_for_driver(self) -> Iterator[None]:
        """Notes Playwright's own process, also where its start is given up half-way."""
        before = _drivers()
        try:
            yield
        finally:
            self._driver_pids = _drivers() - before

    async def _environment(self, home: Path) -> dict[str, str | float | bool]:
        environment: dict[str, str | float | bool] = {
            _MARK: self._mark,
            "HOME": str(home),
            "TMPDIR": str(home),
            "LANG": "C.UTF-8",
            "PATH": "/usr/bin:/bin",  # Debian's launcher is a shell script.
            "TZ": TIME_ZONE,
        }
        if self._headed:
            environment["DISPLAY"] = await self._open_display()
            if len(tempfile.gettempdir()) > _MAX_TEMP_PATH:
                environment["TMPDIR"] = "/tmp"  # noqa: S108 - Chromium makes a folder of its own there
        return environment

    async def _open_display(self) -> str:
        """Starts a virtual X server; the kernel of a container has no screen."""
        screen = f"{VIEWPORT['width']}x{VIEWPORT['height']}x24"
        self._display = await asyncio.create_subprocess_exec(
            *("Xvfb", "-displayfd", "1", "-screen", "0", screen, "-nolisten", "tcp"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "TMPDIR": tempfile.gettempdir()},
        )
        assert self._display.stdout is not None  # noqa: S101 - asked for just above
        number = (await self._display.stdout.readline()).decode().strip()
        if not number:
            raise OSError("Xvfb ended before it named its display")
        return f":{number}"


async def open_page(context: BrowserContext) -> Page:
    """A new page whose client hints name no headless browser, and the platform that its user agent names.

    The context's user agent covers the User-Agent header only; the list of brands is per page.
    """
    page = await context.new_page()
    _report_barred(page)
    browser = context.browser
    if browser is None:
        return page
    major = browser.version.partition(".")[0]
    user_agent, locale = await page.evaluate("[navigator.userAgent, navigator.language]")
    told = USER_AGENT.fullmatch(user_agent)
    platform, hint, platform_version = DESKTOPS[told["desktop"] if told else _DESKTOP]
    session = await context.new_cdp_session(page)
    await session.send(
        "Emulation.setUserAgentOverride",
        {
            "userAgent": user_agent,
            "acceptLanguage": locale,
            "platform": platform,
            "userAgentMetadata": {
                # What Chromium with a window sends.
                "brands": [
                    {"brand": "Not:A-Brand", "version": "8"},
                    {"brand": "Chromium", "version": major},
                ],
                "fullVersionList": [{"brand": "Chromium", "version": browser.version}],
                "platform": hint,
                "platformVersion": platform_version,
                "architecture": "x86",
                "model": "",
                "mobile": False,
            },
        },
    )
    return page


def _report_barred(page: Page) -> None:
    """Logs each host that the page wanted and did not get: the list of allowed hosts may lack one."""
    reported: set[str] = set()

    def report(request: Request) -> None:
        host = urlsplit(request.url).netloc
        if "ERR_NAME_NOT_RESOLVED" in (request.failure or "") and host not in reported:
            reported.add(host)
            logger.warning("The page was not let through.", extra={"host": host})

    page.on("requestfailed", report)


async def _version_of(executable_path: str | None) -> str | None:
    """The executable's version, such as 156.0.8078.79; None where it does not say."""
    if executable_path is None:
        return None
    process = await asyncio.create_subprocess_exec(
        *(executable_path, "--version"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "HOME": tempfile.gettempdir()},
    )
    try:
        async with asyncio.timeout(_VERSION_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    found = re.search(rb"\d+(\.\d+){3}", said)
    return found[0].decode() if found else None


def _user_agent(profile: BrowserProfile, version: str) -> str:
    """The profile's platform with the browser's own version: another one would be contradicted by all that a
    page can try.
    """
    told = USER_AGENT.fullmatch(profile.user_agent or "")
    major = version.partition(".")[0]
    return (
        f"Mozilla/5.0 ({told['desktop'] if told else _DESKTOP}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{major}.0.0.0 Safari/537.36"
    )


def _resolver_rules(allowed_hosts: Sequence[str], relay_host: str) -> str:
    """Chromium's --host-resolver-rules that let the allowed hosts through and nothing else, but for a relay's
    name: with a proxy it is the only one that Chromium looks up.

    A pattern is excluded from the final MAP; an exclusion knows no ports, so that a `host:port` is mapped to
    itself instead, which comes first and wins.
    """
    named = [host for host in allowed_hosts if _has_port(host)]
    patterns = [host for host in allowed_hosts if not _has_port(host)]
    rules = [f"MAP {relay_host} 127.0.0.1", *(f"MAP {host} {host}" for host in named)]
    rules += ["MAP * ~NOTFOUND", *(f"EXCLUDE {host}" for host in patterns)]
    return ",".join(rules)


def _has_port(host: str) -> bool:
    return host.rpartition(":")[2].isdecimal() and (host.count(":") == 1 or "]:" in host)


def _drivers() -> set[int]:
    """Playwright's own processes, as far as they are children of ours."""
    if not Path("/proc").is_dir():
        return set()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and _parent(int(entry.name)) == os.getpid():
            with contextlib.suppress(OSError):
                if b"run-driver" in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.add(int(entry.name))
    return found


@contextlib.contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Playwright's process takes over our environment, and leaves its profiles behind when it is killed."""
    usual = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        if usual is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = usual


def _tree(mark: str) -> list[int]:
    """The processes that carry the mark, and all that descend from them."""
    if not Path("/proc").is_dir():
        return []  # Only Linux tells; elsewhere Playwright alone ends its browser.
    needle = f"{_MARK}={mark}".encode()
    parents: dict[int, int | None] = {}
    marked: set[int] = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        pid = int(entry.name)
        parents[pid] = _parent(pid)
        with contextlib.suppress(OSError):
            if needle in (entry / "environ").read_bytes().split(b"\0"):
                marked.add(pid)
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in marked and pid not in marked}
        marked |= children
        grown = bool(children)
    return sorted(marked)


def _parent(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # pid (name) state ppid …; the name may hold blanks and brackets.
    return int(stat.rpartition(")")[2].split()[1])


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
