"""`python -m container.own_browser`: a person logs in, in a window of their own browser; its session, as JSON.

Reads one JSON object from standard input: {"origin", "chromium_path", "seconds"}. Writes one line:
{"storage_state", "uid", "nickname"}, or {"error", "next_step"} and exit code 1. The window has a fresh profile,
which is gone with it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any

from playwright.async_api import async_playwright

from chalicelib.errors import PublisherError
from container.douyin.login import fetch_profile
from container.douyin.session import ensure_logged_in
from container.evidence import Timeline
from container.jobs.session import storage_state

if TYPE_CHECKING:
    from playwright.async_api import Page

# Where a login leads to. Now and then the site leaves it on its front page (social-auto-upload #76).
_LANDED = re.compile(r"/creator-micro/|[?&]is_new_connect=")


async def export(order: dict[str, Any]) -> dict[str, Any]:
    """The session, once somebody has logged in; it takes them as long as it takes, `seconds` at most."""
    async with Timeline(_forget).step("own_browser"), async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=order["chromium_path"],
            headless=False,
            args=["--disable-blink-features=AutomationControlled", "--no-first-run"],
            ignore_default_args=["--enable-automation"],
        )
        context = await browser.new_context(no_viewport=True)
        page = await context.new_page()
        await _until_logged_in(page, order["origin"], order["seconds"])
        profile = await fetch_profile(page)
        state = await storage_state(context)
        await browser.close()
    return {"storage_state": state, "uid": profile.uid, "nickname": profile.nickname}


async def _until_logged_in(page: Page, origin: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    await page.goto(f"{origin}/", wait_until="commit")
    await page.wait_for_url(_LANDED, wait_until="commit", timeout=seconds * 1000)
    if "/creator-micro/" not in page.url:
        await page.goto(f"{origin}/creator-micro/home", wait_until="commit")
    await ensure_logged_in(page, timeout_ms=(end - time.monotonic()) * 1000)


async def _forget(_: dict[str, Any]) -> None:
    pass


def main() -> int:
    try:
        said = asyncio.run(export(json.load(sys.stdin)))
    except PublisherError as error:
        said = {"error": error.detail, "next_step": error.next_step}
    sys.stdout.write(json.dumps(said) + "\n")
    return 1 if "error" in said else 0


if __name__ == "__main__":
    sys.exit(main())
