"""Accounts and logins on the real tables."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from chalicelib.accounts.logins import ABANDONED_AFTER, LIFE, WORKER_SILENCE, Login, LoginState, LoginStore
from chalicelib.accounts.store import Account, AccountState, AccountStore, Profile
from chalicelib.clock import utc_now
from chalicelib.dynamodb import ConditionFailed
from chalicelib.errors import (
    AccountNotFound,
    LoginConflict,
    LoginNotFound,
    LoginRequired,
    StateConflict,
)

if TYPE_CHECKING:
    from tests.conftest import Cloud

pytestmark = pytest.mark.system

PROFILE = Profile("7001", "小明", "https://example.com/a.png")


@pytest.fixture
def name() -> str:
    return f"a{uuid.uuid4().hex[:8]}"


@pytest.fixture
def accounts(cloud: Cloud) -> AccountStore:
    return AccountStore(cloud.client("dynamodb"), cloud.variable("ACCOUNTS_TABLE"))


@pytest.fixture
def logins(cloud: Cloud) -> LoginStore:
    return LoginStore(cloud.client("dynamodb"), cloud.variable("LOGINS_TABLE"))


def test_a_login_registers_the_account(accounts: AccountStore, name: str) -> None:
    account = accounts.log_in(name, PROFILE, session_version=5)

    assert (account.nickname, account.uid, account.session_version) == ("小明", "7001", 5)
    assert accounts.get(name) == account
    assert account in accounts.list()
    account.require_login()


def test_a_second_login_keeps_what_the_account_was(accounts: AccountStore, name: str) -> None:
    first = accounts.log_in(name, PROFILE, session_version=5)
    second = accounts.log_in(name, Profile("7001", "大明", None), session_version=6)

    assert second.created_at == first.created_at
    assert (second.nickname, second.avatar_url) == ("大明", None)


def test_preferences_come_with_a_login_in_the_same_write(
    accounts: AccountStore, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody changes others at the same moment: neither is lost."""
    wished = {"time_zone": "Europe/Berlin", "daily_cap": None}
    assert accounts.log_in(name, PROFILE, session_version=1, preferences=wished).preferences == {
        "time_zone": "Europe/Berlin"
    }
    real = AccountStore.find
    raced: list[str] = []

    def patched_meanwhile(store: AccountStore, of: str) -> Account | None:
        found = real(store, of)
        if not raced:
            raced.append(of)
            store.prefer(of, {"daily_cap": 3})
        return found

    with monkeypatch.context() as patch:
        patch.setattr(AccountStore, "find", patched_meanwhile)
        accounts.log_in(name, PROFILE, session_version=2, preferences={"locale": "zh-HK"})

    assert accounts.get(name).preferences == {"time_zone": "Europe/Berlin", "daily_cap": 3, "locale": "zh-HK"}
    with pytest.raises(ConditionFailed):
        accounts.log_in(name, PROFILE, session_version=1, preferences={"locale": "zh-TW"})
    assert accounts.get(name).preferences["locale"] == "zh-HK"


def test_an_older_session_never_replaces_a_newer_one(accounts: AccountStore, name: str) -> None:
    old = accounts.log_in(name, PROFILE, session_version=5)
    accounts.log_in(name, PROFILE, session_version=9)

    with pytest.raises(ConditionFailed):
        accounts.log_in(name, PROFILE, session_version=7)
    assert accounts.refresh_session(old, "seen", session_version=8) is False
    assert accounts.mark_expired(old, "seen") is False
    assert accounts.get(name).session_version == 9
    assert accounts.get(name).state is AccountState.LOGGED_IN


def test_an_expired_account_must_log_in(accounts: AccountStore, name: str) -> None:
    assert accounts.mark_expired(accounts.log_in(name, PROFILE, session_version=5), "the page asks to log in")

    with pytest.raises(LoginRequired, match=name):
        accounts.get(name).require_login()


