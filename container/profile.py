"""How an account's browser appears, from the account's preferences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chalicelib.accounts.preferences import merged
from chalicelib.errors import SealBroken
from container.egress import Proxy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from chalicelib.accounts.logins import Login
    from chalicelib.accounts.store import Account
    from chalicelib.unsealing import Unsealer

LOCALE: Final = "zh-CN"
TIME_ZONE: Final = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class BrowserProfile:
    """`user_agent` None is the browser's own, without a word of being headless; `proxy` None is no proxy."""

    user_agent: str | None = None
    locale: str = LOCALE
    time_zone: str = TIME_ZONE
    proxy: Proxy | None = None

    def __str__(self) -> str:
        """For the timeline: what differs from the default, without secrets."""
        told = {"proxy": self.proxy and self.proxy.url, "user agent": self.user_agent}
        told["locale"] = self.locale if self.locale != LOCALE else None
        told["time zone"] = self.time_zone if self.time_zone != TIME_ZONE else None
        return ", ".join(f"{name} {value}" for name, value in told.items() if value)


def profile_of(account: Account, unsealer: Unsealer) -> BrowserProfile:
    """The profile for whatever is done for the account. Asks KMS where the account's proxy has credentials: run
    it in a thread. SealBroken where they can't be opened.
    """
    return _profile(account.preferences, account.name, unsealer)


def profile_of_login(login: Login, account: Account | None, unsealer: Unsealer) -> BrowserProfile:
    """The profile for a login, with the preferences that came with it; `account` is None where it is the first
    one. As `profile_of` else.
    """
    preferences = merged(account.preferences if account else {}, login.preferences)
    return _profile(preferences, login.account_name, unsealer)


def _profile(preferences: Mapping[str, Any], account_name: str, unsealer: Unsealer) -> BrowserProfile:
    return BrowserProfile(
        user_agent=preferences.get("user_agent"),
        locale=preferences.get("locale", LOCALE),
        time_zone=preferences.get("time_zone", TIME_ZONE),
        proxy=_proxy(preferences["proxy"], account_name, unsealer) if "proxy" in preferences else None,
    )


def _proxy(preference: Mapping[str, Any], account_name: str, unsealer: Unsealer) -> Proxy:
    url = preference["url"]
    if "credentials" not in preference:
        return Proxy(url)
    opened = json.loads(unsealer.open(preference["credentials"], "proxy", account_name))
    if opened["url"] != url:
        raise SealBroken("The proxy's credentials were given for another proxy.")
    return Proxy(url, opened["username"], opened["password"])
