"""One imported session, from its message to its end: tried in a browser, sealed where the platform takes it."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from playwright.async_api import Error as PlaywrightError

from chalicelib.accounts.logins import LoginState
from chalicelib.errors import (
    Fenced,
    LoginNotFound,
    PublisherError,
    SessionExpired,
    SessionOfAnother,
    SessionRefused,
    SessionUnusable,
    StateConflict,
)
from chalicelib.trace import note
from container.browser import open_page
from container.douyin.login import fetch_profile
from container.douyin.session import wait_past_challenges
from container.douyin.upload import UPLOAD_PATH
from container.evidence import Timeline, log_step
from container.jobs.failure import failure_of
from container.jobs.session import login_profile, put_in_force
from container.lease import Heartbeat, Message

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, StorageState

    from chalicelib.accounts.logins import Login, LoginStore
    from container.douyin.login import Profile
    from container.worker import Worker

logger = logging.getLogger(__name__)

_OPEN_MS = 30_000
# 256 KiB take a second at most.
_RESTORE_SECONDS = 20.0


async def run_import(worker: Worker, login_id: str, invocation: str, message: Message) -> None:
    """Carries the import to its end. What was handed over is destroyed, whatever becomes of it.

    A redelivered message finds the login claimed, or ended from outside, and imports nothing.
    """
    logins = worker.logins()
    try:
        login = await asyncio.to_thread(logins.claim, login_id, invocation)
        note(account=login.account_name)
    except LoginNotFound as gone:
        logger.info("the import is not ours, or not any more", extra={"code": gone.code})
        return
    except StateConflict as ended:
        logger.info("the import is not ours, or not any more", extra={"code": ended.code})
        login = await asyncio.to_thread(logins.get, login_id)
        await asyncio.to_thread(worker.imports().discard, login)
        return
    job = _Job(worker, logins, login, message)
    try:
        async with Heartbeat(job.give_sign_of_life):
            await job.run()
    except StateConflict as ended:
        logger.info("the import is not ours, or not any more", extra={"code": ended.code})


@dataclass(slots=True)
class _Job:
    worker: Worker
    logins: LoginStore
    login: Login
    message: Message
    ending: bool = False

    def give_sign_of_life(self) -> None:
        """Raises Fenced, which ends the job, once the import was canceled or a newer login has begun."""
        self.message.keep_invisible()
        try:
            self.logins.report(self.login, LoginState.STARTING)
        except StateConflict as ended:
            if not self.ending:
                raise Fenced(ended.detail) from ended

    async def run(self) -> None:
        try:
            sealed = await asyncio.to_thread(self.worker.imports().take, self.login)
            await self._import(sealed)
        except (StateConflict, ClientError, BotoCoreError):
            # Not ours any more, or nothing can be written now: its silence ends the login.
            raise
        except Exception as error:  # Whatever it was, the person who waits must be told.
            logger.warning("an import failed", exc_info=True)
            await self._end(LoginState.FAILED, failure_of(error))

    async def _import(self, sealed: str) -> None:
        opened = await asyncio.to_thread(self.worker.unsealer.open, sealed, "session_import", self.login.id)
        profile = await login_profile(self.worker, self.login)
        async with self.worker.browser.context(profile=profile) as context:
            await _restore(context, json.loads(opened))
            seen = await self._look(context)
            await self._refuse_another(seen)
            await put_in_force(self.worker, self.login, seen, context, announce=self._complete)
        await self._end(LoginState.SUCCESS)

    async def _complete(self, version: int) -> None:
        self.login = await asyncio.to_thread(self.logins.complete, self.login, version)

    async def _look(self, context: BrowserContext) -> Profile:
        """Whose session it is, by the platform's own answer, once its upload page lets us in.

        A draft that waits there is left alone.
        """
        origin = self.worker.settings.douyin_origin
        try:
            async with Timeline(log_step, clock=self.worker.clock).step("check_session"):
                page = await open_page(context)
                await page.goto(f"{origin}{UPLOAD_PATH}", wait_until="commit", timeout=_OPEN_MS)
                await wait_past_challenges(page, "upload_input", timeout_ms=_OPEN_MS)
                return await fetch_profile(page)
        except SessionExpired as error:
            raise SessionRefused(error.detail) from error

    async def _refuse_another(self, profile: Profile) -> None:
        known = await asyncio.to_thread(self.worker.accounts.find, self.login.account_name)
        if known is not None and known.uid != profile.uid:
            raise SessionOfAnother(
                f"{known.name!r} is {known.nickname} (uid {known.uid}) on the platform; the session is of "
                f"{profile.nickname} (uid {profile.uid})."
            )

    async def _end(self, state: LoginState, error: PublisherError | None = None) -> None:
        self.ending = True
        self.login = await asyncio.to_thread(self.logins.end, self.login, state, error)


async def _restore(context: BrowserContext, state: dict[str, Any]) -> None:
    try:
        async with asyncio.timeout(_RESTORE_SECONDS):
            await context.set_storage_state(cast("StorageState", state))
    except (PlaywrightError, TimeoutError):  # Its text may hold what could not be taken.
        raise SessionUnusable("The browser refused its cookies or its storage.") from None
