"""An account's session in a browser context: opened from the vault, sealed when it is new or refreshed, and
given up when the platform says that it is over.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from playwright.async_api import Error as PlaywrightError

from chalicelib.accounts.store import Profile
from chalicelib.dynamodb import ConditionFailed
from chalicelib.errors import LoginSuperseded, PublisherError, SessionUnreadable
from container.points import reach
from container.profile import profile_of, profile_of_login

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from playwright.async_api import BrowserContext

    from chalicelib.accounts.logins import Login
    from chalicelib.accounts.store import Account
    from chalicelib.errors import SessionExpired
    from container.douyin.login import Profile as SeenProfile
    from container.evidence import Timeline
    from container.profile import BrowserProfile
    from container.worker import Worker

logger = logging.getLogger(__name__)

# A site's databases come with the session where they are small, as keys are. Reading them, and more so writing
# them back before each publish, takes a second a megabyte (decision 070).
_INDEXED_DB_SECONDS = 5.0
_INDEXED_DB_BYTES = 128 * 1024


@asynccontextmanager
async def open_session(worker: Worker, account: Account, timeline: Timeline) -> AsyncIterator[BrowserContext]:
    """A fresh context that is logged in as the account, and appears as it prefers. The vault opens while the
    browser starts.
    """
    async with timeline.step("open_session") as step:
        storage_state, profile, _ = await asyncio.gather(
            asyncio.to_thread(_open_vault, worker, account),
            asyncio.to_thread(profile_of, account, worker.unsealer),
            worker.browser.start(),
        )
        if told := str(profile):
            step.note(told)
    async with worker.browser.context(storage_state=storage_state, profile=profile) as context:
        yield context


async def login_profile(worker: Worker, login: Login) -> BrowserProfile:
    """How the browser of a login appears: as the account's, where that is known already, and as was wished with
    the login.
    """
    account = await asyncio.to_thread(worker.accounts.find, login.account_name)
    return await asyncio.to_thread(profile_of_login, login, account, worker.unsealer)


async def put_in_force(
    worker: Worker,
    login: Login,
    seen: SeenProfile,
    context: BrowserContext,
    *,
    announce: Callable[[int], Awaitable[None]],
) -> None:
    """Seals the session of a context that has just logged in, and makes it the account's.

    `announce` writes its version down first: whoever asks after a login whose worker is lost looks which
    session is in force. LoginSuperseded where a newer login was quicker: then nothing of this one is kept.
    """
    name, version = login.account_name, session_version(worker)
    await announce(version)
    await _seal(worker, name, version, context)
    reach("session_sealed")
    profile = Profile(uid=seen.uid, nickname=seen.nickname, avatar_url=seen.avatar_url)
    try:
        await asyncio.to_thread(
            worker.accounts.log_in, name, profile, session_version=version, preferences=login.preferences
        )
    except ConditionFailed as quicker:
        await asyncio.to_thread(worker.vault.discard, name, version)
        raise LoginSuperseded(f"A newer login of {name!r} was quicker.") from quicker
    reach("session_in_force")
    await asyncio.to_thread(worker.vault.discard_before, name, version)
    reach("before_login_end")


async def refresh_session(worker: Worker, account: Account, context: BrowserContext, seen: str) -> None:
    """Puts the cookies that the platform has renewed in force, unless a newer login got in between. `seen` says
    by what the session was seen alive.
    """
    version = session_version(worker, above=account.session_version)
    await _seal(worker, account.name, version, context)
    if await asyncio.to_thread(worker.accounts.refresh_session, account, seen, session_version=version):
        await asyncio.to_thread(worker.vault.discard_before, account.name, version)
    else:
        await asyncio.to_thread(worker.vault.discard, account.name, version)


async def expire_session(worker: Worker, account: Account, proof: SessionExpired) -> None:
    """Takes note that the session is over, and tells it. What cannot be told now, the sweeper tells."""
    await asyncio.to_thread(worker.accounts.mark_expired, account, proof.detail)
    try:
        await asyncio.to_thread(lambda: worker.herald().announce(account.name))
    except (PublisherError, ClientError, BotoCoreError):
        logger.warning("the end of a session could not be told", exc_info=True)


def session_version(worker: Worker, above: int = 0) -> int:
    """Milliseconds since 1970: later sessions have greater versions, over every life of an account's name."""
    return max(int(worker.clock().timestamp() * 1000), above + 1)


async def storage_state(context: BrowserContext) -> dict[str, Any]:
    """The context's cookies, local storage and IndexedDB; the last is left out where it is large or slow."""
    try:
        async with asyncio.timeout(_INDEXED_DB_SECONDS):
            state = dict(await context.storage_state(indexed_db=True))
    except (PlaywrightError, TimeoutError) as error:
        logger.warning("a session is kept without its IndexedDB", exc_info=error)
    else:
        size = len(json.dumps(state))
        if size <= _INDEXED_DB_BYTES:
            return state
        logger.warning("a session is kept without its IndexedDB: it is too large", extra={"bytes": size})
    return dict(await context.storage_state())


async def _seal(worker: Worker, name: str, version: int, context: BrowserContext) -> None:
    await asyncio.to_thread(worker.vault.seal, name, version, await storage_state(context))


def _open_vault(worker: Worker, account: Account) -> dict[str, Any]:
    try:
        return worker.vault.open(account.name, account.session_version)
    except SessionUnreadable:
        # A login or a publish may have put a newer one in force since the account was read.
        current = worker.accounts.get(account.name)
        if current.session_version == account.session_version:
            raise
        return worker.vault.open(current.name, current.session_version)
