"""Whether the session is alive: told by what the page shows, never by how long it takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from chalicelib.errors import CaptchaRequired, PageTimeout, SessionExpired, VerificationRequired
from container.douyin.sight import Sight, look_again

if TYPE_CHECKING:
    from playwright.async_api import Page


async def ensure_logged_in(page: Page, *, timeout_ms: float) -> Sight:
    """Waits until the page shows that somebody is logged in.

    SessionExpired on proof: the login panel, whether the site went to its front page (and kept the wanted
    address in `redirect_url`) or shows the panel in place. CaptchaRequired and VerificationRequired where one
    stands in the way. PageTimeout where the page shows neither: a slow network proves nothing.
    """
    return await _wait_for(page, "creator", timeout_ms=timeout_ms)


async def wait_past_challenges(page: Page, mark: str, *, timeout_ms: float) -> Sight:
    """Waits until the page shows the mark, and no challenge in its way. Raises as `ensure_logged_in` does."""
    return await _wait_for(page, mark, timeout_ms=timeout_ms, unchallenged=True)


async def _wait_for(page: Page, mark: str, *, timeout_ms: float, unchallenged: bool = False) -> Sight:
    sight: Sight | None = None
    end = time.monotonic() + timeout_ms / 1000
    while (left := end - time.monotonic()) > 0:
        sight = await look_again(page, sight, timeout_ms=left * 1000)
        if sight is None:
            break
        refuse_strangers(sight)
        if unchallenged:
            refuse_challenges(sight)
        if sight.shows(mark):
            return sight
    raise PageTimeout(f"The page showed nothing that is known within {timeout_ms / 1000:.0f} s.")


def refuse_strangers(sight: Sight) -> None:
    """SessionExpired where the page proves that nobody is logged in; a challenge in its place is told first."""
    if sight.shows("creator", "form"):
        return
    refuse_challenges(sight)
    if sight.shows("login"):
        wanted = parse_qs(urlsplit(sight.url).query).get("redirect_url")
        how = f"the site went to its login page instead of {wanted[0]}" if wanted else "the page asks to log in"
        raise SessionExpired(f"The session is over: {how}.")


def refuse_challenges(sight: Sight) -> None:
    """VerificationRequired or CaptchaRequired where the page shows one of them."""
    if sight.shows("captcha"):
        raise CaptchaRequired("The site asks for a captcha.")
    if sight.shows("face"):
        raise VerificationRequired("The site wants to see the face of the account's owner, by a code to scan.")
    if sight.shows("identity"):
        raise VerificationRequired(
            f"The site asks for an SMS code sent to {sight.phone or 'the account’s phone'}."
        )
