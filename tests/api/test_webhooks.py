"""Webhooks over HTTP: making, changing, testing and replaying them, and the log."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook

from chalicelib.webhooks.endpoints import MAX_ENDPOINTS, EndpointStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Api, Cloud

pytestmark = pytest.mark.system

PATH = "/api/v1/webhooks"
URL = "https://example.com/hooks"


@pytest.fixture
def hooks(api: Api, cloud: Cloud) -> Iterator[Callable[..., dict[str, Any]]]:
    """Makes webhooks, where there are no others, that are gone after the test: the tests share a table."""
    store = EndpointStore(cloud.client("dynamodb"), cloud.variable("WEBHOOKS_TABLE"))

    def clear() -> None:
        for endpoint in store.list():
            store.delete(endpoint.id)

    def make(**body: Any) -> dict[str, Any]:
        answer = api.post(PATH, {"url": URL, **body})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        assert answer.headers["Location"] == f"{PATH}/{made['id']}"
        return made

    clear()
    yield make
    clear()


def without(name: str, body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


def test_a_webhook_is_made_read_listed_changed_and_deleted(
    api: Api, hooks: Callable[..., dict[str, Any]]
) -> None:
    made = hooks(events=["task.*", "account.expired"], description="新闻编辑部")
    assert made["secret"].startswith("whsec_")
    Webhook(made["secret"])
    shown = without("secret", made)
    assert (shown["enabled"], shown["events"], shown["failures"], shown["disabled"]) == (
        True,
        ["task.*", "account.expired"],
        0,
        None,
    )

    path = f"{PATH}/{made['id']}"
    assert api.get(path).json() == shown
    assert api.get(PATH).json() == {"data": [shown]}
    changed = api("PATCH", path, json={"enabled": False, "events": ["*"]}).json()
    assert (changed["enabled"], changed["events"], changed["description"]) == (False, ["*"], "新闻编辑部")
    assert api.delete(path).json() == {"id": made["id"], "deleted": True}
    assert api.get(path).status_code == api.delete(path).status_code == 404
    assert api("PATCH", path, json={}).json()["code"] == "webhook.not_found"
    assert api.get(PATH).json() == {"data": []}


def test_by_default_a_webhook_is_told_of_everything(hooks: Callable[..., dict[str, Any]]) -> None:
    assert hooks()["events"] == ["*"]


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({}, "/url", "required"),
        ({"url": "http://example.com/"}, "/url", "https"),
        ({"url": "https://example.com:8443/"}, "/url", "port 8443"),
        ({"url": "https://user:word@example.com/"}, "/url", "credentials"),
        ({"url": "https://127.0.0.1/"}, "/url", "not public"),
        ({"url": "https://[::1]/"}, "/url", "not public"),
        ({"url": "https://localhost/"}, "/url", "not public"),
        ({"url": "https://169.254.169.254/latest"}, "/url", "not public"),
        ({"url": "https://exa mple.com/"}, "/url", "blanks"),
        ({"url": "ftp://example.com/"}, "/url", "https"),
        ({"url": "https://"}, "/url", "https"),
        ({"url": "https://" + "x" * 2048}, "/url", "at most 2048"),
        ({"url": URL, "events": []}, "/events", "at least 1"),
        ({"url": URL, "events": ["task.unheard_of"]}, "/events/0", "task.failed"),
        ({"url": URL, "events": ["nobody.*"]}, "/events/0", "task.*"),
        ({"url": URL, "events": ["task.*", "task.*"]}, "/events", "repeat"),
        ({"url": URL, "description": "x" * 201}, "/description", "at most 200"),
        ({"url": URL, "secret": "whsec_mine"}, "/secret", "not known"),
    ],
)
def test_what_cannot_be_a_webhook_is_refused_by_field(
    api: Api, body: dict[str, Any], pointer: str, words: str
) -> None:
    answer = api.post(PATH, body)

    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]


def test_a_url_inside_is_refused_by_a_change_too(api: Api, hooks: Callable[..., dict[str, Any]]) -> None:
    path = f"{PATH}/{hooks()['id']}"

    assert api("PATCH", path, json={"url": "https://10.0.0.1/"}).status_code == 422
    assert api.get(path).json()["url"] == URL


def test_the_twenty_first_is_refused(api: Api, hooks: Callable[..., dict[str, Any]]) -> None:
    for _ in range(MAX_ENDPOINTS):
        hooks()
    answer = api.post(PATH, {"url": URL})

    assert (answer.status_code, answer.json()["code"]) == (409, "webhook.too_many")


def test_a_rotation_shows_a_new_secret_and_until_when_the_old_one_signs(
    api: Api, hooks: Callable[..., dict[str, Any]]
) -> None:
    made = hooks()
    path = f"{PATH}/{made['id']}/rotate-secret"

    rotated = api("POST", path).json()
    assert rotated["secret"] not in (made["secret"], None)
    assert len(rotated["old_secrets_end_at"]) == 1
    assert api.post(path, {"overlap_hours": 0}).json()["old_secrets_end_at"] == []
    assert api.post(path, {"overlap_hours": 25}).status_code == 422
    assert api.post(f"{PATH}/{uuid.uuid4()}/rotate-secret").status_code == 404


def test_a_secret_is_shown_where_it_is_made_and_stored_sealed(
    api: Api, hooks: Callable[..., dict[str, Any]], cloud: Cloud
) -> None:
    made = hooks()
    rotated = api.post(f"{PATH}/{made['id']}/rotate-secret", {}).json()

    items = cloud.client("dynamodb").scan(TableName=cloud.variable("WEBHOOKS_TABLE"))["Items"]
    told = str(items) + api.get(PATH).text + api.get(f"{PATH}/{made['id']}").text
    for secret in (made["secret"], rotated["secret"]):
        assert secret not in told
        assert secret.removeprefix("whsec_") not in told


def test_a_test_stands_in_the_log_and_is_replayed_and_the_log_is_read_page_by_page(
    api: Api, hooks: Callable[..., dict[str, Any]]
) -> None:
    path = f"{PATH}/{hooks(events=['sync.behind'])['id']}"
    sent = []
    for _ in range(5):
        answer = api.post(f"{path}/test")
        assert (answer.status_code, answer.headers["Location"]) == (202, f"{path}/deliveries")
        sent.append(answer.json()["id"])
    found, cursor = [], None
    while True:
        query = f"?limit=2{f'&cursor={cursor}' if cursor else ''}"
        page = api.get(f"{path}/deliveries{query}").json()
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert sorted(delivery["id"] for delivery in found) == sorted(sent)
    assert [delivery["id"] for delivery in found] == sorted(sent, reverse=True)
    one = found[0]
    assert (one["type"], one["status"], one["tries"], one["attempts"]) == ("webhook.test", "pending", 0, [])
    assert one["next_try_at"] is not None
    replayed = api.post(f"{path}/deliveries/{one['id']}/replay")
    assert (replayed.status_code, replayed.json()["id"]) == (202, one["id"])
    assert replayed.json()["payload"] == one["payload"]

    nobody = f"evt_{'0' * 32}"
    assert api.post(f"{path}/deliveries/{nobody}/replay").json()["code"] == "webhook.delivery_not_found"
    assert api.post(f"{path}/deliveries/latest/replay").status_code == 404
    assert api.get(f"{path}/deliveries?cursor=nonsense").status_code == 422
    elsewhere = f"{PATH}/{hooks()['id']}/deliveries"
    first = api.get(f"{path}/deliveries?limit=2").json()["next_cursor"]
    assert api.get(f"{elsewhere}?cursor={first}").status_code == 422


def test_a_disabled_webhook_takes_no_test_and_no_replay(api: Api, hooks: Callable[..., dict[str, Any]]) -> None:
    path = f"{PATH}/{hooks()['id']}"
    sent = api.post(f"{path}/test").json()["id"]
    api("PATCH", path, json={"enabled": False})

    for answer in (api.post(f"{path}/test"), api.post(f"{path}/deliveries/{sent}/replay")):
        assert (answer.status_code, answer.json()["code"]) == (409, "webhook.disabled")
