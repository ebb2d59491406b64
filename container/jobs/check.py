"""One look whether an account's session is alive: by one plain request where that is enough, else by the
browser.

| seen | becomes |
|---|---|
| plain request: the account's own name | logged_in |
| plain request: no answer, a server's fault | doubt; the browser looks where there was doubt before |
| plain request: anything else | the browser looks |
| upload page: opens, and names the account | logged_in, its cookies sealed anew |
| upload page: the login panel; or the session is another account's | expired |
| upload page: 身份验证 | needs_verification |
| upload page: anything else | doubt |

An expired session is believed to be back, and a verification to be done, only by the browser.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.accounts.store import AccountState
from chalicelib.errors import PageChanged, PublisherError, SessionExpired, VerificationRequired
from container.browser import open_page
from container.douyin.login import fetch_profile
from container.douyin.plain import fetch_profile_plainly
from container.douyin.upload import visit_upload_page
from container.evidence import Timeline, log_step
from container.jobs.failure import failure_of
from container.jobs.session import expire_session, open_session, refresh_session
from container.lease import Heartbeat, Message
from container.profile import profile_of

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

    from chalicelib.accounts.store import Account
    from container.douyin.login import Profile
    from container.profile import BrowserProfile
    from container.worker import Worker

logger = logging.getLogger(__name__)

_PLAIN_YES_IS_ENOUGH = (AccountState.LOGGED_IN, AccountState.UNKNOWN)


async def run_check(worker: Worker, name: str, asked_at: str, message: Message) -> None:
    """Looks at the session of the account, unless somebody has since the check was asked for: a publish, or
    another delivery of this message.
    """
    account = await asyncio.to_thread(worker.accounts.find, name)
    if account is None or account.looked_at > asked_at:
        logger.info("a check needs nothing: the account is gone, or was just looked at")
        return
    async with Heartbeat(message.keep_invisible):
        try:
            if not await _look_plainly(worker, account):
                await _look_with_browser(worker, account)
        except SessionExpired as proof:
            await expire_session(worker, account, proof)
        except VerificationRequired as wanted:
            await asyncio.to_thread(worker.accounts.ask_for_verification, account, wanted.detail)
        except (ClientError, BotoCoreError):
            raise  # Nothing can be written now: the message comes again.
        except Exception as error:  # Whatever it was, the account must be told.
            logger.warning("a check could not tell", exc_info=True)
            await asyncio.to_thread(worker.accounts.doubt, account, failure_of(error).detail)


async def _look_plainly(worker: Worker, account: Account) -> bool:
    """Whether one plain request was enough; False where the browser has to look.

    A fault of the network or of the site's servers is raised: a browser would meet the same. Where the last
    look could not tell either, it may be the plain request that the site does not like.
    """
    if account.state not in _PLAIN_YES_IS_ENOUGH:
        return False
    storage_state = await asyncio.to_thread(worker.vault.open, account.name, account.session_version)
    appearance = await asyncio.to_thread(profile_of, account, worker.unsealer)
    try:
        profile = await _fetch_plainly(worker, storage_state, appearance)
    except PublisherError as error:
        if error.retryable and account.doubt is None:
            raise
        logger.info("the browser has to look", extra={"code": error.code})
        return False
    if profile.uid != account.uid:
        return False
    await asyncio.to_thread(worker.accounts.confirm, account, "The site named the account to its cookies.")
    return True


async def _fetch_plainly(worker: Worker, storage_state: dict[str, Any], appearance: BrowserProfile) -> Profile:
    """As the account's browser would ask: by way of its proxy, or not at all."""
    user_agent = await worker.browser.user_agent(appearance)
    async with worker.browser.way_out(appearance) as relay:
        try:
            return await asyncio.to_thread(
                fetch_profile_plainly,
                worker.settings.douyin_origin,
                storage_state,
                user_agent=user_agent,
                locale=appearance.locale,
                proxy=relay.url if relay else None,
            )
        except PublisherError as error:
            if relay is None or relay.failure is None:
                raise
            raise relay.failure from error


async def _look_with_browser(worker: Worker, account: Account) -> None:
    timeline = Timeline(log_step, clock=worker.clock)
    async with open_session(worker, account, timeline) as context:
        profile = await _open_as_creator(worker, context)
        if profile.uid != account.uid:
            raise SessionExpired("The session is not the account's any more: the site names another one.")
        await refresh_session(
            worker, account, context, "The upload page opened, and the site named the account."
        )


async def _open_as_creator(worker: Worker, context: BrowserContext) -> Profile:
    """Whose upload page it is. SessionExpired only by what the page shows."""
    page = await open_page(context)
    await visit_upload_page(page, worker.settings.douyin_origin)
    try:
        return await fetch_profile(page)
    except SessionExpired as error:
        raise PageChanged("The upload page opens, but the site does not say to whom.") from error
