"""Webhooks of the whole system: what a login, a publish, a sync and a deletion tell, and how soon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.system.flows import log_in, outcome, submit, until
from tests.webhooks.support import receiving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.system import System
    from tests.conftest import Api
    from tests.system.conftest import Phone
    from tests.webhooks.support import Receiver

pytestmark = pytest.mark.system


@pytest.fixture
def receiver(client: Api) -> Iterator[Receiver]:
    with receiving() as server:
        made = client.post("/api/v1/webhooks", {"url": server.url, "events": ["*"]}).json()
        server.secret = made["secret"]
        yield server
        client.delete(f"/api/v1/webhooks/{made['id']}").raise_for_status()


def told(receiver: Receiver, **of: str) -> list[str]:
    """The types of events whose data has these members, in the order of their ids."""
    found = [got for got in receiver.received if of.items() <= got.data.items()]
    return [kind for _, kind in sorted({(got.id, got.type) for got in found})]


def test_a_login_a_publish_a_sync_and_a_deletion_tell_what_becomes_of_them(
    client: Api, system: System, phone: Phone, receiver: Receiver
) -> None:
    name = "网络钩子"
    user = phone.users()[0]["uid"]
    assert log_in(client, phone, name, user)["status"] == "success"
    until(lambda: told(receiver, account_name=name), lambda kinds: "login.success" in kinds)
    task_id = submit(
        client, video_url=f"{system.douyin_origin}/media/demo.mp4", title="钩子", account_name=name
    )
    assert outcome(client, task_id)["status"] == "success"
    # Long before the function's next tick for most of them; none later than that.
    kinds = until(lambda: told(receiver, task_id=task_id), lambda seen: "task.published" in seen, 120)
    assert kinds == ["task.queued", "task.running", "task.submitting", "task.published"]

    client.delete(f"/api/v1/accounts/{name}").raise_for_status()
    kinds = until(lambda: told(receiver, account_name=name), lambda seen: "account.deleted" in seen, 120)
    of_logins = [kind for kind in kinds if kind.startswith("login.")]
    # The phone may be so quick that nobody sees the code scanned.
    assert [kind for kind in of_logins if kind != "login.scanned"] == [
        "login.starting",
        "login.qr_ready",
        "login.success",
    ]
    assert [kind for kind in kinds if kind.startswith("account.")] == ["account.logged_in", "account.deleted"]

    client.post("/api/v1/sync/run").raise_for_status()
    until(lambda: told(receiver), lambda seen: "articles.changed" in seen, 240)
    assert receiver.refused == []
    requests: Any = [got.data["request_id"] for got in receiver.received if got.type == "task.queued"]
    assert all(requests)
