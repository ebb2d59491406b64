"""One stand-in, one browser and one event loop for all tests of this folder; every test has an empty site."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from container.browser import Browser, platform_hosts
from local.processes import ChildProcess, clean_environment
from tests.container.support import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any

    Run = Callable[[Coroutine[Any, Any, Any]], Any]

# Less than pytest-timeout allows; more than anything takes on a machine that is busy with other things.
_TEST_SECONDS = 240


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    """Runs a coroutine to its end, on a thread of its own: Playwright's other API occupies this one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="browser-loop")
    thread.start()

    def run_to_end(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(_TEST_SECONDS)

    yield run_to_end
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("douyin")
    process = ChildProcess(
        "douyin",
        [
            *(sys.executable, "-m", "local.standins.douyin", "--port", "0"),
            *("--data", str(folder / "data"), "--exit-on-stdin-eof"),
        ],
        env=clean_environment(folder / "tmp"),
        log_path=folder / "douyin.log",
    )
    site = Site(process.start())
    yield site
    site.close()
    process.stop()


@pytest.fixture
def site(standin: Site) -> Site:
    """The stand-in, empty and quick."""
    standin.post("/admin/reset")
    standin.scenario(pace=2)
    return standin


@pytest.fixture(scope="session")
def browser(run: Run, standin: Site, chromium_path: str) -> Iterator[Browser]:
    browser = Browser(chromium_path, allowed_hosts=platform_hosts(standin.origin))
    yield browser
    run(browser.close())
