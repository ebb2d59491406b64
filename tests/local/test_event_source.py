"""Queues feed functions as Lambda's event source does: redelivery, order, limits."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from local.emulator import make_client
from local.runtime.event_source import SqsEventSource
from local.template import EventSourceSpec
from tests.local.support import alive, eventually, lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.runtime.function import LocalFunction
    from tests.local.conftest import MakeFunction

pytestmark = pytest.mark.system


class Consumer:
    """A queue with a dead-letter queue, a function that consumes it, and the journal of what it did."""

    def __init__(self, sqs: Any, journal: Path, queue: str, dead: str, function: LocalFunction) -> None:
        self.sqs, self.journal, self.queue, self.dead, self.function = sqs, journal, queue, dead, function
        self.source: SqsEventSource | None = None

    def send(self, *bodies: str, group: str | None = None) -> None:
        for body in bodies:
            fifo = {"MessageGroupId": group, "MessageDeduplicationId": body} if group else {}
            self.sqs.send_message(QueueUrl=self.queue, MessageBody=body, **fifo)

    def noted(self) -> list[str]:
        return lines(self.journal)

    def tell(self) -> None:
        """Lets go what waits for it."""
        self.journal.with_name("journal.go").touch()

    def left(self, queue: str | None = None) -> int:
        """Messages on the queue, those in flight included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=queue or self.queue, AttributeNames=names)
        return sum(int(found["Attributes"][name]) for name in names)


@pytest.fixture
def consume(
    sqs: Any, emulator: str, make_function: MakeFunction, tmp_path: Path, name: str
) -> Iterator[Callable[..., Consumer]]:
    started: list[SqsEventSource] = []

    def start(
        handler: str = "consume",
        *,
        fifo: bool = False,
        visibility: int = 30,
        receives: int = 2,
        timeout: int = 20,
        batch: int = 1,
        limit: int | None = 2,
        report: bool = False,
    ) -> Consumer:
        suffix, kind = (".fifo", {"FifoQueue": "true"}) if fifo else ("", {})
        dead = sqs.create_queue(QueueName=f"{name}-dead{suffix}", Attributes=kind)["QueueUrl"]
        arn = "arn:aws:sqs:us-east-1:000000000000:" + name
        redrive = {"deadLetterTargetArn": f"{arn}-dead{suffix}", "maxReceiveCount": receives}
        attributes = kind | {"VisibilityTimeout": str(visibility), "RedrivePolicy": json.dumps(redrive)}
        queue = sqs.create_queue(QueueName=name + suffix, Attributes=attributes)["QueueUrl"]
        journal = tmp_path / "journal"
        variables = {"JOURNAL": str(journal), "QUEUE_URL": queue}
        function = make_function(handler, timeout=timeout, variables=variables)
        spec = EventSourceSpec(queue, arn + suffix, batch, limit, report)
        source = SqsEventSource(function, spec, lambda: make_client("sqs", emulator))
        started.append(source)
        source.start()
        consumer = Consumer(sqs, journal, queue, dead, function)
        consumer.source = source
        return consumer

    yield start
    for source in started:
        source.request_stop()  # without waiting for the last receive: the queue is the test's own


def test_a_handled_message_is_deleted(consume: Callable[..., Consumer]) -> None:
    consumer = consume()
    consumer.send("a")
    eventually(lambda: consumer.noted() == ["start a 1", "end a 1"] and consumer.left() == 0)


