"""Whether the session is alive: told by what the page shows and the site says, never by how long it takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import Error as PlaywrightError

from chalicelib.errors import (
    CaptchaRequired,
    PageChanged,
    PageTimeout,
    SessionExpired,
    VerificationRequired,
)
from container.douyin.login import fetch_profile
from container.douyin.sight import Sight, look_again
from container.evidence import note

if TYPE_CHECKING:
    from playwright.async_api import Page

_TRIES = 2
_ARRIVAL_MS = 5_000
# A page that shows a login because it does not know yet who is there knows it by then.
_SURE_SECONDS = 5.0


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
        await refuse_strangers(page, sight)
        if unchallenged:
            refuse_challenges(sight)
        if sight.shows(mark):
            return sight
    raise PageTimeout(f"The page showed nothing that is known within {timeout_ms / 1000:.0f} s.")


async def refuse_strangers(page: Page, sight: Sight) -> None:
    """SessionExpired where nobody is logged in; a challenge in its place is told first.

    What looks like a login may be a page that does not know yet who is there, or a name that somebody gave
    himself. So the site is asked. Where it answers something else, a login that stays on show decides.
    """
    if sight.shows("creator", "form"):
        return
    refuse_challenges(sight)
    if not sight.shows("login"):
        return
    try:
        logged_in = await is_logged_in(page)
    except PageChanged:
        logged_in = not await _stays(page, sight)
    if logged_in is False:
        wanted = parse_qs(urlsplit(sight.url).query).get("redirect_url")
        how = f"the site went to its login page instead of {wanted[0]}" if wanted else "the page asks to log in"
        raise SessionExpired(f"The session is over: {how}.")
    note("a login was on show for a moment, but the site did not say that the session is over")


async def is_logged_in(page: Page) -> bool | None:
    """Whether somebody is, by the site's own word; None where it gives none: a slow or broken network proves
    nothing. PageChanged where its answer cannot be read.
    """
    for _ in range(_TRIES):
        try:
            await fetch_profile(page)
        except SessionExpired:
            return False
        except PageTimeout:
            return None
        except PlaywrightError:
            # On its way to another address, most likely: asked again where it arrives.
            await look_again(page, None, timeout_ms=_ARRIVAL_MS)
        else:
            return True
    return None


async def _stays(page: Page, login: Sight) -> bool:
    """Whether the login is still on show after a while."""
    seen: Sight | None = login
    end = time.monotonic() + _SURE_SECONDS
    while seen is not None and (left := end - time.monotonic()) > 0:
        if not seen.shows("login") or seen.shows("creator", "form"):
            return False
        seen = await look_again(page, seen, timeout_ms=left * 1000)
    return True


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
