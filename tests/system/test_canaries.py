"""No secret of a run stands in clear in what it stored, logged or answered; and the search can find one."""

from __future__ import annotations

import base64
import gzip
import json
import sqlite3
import uuid
import zlib
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import requests

from chalicelib.api.meta import operations
from chalicelib.keys.scopes import Scope
from chalicelib.keys.store import KeyStore
from local.options import Options
from local.processes import free_port
from local.system import STANDIN_CALLBACK_SECRET, STANDIN_SECRET_KEY, System
from tests.conftest import Api
from tests.container.proxies import PASSWORD as PASSWORD_OF_PROXY
from tests.container.proxies import USERNAME, SocksProxy, proxy_server
from tests.container.support import Site
from tests.system.canaries import Canaries, Watch
from tests.system.conftest import Phone
from tests.system.flows import log_in, outcome, submit, until
from tests.webhooks.support import receiving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Cloud
    from tests.container.proxies import ProxyServer

pytestmark = pytest.mark.system

COOKIE, CODE, PASSWORD = "4b1d0f2e8c9a4f6e", "918273", "密码/?&"
WRONG_KEY = "c0ffee" * 10 + "beef"
VEILS: dict[str, Callable[[str], bytes]] = {
    "clear": str.encode,
    "json": lambda text: json.dumps({"x": text}).encode(),
    "url": lambda text: quote(text, safe="").encode(),
    "utf-16": lambda text: text.encode("utf-16-le"),
    "base64": lambda text: base64.b64encode(text.encode()),
    "url64": lambda text: base64.urlsafe_b64encode(text.encode()),
    "hex": lambda text: text.encode().hex().encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "zlib": lambda text: zlib.compress(text.encode()),
    "gzip+base64": lambda text: gzip.compress(base64.b64encode(text.encode())),
}


@pytest.fixture
def watch() -> Watch:
    return Watch(Canaries(cookie=COOKIE, code=CODE, password=PASSWORD))


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("veil", VEILS)
@pytest.mark.parametrize("secret", [COOKIE, CODE, PASSWORD])
def test_a_secret_is_found_through_a_thin_veil(secret: str, veil: str, before: int) -> None:
    data = VEILS[veil]("-" * before + secret + " and so on")

    assert Canaries(it=secret).found_in(data)
    assert not Canaries(it="another-" + secret).found_in(data)


def test_six_digits_within_a_longer_number_are_no_code() -> None:
    assert not Canaries(it=CODE).found_in(b'{"size": 1918273, "id": "7419182730"}')


def test_a_planted_secret_is_found_wherever_a_system_stores(cloud: Cloud, watch: Watch, tmp_path: Path) -> None:
    dynamodb, s3, sqs = (cloud.client(service) for service in ("dynamodb", "s3", "sqs"))
    table, bucket = cloud.variable("LOGINS_TABLE"), cloud.variable("PRIVATE_BUCKET")
    queue = sqs.create_queue(QueueName=f"planted-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    dynamodb.put_item(TableName=table, Item={"id": {"S": "planted"}, "deep": {"L": [{"B": COOKIE.encode()}]}})
    s3.put_object(Bucket=bucket, Key="planted", Body=gzip.compress(CODE.encode()), Metadata={"note": COOKIE})
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"password": PASSWORD}))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "api.log").write_text(f"GET /?code={CODE}")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "database").write_text(COOKIE)

    watch.look_at_cloud(cloud.client)
    watch.look_into(tmp_path, tmp_path / "theirs")

    s3.delete_object(Bucket=bucket, Key="planted")
    dynamodb.delete_item(TableName=table, Key={"id": {"S": "planted"}})
    assert {
        (where.partition(": ")[0].partition("/")[0], what) for where, _, what in map(split, watch.found)
    } == {
        (f"table {table}", "cookie in clear"),
        ("s3:", "cookie in clear"),
        ("s3:", "code in clear, compressed"),
        ("queue http:", "password in JSON within JSON"),
        ("", "code in clear"),
    }


def split(found: str) -> tuple[str, str, str]:
    return found.rpartition(": ")


def test_a_secret_that_is_stored_for_a_moment_is_found(watch: Watch, tmp_path: Path) -> None:
    with watch.on(tmp_path):
        (tmp_path / "state.json").write_text(COOKIE)
        until(lambda: watch.found, bool, 10)
        (tmp_path / "state.json").unlink()