def test_the_event_has_the_shape_that_lambda_gives_it(consume: Callable[..., Consumer]) -> None:
    consumer = consume("record_event", fifo=True)
    sent = consumer.sqs.send_message(
        QueueUrl=consumer.queue,
        MessageBody="内容",
        MessageGroupId="account",
        MessageDeduplicationId="task",
        MessageAttributes={
            "trace": {"DataType": "String", "StringValue": "x"},
            "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        },
    )
    (record,) = json.loads(eventually(consumer.noted)[0])["Records"]
    attributes = record.pop("attributes")
    assert re.fullmatch(r"[0-9a-f-]{36}", record.pop("receiptHandle"))
    assert record == {
        "messageId": sent["MessageId"],
        "body": "内容",
        "messageAttributes": {
            "trace": {"stringValue": "x", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
            "raw": {
                "binaryValue": "AP8=",
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "Binary",
            },
        },
        "md5OfBody": sent["MD5OfMessageBody"],
        "md5OfMessageAttributes": sent["MD5OfMessageAttributes"],
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:000000000000:{consumer.queue.rpartition('/')[2]}",
        "awsRegion": "us-east-1",
    }
    assert {name: attributes[name] for name in ("MessageGroupId", "MessageDeduplicationId")} == {
        "MessageGroupId": "account",
        "MessageDeduplicationId": "task",
    }
    assert attributes["ApproximateReceiveCount"] == "1"
    assert attributes["SequenceNumber"] == sent["SequenceNumber"]
    assert {"SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"} <= set(attributes)


def test_a_message_whose_handler_raises_comes_again_and_ends_as_a_dead_letter(
    consume: Callable[..., Consumer],
) -> None:
    consumer = consume(visibility=1)
    consumer.send("raise")
    eventually(lambda: consumer.left(consumer.dead) == 1)
    assert consumer.noted() == ["start raise 1", "start raise 2"]
    assert consumer.left() == 0


def test_a_message_whose_handler_times_out_comes_again(consume: Callable[..., Consumer]) -> None:
    consumer = consume(visibility=2, timeout=1)
    consumer.send("hang")
    eventually(lambda: consumer.noted() == ["start hang 1", "start hang 2"])


def test_a_handler_may_shorten_the_visibility_of_the_message_it_holds(consume: Callable[..., Consumer]) -> None:
    consumer = consume(visibility=5400)
    consumer.send("shorten")
    eventually(lambda: consumer.noted() == ["start shorten 1", "start shorten 2"])


def test_groups_run_in_parallel_and_each_in_order_one_at_a_time(consume: Callable[..., Consumer]) -> None:
    consumer = consume(fifo=True, limit=2)
    for number in range(3):
        consumer.send(f"hold-a{number}", group="a")
        consumer.send(f"hold-b{number}", group="b")
    eventually(lambda: sorted(consumer.noted()) == ["start hold-a0 1", "start hold-b0 1"])
    consumer.tell()
    eventually(lambda: consumer.left() == 0)
    noted = [line.split()[:2] for line in consumer.noted()]
    for group in "ab":
        mine = [entry for entry in noted if entry[1].startswith(f"hold-{group}")]
        assert mine == [[kind, f"hold-{group}{number}"] for number in range(3) for kind in ("start", "end")]


def test_a_message_that_is_visible_again_while_it_is_handled_is_not_handled_twice_at_once(
    consume: Callable[..., Consumer], caplog: pytest.LogCaptureFixture
) -> None:
    consumer = consume(fifo=True, visibility=1, receives=10)
    consumer.send("hold", group="a")
    eventually(lambda: "came again while its group is being handled" in caplog.text)
    assert consumer.noted() == ["start hold 1"]
    consumer.tell()
    eventually(lambda: consumer.noted()[1:2] == ["end hold 1"])


def test_a_failed_message_holds_its_group_back_and_no_other(consume: Callable[..., Consumer]) -> None:
    consumer = consume(fifo=True, visibility=5400)
    consumer.send("shorten-when-told", "after", group="a")
    consumer.send("free", group="b")
    eventually(lambda: "end free 1" in consumer.noted())
    consumer.tell()
    eventually(lambda: "end after 1" in consumer.noted())
    noted = consumer.noted()
    assert [line for line in noted if "free" not in line] == [
        "start shorten-when-told 1",
        "start shorten-when-told 2",
        "start after 1",
        "end after 1",
    ]


def test_the_sources_concurrency_is_a_limit(consume: Callable[..., Consumer]) -> None:
    consumer = consume(limit=1)
    consumer.send("slow-1", "slow-2", "slow-3")
    eventually(lambda: consumer.left() == 0)
    kinds = [line.split()[0] for line in consumer.noted()]
    assert kinds == ["start", "end"] * 3


@pytest.mark.parametrize("report", [True, False])
def test_only_messages_reported_as_failed_are_kept_where_the_source_reports(
    consume: Callable[..., Consumer], report: bool
) -> None:
    consumer = consume(batch=10, limit=1, visibility=600, report=report)
    consumer.send("good-1", "report", "good-2")
    eventually(lambda: {"end good-1 1", "end report 1", "end good-2 1"} <= set(consumer.noted()))
    eventually(lambda: consumer.left() == (1 if report else 0))


def test_stopping_lets_a_running_batch_end_and_receives_nothing_more(consume: Callable[..., Consumer]) -> None:
    consumer = consume(limit=1)
    consumer.send("hold-1", "hold-2")
    eventually(lambda: consumer.noted() == ["start hold-1 1"])
    assert consumer.source is not None
    consumer.source.request_stop()
    consumer.tell()
    consumer.source.stop(grace=60)
    assert consumer.noted() == ["start hold-1 1", "end hold-1 1"]
    waiting = consumer.sqs.receive_message(QueueUrl=consumer.queue)["Messages"]
    assert [message["Body"] for message in waiting] == ["hold-2"]


def test_a_batch_killed_at_the_stop_leaves_its_message_visible(
    consume: Callable[..., Consumer], tmp_path: Path
) -> None:
    consumer = consume(visibility=5400)
    consumer.send("hang")
    eventually(lambda: consumer.noted() == ["start hang 1"])
    assert consumer.source is not None
    consumer.source.stop(grace=0)
    (environment,) = consumer.function._busy
    consumer.function.close()
    consumer.source.join(10)
    assert not alive(environment.pid)
    waiting = consumer.sqs.receive_message(QueueUrl=consumer.queue)["Messages"]
    assert [message["Body"] for message in waiting] == ["hang"]
