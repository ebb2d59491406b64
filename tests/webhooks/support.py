"""A receiver of webhooks: a real HTTP server on loopback that verifies with the library's own `verify`."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from standardwebhooks import Webhook, WebhookVerificationError

from chalicelib.dynamodb import Table
from chalicelib.outbox import Outbox
from chalicelib.publishing.states import State
from chalicelib.publishing.task import Submission, Task
from chalicelib.webhooks.courier import Courier
from chalicelib.webhooks.relay import Audience, Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.accounts.logins import LoginStore
    from chalicelib.accounts.store import AccountStore
    from chalicelib.publishing.store import TaskStore
    from chalicelib.unsealing import Unsealer
    from chalicelib.webhooks.deliveries import DeliveryStore
    from chalicelib.webhooks.desk import WebhookDesk
    from chalicelib.webhooks.endpoints import Endpoint, EndpointStore
    from chalicelib.webhooks.events import Event


@dataclass
class HandClock:
    now: datetime = field(default_factory=lambda: datetime(2026, 11, 21, 9, 30, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@dataclass
class Received:
    id: str
    type: str
    data: dict[str, Any]
    body: bytes
    headers: dict[str, str]
    signatures: int


@dataclass
class Answer:
    """`until` holds the answer back until it is set."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    until: threading.Event | None = None


class Receiver(ThreadingHTTPServer):
    """Takes what is signed by `secret`, in its own word; answers as told: the next of `answers`, else 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.secret = ""
        self.received: list[Received] = []
        self.refused: list[str] = []
        self.answers: list[Answer] = []
        self.always: Answer | None = None
        self.arrived = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    @property
    def types(self) -> list[str]:
        return [received.type for received in self.received]

    def next_answer(self) -> Answer:
        if self.answers:
            return self.answers.pop(0)
        return self.always or Answer()

    def wait_for(self, count: int) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.received) >= count, timeout=60)


class _Hook(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = dict(self.headers.items())
        try:
            payload = Webhook(self.server.secret).verify(body, headers)
        except WebhookVerificationError as error:
            self.server.refused.append(str(error))
            self._answer(Answer(401))
            return
        received = Received(
            headers["webhook-id"],
            payload["type"],
            payload["data"],
            body,
            headers,
            len(headers["webhook-signature"].split(" ")),
        )
        with self.server.arrived:
            self.server.received.append(received)
            self.server.arrived.notify_all()
        self._answer(self.server.next_answer())

    def _answer(self, answer: Answer) -> None:
        if answer.until is not None:
            answer.until.wait(120)
        with contextlib.suppress(OSError):  # Whoever asked may not wait any more.
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Office:
    """Everything of the webhooks on tables of its own, with a clock that the test turns."""

    clock: HandClock
    endpoints: EndpointStore
    deliveries: DeliveryStore
    desk: WebhookDesk
    unsealer: Unsealer
    tasks: TaskStore
    logins: LoginStore
    accounts: AccountStore
    dynamodb: Any
    names: dict[str, str]
    disabled: list[Event] = field(default_factory=list)

    @property
    def tables(self) -> dict[str, Table]:
        keys = {"task": "id", "login": "id", "account": "name"}
        return {source: Table(self.dynamodb, self.names[source], key) for source, key in keys.items()}

    @property
    def audience(self) -> Audience:
        return Audience(self.endpoints, self.deliveries)

    @property
    def relay(self) -> Relay:
        return Relay(self.tables, self.audience, {"account": "created_at"})

    def courier(self, *, loopback: bool = True) -> Courier:
        def tell(event: Event) -> None:
            self.disabled.append(event)
            self.audience.tell(event, but=event.data["webhook_id"])

        return Courier(self.endpoints, self.deliveries, self.unsealer.open, tell, loopback, self.clock)

    def subscribe(self, receiver: Receiver, *events: str) -> Endpoint:
        endpoint, receiver.secret = self.desk.create(receiver.url, events or ("*",), "")
        return endpoint

    def work(self, seconds: float = 600, *, tick: bool = True) -> int:
        """What the function does at a tick."""
        self.relay.sweep()
        deadline = time.monotonic() + seconds
        return self.courier().round(lambda: deadline - time.monotonic(), tick=tick)

    def new_task(self, state: State = State.QUEUED) -> Task:
        now = self.clock().isoformat()
        submission = Submission("https://example.com/v.mp4", "标题", "小满")
        return Task(str(uuid.uuid4()), state, submission, now, now)


def rings(into: list[tuple[str, str]]) -> Callable[[str], Outbox]:
    """Outboxes that note whom they wake."""
    return lambda source: Outbox(source, ring=lambda source, key: into.append((source, key)))
