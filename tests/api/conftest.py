"""Accounts to publish with, and a look at what the API puts on its queues."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.accounts.store import AccountStore, Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Cloud


@pytest.fixture
def accounts(cloud: Cloud) -> AccountStore:
    return AccountStore(cloud.client("dynamodb"), cloud.variable("ACCOUNTS_TABLE"))


@pytest.fixture
def account_name(accounts: AccountStore) -> str:
    """The name of a fresh account that is logged in."""
    name = f"account-{uuid.uuid4().hex[:8]}"
    accounts.log_in(name, Profile(uid="7001", nickname="小明", avatar_url=None), session_version=1)
    return name


@pytest.fixture
def body(account_name: str) -> dict[str, Any]:
    """A request with all nine fields of the contract."""
    return {
        "video_url": "https://example.com/video.mp4",
        "title": "Video Title",
        "description": "Video Description #tag",
        "tags": ["tag1", "tag2"],
        "cover_path": "https://example.com/cover.png",
        "claim_type": "内容由AI生成",
        "schedule_time": None,
        "account_name": account_name,
        "manual_review": False,
    }


@pytest.fixture
def queued(cloud: Cloud) -> Callable[[str, str], list[dict[str, Any]]]:
    """Bodies of the messages on a queue (by its variable) that mention a text; they are taken off."""

    def take(variable: str, text: str) -> list[dict[str, Any]]:
        sqs, url = cloud.client("sqs"), cloud.variable(variable)
        found = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                if text in message["Body"]:
                    found.append(json.loads(message["Body"]))
        return found

    return take
