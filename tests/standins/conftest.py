"""One stand-in and one browser for all tests of this folder; every test starts from an empty site."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from local.chromium import find_chromium

from .support import CHROMIUM_FLAGS, PostPage, Standin

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    standin = Standin(tmp_path_factory.mktemp("douyin"))
    yield standin
    standin.end()


@pytest.fixture
def douyin(process: Standin) -> Standin:
    """The stand-in, empty, quick, and without the popovers of a first visit."""
    process.post("/admin/reset")
    process.scenario(pace=5, popovers="off")
    return process


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium here: set CHROMIUM_PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    # A browser far from Shanghai: the pages must not care.
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, timezone_id="America/New_York")
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def stranger(context: BrowserContext) -> Page:
    """A page nobody is logged in to."""
    return context.new_page()


@pytest.fixture
def post(context: BrowserContext, douyin: Standin) -> PostPage:
    """The post page of somebody who is logged in."""
    with douyin.login() as creator:
        cookies = creator.session.cookies
        context.add_cookies(
            [{"name": cookie.name, "value": cookie.value or "", "url": douyin.url} for cookie in cookies]
        )
    return PostPage(context.new_page(), douyin.url)
