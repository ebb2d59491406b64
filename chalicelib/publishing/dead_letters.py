"""Emptying a dead-letter queue: whoever waits for the job of a dead message is told."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import PublisherError
from chalicelib.trace import bound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_sqs import SQSClient

logger = logging.getLogger(__name__)


def drain(
    sqs: SQSClient, queue_url: str, burials: Mapping[str, Callable[[str], object]], *, limit: int = 100
) -> int:
    """Deals with each message by the burial that is named as one of its members, called with that member's
    value; deletes the message, and returns how many there were.

    A message that cannot be read is logged and deleted. One that cannot be buried stays, for the next time.
    """
    count = 0
    while count < limit:
        messages = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", [])
        if not messages:
            break
        for message in messages:
            count += 1
            try:
                body = json.loads(message["Body"])
                key = next(name for name in burials if name in body)
                with bound(request_id=body.get("request_id")):
                    burials[key](body[key])
            except (StopIteration, TypeError, ValueError):
                logger.warning("a dead letter cannot be read", extra={"message_id": message["MessageId"]})
            except (PublisherError, BotoCoreError, ClientError):
                failed = {"message_id": message["MessageId"]}
                logger.exception("a dead letter could not be dealt with", extra=failed)
                continue
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return count
