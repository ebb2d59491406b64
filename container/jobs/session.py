"""An account's session in a browser context: opened from the vault, sealed again when it was refreshed, and
given up when the platform says that it is over.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import PublisherError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import BrowserContext

    from chalicelib.accounts.store import Account
    from chalicelib.errors import SessionExpired
    from container.evidence import Timeline
    from container.worker import Worker

logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_session(worker: Worker, account: Account, timeline: Timeline) -> AsyncIterator[BrowserContext]:
    """A fresh context that is logged in as the account. The vault opens while the browser starts."""
    async with timeline.step("open_session"):
        storage_state, _ = await asyncio.gather(
            asyncio.to_thread(worker.vault.open, account.name, account.session_version),
            worker.browser.start(),
        )
    async with worker.browser.context(storage_state=storage_state) as context:
        yield context


async def refresh_session(worker: Worker, account: Account, context: BrowserContext, seen: str) -> None:
    """Puts the cookies that the platform has renewed in force, unless a newer login got in between. `seen` says
    by what the session was seen alive.
    """
    storage_state = await context.storage_state()
    version = session_version(worker)
    await asyncio.to_thread(worker.vault.seal, account.name, version, dict(storage_state))
    in_force = await asyncio.to_thread(worker.accounts.refresh_session, account, seen, session_version=version)
    superseded = account.session_version if in_force else version
    await asyncio.to_thread(worker.vault.discard, account.name, superseded)


async def expire_session(worker: Worker, account: Account, proof: SessionExpired) -> None:
    """Takes note that the session is over, and tells it. What cannot be told now, the sweeper tells."""
    await asyncio.to_thread(worker.accounts.mark_expired, account, proof.detail)
    try:
        await asyncio.to_thread(lambda: worker.herald().announce(account.name))
    except (PublisherError, ClientError, BotoCoreError):
        logger.warning("the end of a session could not be told", exc_info=True)


def session_version(worker: Worker) -> int:
    """Milliseconds since 1970: later sessions have greater versions, over every life of an account's name."""
    return int(worker.clock().timestamp() * 1000)
