"""Lambda's event source for SQS: receives batches, invokes the function, deletes what it has handled."""

from __future__ import annotations

import base64
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from local.runtime.errors import FunctionClosed, InvocationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from local.runtime.function import LocalFunction
    from local.template import EventSourceSpec

logger = logging.getLogger(__name__)

# How long one receive waits for messages: also the longest that stopping waits for it. A receive must not be
# abandoned, the emulator would hand messages to nobody.
_WAIT_SECONDS: Final = 1
_PAUSE_AFTER_ERROR_SECONDS: Final = 1.0
_BUSY_GROUP_SECONDS: Final = 5


class SqsEventSource:
    """Feeds one queue's messages to one function, at most `maximum_concurrency` batches at the same time.

    A batch whose handler returns is deleted (but for the messages named in `batchItemFailures`, where the
    source reports them). A batch whose handler raises or times out is left alone: it becomes visible when its
    visibility time-out ends, which the handler may have changed, and goes to the dead-letter queue by the
    queue's own redrive. Two batches with the same FIFO group never run at the same time.
    """

    def __init__(self, function: LocalFunction, source: EventSourceSpec, make_sqs: Callable[[], Any]) -> None:
        self._function = function
        self._source = source
        self._make_sqs = make_sqs
        self._region = source.queue_arn.split(":")[3]
        self._stopping = threading.Event()
        limit = source.maximum_concurrency or function.concurrency
        self._slots = threading.Semaphore(min(limit, function.concurrency))
        self._lock = threading.Lock()
        self._groups: set[str] = set()
        self._batches: set[threading.Thread] = set()
        self._receiver = threading.Thread(
            target=self._receive, name=f"{function.spec.name}-source", daemon=True
        )

    def start(self) -> None:
        self._receiver.start()

    def stop(self, grace: float = 10) -> None:
        """Receives nothing from now on, gives running batches `grace` seconds, then returns.

        What still runs then is for `LocalFunction.close` to kill; its messages become visible at once.
        """
        self.request_stop()
        if self._receiver.is_alive():
            self._receiver.join()
        self.join(grace)

    def request_stop(self) -> None:
        """Only says that nothing more is to be received; `stop` waits."""
        self._stopping.set()

    def join(self, timeout: float) -> None:
        """Waits until no batch is running, `timeout` seconds at most."""
        deadline = time.monotonic() + timeout
        with self._lock:
            batches = list(self._batches)
        for batch in batches:
            batch.join(max(0, deadline - time.monotonic()))

    def _receive(self) -> None:
        sqs = self._make_sqs()
        failing = False
        while not self._stopping.is_set():
            # A slot first: a message that is received and then waits for one would use up its visibility.
            if not self._slots.acquire(timeout=_WAIT_SECONDS):
                continue
            try:
                messages = sqs.receive_message(
                    QueueUrl=self._source.queue_url,
                    MaxNumberOfMessages=min(self._source.batch_size, 10),
                    WaitTimeSeconds=_WAIT_SECONDS,
                    MessageSystemAttributeNames=["All"],
                    MessageAttributeNames=["All"],
                ).get("Messages", [])
            except (BotoCoreError, ClientError) as error:
                self._slots.release()
                if not failing:
                    logger.warning("%s cannot receive: %s", self._function.spec.name, error)
                failing = True
                self._stopping.wait(_PAUSE_AFTER_ERROR_SECONDS)
                continue
            failing = False
            if not messages or not self._dispatch(sqs, messages):
                self._slots.release()

    def _dispatch(self, sqs: Any, messages: Sequence[Mapping[str, Any]]) -> bool:
        """Starts a batch in a thread of its own; False where its messages are given back instead."""
        if self._stopping.is_set():
            self._make_visible(sqs, messages, after=0)
            return False
        groups = {group for message in messages if (group := message["Attributes"].get("MessageGroupId"))}
        with self._lock:
            if groups & self._groups:
                # Only where a message became visible again while its handler is still running.
                busy = True
            else:
                busy = False
                self._groups |= groups
                batch = threading.Thread(
                    target=self._run,
                    args=(messages, groups),
                    name=f"{self._function.spec.name}-batch",
                    daemon=True,
                )
                self._batches.add(batch)
        if busy:
            logger.warning(
                "%s: a message came again while its group is being handled", self._function.spec.name
            )
            self._make_visible(sqs, messages, after=_BUSY_GROUP_SECONDS)
            return False
        batch.start()
        return True

    def _run(self, messages: Sequence[Mapping[str, Any]], groups: set[str]) -> None:
        try:
            self._handle(messages)
        except Exception:
            logger.exception("%s: a batch could not be handled", self._function.spec.name)
        finally:
            with self._lock:
                self._groups -= groups
                self._batches.discard(threading.current_thread())
            self._slots.release()

    def _handle(self, messages: Sequence[Mapping[str, Any]]) -> None:
        sqs = self._make_sqs()
        try:
            result = self._function.invoke({"Records": [self._record(message) for message in messages]})
        except FunctionClosed:
            # We killed the handler ourselves, so nobody holds the messages any more.
            self._make_visible(sqs, messages, after=0)
            return
        except InvocationError as error:
            logger.warning("%s failed: %s: %s", self._function.spec.name, error.error_type, error)
            return
        failed = self._failed(result, messages)
        for message in messages:
            if message["MessageId"] in failed:
                continue
            try:
                sqs.delete_message(QueueUrl=self._source.queue_url, ReceiptHandle=message["ReceiptHandle"])
            except (BotoCoreError, ClientError) as error:
                logger.warning(
                    "%s: the handled message %s could not be deleted and will come again: %s",
                    self._function.spec.name,
                    message["MessageId"],
                    error,
                )

    def _failed(self, result: Any, messages: Sequence[Mapping[str, Any]]) -> set[str]:
        """The ids of the messages to keep. An answer that Lambda would not understand keeps them all."""
        if not self._source.report_batch_item_failures or not result:
            return set()
        known = {message["MessageId"] for message in messages}
        try:
            failed = {failure["itemIdentifier"] for failure in result.get("batchItemFailures") or []}
        except (AttributeError, KeyError, TypeError):
            return known
        if failed - known:
            return known
        return failed

    def _make_visible(self, sqs: Any, messages: Sequence[Mapping[str, Any]], *, after: int) -> None:
        for message in messages:
            try:
                sqs.change_message_visibility(
                    QueueUrl=self._source.queue_url,
                    ReceiptHandle=message["ReceiptHandle"],
                    VisibilityTimeout=after,
                )
            except (BotoCoreError, ClientError) as error:
                logger.warning("The message %s could not be given back: %s", message["MessageId"], error)

    def _record(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """A message in the shape that Lambda gives it.

        https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
        """
        record = {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": dict(message["Attributes"]),
            "messageAttributes": {
                name: _message_attribute(value) for name, value in message.get("MessageAttributes", {}).items()
            },
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._source.queue_arn,
            "awsRegion": self._region,
        }
        if "MD5OfMessageAttributes" in message:
            record["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
        return record


def _message_attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    attribute: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "StringValue" in value:
        attribute["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        attribute["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return attribute
