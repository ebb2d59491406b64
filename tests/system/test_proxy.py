"""An account's proxy, set through the API: its logins and publishes go through it; nobody sees the password."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from tests.container.proxies import PASSWORD, USERNAME
from tests.container.support import Site
from tests.system.flows import log_in, outcome, submit, until

if TYPE_CHECKING:
    from local.system import System
    from tests.conftest import Api
    from tests.container.proxies import ProxyServer
    from tests.system.conftest import Phone

pytestmark = [pytest.mark.system]

_NAME = "经过代理的账号"


def test_a_publish_and_the_next_login_go_through_the_accounts_proxy(
    client: Api, phone: Phone, system: System, proxy: ProxyServer
) -> None:
    uid = phone.users()[0]["uid"]
    assert log_in(client, phone, _NAME, uid)["status"] == "success"
    assert proxy.asked == []
    preferences = {
        "proxy": {"url": proxy.url, "username": USERNAME, "password": PASSWORD},
        "time_zone": "America/New_York",
        "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/120.0.0.0 Safari/537.36",
    }
    client("PATCH", f"/api/v1/accounts/{_NAME}", json={"preferences": preferences}).raise_for_status()

    video = f"{system.douyin_origin}/media/demo.mp4"
    task = outcome(client, submit(client, video_url=video, title="经过代理", account_name=_NAME))

    assert task["status"] == "success", task
    (opened,) = [entry for entry in task["timeline"] if entry["name"] == "open_session"]
    assert proxy.url in opened["notes"][0]
    site = system.douyin_origin.removeprefix("http://")
    published = len(proxy.asked)
    assert log_in(client, phone, _NAME, uid)["status"] == "success"
    assert len(proxy.asked) > published > 0
    assert set(proxy.asked) == {site}
    # Nothing that was stored or logged on this machine has the password in clear.
    clear = (PASSWORD.encode(), USERNAME.encode(), base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()))
    stored = {path: path.read_bytes() for path in system.options.data.rglob("*") if path.is_file()}
    assert any(proxy.url.encode() in content for content in stored.values())  # Its url is there to be found.
    assert any(path.suffix == ".log" and content for path, content in stored.items())
    assert [path for path, content in stored.items() if any(text in content for text in clear)] == []


def test_the_first_login_goes_through_the_proxy_that_comes_with_it(
    client: Api, phone: Phone, system: System, proxy: ProxyServer
) -> None:
    name, uid = "从一开始就经过代理", phone.users()[1]["uid"]
    before = len(proxy.asked)
    given = {"proxy": {"url": proxy.url, "username": USERNAME, "password": PASSWORD}}
    started = client.post("/api/v1/accounts/login", {"account_name": name, "preferences": given}).json()
    shown = len(proxy.asked)
    phone.confirm(phone.scan(started["qr_code_base64"]), uid)
    path = f"/api/v1/accounts/login/{started['login_id']}"
    ended = until(lambda: client.get(path).json(), lambda seen: seen["status"] != "pending")

    assert ended["status"] == "success"
    assert shown > before
    account = client.get(f"/api/v1/accounts/{name}").json()
    assert account["preferences"] == {"proxy": {"url": proxy.url, "has_credentials": True}}


def test_an_imported_session_is_tried_through_the_proxy_that_comes_with_it(
    client: Api, system: System, proxy: ProxyServer
) -> None:
    site = Site(system.douyin_origin)
    before = len(proxy.asked)
    preferences = {"proxy": {"url": proxy.url, "username": USERNAME, "password": PASSWORD}}
    answer = client(
        "PUT",
        "/api/v1/accounts/imported.via.proxy/session",
        json={"storage_state": site.log_in(), "preferences": preferences},
    )
    site.close()

    assert answer.status_code == 200, answer.text
    assert answer.json()["account"]["preferences"]["proxy"] == {"url": proxy.url, "has_credentials": True}
    assert len(proxy.asked) > before
