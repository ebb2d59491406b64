"""What an account owes to the world outside, as it arrives there: EventBridge, with a queue behind a rule."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.conftest import Cloud

BUS = "default"


@dataclass
class EventQueue:
    """Takes the events about one account off the bus."""

    sqs: Any
    url: str

    def take(self) -> list[dict[str, Any]]:
        """The events that have come since the last time."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))
        return found


def event_queue(events: Any, sqs: Any, account_name: str) -> EventQueue:
    name = f"events-{uuid.uuid4().hex[:8]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["social-publisher"], "detail": {"account": [account_name]}}
    events.put_rule(Name=name, EventBusName=BUS, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, EventBusName=BUS, Targets=[{"Id": "queue", "Arn": arn}])
    return EventQueue(sqs, url)


def events_of(cloud: Cloud, account_name: str) -> EventQueue:
    return event_queue(cloud.client("events"), cloud.client("sqs"), account_name)