def sessions_of(system: System) -> list[str]:
    """The value of each session cookie that the stand-in has given, by its own book."""
    with closing(sqlite3.connect(system.options.data / "douyin" / "douyin.sqlite3")) as book:
        return [row[0] for row in book.execute("SELECT sessionid FROM sessions")]


def test_no_secret_of_a_run_stands_anywhere_in_clear(
    tmp_path_factory: pytest.TempPathFactory, chromium_path: str
) -> None:
    data = tmp_path_factory.mktemp("canaries")
    watch = Watch(Canaries())
    with (
        proxy_server(SocksProxy) as proxy,
        System(Options(port=free_port(), data=data, allow_proxies=(proxy.host,))) as system,
        watch.on(data / "aws"),
        receiving() as receiver,
    ):
        api, phone, site = Api(system.origin), Phone(system.douyin_origin), Site(system.douyin_origin)
        api.session.hooks["response"] = lambda answer, **_: watch.look_at(
            f"answer to {answer.request.method} {answer.request.path_url}",
            answer.content + str(answer.headers).encode(),
        )
        made = requests.post(f"{system.origin}/api/v1/webhooks", json={"url": receiver.url}, timeout=30).json()
        receiver.secret = made["secret"]
        watch.canaries.add(**{"webhook's secret": receiver.secret})
        key = api_key(system)
        api.session.headers["Authorization"] = f"Bearer {key}"
        watch.canaries.add(**{"API key": key.rpartition("_")[2], "wrong API key": WRONG_KEY})
        ran_through(watch.canaries, system, api, phone, site, proxy)
        until(lambda: receiver.types, lambda types: types.count("account.expired") == 1)
        for got in receiver.received:
            watch.look_at(f"webhook {got.type}", got.body + str(got.headers).encode())
        watch.look_at_cloud(system.client)
        api.session.close()
        site.close()
    # What the platform itself keeps is not ours.
    watch.look_into(data, data / "douyin")
    assert watch.found == set()

    (data / "logs" / "planted.log").write_text(f"session {secret_cookie(data)}")
    watch.look_into(data, data / "douyin")
    assert len(watch.found) == 1


def secret_cookie(data: Path) -> str:
    with closing(sqlite3.connect(data / "douyin" / "douyin.sqlite3")) as book:
        return str(book.execute("SELECT sessionid FROM sessions").fetchone()[0])


def api_key(system: System) -> str:
    """A key to everything, made as the command line makes it."""
    store = KeyStore(system.client("dynamodb"), system.variables["KEYS_TABLE"])
    return store.create("everything", Scope, expires_at=None, created_by="a test").token


