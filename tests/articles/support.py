"""What the sync's tests share: a clock moved by sleeping, the stand-in on a real socket, killed writers."""

from __future__ import annotations

import gzip
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import requests
import uvicorn

from chalicelib.articles.changelog import read_rows
from chalicelib.articles.client import ContentClient
from chalicelib.articles.credentials import Credentials
from chalicelib.articles.index import ArticleIndex
from chalicelib.articles.mirror import run_mirror
from chalicelib.articles.reader import iter_rows, latest_articles
from chalicelib.articles.runs import new_run_id
from chalicelib.articles.scan import run_scan
from chalicelib.articles.state import LIVE, load_state
from chalicelib.articles.store import Store
from chalicelib.articles.sync import Order, Sync
from local.standins.serving import listen
from local.standins.volcengine.app import build_app
from local.standins.volcengine.catalogue import Catalogue
from local.standins.volcengine.signature import Account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from chalicelib.articles.changelog import Row
    from chalicelib.articles.index import Entry
    from chalicelib.articles.mirror_state import MirrorState
    from chalicelib.articles.news import Tell
    from chalicelib.articles.runs import RunSummary
    from chalicelib.articles.scan import PageSource
    from chalicelib.articles.sink import RowSink
    from chalicelib.articles.state import CursorState
    from chalicelib.articles.sync import ContentSource

CHANNEL = "local_default_content"
ACCESS_KEY = "AKLTtest"
SECRET_KEY = "c2VjcmV0LW9mLXRoZS10ZXN0cw=="


START = datetime(2026, 11, 21, 3, 20, tzinfo=UTC)


NOTHING_MORE = Order()


class VirtualClock:
    """Wall clock and monotonic clock in one, moved by `sleep` alone."""

    def __init__(self) -> None:
        self._start = START
        self._elapsed = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def rewind(self) -> None:
        """Sets the wall clock back to the start; the monotonic clock never goes back."""
        self._start = START - timedelta(seconds=self._elapsed)

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._elapsed += seconds


class Upstream:
    """The stand-in, served by a thread over a real socket, on a virtual clock shared with its clients."""

    def __init__(
        self,
        directory: Path,
        *,
        articles: int,
        secret_key: str = SECRET_KEY,
        session_token: str | None = None,
        media: bool = False,
    ) -> None:
        """With `media`, the articles' links lead to the stand-in itself."""
        self.clock = VirtualClock()
        self._listener = listen("127.0.0.1", 0)
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"http://{self.host}"
        self.catalogue = Catalogue(
            directory,
            utm_source=CHANNEL,
            count=articles,
            now=self.clock.now(),
            span=timedelta(days=2),
            media_origin=self.url if media else None,
        )
        app = build_app(
            self.catalogue,
            Account(ACCESS_KEY, secret_key, session_token),
            now=self.clock.now,
            monotonic=self.clock.monotonic,
        )
        self.sent: list[bytes] = []
        """Every request as it came: path, query, headers and body."""
        self.pages: dict[str, tuple[str, list[str]]] = {}
        """Every page of a scan by its RequestId: the token that it was asked for with, and its articles' ids.
        """
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._recording(app),
                log_level="critical",
                lifespan="off",
                timeout_graceful_shutdown=0,
                date_header=False,
            )
        )
        # The listener already queues connections, so nobody needs to wait for the thread.
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})
        self.session = requests.Session()
        self.session.trust_env = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()
        self._server.should_exit = True
        self._thread.join()

    def _recording(self, app: ASGIApp) -> ASGIApp:
        async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
            head = b"\n".join(b"%s: %s" % header for header in scope["headers"])
            parts = [scope["raw_path"], b"?", scope["query_string"], b"\n", head, b"\n"]
            asked, answered = b"", b""

            async def heard() -> Message:
                nonlocal asked
                message = await receive()
                asked += message.get("body", b"")
                return message

            async def said(message: Message) -> None:
                nonlocal answered
                answered += message.get("body", b"") if b"ScanSyncArticles" in scope["query_string"] else b""
                await send(message)

            # What the stand-in resets a connection by.
            heard.__self__ = receive.__self__  # type: ignore[attr-defined]
            await app(scope, heard, said)
            self.sent.append(b"".join([*parts, asked]))
            self._note_page(asked, answered)

        return recorded

    def _note_page(self, asked: bytes, answered: bytes) -> None:
        try:
            answer = json.loads(answered)
            ids = [article["GroupId"] for article in answer["Result"]["Articles"]]
        except (ValueError, KeyError):
            return  # No page: another action, a fault.
        request_id = answer["ResponseMetadata"]["RequestId"]
        self.pages[request_id] = (json.loads(asked)["NextToken"], ids)

    def client(self, credentials: Credentials | None = None, **options: Any) -> ContentClient:
        return ContentClient(
            self.url,
            credentials or Credentials(ACCESS_KEY, SECRET_KEY),
            session=self.session,
            **{
                "clock": self.clock.now,
                "monotonic": self.clock.monotonic,
                "sleep": self.clock.sleep,
                **options,
            },
        )

    def scannable(self) -> list[str]:
        """Ids that a scan from the start must bring, in order."""
        return [row["group_id"] for row in self.catalogue.truth(self.clock.now()) if row["scannable"]]

    def fault(self, kind: str, **options: Any) -> None:
        self.admin("POST", "faults", {"kind": kind, **options})

    def admin(self, method: str, path: str, body: object = None) -> Any:
        response = self.session.request(method, f"{self.url}/admin/{path}", json=body, timeout=10)
        response.raise_for_status()
        return response.json()


