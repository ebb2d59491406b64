"""An account's preferences stand in for what a task does not say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.accounts.identity import proxy_url
from chalicelib.accounts.logins import Login, LoginState
from chalicelib.accounts.preferences import applied, merged, sealed, shown
from chalicelib.accounts.store import Account, AccountState
from chalicelib.errors import SealBroken
from container.profile import BrowserProfile, profile_of, profile_of_login


def test_a_field_that_the_caller_gave_is_the_callers() -> None:
    preferences = {"default_tags": ["a"], "default_claim_type": "内容由AI生成", "visibility": "private"}

    assert applied(preferences, {"tags", "title"}) == {
        "claim_type": "内容由AI生成",
        "visibility": "private",
    }


def test_without_preferences_nothing_is_decided() -> None:
    assert applied({}, {"title"}) == {}


def test_limits_are_no_fields_of_a_task() -> None:
    assert applied({"daily_cap": 3, "min_spacing_minutes": 10}, set()) == {}


def test_a_change_of_null_takes_a_preference_away_and_the_others_stay() -> None:
    assert merged({"daily_cap": 3, "visibility": "private"}, {"daily_cap": None, "allow_save": False}) == {
        "visibility": "private",
        "allow_save": False,
    }


A, B = "http://a.example.com:8080", "http://b.example.com:8080"


class OpenSeal:
    """Sealer and Unsealer at once: a seal that anybody can read."""

    def seal(self, secret: str, purpose: str, subject: str) -> str:
        return json.dumps([secret, purpose, subject])

    def open(self, sealed_text: str, purpose: str, subject: str) -> str:
        secret, *context = json.loads(sealed_text)
        assert context == [purpose, subject]
        return str(secret)


SEAL: Any = OpenSeal()


def _patched(preferences: dict[str, Any], proxy: dict[str, Any] | None) -> dict[str, Any]:
    return merged(preferences, sealed({"proxy": proxy}, "me", SEAL))


def _profile(preferences: dict[str, Any]) -> BrowserProfile:
    account = Account("me", AccountState.LOGGED_IN, "", "", 1, "", "", "", preferences=preferences)
    return profile_of(account, SEAL)


def test_a_proxys_credentials_reach_the_worker_and_nobody_who_asks() -> None:
    preferences = _patched({}, {"url": A, "username": "u", "password": "p"})

    assert shown(preferences) == {"proxy": {"url": A, "has_credentials": True}}
    proxy = _profile(preferences).proxy
    assert proxy is not None
    assert (proxy.url, proxy.username, proxy.password) == (A, "u", "p")


def test_credentials_stay_while_the_url_does_and_go_to_no_other_proxy() -> None:
    with_both = _patched({"daily_cap": 3}, {"url": A, "username": "u", "password": "p"})

    assert _patched(with_both, {"url": A}) == with_both
    assert _patched(with_both, {"url": B}) == {"daily_cap": 3, "proxy": {"url": B}}


def test_nulls_take_the_credentials_or_the_proxy_away() -> None:
    with_both = _patched({}, {"url": A, "username": "u", "password": "p"})

    assert _patched(with_both, {"url": A, "username": None, "password": None}) == {"proxy": {"url": A}}
    assert _patched(with_both, None) == {}


def test_credentials_that_were_moved_to_another_proxy_do_not_open() -> None:
    preferences = _patched({}, {"url": A, "username": "u", "password": "p"})
    preferences["proxy"]["url"] = B

    with pytest.raises(SealBroken):
        _profile(preferences)


def test_without_preferences_the_browser_is_as_it_was() -> None:
    assert _profile({}) == BrowserProfile(None, "zh-CN", "Asia/Shanghai", None)


def test_a_login_appears_as_its_account_and_as_was_wished_with_it() -> None:
    wished = sealed({"proxy": {"url": A, "username": "u", "password": "p"}, "locale": None}, "me", SEAL)
    login = Login("1", "me", LoginState.STARTING, "", "", "", 0, preferences=wished)
    account = Account(
        *("me", AccountState.LOGGED_IN, "", "", 1, "", "", ""),
        preferences={"locale": "zh-HK", "time_zone": "Europe/Berlin"},
    )

    first, again = profile_of_login(login, None, SEAL), profile_of_login(login, account, SEAL)

    assert (first.proxy, first.time_zone) == (again.proxy, "Asia/Shanghai")
    assert again.proxy is not None
    assert (again.proxy.password, again.locale, again.time_zone) == ("p", "zh-CN", "Europe/Berlin")


def test_what_a_timeline_tells_of_a_profile_has_no_secret() -> None:
    preferences = _patched({"time_zone": "Europe/Berlin"}, {"url": A, "username": "u", "password": "secret"})

    assert str(_profile(preferences)) == f"proxy {A}, time zone Europe/Berlin"
    assert "secret" not in repr(_profile(preferences))
    assert str(BrowserProfile()) == ""


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("http://Proxy.Example.com:8080/", "http://proxy.example.com:8080"),
        ("socks5://1.1.1.1:1080", "socks5://1.1.1.1:1080"),
        ("socks5://[2606:4700:0::1111]:1080", "socks5://[2606:4700::1111]:1080"),
    ],
)
def test_a_proxys_url_is_stored_in_one_way(url: str, stored: str) -> None:
    assert proxy_url(url) == stored


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://user:secret@proxy.example.com:8080", "username and password"),
        ("https://proxy.example.com:8080", "not supported"),
        ("proxy.example.com:8080", "http://host:port"),
        ("http://proxy.example.com", "http://host:port"),
        ("http://proxy.example.com:0", "http://host:port"),
        ("http://proxy.example.com:99999", "http://host:port"),
        ("http://proxy.example.com:8080/path", "nothing after the port"),
        ("http://proxy.example.com:8080?x", "nothing after the port"),
        ("ftp://proxy.example.com:21", "http://host:port"),
        ("http://[::1:8080", "http://host:port"),
        ("http://代理.example.com:8080", "ASCII"),
        ("http://127.0.0.1:8080", "public address"),
        ("http://10.0.0.1:8080", "public address"),
        ("http://169.254.169.254:80", "public address"),
        ("http://[::ffff:127.0.0.1]:80", "public address"),
    ],
)
def test_a_proxys_url_that_cannot_be_used_says_why_without_repeating_it(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        proxy_url(url)
    assert "secret" not in str(refused.value)


def test_a_proxy_may_stand_on_loopback_only_where_a_test_allows_it() -> None:
    assert proxy_url("http://127.0.0.1:8080", {"127.0.0.1:8080"}) == "http://127.0.0.1:8080"
    with pytest.raises(ValueError, match="public"):
        proxy_url("http://127.0.0.1:8081", {"127.0.0.1:8080"})