def ran_through(
    canaries: Canaries, system: System, api: Api, phone: Phone, site: Site, proxy: ProxyServer
) -> None:
    """What secrets take part in: a sync, QR logins, SMS codes at a login and a publish, a proxy, imports good
    and bad, works that go out or fail.
    """
    canaries.add(**{"content key": STANDIN_SECRET_KEY, "callback secret": STANDIN_CALLBACK_SECRET})
    upstream = f"{system.volcengine.endpoint}/admin"
    known = requests.get(f"{upstream}/articles", timeout=60).json()["articles"][0]["group_id"]
    told = {"url": f"{system.origin}/api/v1/sync/notifications", "group_ids": [known]}
    assert requests.post(f"{upstream}/notifications", json=told, timeout=60).json()["status"] == 200
    until(lambda: api.get("/api/v1/sync").json()["data"][0]["state"]["rows"], bool)

    scanned, imported, asked = (user["uid"] for user in phone.users()[:3])
    media = f"{system.douyin_origin}/media/demo.mp4"

    wrong = {"Authorization": f"Bearer sp_live_{'0' * 16}_{WRONG_KEY}"}
    for headers in (wrong, {"Authorization": f"Basic {WRONG_KEY}"}):
        assert api.get("/api/v1/accounts", headers=headers).status_code == 401
    upload = {"file_name": "x.png", "content_type": "image/png", "size": 1, "sha256": "0" * 64}
    opened = api.post("/api/v1/uploads", upload)
    # In its answer the signature is meant to be; from here on it stands nowhere.
    canaries.add(**{"signature of a URL": opened.json()["url"].rpartition("X-Amz-Signature=")[2]})
    assert requests.put(opened.json()["url"], data=b"not so", timeout=60).status_code in (400, 403)

    assert log_in(api, phone, "扫码", scanned)["status"] == "success"
    canaries.add(**{f"session {number}": value for number, value in enumerate(sessions_of(system))})

    site.scenario(user=scanned, second_verification="publish")
    task_id = submit(api, video_url=media, title="要验证码", account_name="扫码")
    path = f"/api/v1/tasks/{task_id}"
    until(lambda: api.get(path).json(), lambda seen: seen["state"] == "needs_verification")
    code = site.sms(scanned)
    canaries.add(code=code)
    api.post(f"{path}/verification", {"code": code}).raise_for_status()
    assert outcome(api, task_id)["status"] == "success"

    site.scenario(user=asked, second_verification="login")
    started = api.post("/api/v1/accounts/login", {"account_name": "代理"}).json()
    where = f"/api/v1/accounts/login/{started['login_id']}"
    token = phone.scan(started["qr_code_base64"])
    canaries.add(**{"token of a QR code": token})
    phone.confirm(token, asked)
    until(lambda: api.get(where).json(), lambda seen: seen["state"] == "verification_required")
    canaries.add(**{"code at the login": site.sms(asked)})
    api.post(f"{where}/verification", {"code": site.sms(asked)}).raise_for_status()
    logged_in = until(lambda: api.get(where).json(), lambda seen: seen["status"] != "pending")
    assert logged_in["status"] == "success"
    canaries.add(**{"proxy's user": USERNAME, "proxy's password": PASSWORD_OF_PROXY})
    given = {"proxy": {"url": proxy.url, "username": USERNAME, "password": PASSWORD_OF_PROXY}}
    api("PATCH", "/api/v1/accounts/代理", json={"preferences": given}).raise_for_status()
    api.post("/api/v1/accounts/代理/check").raise_for_status()
    relayed = outcome(api, submit(api, video_url=media, title="经过代理", account_name="代理"))
    assert relayed["status"] == "success"
    assert proxy.asked

    state, dead = site.log_in(imported), site.log_in(imported)
    canaries.add(**{f"session {number}": value for number, value in enumerate(sessions_of(system))})
    canaries.add(stored="value-in-local-storage", kept="value-in-a-database")
    database = {
        "name": "keys",
        "version": 1,
        "stores": [
            {
                "name": "keys",
                "autoIncrement": False,
                "records": [{"key": "k", "value": "value-in-a-database"}],
                "indexes": [],
            }
        ],
    }
    storage = [{"name": "token", "value": "value-in-local-storage"}]
    origin = {"origin": system.douyin_origin, "localStorage": storage, "indexedDB": [database]}
    full = {**state, "origins": [origin]}
    answer = api("PUT", "/api/v1/accounts/导入/session", json={"storage_state": full})
    assert answer.status_code == 200, answer.text
    site.scenario(user=imported, publish="rejected")
    failed = outcome(api, submit(api, video_url=media, title="被拒绝", account_name="导入"))
    assert failed["status"] == "failed"
    site.scenario(user=imported, publish="ok")
    worked = outcome(api, submit(api, video_url=media, title="没有问题", account_name="导入"))
    assert worked["status"] == "success"

    dead["cookies"][0]["value"] += "; broken"
    assert api("PUT", "/api/v1/accounts/导入/session", json={"storage_state": dead}).status_code == 422
    site.post("/admin/logout", {"user": imported})
    refused = api("PUT", "/api/v1/accounts/导入/session", json={"storage_state": full})
    assert refused.status_code == 422
    expired = outcome(api, submit(api, video_url=media, title="已过期", account_name="导入"))
    assert expired["error"]["code"] == "account.session_expired"

    ids = {"task_id": task_id, "login_id": refused.json()["request_id"], "account_name": "扫码"}
    for operation in operations():
        if operation.method == "GET":
            where = operation.path
            for name, value in ids.items():
                where = where.replace(f"{{{name}}}", value)
            assert api.get(where).status_code in (200, 404, 429)