class NoIndex:
    """Takes rows for indexing and forgets them."""

    def put_rows(self, channel: str, key: str, rows: Iterable[Row], **_: object) -> None:
        pass


class Lake:
    """A channel's lake in a bucket of the emulated S3, and runs against it."""

    def __init__(
        self,
        s3: S3Client,
        bucket: str,
        upstream: Upstream,
        prefix: str = "",
        index: RowSink | None = None,
    ) -> None:
        self.s3 = s3
        self.index = index or NoIndex()
        self.bucket = bucket
        self.prefix = prefix
        self.upstream = upstream

    def run(
        self,
        *,
        client: PageSource | None = None,
        s3: S3Client | None = None,
        seconds: float = 900,
        rows_per_object: int = 3000,
        run_id: str | None = None,
        name: str = LIVE,
    ) -> RunSummary:
        clock = self.upstream.clock
        end = clock.monotonic() + seconds
        return run_scan(
            CHANNEL,
            client or self.upstream.client(),
            s3 or self.s3,
            self.bucket,
            self.index,
            prefix=self.prefix,
            name=name,
            run_id=run_id or new_run_id(clock.now()),
            deadline=lambda: end - clock.monotonic(),
            clock=clock.now,
            rows_per_object=rows_per_object,
        )

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{self.prefix}{prefix}"
        )
        return [item["Key"] for page in pages for item in page.get("Contents", ())]


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class KilledWriter:
    """An S3 client whose process is killed at its nth write, just before or just after it takes effect."""

    def __init__(self, s3: S3Client, *, write: int, after: bool, only: str = "") -> None:
        self._s3 = s3
        self._left = write
        self._after = after
        self._only = only

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **arguments: Any) -> Any:
        if self._only in arguments["Key"]:
            self._left -= 1
        if self._left == 0 and not self._after:
            raise Killed
        answer = self._s3.put_object(**arguments)
        if self._left == 0:
            raise Killed
        return answer


def killed_writer(s3: S3Client, *, write: int, after: bool, only: str = "") -> S3Client:
    return cast("S3Client", KilledWriter(s3, write=write, after=after, only=only))


@contextmanager
def before_first_put(s3: S3Client, key_part: str, action: Any) -> Iterator[S3Client]:
    """An S3 client that runs `action` once, before its first write to a key with `key_part` in it."""
    pending = [action]

    class Interrupted:
        def __getattr__(self, name: str) -> Any:
            return getattr(s3, name)

        def put_object(self, **arguments: Any) -> Any:
            if pending and key_part in arguments["Key"]:
                pending.pop()()
            return s3.put_object(**arguments)

    yield cast("S3Client", Interrupted())
    assert not pending, "the awaited write never came"


Aim = Literal["any", "index", "purge", "compaction", "deletion"]


