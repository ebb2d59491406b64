"""身份验证: the code that the platform sends to the creator's phone, asked of whoever can read it there."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

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

NextCode = Callable[[str | None], Awaitable[str]]

# So many wrong codes end a challenge at the latest.
_CODES = 8
# Measured 2026-05: 58 s and less.
_PAUSE_MS = 90_000
_VERDICT_MS = 15_000

# 58s 后重新发送
_COUNTDOWN = re.compile(r"\d+\s*[s秒]")


class Challenge:
    """The challenge that a page shows. `undecided` is true once a code was given that the platform has not
    called wrong: from then on the page may go on by itself at any moment.
    """

    def __init__(self, page: Page, next_code: NextCode) -> None:
        self._page = page
        self._next_code = next_code
        self.undecided = False

    async def pass_by_sms(self) -> None:
        """Has a code sent, asks `next_code` for it (with the masked phone), again after a wrong one, gives it.

        VerificationRequired where the site offers no such way or takes none of the codes; PageTimeout where its
        panel does not respond; whatever `next_code` raises.
        """
        panel = await find(self._page, CHALLENGE)
        field = await self._code_screen(panel)
        phone = (await look(self._page)).phone
        await self._send(panel)
        for _ in range(_CODES):
            complaint = await self._give(panel, field, await self._next_code(phone))
            if complaint is None:
                return
            note(f"the code was not taken: {complaint}")
            if "重新获取" in complaint:
                await self._send(panel)
        raise VerificationRequired(f"The platform took none of {_CODES} codes.")

    async def _code_screen(self, panel: Locator) -> Locator:
        """The input of the code, on the screen behind the list of ways."""
        field, row = CHALLENGE_CODE.on(panel), CHALLENGE_SMS.on(panel)
        if not await reaches(field.or_(row), "visible"):
            refuse_challenges(await look(self._page))
            raise VerificationRequired("The site offers no verification by a code that it sends by SMS.")
        if not await field.count():
            await (await find(panel, CHALLENGE_SMS)).click(timeout=ACTION_MS)
        return await find(panel, CHALLENGE_CODE)

    async def _send(self, panel: Locator) -> None:
        """Has the SMS sent. The countdown to the next one is respected."""
        button = await find(panel, CHALLENGE_SEND)
        counting = button.filter(has_text=_COUNTDOWN)
        await expect(counting, "hidden", "pause until another SMS may be sent", timeout_ms=_PAUSE_MS)
        await button.click(timeout=ACTION_MS)
        error = CHALLENGE_ERROR.on(panel)

        async def answered() -> bool:
            return await counting.count() > 0 or await _text(error) != ""

        if not await until(self._page, answered, timeout_ms=ACTION_MS):
            raise PageTimeout("The site did not say that it sent an SMS.")
        if not await counting.count():
            # Too soon after an earlier one, which may still do.
            note(f"no SMS was sent: {await _text(error)}")

    async def _give(self, panel: Locator, field: Locator, code: str) -> str | None:
        """Gives the code to the platform; what it says of a wrong one, None where it is right."""
        error = CHALLENGE_ERROR.on(panel)
        await field.fill(code, timeout=ACTION_MS)
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
