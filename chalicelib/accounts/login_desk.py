"""What a person does with a login that is under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.accounts.logins import LoginState, conflict
from chalicelib.clock import Clock, from_rfc3339, utc_now
from chalicelib.errors import LoginCanceled, LoginConflict

if TYPE_CHECKING:
    from chalicelib.accounts.logins import Login, LoginStore
    from chalicelib.accounts.store import AccountStore
    from chalicelib.sealing import Sealer


@dataclass(frozen=True, slots=True)
class LoginDesk:
    """The use cases of logins, over the stores that they need. LoginNotFound for an unknown id."""

    logins: LoginStore
    accounts: AccountStore
    sealer: Sealer
    clock: Clock = utc_now

    def poll(self, login_id: str) -> Login:
        """The login as it is now, noting that somebody asked: that keeps its QR code alive.

        Where it has ended and nobody was there to say so, this does.
        """
        login = self.logins.poll(login_id)
        why = login.lapse(self.clock())
        if why is None:
            return login
        if self._in_force(login):
            return self.logins.settle(login, LoginState.SUCCESS)
        return self.logins.settle(login, LoginState.EXPIRED, why)

    def cancel(self, login_id: str) -> Login:
        """Ends the login. LoginConflict where it has ended, or is about to succeed."""
        return self.logins.abort(self.poll(login_id).id, LoginState.FAILED, LoginCanceled())

    def verify(self, login_id: str, code: str) -> Login:
        """Hands the worker the code that the platform sent by SMS. LoginConflict where none is wanted."""
        self._asked(login_id)
        return self.logins.hand_over(login_id, sealed_code=self.sealer.seal(code, "sms_code", login_id))

    def send_again(self, login_id: str) -> Login:
        """Has another SMS sent. LoginConflict where no code is wanted, or it is too early for another one."""
        resend_at = self._asked(login_id)["resend_at"]
        if self.clock() < from_rfc3339(resend_at):
            raise LoginConflict(f"The platform does not send another SMS before {resend_at}.")
        return self.logins.hand_over(login_id, resend=True)

    def _asked(self, login_id: str) -> dict[str, Any]:
        login = self.poll(login_id)
        if login.state is not LoginState.VERIFICATION_REQUIRED or login.verification is None:
            raise conflict(login)
        return login.verification

    def _in_force(self, login: Login) -> bool:
        """Whether the session that the lost worker was about to put in force is, or one that came of it."""
        account = self.accounts.find(login.account_name)
        return (
            login.session_version is not None
            and account is not None
            and account.session_version >= login.session_version
        )
