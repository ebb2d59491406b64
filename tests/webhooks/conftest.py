from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
import standardwebhooks.webhooks

from chalicelib.accounts.logins import LoginStore
from chalicelib.accounts.store import AccountStore
from chalicelib.publishing.store import TaskStore
from chalicelib.sealing import Sealer
from chalicelib.unsealing import Unsealer
from chalicelib.webhooks.deliveries import DeliveryStore
from chalicelib.webhooks.desk import WebhookDesk
from chalicelib.webhooks.endpoints import EndpointStore
from tests.webhooks.support import HandClock, Office, Receiver, receiving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Cloud


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    """The test's time, which the library that verifies takes for the present, too."""
    hand = HandClock()

    class Present(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return hand()

    monkeypatch.setattr(standardwebhooks.webhooks, "datetime", Present)
    return hand


@pytest.fixture
def office(cloud: Cloud, new_table: Callable[[str], str], clock: HandClock) -> Office:
    dynamodb = cloud.client("dynamodb")
    names = {
        source: new_table(variable)
        for source, variable in (
            ("task", "TASKS_TABLE"),
            ("login", "LOGINS_TABLE"),
            ("account", "ACCOUNTS_TABLE"),
            ("webhook", "WEBHOOKS_TABLE"),
        )
    }
    endpoints = EndpointStore(dynamodb, names["webhook"], clock)
    deliveries = DeliveryStore(dynamodb, names["webhook"], clock)
    kms, key = cloud.client("kms"), cloud.variable("SESSION_KEY_ID")
    return Office(
        clock,
        endpoints,
        deliveries,
        WebhookDesk(endpoints, deliveries, Sealer(kms, key), lambda *_: None, clock),
        Unsealer(kms, key),
        TaskStore(dynamodb, names["task"], clock),
        LoginStore(dynamodb, names["login"], clock),
        AccountStore(dynamodb, names["account"], clock),
        dynamodb,
        names,
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture
def other() -> Iterator[Receiver]:
    with receiving() as server:
        yield server
