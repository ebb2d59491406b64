"""`python -m container.probe_pages`: which locators hold, as JSON lines.

Reads one JSON object from standard input: {"origin", "video": path, "storage_state": object or null,
"chromium_path", "headed", "profile": the members of a BrowserProfile}. Writes a line for each target: {"room",
"purpose", "way", "how", "shown", "broken"}; and {"error", "next_step"} where it had to stop. Without a storage
state only the login page is looked at.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalicelib.errors import PublisherError
from container.browser import Browser, open_page, platform_hosts
from container.douyin.probe import Finding, all_targets, probe_creator, probe_login
from container.egress import Proxy
from container.evidence import Timeline
from container.profile import BrowserProfile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from playwright.async_api import Page


async def probe(order: dict[str, Any]) -> int:
    """0 where every locator that was looked for leads somewhere."""
    origin, session, profile = order["origin"], order["storage_state"], _profile(order["profile"])
    browser = Browser(order["chromium_path"], headed=order["headed"], allowed_hosts=platform_hosts(origin))
    try:
        whole, findings = await _visit(browser, profile, None, lambda page: probe_login(page, origin))
        if session is not None:
            reached, more = await _visit(
                browser, profile, session, lambda page: probe_creator(page, origin, Path(order["video"]))
            )
            findings += more
            whole = whole and reached
            if whole:
                findings = all_targets(findings)
    finally:
        await browser.close()
    for finding in findings:
        _say(
            room=finding.target.room,
            purpose=finding.target.purpose,
            way=finding.way,
            how=finding.how,
            shown=finding.shown,
            broken=finding.broken,
        )
    return 0 if whole and not any(finding.broken for finding in findings) else 1


def _profile(told: dict[str, Any]) -> BrowserProfile:
    return BrowserProfile(**{**told, "proxy": Proxy(**told["proxy"]) if told["proxy"] else None})


async def _visit(
    browser: Browser,
    profile: BrowserProfile,
    session: dict[str, Any] | None,
    look: Callable[[Page], AsyncIterator[Finding]],
) -> tuple[bool, list[Finding]]:
    """(Whether it came to its end, what was found until then)."""
    findings: list[Finding] = []
    try:
        async with (
            Timeline(_forget).step("probe"),
            browser.context(storage_state=session, profile=profile) as context,
        ):
            findings += [finding async for finding in look(await open_page(context))]
    except PublisherError as error:
        _say(error=error.detail, next_step=error.next_step)
        return False, findings
    return True, findings


async def _forget(_: dict[str, Any]) -> None:
    pass


def _say(**line: Any) -> None:
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(asyncio.run(probe(json.load(sys.stdin))))
