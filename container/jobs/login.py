"""One login, from its message to its end: shows each QR code as it appears, seals the session on success."""

from __future__ import annotations

import asyncio
import base64
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.accounts.logins import LoginState
from chalicelib.clock import from_rfc3339
from chalicelib.errors import (
    LoginNotFound,
    LoginRefused,
    PublisherError,
    StateConflict,
    VerificationRequired,
)
from container.browser import open_page
from container.douyin.login import QrLogin, QrState
from container.evidence import Timeline
from container.jobs.failure import failure_of
from container.jobs.session import put_in_force
from container.lease import Heartbeat, Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.async_api import BrowserContext

    from chalicelib.accounts.logins import Login, LoginStore
    from container.douyin.login import LoginEvent
    from container.worker import Worker

logger = logging.getLogger(__name__)

# A QR code lives this long (measured 2026-07: expire_time 60 s).
QR_LIFE = timedelta(seconds=60)

# Nobody has asked after the login for this long: it costs money and nobody is there.
ABANDONED_AFTER = timedelta(seconds=30)

# How long one look at the page lasts at most. A sign of life is written after each.
LOOK_SECONDS = 5.0


async def run_login(
    worker: Worker, login_id: str, invocation: str, message: Message, *, deadline: Callable[[], float]
) -> None:
    """Carries the login to its end. A redelivered message finds it claimed and does nothing: who waits for a QR
    code starts a new login rather than wait for a second worker.
    """
    logins = worker.logins()
    try:
        login = await asyncio.to_thread(logins.claim, login_id, invocation)
        async with Heartbeat(message.keep_invisible):
            await _Job(worker, logins, login, deadline).run()
    except (StateConflict, LoginNotFound) as gone:
        logger.info("login %s: %s", login_id, gone.detail)


@dataclass(slots=True)
class _Job:
    worker: Worker
    logins: LoginStore
    login: Login
    deadline: Callable[[], float]

    async def run(self) -> None:
        try:
            async with self.worker.browser.context() as context:
                await self._log_in(context)
        except (StateConflict, LoginNotFound, ClientError, BotoCoreError):
            # Not ours any more, or nothing can be written now: its silence ends the login.
            raise
        except Exception as error:  # Whatever it was, the person who waits must be told.
            logger.warning("login %s failed", self.login.id, exc_info=True)
            await self._end(LoginState.FAILED, failure_of(error))

    async def _log_in(self, context: BrowserContext) -> None:
        page = await open_page(context)
        timeline = Timeline(_log_step, clock=self.worker.clock)
        qr_login = QrLogin(page, self.worker.settings.douyin_origin, timeline)
        await qr_login.open()
        event: LoginEvent | None = None
        while not await self._over():
            event = await qr_login.next_event(event, timeout=LOOK_SECONDS)
            match event.state:
                case QrState.QR_READY:
                    await self._show(event.qr_png or b"")
                case QrState.SCANNED:
                    await self._report(LoginState.SCANNED)
                case QrState.EXPIRED:
                    await qr_login.refresh()
                case QrState.REFUSED:
                    raise LoginRefused(event.detail)
                case QrState.VERIFICATION_REQUIRED:
                    raise VerificationRequired(event.detail)
                case QrState.LOGGED_IN:
                    await self._finish(context, qr_login)
                    return
        await self._end(LoginState.EXPIRED)

    async def _show(self, png: bytes) -> None:
        text = base64.b64encode(png).decode()
        if text == self.login.qr_png:
            await self._report(LoginState.QR_READY)
            return
        self.login = await asyncio.to_thread(
            self.logins.show_qr, self.login, text, expires_at=self.worker.clock() + QR_LIFE
        )

    async def _report(self, state: LoginState) -> None:
        self.login = await asyncio.to_thread(self.logins.report, self.login, state)

    async def _over(self) -> bool:
        """Whether the login's time is up, or nobody has asked after it for a while."""
        self.login = await asyncio.to_thread(self.logins.get, self.login.id)
        now = self.worker.clock()
        return (
            self.login.state.terminal  # Canceled, or superseded.
            or now > from_rfc3339(self.login.expires_at)
            or now > from_rfc3339(self.login.polled_at) + ABANDONED_AFTER
            or self.deadline() < 2 * LOOK_SECONDS
        )

    async def _finish(self, context: BrowserContext, qr_login: QrLogin) -> None:
        """Seals the session, puts it in force, and only then says so."""
        seen = await qr_login.profile()
        await self._report(self.login.state)  # Whoever ended the login wants no session of it.
        if await put_in_force(self.worker, self.login.account_name, seen, context):
            await self._end(LoginState.SUCCESS)
            return
        conflict = StateConflict(f"A newer login of {self.login.account_name!r} was quicker.")
        await self._end(LoginState.FAILED, conflict)

    async def _end(self, state: LoginState, error: PublisherError | None = None) -> None:
        self.login = await asyncio.to_thread(self.logins.end, self.login, state, error)


async def _log_step(entry: dict[str, Any]) -> None:
    logger.info("login step %s", entry)