def test_a_deleted_account_is_not_brought_back_by_a_job_that_still_runs(
    accounts: AccountStore, name: str
) -> None:
    account = accounts.log_in(name, PROFILE, session_version=5)
    accounts.delete(name)

    assert accounts.refresh_session(account, "seen", session_version=6) is False
    assert accounts.mark_expired(account, "The page asks to log in.") is False
    with pytest.raises(AccountNotFound):
        accounts.get(name)


def test_a_login_is_claimed_once(logins: LoginStore) -> None:
    login = logins.create("someone")
    logins.claim(login.id, "worker-1")

    with pytest.raises(StateConflict):
        logins.claim(login.id, "worker-2")


def test_a_login_that_has_ended_takes_no_more_writes(logins: LoginStore) -> None:
    login = logins.claim(logins.create("someone").id, "worker-1")
    logins.end(login, LoginState.SUCCESS)

    with pytest.raises(StateConflict):
        logins.report(login, LoginState.SCANNED)
    assert logins.poll(login.id).state is LoginState.SUCCESS


def test_the_qr_code_is_gone_once_it_was_scanned(logins: LoginStore) -> None:
    login = logins.claim(logins.create("someone").id, "worker-1")
    shown = logins.show_qr(login, "cG5n", expires_at=utc_now())
    assert (shown.qr_png, shown.qr_count) == ("cG5n", 1)

    assert logins.report(shown, LoginState.SCANNED).qr_png is None


def test_a_login_has_ended_once_its_worker_fell_silent_its_time_is_over_or_nobody_asks_after_it(
    logins: LoginStore,
) -> None:
    login = logins.claim(logins.create("someone").id, "worker-1")
    now, moment = utc_now(), timedelta(seconds=2)

    def why(login: Login, later: timedelta) -> str | None:
        error = login.lapse(now + later)
        return error.code if error else None

    assert why(login, timedelta()) is None
    assert why(login, WORKER_SILENCE + moment) == "login.worker_lost"
    waiting = logins.create("someone-else")
    assert why(waiting, ABANDONED_AFTER - moment) is None
    assert why(waiting, ABANDONED_AFTER + moment) == "login.abandoned"
    assert why(waiting, LIFE - moment) == "login.abandoned"
    assert why(waiting, LIFE + moment) == "login.expired"
    assert why(logins.end(login, LoginState.SUCCESS), LIFE * 2) is None


def test_a_login_whose_time_is_over_is_not_taken_up(cloud: Cloud) -> None:
    now = [utc_now()]
    logins = LoginStore(cloud.client("dynamodb"), cloud.variable("LOGINS_TABLE"), lambda: now[0])
    login = logins.create("someone")
    now[0] += LIFE

    with pytest.raises(LoginConflict):
        logins.claim(login.id, "worker-1")


def test_an_unknown_login_is_not_found(logins: LoginStore) -> None:
    with pytest.raises(LoginNotFound):
        logins.poll("unknown")


def test_a_new_login_supersedes_one_of_the_same_account_that_is_under_way(
    logins: LoginStore, name: str
) -> None:
    first = logins.claim(logins.create(name).id, "worker-1")
    other = logins.create(f"{name}-other")
    second = logins.create(name)

    ended = logins.get(first.id)
    assert (ended.state, (ended.error or {})["code"]) == (LoginState.EXPIRED, "login.superseded")
    with pytest.raises(StateConflict):
        logins.report(first, LoginState.SCANNED)
    assert logins.get(second.id).state is LoginState.STARTING
    assert logins.get(other.id).state is LoginState.STARTING


def test_of_logins_that_start_at_once_one_stays(logins: LoginStore, name: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda _: logins.create(name), range(16)))

    live = [login for login in started if not logins.get(login.id).state.terminal]
    assert len(live) == 1


def test_a_login_that_succeeded_is_not_superseded(logins: LoginStore, name: str) -> None:
    first = logins.claim(logins.create(name).id, "worker-1")
    logins.end(first, LoginState.SUCCESS)
    logins.create(name)

    assert logins.get(first.id).state is LoginState.SUCCESS


def test_the_pointer_to_the_latest_login_is_no_login(logins: LoginStore, name: str) -> None:
    logins.create(name)

    with pytest.raises(LoginNotFound):
        logins.poll(f"latest#{name}")
