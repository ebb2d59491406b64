"""One login, from its message to its end: shows each QR code as it appears, asks for the SMS code where the
platform wants one, seals the session on success.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.accounts.logins import LoginState
from chalicelib.errors import (
    Fenced,
    LoginConflict,
    LoginExpired,
    LoginNotFound,
    LoginRefused,
    PublisherError,
)
from chalicelib.trace import note
from chalicelib.verification import masked
from container.browser import open_page
from container.douyin.login import QrLogin, QrState
from container.douyin.verification import Challenge
from container.evidence import Timeline, log_step
from container.jobs.failure import failure_of
from container.jobs.session import login_profile, put_in_force
from container.lease import Heartbeat, Message
from container.points import reach, working_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.async_api import BrowserContext, Page

    from chalicelib.accounts.logins import Login, LoginStore
    from container.douyin.login import LoginEvent
    from container.worker import Worker

logger = logging.getLogger(__name__)

# A QR code lives this long (measured 2026-07: expire_time 60 s).
QR_LIFE = timedelta(seconds=60)

# How often the worker gives a sign of life, and finds out that the login is over.
SIGN_OF_LIFE = timedelta(seconds=5)

# How long one look at the page lasts at most.
LOOK_SECONDS = 5.0

# How often a worker that has asked for a code looks whether it has come.
ANSWER_LOOK_SECONDS = 0.5

# So much of the worker's own time must be left to go on.
LAST_SECONDS = 10.0


async def run_login(
    worker: Worker, login_id: str, invocation: str, message: Message, *, deadline: Callable[[], float]
) -> None:
    """Carries the login to its end. A redelivered message finds it claimed and does nothing: who waits for a QR
    code starts a new login rather than wait for a second worker.
    """
    logins = worker.logins()
    try:
        login = await asyncio.to_thread(logins.claim, login_id, invocation)
        note(account=login.account_name)
        working_for(login.account_name)
        reach("login_claimed")
        job = _Job(worker, logins, login, message, deadline)
        async with Heartbeat(job.beat, every=SIGN_OF_LIFE):
            await job.run()
    except (LoginConflict, LoginNotFound, Fenced) as gone:
        logger.info("the login is not ours, or not any more", extra={"code": gone.code})


@dataclass(slots=True)
class _Job:
    worker: Worker
    logins: LoginStore
    login: Login
    message: Message
    deadline: Callable[[], float]
    _codes: int = 0  # How many were given to the platform.
    _over: bool = False  # The job has ended the login itself.
    _never: asyncio.Event = field(default_factory=asyncio.Event)

    def beat(self) -> None:
        """A sign of life. Fenced, which stops the job wherever it is, once a person has ended the login, or it
        lapses.
        """
        try:
            login = self.logins.keep(self.login)
        except (LoginConflict, LoginNotFound) as gone:
            if self._over:
                return
            raise Fenced(gone.detail) from gone
        why = login.lapse(self.worker.clock())
        if why is None and self.deadline() < LAST_SECONDS:
            why = LoginExpired("The worker's own time is over.")
        if why is not None:
            with contextlib.suppress(LoginConflict):  # It succeeds in this moment, or has been ended.
                self.logins.abort(login.id, LoginState.EXPIRED, why)
                raise Fenced(why.detail)
        self.message.keep_invisible()

    async def run(self) -> None:
        try:
            profile = await login_profile(self.worker, self.login)
            async with self.worker.browser.context(profile=profile) as context:
                await self._log_in(context)
        except (LoginConflict, LoginNotFound, ClientError, BotoCoreError):
            # Not ours any more, or nothing can be written now: its silence ends the login.
            raise
        except Exception as error:  # Whatever it was, the person who waits must be told.
            logger.warning("a login failed", exc_info=True)
            await self._end(LoginState.FAILED, failure_of(error))

    async def _log_in(self, context: BrowserContext) -> None:
        page = await open_page(context)
        timeline = Timeline(log_step, clock=self.worker.clock)
        qr_login = QrLogin(page, self.worker.settings.douyin_origin, timeline)
        await qr_login.open()
        reach("login_opened")
        event: LoginEvent | None = None
        while True:
            event = await qr_login.next_event(event, timeout=LOOK_SECONDS)
            match event.state:
                case QrState.QR_READY:
                    await self._show(event.qr_png or b"")
                    reach("qr_shown")
                case QrState.SCANNED:
                    await self._report(LoginState.SCANNED)
                    reach("qr_scanned")
                case QrState.EXPIRED:
                    await qr_login.refresh()
                    event = None
                case QrState.REFUSED:
                    raise LoginRefused(event.detail)
                case QrState.VERIFICATION_REQUIRED:
                    async with timeline.step("verification"):
                        await self._verify(page)
                    event = None
                case QrState.LOGGED_IN:
                    await self._finish(context, qr_login)
                    return

    async def _show(self, png: bytes) -> None:
        text = base64.b64encode(png).decode()
        if (self.login.state, self.login.qr_png) == (LoginState.QR_READY, text):
            return
        self.login = await asyncio.to_thread(
            self.logins.show_qr, self.login, text, expires_at=self.worker.clock() + QR_LIFE
        )

    async def _report(self, state: LoginState) -> None:
        if self.login.state is not state:
            self.login = await asyncio.to_thread(self.logins.report, self.login, state)

    async def _verify(self, page: Page) -> None:
        async def ask(phone: str | None) -> str | None:
            return await self._next_code(challenge, phone)

        challenge = Challenge(page, ask)
        await challenge.pass_by_sms()

    async def _next_code(self, challenge: Challenge, phone: str | None) -> str | None:
        """Asks a person for the code, and waits as long as the login lasts; None where the SMS is to be sent
        again instead.
        """
        pause = timedelta(seconds=await challenge.resend_seconds())
        self.login = await asyncio.to_thread(
            self.logins.ask,
            self.login,
            phone=masked(phone),
            resend_at=self.worker.clock() + pause,
            tries=self._codes,
            complaint=challenge.complaint,
        )
        reach("code_asked")
        while (answer := await asyncio.to_thread(self.logins.take_answer, self.login)) is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._never.wait(), ANSWER_LOOK_SECONDS)
        reach("code_taken")
        if answer.sealed_code is None:
            return None
        self._codes += 1
        return await asyncio.to_thread(self.worker.unsealer.open, answer.sealed_code, "sms_code", self.login.id)

    async def _finish(self, context: BrowserContext, qr_login: QrLogin) -> None:
        """Seals the session, puts it in force, and only then says so."""
        seen = await qr_login.profile()
        await put_in_force(self.worker, self.login, seen, context, announce=self._complete)
        await self._end(LoginState.SUCCESS)

    async def _complete(self, version: int) -> None:
        self.login = await asyncio.to_thread(self.logins.complete, self.login, version)

    async def _end(self, state: LoginState, error: PublisherError | None = None) -> None:
        self._over = True
        self.login = await asyncio.to_thread(self.logins.end, self.login, state, error)
