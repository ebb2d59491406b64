"""A login from its start to its end: the code is shown and kept fresh, a code by SMS is asked for and given."""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from publisher.errors import ClientError, NeedsPerson, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.client import Client, Document
    from publisher.screen import LoginScreen
    from publisher.stdin import Lines

# The API ends a login that nobody has asked after for 30 s.
POLL_SECONDS = 1.0
AGAIN = "r"


class CodePrompt:
    """Asks whoever sits there for the codes that the platform sends by SMS."""

    def __init__(self, lines: Lines, say: Callable[[str], None]) -> None:
        self._lines = lines
        self._say = say
        self._asked: tuple[Any, ...] | None = None

    def ask(
        self,
        verification: Document,
        give: Callable[[str], object],
        resend: Callable[[], object] | None = None,
    ) -> None:
        """Waits for a line for as long as one may between two looks, and hands it over.

        Raises NeedsPerson where nobody can type one.
        """
        asked = (verification["asked_at"], verification["tries"])
        if asked != self._asked:
            self._asked = asked
            if verification.get("complaint"):
                self._say(verification["complaint"])
            self._say(_question(verification, again=resend is not None))
        try:
            line = self._lines.get(POLL_SECONDS)
        except EOFError:
            raise NeedsPerson(
                f"Douyin wants the code that it has sent by SMS to {verification['phone'] or 'the phone'}, and "
                "nobody can type it here.",
                "Run the command in a terminal, or give the code within 5 minutes: for a task, "
                "`publisher tasks code TASK_ID`.",
            ) from None
        if not line:
            return
        try:
            if line.lower() == AGAIN and resend is not None:
                resend()
                self._say("Another code is on its way.")
            else:
                give(line)
                self._say("Douyin is checking it.")
        except Refused as refused:
            self._say(f"{refused.cause} {refused.next_step}")
            self._asked = None


def log_in(
    client: Client,
    name: str,
    preferences: Document,
    screen: LoginScreen,
    prompt: CodePrompt,
    pause: Callable[[float], object] = time.sleep,
) -> Document:
    """Logs an account in, and returns the login once it has ended. Whatever interrupts it cancels the login."""
    login_id = client.start_login(name, preferences)["login_id"]
    try:
        with screen:
            while (login := client.login(login_id))["status"] == "pending":
                if login["state"] == "verification_required" and login["verification"]:
                    screen.rest()
                    prompt.ask(
                        login["verification"],
                        partial(client.give_login_code, login_id),
                        partial(client.resend_login_code, login_id),
                    )
                else:
                    screen.show(login, client.now())
                    pause(POLL_SECONDS)
            return login
    except BaseException:
        with contextlib.suppress(ClientError):
            client.cancel_login(login_id)
        raise


def _question(verification: Document, *, again: bool) -> str:
    where = verification["phone"] or "the phone of the account"
    how = f"Type it here, or {AGAIN!r} to have another one sent:" if again else "Type it here:"
    return f"Douyin has sent a code by SMS to {where}. {how}"
