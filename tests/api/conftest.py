"""Accounts to publish with, synced articles, and a look at what the API puts on its queues and has run."""

from __future__ import annotations

import gzip
import json
import threading
import uuid
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

import pytest

from chalicelib.accounts.store import AccountStore, Profile
from chalicelib.articles.changelog import Row, article_key, content_sha256
from chalicelib.articles.index import ArticleIndex, Look
from chalicelib.articles.store import Store
from chalicelib.clock import to_rfc3339, utc_now
from local.emulator import client_environment
from local.template import API_HANDLER
from tests.conftest import Api, running_api
from tests.publishing.conftest import desk  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.articles.changelog import Op
    from tests.conftest import Cloud

CHANNELS = ("first_channel", "second_channel")
CALLBACK_SECRET = "canary-of-the-callback"


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
def tasks_of(cloud: Cloud) -> Callable[[str], list[str]]:
    """Ids of all tasks of an account, as they stand in the table."""

    def look(name: str) -> list[str]:
        pages = (
            cloud.client("dynamodb")
            .get_paginator("scan")
            .paginate(TableName=cloud.variable("TASKS_TABLE"), ConsistentRead=True)
        )
        items = [item for page in pages for item in page["Items"]]
        return [item["id"]["S"] for item in items if item.get("account_name", {}).get("S") == name]

    return look


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


class Functions(ThreadingHTTPServer):
    """Lambda's Invoke, which writes down what it is told and runs nothing. `down` makes it fail."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Invoke)
        self.events: list[dict[str, Any]] = []
        self.down = False

    @property
    def details(self) -> list[dict[str, Any]]:
        return [event["detail"] for event in self.events]


class _Invoke(BaseHTTPRequestHandler):
    server: Functions

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.server.down:
            assert self.headers["X-Amz-Invocation-Type"] == "Event"
            self.server.events.append(json.loads(body))
        self.send_response(403 if self.server.down else 202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def _functions() -> Iterator[Functions]:
    server = Functions()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def functions(_functions: Functions) -> Functions:
    _functions.events.clear()
    _functions.down = False
    return _functions


@pytest.fixture(scope="session")
def _content_api(
    cloud: Cloud, _functions: Functions, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("content-api")
    variables = {
        **client_environment(cloud.endpoint),
        **cloud.functions[API_HANDLER].environment,
        "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{_functions.server_address[1]}",
        "VOLC_UTM_SOURCES": ",".join(CHANNELS),
        "VOLC_CALLBACK_SECRET": CALLBACK_SECRET,
    }
    with running_api(folder, variables) as client:
        yield client
    assert CALLBACK_SECRET not in (folder / "api.log").read_text()


@pytest.fixture
def content_api(_content_api: Api, functions: Functions, shelf: Shelf) -> Api:
    """The API of a system with two channels and a callback secret, whose function is `functions`. No run is on
    its way, and nothing waits for one.
    """
    shelf.settle()
    return _content_api


class Shelf:
    """Articles as the sync leaves them: rows in objects of a log, and their entries in the index."""

    def __init__(self, cloud: Cloud) -> None:
        self.index = ArticleIndex(cloud.client("dynamodb"), cloud.variable("ARTICLES_TABLE"))
        self.store = Store(cloud.client("s3"), cloud.variable("CONTENT_BUCKET"))
        self._seq = 0

    def put(self, *observations: tuple[str, str, dict[str, Any] | None], channel: str = CHANNELS[0]) -> str:
        """One object with a row for each (GroupId, op, article); its key."""
        self._seq += 1
        at = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(seconds=self._seq)
        rows = [
            Row(
                group_id=group_id,
                op=cast("Op", op),
                observed_at=to_rfc3339(at),
                seq=self._seq,
                pos=pos,
                run_id="run",
                request_id="request",
                miss_reason=None if op == "upsert" else 500009,
                content_sha256=content_sha256(article) if article is not None else None,
                article=article,
            )
            for pos, (group_id, op, article) in enumerate(observations)
        ]
        key = article_key("", channel, "2026-11-20", self._seq)
        body = gzip.compress(b"".join(row.to_line() for row in rows))
        self.store.put_if(key, body, etag=None, content_type="application/gzip")
        self.index.put_rows(channel, key, rows)
        return key

    def settle(self) -> None:
        """Answers everything that waits, as a run does."""
        self.index.run_begins()
        for channel in CHANNELS:
            while due := self.index.due(channel, utc_now(), 1000):
                for entry in due:
                    if entry.op == "takedown":
                        self.index.purged(entry)
                self.index.checked([Look(entry, None) for entry in due])


@pytest.fixture(scope="session")
def _shelf(cloud: Cloud) -> Shelf:
    return Shelf(cloud)


@pytest.fixture
def shelf(_shelf: Shelf) -> Shelf:
    return _shelf


@pytest.fixture
def new_id() -> Callable[[], str]:
    """Makes GroupIds: 19 digits, beyond what a double can hold."""
    return lambda: str(7 * 10**18 + uuid.uuid4().int % 10**17)
