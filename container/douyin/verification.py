"""身份验证: the code that the platform sends to the creator's phone, asked of whoever can read it there."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from playwright.async_api import Error as PlaywrightError

from chalicelib.errors import PageTimeout, VerificationRequired
from container.douyin.act import ACTION_MS, EFFECT_MS, expect, find, reaches, until
from container.douyin.locators import (
    CHALLENGE,
    CHALLENGE_CODE,
    CHALLENGE_CONFIRM,
    CHALLENGE_ERROR,
    CHALLENGE_SEND,
    CHALLENGE_SMS,
)
from container.douyin.session import refuse_challenges
from container.douyin.sight import look
from container.evidence import note

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

# Given the masked phone, the next code; None to have the SMS sent again instead.
NextCode = Callable[[str | None], Awaitable[str | None]]

# So many wrong codes end a challenge at the latest.
_CODES = 8
# Measured 2026-05: 58 s and less.
_PAUSE_MS = 90_000
_VERDICT_MS = 15_000

# 58s 后重新发送
_COUNTDOWN = re.compile(r"(\d+)\s*[s秒]")


class Challenge:
    """The challenge that a page shows. `undecided` is true once a code was given that the platform has not
    called wrong: from then on the page may go on by itself at any moment. `complaint` is what the platform says
    of the last code, or of the wish for another SMS; None where it does not complain.
    """

    def __init__(self, page: Page, next_code: NextCode) -> None:
        self._page = page
        self._next_code = next_code
        self.undecided = False
        self.complaint: str | None = None

    async def pass_by_sms(self) -> None:
        """Has a code sent, asks `next_code` for it (with the masked phone), again after a wrong one, gives it.

        VerificationRequired where the site offers no such way or takes none of the codes; PageTimeout where its
        panel does not respond; whatever `next_code` raises.
        """
        panel = await find(self._page, CHALLENGE)
        field = await self._code_screen(panel)
        phone = (await look(self._page)).phone
        self.complaint = await self._send(panel)
        codes = 0
        while codes < _CODES:
            code = await self._next_code(phone)
            if code is None:
                self.complaint = await self._send(panel)
                continue
            codes += 1
            self.complaint = await self._give(panel, field, code)
            if self.complaint is None:
                return
            note(f"the code was not taken: {self.complaint}")
            if "重新获取" in self.complaint:
                await self._send(panel)
        raise VerificationRequired(f"The platform took none of {_CODES} codes.")

    async def resend_seconds(self) -> int:
        """How long the page counts down until it lets another SMS be sent."""
        counting = CHALLENGE_SEND.on(CHALLENGE.on(self._page).first).filter(has_text=_COUNTDOWN)
        left = [_COUNTDOWN.search(text) for text in await counting.all_inner_texts()]
        return max((int(found.group(1)) for found in left if found), default=0)

    async def _code_screen(self, panel: Locator) -> Locator:
        """The input of the code, on the screen behind the list of ways."""
        field, row = CHALLENGE_CODE.on(panel), CHALLENGE_SMS.on(panel)
        if not await reaches(field.or_(row), "visible"):
            refuse_challenges(await look(self._page))
            raise VerificationRequired("The site offers no verification by a code that it sends by SMS.")
        if not await field.count():
            await (await find(panel, CHALLENGE_SMS)).click(timeout=ACTION_MS)
        return await find(panel, CHALLENGE_CODE)

    async def _send(self, panel: Locator) -> str | None:
        """Has the SMS sent, once the countdown of the one before is over; what the platform says where it sends
        none.
        """
        button = await find(panel, CHALLENGE_SEND)
        counting = button.filter(has_text=_COUNTDOWN)
        await expect(counting, "hidden", "pause until another SMS may be sent", timeout_ms=_PAUSE_MS)
        await button.click(timeout=ACTION_MS)
        error = CHALLENGE_ERROR.on(panel)

        async def answered() -> bool:
            return await counting.count() > 0 or await _text(error) != ""

        if not await until(self._page, answered, timeout_ms=ACTION_MS):
            raise PageTimeout("The site did not say that it sent an SMS.")
        if await counting.count():
            return None
        # Too soon after an earlier one, which may still do.
        complaint = await _text(error)
        note(f"no SMS was sent: {complaint}")
        return complaint

    async def _give(self, panel: Locator, field: Locator, code: str) -> str | None:
        """Gives the code to the platform; what it says of a wrong one, None where it is right."""
        error = CHALLENGE_ERROR.on(panel)
        try:
            await field.fill(code, timeout=ACTION_MS)
        except PlaywrightError:
            # Its text shows what was to be typed.
            raise PageTimeout("The field for the code takes no input.") from None
        button = await find(panel, CHALLENGE_CONFIRM)
        disabled = button.and_(self._page.locator('[class*="disabled"], [aria-disabled="true"]'))
        if not await reaches(disabled, "hidden"):
            return "the page does not take it for a code"
        before = await _text(error)
        # The same words again are a verdict once there was time for another one.
        believed = time.monotonic() + EFFECT_MS / 1000
        self.undecided = True
        await button.click(timeout=ACTION_MS)

        async def judged() -> bool:
            said = await _text(error)
            wrong = said != "" and (said != before or time.monotonic() > believed)
            return wrong or not await panel.is_visible()

        if not await until(self._page, judged, timeout_ms=_VERDICT_MS):
            raise PageTimeout("The platform did not say whether the code is right.")
        complaint = await _text(error)
        if complaint == "":
            return None
        self.undecided = False
        return complaint


async def _text(error: Locator) -> str:
    """What the error says; empty where there is none."""
    return " ".join(text.strip() for text in await error.all_inner_texts()).strip()
