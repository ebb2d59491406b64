"""What the emulator has answered is there after `kill -9` and a restart."""

from __future__ import annotations

import itertools
import json
import random
import socket
import struct
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local.emulator import emulator_process, make_client
from local.processes import ChildFailed, free_port
from tests.local.support import create_table, scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.processes import ChildProcess

pytestmark = pytest.mark.system

SEED = 20261121


class Emulator:
    """One that can be killed and started again on its data."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self._process: ChildProcess | None = None

    def start(self, port: int | None = None) -> str:
        self._process = emulator_process(self.data, port or self.port)
        self.endpoint = self._process.start()
        return self.endpoint

    @property
    def process(self) -> ChildProcess:
        assert self._process is not None
        return self._process

    def kill(self) -> None:
        self.process.kill()

    def restart_after_kill(self) -> None:
        self.kill()
        self.start()

    def client(self, service: str) -> Any:
        return make_client(service, self.endpoint)


@contextmanager
def _closing(client: Any) -> Iterator[Any]:
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    running = Emulator(tmp_path / "data")
    running.start()
    yield running
    running.process.stop()


def test_a_table_and_its_items_survive_a_kill_right_after_the_answer(emulator: Emulator) -> None:
    create_table(emulator.client("dynamodb"), "tasks")
    emulator.restart_after_kill()
    for number in range(3):
        emulator.client("dynamodb").put_item(TableName="tasks", Item={"id": {"S": f"task-{number}"}})
        emulator.restart_after_kill()
    assert sorted(scan(emulator.client("dynamodb"), "tasks")) == [f"task-{number}" for number in range(3)]


def test_every_kind_of_write_to_a_table_survives(emulator: Emulator) -> None:
    dynamodb = emulator.client("dynamodb")
    create_table(dynamodb, "tasks")

    def key(name: str) -> dict[str, Any]:
        return {"id": {"S": name}}

    def item(name: str, value: str) -> dict[str, Any]:
        return {**key(name), "value": {"S": value}, "set": {"SS": ["a"]}, "raw": {"B": b"\x00\xff"}}

    for name in ("put", "updated", "deleted", "batched", "transacted", "gone", "ql", "ql-gone"):
        dynamodb.put_item(TableName="tasks", Item=item(name, "old"))

    def update(name: str) -> dict[str, Any]:
        return {
            "TableName": "tasks",
            "Key": key(name),
            "UpdateExpression": "SET #v = :new",
            "ExpressionAttributeNames": {"#v": "value"},
            "ExpressionAttributeValues": {":new": {"S": "new"}},
        }

    statement = "UPDATE tasks SET \"value\" = 'new' WHERE id = 'ql'"
    writes: list[Callable[[], object]] = [
        lambda: dynamodb.put_item(TableName="tasks", Item=item("put", "new")),
        lambda: dynamodb.update_item(**update("updated")),
        lambda: dynamodb.delete_item(TableName="tasks", Key=key("deleted")),
        lambda: dynamodb.batch_write_item(
            RequestItems={"tasks": [{"PutRequest": {"Item": item("batched", "new")}}]}
        ),
        lambda: dynamodb.transact_write_items(
            TransactItems=[
                {"Update": update("transacted")},
                {"Delete": {"TableName": "tasks", "Key": key("gone")}},
            ]
        ),
        lambda: dynamodb.execute_statement(Statement=statement),
        lambda: dynamodb.execute_statement(Statement="DELETE FROM tasks WHERE id = 'ql-gone'"),
    ]
    for write in writes:
        write()
        before = scan(dynamodb, "tasks")
        emulator.restart_after_kill()
        dynamodb = emulator.client("dynamodb")
        assert scan(dynamodb, "tasks") == before
    assert {name: found["value"]["S"] for name, found in before.items()} == dict.fromkeys(
        ("put", "updated", "batched", "transacted", "ql"), "new"
    )


def test_messages_objects_and_keys_survive_a_kill(emulator: Emulator) -> None:
    queue = emulator.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    emulator.restart_after_kill()
    emulator.client("sqs").send_message(QueueUrl=queue, MessageBody="kept")
    emulator.restart_after_kill()
    emulator.client("s3").create_bucket(Bucket="private")
    emulator.restart_after_kill()
    emulator.client("s3").put_object(
        Bucket="private", Key="a/b.bin", Body=b"\x00" * 70_000, ContentType="image/png", Metadata={"a": "b"}
    )
    emulator.restart_after_kill()
    key = emulator.client("kms").create_key()["KeyMetadata"]["KeyId"]
    context = {"account": "x"}
    wrapped = emulator.client("kms").generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=context)
    emulator.restart_after_kill()

    assert emulator.client("sqs").receive_message(QueueUrl=queue)["Messages"][0]["Body"] == "kept"
    stored = emulator.client("s3").get_object(Bucket="private", Key="a/b.bin")
    assert (stored["Body"].read(), stored["ContentType"], stored["Metadata"]) == (
        b"\x00" * 70_000,
        "image/png",
        {"a": "b"},
    )
    opened = emulator.client("kms").decrypt(CiphertextBlob=wrapped["CiphertextBlob"], EncryptionContext=context)
    assert opened["Plaintext"] == wrapped["Plaintext"]


def test_a_deleted_message_and_a_deleted_object_stay_deleted(emulator: Emulator) -> None:
    sqs, s3 = emulator.client("sqs"), emulator.client("s3")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="done")
    s3.create_bucket(Bucket="private")
    s3.put_object(Bucket="private", Key="a", Body=b"a")
    handle = sqs.receive_message(QueueUrl=queue)["Messages"][0]["ReceiptHandle"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)
    s3.delete_object(Bucket="private", Key="a")
    emulator.restart_after_kill()
    assert "Messages" not in emulator.client("sqs").receive_message(QueueUrl=queue)
    assert "Contents" not in emulator.client("s3").list_objects_v2(Bucket="private")


def test_no_answered_write_is_lost_by_kills_under_load(emulator: Emulator) -> None:
    create_table(emulator.client("dynamodb"), "tasks")
    queue = emulator.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    emulator.client("s3").create_bucket(Bucket="private")
    chance = random.Random(SEED)
    answered: dict[str, set[str]] = {"items": set(), "messages": set(), "objects": set()}
    numbers = itertools.count()

    def write(kind: str) -> None:
        service = {"items": "dynamodb", "messages": "sqs", "objects": "s3"}[kind]
        with _closing(make_client(service, emulator.endpoint, attempts=1)) as client:
            while True:
                name = f"{kind}-{next(numbers)}"
                try:
                    if kind == "items":
                        client.put_item(TableName="tasks", Item={"id": {"S": name}, "text": {"S": "x" * 300}})
                    elif kind == "messages":
                        client.send_message(QueueUrl=queue, MessageBody=name)
                    else:
                        client.put_object(Bucket="private", Key=name, Body=name.encode())
                except (BotoCoreError, ClientError):
                    return
                answered[kind].add(name)
                if chance.random() < 0.01:
                    emulator.kill()

    for _ in range(4):
        kinds = ["items", "items", "messages", "objects"]
        writers = [threading.Thread(target=write, args=(kind,)) for kind in kinds]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        emulator.start()

    assert all(len(names) > 20 for names in answered.values()), answered
    assert answered["items"] <= set(scan(emulator.client("dynamodb"), "tasks"))
    s3 = emulator.client("s3")
    for name in answered["objects"]:
        assert s3.get_object(Bucket="private", Key=name)["Body"].read() == name.encode()
    sqs = emulator.client("sqs")
    received: set[str] = set()
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        received |= {message["Body"] for message in messages}
    assert answered["messages"] <= received


def test_a_message_in_flight_at_a_kill_is_visible_after_the_restart(emulator: Emulator) -> None:
    sqs = emulator.client("sqs")
    attributes = {"VisibilityTimeout": "5400"}
    plain = sqs.create_queue(QueueName="plain", Attributes=attributes)["QueueUrl"]
    fifo = sqs.create_queue(QueueName="q.fifo", Attributes=attributes | {"FifoQueue": "true"})["QueueUrl"]
    sqs.send_message(QueueUrl=plain, MessageBody="plain")
    for body in ("first", "second"):
        sqs.send_message(QueueUrl=fifo, MessageBody=body, MessageGroupId="g", MessageDeduplicationId=body)
    for queue in (plain, fifo):
        assert len(sqs.receive_message(QueueUrl=queue)["Messages"]) == 1
    sqs.send_message(QueueUrl=plain, MessageBody="later")  # saves the state with the messages in flight
    emulator.restart_after_kill()

    sqs = emulator.client("sqs")
    names = ["ApproximateReceiveCount"]
    again = sqs.receive_message(QueueUrl=plain, MaxNumberOfMessages=10, MessageSystemAttributeNames=names)[
        "Messages"
    ]
    assert {message["Body"]: message["Attributes"]["ApproximateReceiveCount"] for message in again} == {
        "plain": "2",
        "later": "1",
    }
    assert sqs.receive_message(QueueUrl=fifo)["Messages"][0]["Body"] == "first"
    assert "Messages" not in sqs.receive_message(QueueUrl=fifo)  # the group waits for its first message


def test_a_delayed_message_stays_delayed_over_a_restart(emulator: Emulator) -> None:
    sqs = emulator.client("sqs")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="later", DelaySeconds=600)
    emulator.restart_after_kill()
    assert "Messages" not in emulator.client("sqs").receive_message(QueueUrl=queue)


def test_a_clean_stop_saves_too_and_ends_with_status_0(emulator: Emulator) -> None:
    create_table(emulator.client("dynamodb"), "tasks")
    assert emulator.process.stop() == 0
    emulator.start()
    assert emulator.client("dynamodb").list_tables()["TableNames"] == ["tasks"]


def test_a_new_emulator_waits_for_the_one_that_still_saves(emulator: Emulator) -> None:
    create_table(emulator.client("dynamodb"), "tasks")
    former = emulator.process
    stopping = threading.Timer(0.3, former.stop)
    stopping.start()
    emulator.start()  # on the same data and port
    stopping.join()
    assert former.poll() == 0
    assert emulator.client("dynamodb").list_tables()["TableNames"] == ["tasks"]


def test_state_outlives_a_change_of_port(emulator: Emulator) -> None:
    queue = emulator.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    emulator.client("sqs").send_message(QueueUrl=queue, MessageBody="kept")
    emulator.kill()
    emulator.start(port=free_port())
    moved = emulator.client("sqs").get_queue_url(QueueName="q")["QueueUrl"]
    assert moved.startswith(emulator.endpoint)
    for url in (queue, moved):  # an address handed out before still names the queue
        assert "MessageId" in emulator.client("sqs").send_message(QueueUrl=url, MessageBody="more")


def test_a_write_that_cannot_be_saved_is_refused(emulator: Emulator) -> None:
    create_table(emulator.client("dynamodb"), "tasks")
    services = emulator.data / "services"
    services.rename(emulator.data / "away")
    with _closing(make_client("dynamodb", emulator.endpoint, attempts=1)) as dynamodb:
        with pytest.raises(ClientError, match="could not save"):
            dynamodb.put_item(TableName="tasks", Item={"id": {"S": "lost"}})
        (emulator.data / "away").rename(services)
        dynamodb.put_item(TableName="tasks", Item={"id": {"S": "kept"}})
    emulator.restart_after_kill()
    assert "kept" in scan(emulator.client("dynamodb"), "tasks")


def test_an_object_cut_off_between_body_and_description_is_mended(emulator: Emulator) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="private")
    s3.put_object(Bucket="private", Key="k", Body=b"old", Metadata={"kept": "yes"})
    emulator.kill()
    (body,) = [path for path in (emulator.data / "s3").rglob("k") if path.is_file()]
    body.write_bytes(b"newer")
    emulator.start()
    stored = emulator.client("s3").get_object(Bucket="private", Key="k")
    assert (stored["ContentLength"], stored["Body"].read(), stored["Metadata"]) == (
        5,
        b"newer",
        {"kept": "yes"},
    )


@pytest.mark.parametrize("damage", ["manifest", "missing", "service"])
def test_state_that_cannot_be_read_stops_the_start_instead_of_being_overwritten(
    emulator: Emulator, damage: str
) -> None:
    create_table(emulator.client("dynamodb"), "tasks")
    emulator.kill()
    services = emulator.data / "services"
    manifest = services / "manifest.json"
    state = services / json.loads(manifest.read_text())["files"]["dynamodb"]
    if damage == "manifest":
        manifest.write_text("{")
    elif damage == "missing":
        state.unlink()
    else:
        state.write_text("{}")
    with pytest.raises(ChildFailed, match="cannot start"):
        emulator.start()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks its sockets up in /proc")
def test_it_listens_on_loopback_only_and_on_one_port(emulator: Emulator) -> None:
    emulator.client("kms").list_keys()
    sockets = {
        link.readlink().name.removeprefix("socket:[").rstrip("]")
        for link in Path(f"/proc/{emulator.process.pid}/fd").iterdir()
        if link.readlink().name.startswith("socket:[")
    }
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                listening.append(fields[1])
    address = struct.pack("=I", *struct.unpack("=I", socket.inet_aton("127.0.0.1"))).hex()
    expected = f"{int.from_bytes(bytes.fromhex(address), 'little'):08X}:{emulator.port:04X}"
    assert listening == [expected]
