"""An account's session in a browser context: opened from the vault, sealed again when it was refreshed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from container.profile import profile_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import BrowserContext

    from chalicelib.accounts.store import Account
    from container.evidence import Timeline
    from container.worker import Worker


@asynccontextmanager
async def open_session(worker: Worker, account: Account, timeline: Timeline) -> AsyncIterator[BrowserContext]:
    """A fresh context that is logged in as the account, and appears as it prefers. The vault opens while the
    browser starts.
    """
    async with timeline.step("open_session") as step:
        storage_state, profile, _ = await asyncio.gather(
            asyncio.to_thread(worker.vault.open, account.name, account.session_version),
            asyncio.to_thread(profile_of, account, worker.unsealer),
            worker.browser.start(),
        )
        if told := str(profile):
            step.note(told)
    async with worker.browser.context(storage_state=storage_state, profile=profile) as context:
        yield context


async def refresh_session(worker: Worker, account: Account, context: BrowserContext) -> None:
    """Puts the cookies that the platform has renewed in force, unless a newer login got in between."""
    storage_state = await context.storage_state()
    version = session_version(worker)
    await asyncio.to_thread(worker.vault.seal, account.name, version, dict(storage_state))
    in_force = await asyncio.to_thread(worker.accounts.refresh_session, account, session_version=version)
    superseded = account.session_version if in_force else version
    await asyncio.to_thread(worker.vault.discard, account.name, superseded)


def session_version(worker: Worker) -> int:
    """Milliseconds since 1970: later sessions have greater versions, over every life of an account's name."""
    return int(worker.clock().timestamp() * 1000)
