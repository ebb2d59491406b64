"""Real stores on the emulated AWS, with a clock that the test turns."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.accounts.store import AccountStore, Profile
from chalicelib.dynamodb import Table
from chalicelib.publishing.dispatch import Dispatcher
from chalicelib.publishing.duplicates import ContentGuard
from chalicelib.publishing.store import TaskStore
from chalicelib.publishing.submission import TaskDesk
from chalicelib.publishing.task import Submission
from chalicelib.sealing import Sealer
from chalicelib.uploads.desk import UploadDesk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Cloud


@dataclass
class HandClock:
    now: datetime = field(default_factory=lambda: datetime(2026, 11, 21, 9, 30, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@dataclass
class Desk:
    """The task desk and what stands around it. Its queue and table are its own: a sweep sees no other test."""

    clock: HandClock
    tasks: TaskStore
    accounts: AccountStore
    dispatcher: Dispatcher
    desk: TaskDesk
    account_name: str
    sqs: Any
    queue_url: str
    dynamodb: Any
    accounts_table: str

    def submission(self, **fields: Any) -> Submission:
        return Submission(
            **{
                # Each another work.
                "video_url": f"https://example.com/{uuid.uuid4()}.mp4",
                "title": "Video Title",
                "account_name": self.account_name,
                **fields,
            }
        )

    def prefer(self, **preferences: int) -> None:
        """Sets the account's preferences."""
        self.dynamodb.update_item(
            TableName=self.accounts_table,
            Key={"name": {"S": self.account_name}},
            UpdateExpression="SET preferences = :preferences",
            ExpressionAttributeValues={
                ":preferences": {"M": {name: {"N": str(value)} for name, value in preferences.items()}}
            },
        )

    def sent(self) -> list[str]:
        """Ids of the tasks whose messages are on the queue; they are taken off."""
        ids = []
        while messages := self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
                ids.append(json.loads(message["Body"])["task_id"])
        return ids


@pytest.fixture
def desk(cloud: Cloud, new_table: Callable[[str], str]) -> Desk:
    name = new_table("TASKS_TABLE")
    dynamodb, sqs = cloud.client("dynamodb"), cloud.client("sqs")
    queue_url = sqs.create_queue(QueueName=f"{name}.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    clock = HandClock()
    tasks = TaskStore(dynamodb, name, clock)
    accounts = AccountStore(dynamodb, cloud.variable("ACCOUNTS_TABLE"), clock)
    dispatcher = Dispatcher(tasks, sqs, queue_url, clock)
    uploads = UploadDesk(
        cloud.client("s3"), cloud.variable("PRIVATE_BUCKET"), max_bytes=10**9, retention=timedelta(days=7)
    )
    accounts.log_in(name, Profile("7001", "小明", None), session_version=1)
    sealer = Sealer(cloud.client("kms"), cloud.variable("SESSION_KEY_ID"))
    guard = ContentGuard(Table(dynamodb, cloud.variable("REQUESTS_TABLE"), "id"), tasks, clock)
    desk = TaskDesk(tasks, accounts, dispatcher, uploads, sealer, guard, clock)
    return Desk(
        clock,
        tasks,
        accounts,
        dispatcher,
        desk,
        name,
        sqs,
        queue_url,
        dynamodb,
        cloud.variable("ACCOUNTS_TABLE"),
    )