class Fuse:
    """Kills the process at its nth write, of the kind that it aims at, just before or just after that takes
    effect.

    From then on every call of its clients fails: threads of the dead process do nothing more.
    """

    def __init__(self, write: int, *, after: bool, aim: Aim = "any") -> None:
        self._left = write
        self._after = after
        self._aim = aim
        self._blown = False
        self._lock = threading.Lock()

    def wrap(self, client: Any) -> Any:
        return _Fused(client, self)

    def call(
        self, name: str, method: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        with self._lock:
            if not self._blown and _is_aimed_at(self._aim, name, options):
                self._left -= 1
                if self._left == 0:
                    if self._after:
                        method(*arguments, **options)
                    self._blown = True
            if self._blown:
                raise Killed
        return method(*arguments, **options)


def _is_aimed_at(aim: Aim, name: str, options: dict[str, Any]) -> bool:
    key = str(options.get("Key", ""))
    match aim:
        case "any":
            return name in _WRITES
        case "index":
            return name in ("update_item", "batch_execute_statement")
        case "purge":
            return name == "put_object" and key.endswith(".jsonl.gz") and "IfMatch" in options
        case "compaction":
            # The object, or what is noted of it after the index.
            compacted = key.endswith(".jsonl.gz") and "-" in key.rpartition("/")[2]
            return name == "put_object" and (compacted or key.startswith("compactions/"))
        case "deletion":
            return name == "delete_object"


_WRITES = (
    *("put_object", "upload_file", "delete_object"),
    *("update_item", "batch_execute_statement", "put_events"),
)


class _Fused:
    def __init__(self, client: Any, fuse: Fuse) -> None:
        self._client = client
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name in ("exceptions", "get_paginator"):
            return found
        return lambda *arguments, **options: self._fuse.call(name, found, arguments, options)


class SlowTable:
    """A DynamoDB client whose every write takes so many seconds, by the clock of the turn."""

    def __init__(self, client: Any, clock: VirtualClock, seconds: float) -> None:
        self._client = client
        self._clock = clock
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def update_item(self, **arguments: Any) -> Any:
        self._clock.sleep(self._seconds)
        return self._client.update_item(**arguments)

    def batch_execute_statement(self, **arguments: Any) -> Any:
        self._clock.sleep(self._seconds)
        return self._client.batch_execute_statement(**arguments)


@dataclass
class Bus:
    """EventBridge as far as the sync speaks to it: keeps what it is told, or fails."""

    told: list[dict[str, Any]] = field(default_factory=list)
    failing: bool = False

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        if self.failing:
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
        self.told += [{**json.loads(entry["Detail"]), "kind": entry["DetailType"]} for entry in Entries]
        return {"FailedEntryCount": 0, "Entries": [{}]}


class World:
    """Everything that a turn of the sync touches: the stand-in, a bucket, an index and a bus, on one clock."""

    def __init__(
        self, upstream: Upstream, s3: S3Client, bucket: str, dynamodb: DynamoDBClient, table: str
    ) -> None:
        self.upstream = upstream
        self.clock = upstream.clock
        self.s3 = s3
        self.bucket = bucket
        self.dynamodb = dynamodb
        self.table = table
        self.index = ArticleIndex(dynamodb, table)
        self.bus = Bus()
        self.store = Store(s3, bucket)
        self.tell: Tell | None = None

    def turn(
        self,
        order: Order = NOTHING_MORE,
        *,
        seconds: float = 280,
        fuse: Fuse | None = None,
        client: ContentSource | None = None,
        client_of: Callable[[], ContentSource] | None = None,
        run_id: str | None = None,
        channels: Sequence[str] = (CHANNEL,),
        index_seconds: float = 0,
    ) -> dict[str, dict[str, str]]:
        """Each write of the index takes `index_seconds` by the clock."""
        wrap: Callable[[Any], Any] = fuse.wrap if fuse else lambda real: real
        end = self.clock.monotonic() + seconds
        source = client or self.upstream.client()
        sync = Sync(
            client_of or (lambda: source),
            wrap(self.s3),
            self.bucket,
            ArticleIndex(wrap(SlowTable(self.dynamodb, self.clock, index_seconds)), self.table),
            wrap(self.bus),
            "default",
            clock=self.clock.now,
            tell=self.tell,
        )
        try:
            return sync.turn(
                channels,
                order,
                run_id=run_id or new_run_id(self.clock.now()),
                deadline=lambda: end - self.clock.monotonic(),
            )
        finally:
            # The next process starts with pacing of its own, which must not share the service's second.
            self.clock.sleep(1)

    def mirror(self, *, fuse: Fuse | None = None, seconds: float = 900) -> MirrorState:
        wrap: Callable[[Any], Any] = fuse.wrap if fuse else lambda real: real
        end = self.clock.monotonic() + seconds
        return run_mirror(
            CHANNEL,
            "covers",
            Store(wrap(self.s3), self.bucket),
            ArticleIndex(wrap(self.dynamodb), self.table),
            deadline=lambda: end - self.clock.monotonic(),
            max_bytes=2**20,
            allow_loopback=frozenset({self.upstream.host}),
            clock=self.clock.now,
        )

    def rows(self, name: str = LIVE) -> list[Row]:
        return list(iter_rows(self.s3, self.bucket, CHANNEL, name=name))

    def object_rows(self, key: str) -> list[Row]:
        return list(read_rows(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()))

    def latest(self) -> dict[str, Row]:
        return latest_articles(self.s3, self.bucket, CHANNEL)

    def listed(self) -> list[Entry]:
        found: list[Entry] = []
        after = None
        while True:
            entries, after = self.index.page(CHANNEL, after=after, limit=100)
            found += entries
            if after is None:
                return found

    def entry(self, group_id: str) -> Entry:
        entry = self.index.get(CHANNEL, group_id)
        assert entry is not None
        return entry

    def state(self, name: str = LIVE) -> CursorState:
        return load_state(self.store, CHANNEL, name).state

    def runs(self, folder: str = "runs/") -> list[dict[str, Any]]:
        records = [json.loads(self.read(key)) for key in self.store.keys(folder)]
        return sorted(records, key=lambda record: (record["started_at"], record["run_id"]))

    def read(self, key: str) -> bytes:
        """An object's bytes, decompressed."""
        body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return gzip.decompress(body) if key.endswith(".gz") else body

    def holding(self, text: str) -> list[str]:
        """Every object, of whatever kind, that holds the text, and `index` if an entry does."""
        mark = text.encode()
        keys = [key for key in self.store.keys("") if mark in self.read(key)]
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.table)
        items = [json.dumps(item, ensure_ascii=False) for page in pages for item in page["Items"]]
        return keys + ["index" for item in items if text in item]
