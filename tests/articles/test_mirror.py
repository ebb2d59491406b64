"""Copies of media: real sockets, the emulated S3 and DynamoDB over the wire, kills anywhere."""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.articles.changelog import Row, article_key, content_sha256
from chalicelib.articles.client import Lookup
from chalicelib.articles.compaction import compact_day
from chalicelib.articles.index import ArticleIndex
from chalicelib.articles.media import load_manifest, media_of, withdraw_media
from chalicelib.articles.mirror import RESERVE_SECONDS, run_mirror, run_mirrors
from chalicelib.articles.mirror_state import load_mirror
from chalicelib.articles.reader import channel_logs
from chalicelib.articles.recheck import run_recheck
from chalicelib.articles.state import CursorState, commit_state, load_state
from chalicelib.articles.store import Store
from chalicelib.clock import to_rfc3339
from chalicelib.errors import ConfigurationError, CursorConflict
from chalicelib.settings import Settings
from tests.articles.support import CHANNEL, Killed, VirtualClock
from tests.container.media_server import MediaServer, media_server
from tests.container.support import COVER, VIDEO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from chalicelib.articles.changelog import Op
    from chalicelib.articles.mirror_state import MirrorState
    from chalicelib.settings import MirrorMode

pytestmark = pytest.mark.system

PNG, MP4 = COVER.read_bytes(), VIDEO.read_bytes()
MEGABYTE = 1024 * 1024


@pytest.fixture
def server() -> Iterator[MediaServer]:
    with media_server() as server:
        yield server


def article(group_id: str, *covers: str, videos: tuple[tuple[str, int, int], ...] = ()) -> dict[str, Any]:
    """`videos` are (URL, height, size in bytes)."""
    infos = [
        {"VideoUrl": url, "Definition": f"{height}p", "Size": size, "Width": height * 2, "Height": height}
        for url, height, size in videos
    ]
    return {
        "GroupId": group_id,
        "CoverImages": [{"Url": url, "Width": 640, "Height": 480} for url in covers],
        "Video": {"Duration": 3, "VideoPlayInfos": infos} if infos else None,
    }


class Gallery:
    """A channel whose log and index are written by hand, and its mirror."""

    def __init__(
        self, s3: S3Client, bucket: str, dynamodb: DynamoDBClient, table: str, server: MediaServer
    ) -> None:
        self.s3 = s3
        self.bucket = bucket
        self.dynamodb = dynamodb
        self.table = table
        self.index = ArticleIndex(dynamodb, table)
        self.server = server
        self.clock = VirtualClock()
        self.store = Store(s3, bucket)

    def put(
        self,
        *observations: tuple[str, str, dict[str, Any] | None],
        indexed: bool = True,
        day: str = "2026-11-21",
    ) -> list[Row]:
        """Commits one object with a row for each (GroupId, op, article)."""
        self.clock.sleep(1)
        stored = load_state(self.store, CHANNEL)
        seq = stored.state.seq
        rows = [
            Row(
                group_id=group_id,
                op=cast("Op", op),
                observed_at=to_rfc3339(self.clock.now()),
                seq=seq,
                pos=pos,
                run_id="run",
                request_id="request",
                miss_reason=None if op == "upsert" else 500009,
                content_sha256=content_sha256(content) if content is not None else None,
                article=content,
            )
            for pos, (group_id, op, content) in enumerate(observations)
        ]
        key = article_key("", CHANNEL, day, seq)
        body = gzip.compress(b"".join(row.to_line() for row in rows))
        self.store.put_if(key, body, etag=None, content_type="application/gzip")
        commit_state(self.store, CursorState(CHANNEL, seq=seq + 1, last_key=key), stored.etag)
        if indexed:
            self.index.put_rows(CHANNEL, key, rows)
        return rows

    def put_backfill(self, name: str, group_id: str, content: dict[str, Any]) -> None:
        """Commits a backfill that is through, of one row."""
        self.clock.sleep(1)
        at = to_rfc3339(self.clock.now())
        digest = content_sha256(content)
        row = Row(group_id, "upsert", at, 1, 0, "run", "request", None, digest, content)
        key = article_key("", CHANNEL, "2026-11-21", 1, name)
        body = gzip.compress(row.to_line())
        self.store.put_if(key, body, etag=None, content_type="application/gzip")
        state = CursorState(CHANNEL, name, seq=2, last_key=key, indexed_key=key, caught_up_at=at)
        commit_state(self.store, state, None)
        self.index.put_rows(CHANNEL, key, [row])

    def mirror(
        self,
        mode: MirrorMode = "covers",
        *,
        seconds: float = 900,
        max_bytes: int = 64 * MEGABYTE,
        s3: S3Client | None = None,
        index: ArticleIndex | None = None,
    ) -> MirrorState:
        end = self.clock.monotonic() + seconds
        return run_mirror(
            CHANNEL,
            mode,
            Store(s3 or self.s3, self.bucket),
            index or self.index,
            deadline=lambda: end - self.clock.monotonic(),
            max_bytes=max_bytes,
            allow_loopback=frozenset({self.server.host}),
            clock=self.clock.now,
        )

    def copies(self) -> dict[str, bytes]:
        """What is stored of media, but for manifests, by key."""
        keys = [key for key in self.store.keys("media/") if not key.endswith("/manifest.json")]
        return {key: self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}


@pytest.fixture
def gallery(
    s3: S3Client, bucket: str, dynamodb: DynamoDBClient, articles_table: str, server: MediaServer
) -> Gallery:
    return Gallery(s3, bucket, dynamodb, articles_table, server)


def test_covers_are_copied_and_recorded(gallery: Gallery, server: MediaServer) -> None:
    first, second = server.serve("/1.png", PNG), server.serve("/2.png", PNG + b"two")
    gallery.put(
        ("7001", "upsert", article("7001", f"{first}?x-signature=secret", second)), ("7002", "upsert", {})
    )

    state = gallery.mirror()

    assert sorted(gallery.copies().values()) == sorted([PNG, PNG + b"two"])
    assert (state.copied, state.failed, state.bytes, state.caught_up) == (2, 0, 2 * len(PNG) + 3, True)
    copy = load_manifest(gallery.store, CHANNEL, "7001")[0]
    assert (copy.status, copy.media_type, copy.width, copy.height) == ("copied", "image/png", 640, 480)
    assert copy.sha256 == hashlib.sha256(PNG).hexdigest()
    assert copy.source == first
    assert copy.key is not None
    stored = gallery.s3.head_object(Bucket=gallery.bucket, Key=copy.key)
    assert stored["ContentType"] == "image/png"
    entry = gallery.index.get(CHANNEL, "7001")
    assert entry is not None
    assert entry.media is not None
    assert (entry.media["copied"], entry.media["failed"]) == (2, 0)
    assert b"secret" not in b"".join(
        gallery.s3.get_object(Bucket=gallery.bucket, Key=key)["Body"].read() for key in gallery.store.keys("m")
    )


def test_of_a_video_the_largest_within_the_cap_is_copied_and_the_covers_with_it(
    gallery: Gallery, server: MediaServer
) -> None:
    cover, video = server.serve("/c.png", PNG), server.serve("/v.mp4", MP4)
    videos = ((f"{video}?param=a", 540, 10), (f"{video}?param=b", 720, 20), (f"{video}?param=c", 1080, 10**9))
    gallery.put(("7001", "upsert", article("7001", cover, videos=videos)))

    gallery.mirror("videos")

    assert sorted(gallery.copies().values()) == sorted([PNG, MP4])
    assert [request.split()[1] for request in server.requests if "/v.mp4" in request] == ["/v.mp4?param=b"]


def test_nothing_is_copied_twice_though_every_answer_has_other_urls(
    gallery: Gallery, server: MediaServer
) -> None:
    url, video = server.serve("/1.png", PNG), server.serve("/v.mp4", MP4)
    for number in range(3):
        content = article("7001", f"{url}?{number}", videos=((f"{video}?{number}", 720, 5),))
        gallery.put(("7001", "upsert", {**content, "Title": f"{number}"}))
        gallery.mirror("videos")
    gallery.mirror("videos")

    assert sorted(path.partition("?")[0] for path in server.asked) == ["/1.png", "/v.mp4"]


def test_only_the_newest_version_is_fetched(gallery: Gallery, server: MediaServer) -> None:
    former, latter = server.serve("/former.png", PNG), server.serve("/latter.png", PNG)
    gallery.put(("7001", "upsert", article("7001", former)))
    gallery.put(("7001", "upsert", article("7001", latter)))

    gallery.mirror()

    assert server.asked == ["/latter.png"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"<html>expired", "200 OK", "media.type"),
        (MP4[:1000], "200 OK", "media.type"),
        (b"", "403 Forbidden", "media.not_served"),
        (PNG * 500, "200 OK", "media.too_large"),
    ],
)
def test_what_cannot_be_copied_is_recorded_and_not_tried_again(
    gallery: Gallery, server: MediaServer, body: bytes, status: str, code: str
) -> None:
    bad, good = server.serve("/bad", body, status=status), server.serve("/good.png", PNG)
    gallery.put(("7001", "upsert", article("7001", bad, good)))

    state = gallery.mirror(max_bytes=len(PNG) + 1000)
    gallery.clock.sleep(10 * 86_400)
    gallery.mirror()

    assert list(gallery.copies().values()) == [PNG]
    assert (state.copied, state.failed, state.retries) == (1, 1, {})
    assert [copy.error_code for copy in load_manifest(gallery.store, CHANNEL, "7001")] == [code, None]
    assert sorted(server.asked) == ["/bad", "/good.png"]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/1.png",
        "https://169.254.169.254/latest",
        "https://127.0.0.1:1/x.png",
        "file:///x",
        "no",
    ],
)
def test_links_that_lead_inside_are_not_followed(gallery: Gallery, url: str) -> None:
    gallery.put(("7001", "upsert", article("7001", url)))

    state = gallery.mirror()

    assert (state.copied, state.failed, state.retries, state.caught_up) == (0, 1, {}, True)
    assert [copy.error_code for copy in load_manifest(gallery.store, CHANNEL, "7001")] == [
        "media.forbidden_address"
    ]


def test_what_may_pass_is_tried_again_three_times_over_a_day(gallery: Gallery, server: MediaServer) -> None:
    url = server.serve("/1.png", b"", status="503 Busy")
    gallery.put(("7001", "upsert", article("7001", url)))
    asked = []
    for hours in (0, 0.5, 1, 3, 6, 12, 25, 50, 100):
        gallery.clock.sleep(hours * 3600)
        gallery.mirror()
        asked.append(len(server.asked))

    assert asked[-1] == 4
    assert asked[1] == 1
    assert load_mirror(gallery.store, CHANNEL)[0].retries == {}

    server.serve("/1.png", PNG)
    gallery.put(("7001", "upsert", {**article("7001", url), "Title": "new"}))
    gallery.mirror()
    assert list(gallery.copies().values()) == [PNG]


def test_a_retry_takes_the_newest_links(gallery: Gallery, server: MediaServer) -> None:
    gallery.put(("7001", "upsert", article("7001", server.serve("/1.png", b"", status="503 Busy"))))
    assert gallery.mirror().retries.keys() == {"7001"}
    server.serve("/1.png", PNG)
    gallery.clock.sleep(2 * 3600)

    state = gallery.mirror()

    assert (state.copied, state.retries) == (1, {})
    entry = gallery.index.get(CHANNEL, "7001")
    assert entry is not None
    assert entry.media is not None
    assert (entry.media["copied"], entry.media["failed"]) == (1, 0)


def test_a_run_ends_in_time_and_the_next_goes_on_where_it_stopped(
    gallery: Gallery, server: MediaServer
) -> None:
    ids = [str(7000 + number) for number in range(40)]
    gallery.put(
        *[(one, "upsert", article(one, server.serve(f"/{one}.png", PNG + one.encode()))) for one in ids]
    )
    assert gallery.mirror(seconds=RESERVE_SECONDS).caught_up is False
    assert server.asked == []

    class Slow:
        """Each look at the index takes ten seconds of the run."""

        def __getattr__(self, name: str) -> Any:
            gallery.clock.sleep(10)
            return getattr(gallery.index, name)

    runs = 0
    while not (state := gallery.mirror(seconds=200, index=cast("ArticleIndex", Slow()))).caught_up:
        runs += 1
        assert runs < 40

    assert runs > 1
    assert sorted(gallery.copies().values()) == sorted(PNG + one.encode() for one in ids)
    # A batch that the time did not suffice for is gone through again; only what was cut off is fetched again.
    assert state.copied == len(ids)
    assert len(server.asked) <= len(ids) + 4 * runs


def test_what_is_not_indexed_yet_is_waited_for(gallery: Gallery, server: MediaServer) -> None:
    url = server.serve("/1.png", PNG)
    rows = gallery.put(("7001", "upsert", article("7001", url)), indexed=False)
    assert gallery.mirror().caught_up is False

    gallery.index.put_rows(CHANNEL, article_key("", CHANNEL, "2026-11-21", rows[0].seq), rows)
    assert gallery.mirror().caught_up is True
    assert list(gallery.copies().values()) == [PNG]


class Dying:
    """An S3 client whose process dies at its nth write, before or after it."""

    def __init__(self, s3: S3Client, write: int, *, after: bool) -> None:
        self._s3 = s3
        self._left = write
        self._after = after

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._s3, name)
        return self._counted(call) if name in ("put_object", "upload_file", "delete_object") else call

    def _counted(self, call: Any) -> Any:
        def counted(*arguments: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise Killed
            answer = call(*arguments, **options)
            if self._left == 0:
                raise Killed
            return answer

        return counted


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", range(1, 6))
def test_killed_at_any_write_the_next_run_ends_with_every_copy_recorded(
    gallery: Gallery, server: MediaServer, write: int, after: bool
) -> None:
    urls = [server.serve(f"/{number}.png", PNG + b"%d" % number) for number in range(2)]
    gallery.put(("7001", "upsert", article("7001", *urls)))
    with pytest.raises(Killed):
        gallery.mirror(s3=cast("S3Client", Dying(gallery.s3, write, after=after)))

    gallery.mirror()

    assert {copy.key for copy in load_manifest(gallery.store, CHANNEL, "7001")} == set(gallery.copies())
    assert sorted(gallery.copies().values()) == [PNG + b"0", PNG + b"1"]
    entry = gallery.index.get(CHANNEL, "7001")
    assert entry is not None
    assert entry.media is not None
    assert entry.media["copied"] == 2


@pytest.mark.parametrize("write", range(1, 5))
def test_an_article_that_is_withdrawn_while_it_is_copied_leaves_nothing(
    gallery: Gallery, server: MediaServer, write: int
) -> None:
    """The purge comes at the worst moment: just before the mirror's nth write, which a kill may follow."""
    url = server.serve("/1.png", PNG)
    gallery.put(("7001", "upsert", article("7001", url)))

    class Interrupted(Dying):
        def _counted(self, call: Any) -> Any:
            def counted(*arguments: Any, **options: Any) -> Any:
                self._left -= 1
                if self._left == 0:
                    gallery.put(("7001", "takedown", None))
                    withdraw_media(gallery.store, CHANNEL, "7001")
                    call(*arguments, **options)
                    raise Killed
                return call(*arguments, **options)

            return counted

    with pytest.raises(Killed):
        gallery.mirror(s3=cast("S3Client", Interrupted(gallery.s3, write, after=False)))
    gallery.mirror()

    assert list(gallery.store.keys("media/")) == []
    entry = gallery.index.get(CHANNEL, "7001")
    assert entry is not None
    assert entry.media is None


def test_the_recheck_that_notices_a_takedown_deletes_the_copies(gallery: Gallery, server: MediaServer) -> None:
    url = server.serve("/1.png", PNG)
    gallery.put(("7001", "upsert", article("7001", url)), ("7002", "upsert", article("7002", url)))
    gallery.mirror()
    assert len(gallery.copies()) == 2

    class Withdrawn:
        retries = 0

        def mget(self, utm_source: str, group_ids: Sequence[str], **_: Any) -> Lookup:
            return Lookup({}, dict.fromkeys(group_ids, 500009), "R1")

    gallery.index.request_refresh(CHANNEL, ["7001"], gallery.clock.now())
    run_recheck(
        CHANNEL,
        Withdrawn(),
        gallery.s3,
        gallery.bucket,
        gallery.index,
        run_id="recheck",
        deadline=lambda: 900,
        clock=gallery.clock.now,
    )

    assert {key.split("group_id=")[1].partition("/")[0] for key in gallery.store.keys("media/")} == {"7002"}
    entry = gallery.index.get(CHANNEL, "7001")
    assert entry is not None
    assert (entry.op, entry.media) == ("takedown", None)


def test_a_log_that_is_compacted_meanwhile_is_gone_on_with(gallery: Gallery, server: MediaServer) -> None:
    for number in range(4):
        url = server.serve(f"/{number}.png", PNG + b"%d" % number)
        gallery.put((f"700{number}", "upsert", article(f"700{number}", url)))
        if number == 1:
            gallery.mirror()
    (log,) = channel_logs(gallery.store, CHANNEL)
    gallery.clock.sleep(2 * 86_400)
    made = compact_day(gallery.store, gallery.index, CHANNEL, log, "2026-11-21", clock=gallery.clock.now)
    assert [len(one.originals) for one in made] == [4]

    state = gallery.mirror()

    assert (state.caught_up, state.copied) == (True, 4)
    assert sorted(server.asked) == [f"/{number}.png" for number in range(4)]


def test_two_mirrors_of_a_channel_stop_one_another(gallery: Gallery, server: MediaServer) -> None:
    gallery.put(("7001", "upsert", article("7001", server.serve("/1.png", PNG))))
    seen: list[MirrorState] = []

    class Overtaken(Dying):
        def _counted(self, call: Any) -> Any:
            if not seen:
                seen.append(gallery.mirror())
            return call

    with pytest.raises(CursorConflict):
        gallery.mirror(s3=cast("S3Client", Overtaken(gallery.s3, 1, after=False)))
    assert len(gallery.copies()) == 1


def test_one_channel_that_fails_keeps_no_other_from_its_turn(gallery: Gallery, server: MediaServer) -> None:
    gallery.put(("7001", "upsert", article("7001", server.serve("/1.png", PNG))))
    gallery.s3.put_object(Bucket=gallery.bucket, Key="mirror/utm_source=broken.json", Body=b'{"positions":{}}')

    class Refusing(Dying):
        def _counted(self, call: Any) -> Any:
            def refused(*arguments: Any, **options: Any) -> Any:
                if "broken" in options.get("Key", ""):
                    options["IfMatch"] = '"another"'
                return call(*arguments, **options)

            return refused

    outcomes = run_mirrors(
        {"broken": "covers", CHANNEL: "covers", "off": "none"},
        Store(cast("S3Client", Refusing(gallery.s3, 1, after=False)), gallery.bucket),
        gallery.index,
        deadline=lambda: 900,
        max_bytes=MEGABYTE,
        allow_loopback=frozenset({server.host}),
        clock=gallery.clock.now,
    )

    assert outcomes == {"broken": "sync.conflict", CHANNEL: "succeeded"}
    assert list(gallery.copies().values()) == [PNG]


class Counting:
    """Boto3 clients' calls, counted by operation; of a paginator, each of its pages."""

    def __init__(self, client: Any, calls: Counter[str]) -> None:
        self._client = client
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name == "exceptions":
            return found
        if name == "get_paginator":
            return lambda operation: Counting(found(operation), self._calls)

        def counted(*arguments: Any, **options: Any) -> Any:
            self._calls[name] += 1
            return found(*arguments, **options)

        return counted


def requests_of_an_idle_tick(gallery: Gallery) -> Counter[str]:
    """Over every channel, as the function's."""
    calls: Counter[str] = Counter()
    outcomes = run_mirrors(
        {CHANNEL: "covers"},
        Store(cast("S3Client", Counting(gallery.s3, calls)), gallery.bucket),
        ArticleIndex(cast("Any", Counting(gallery.dynamodb, calls)), gallery.table),
        deadline=lambda: 900,
        max_bytes=MEGABYTE,
        allow_loopback=frozenset({gallery.server.host}),
        clock=gallery.clock.now,
    )
    assert outcomes == {CHANNEL: "succeeded"}
    return calls


def test_an_idle_tick_costs_the_same_few_requests_however_long_the_logs_are(
    gallery: Gallery, server: MediaServer
) -> None:
    """A listing is a page of up to 1,000 keys: what matters is that no object is read, and where it starts."""
    counts = []
    for number in range(12):
        url = server.serve(f"/{number}.png", PNG + b"%d" % number)
        gallery.put((f"70{number}", "upsert", article(f"70{number}", url)))
        if number in (0, 11):
            gallery.put_backfill(f"again-{number}", f"71{number}", article(f"71{number}", url))
            assert gallery.mirror().caught_up
            counts.append(requests_of_an_idle_tick(gallery))

    assert counts[0] == counts[1]
    # Its own state, the live scan's, the names of the backfills; and its own state is written.
    assert counts[0] == {"get_object": 2, "paginate": 1, "put_object": 1}
    assert len(server.asked) == 12 + 2


def test_what_comes_after_an_idle_time_is_found_without_a_look_at_the_days_before(
    gallery: Gallery, server: MediaServer
) -> None:
    gallery.put(("7001", "upsert", article("7001", server.serve("/1.png", PNG))))
    gallery.mirror()
    gallery.put(("7002", "upsert", article("7002", server.serve("/2.png", PNG))), day="2026-11-25")
    listed: list[str] = []

    class Watched:
        def __init__(self, client: Any) -> None:
            self._client = client

        def __getattr__(self, name: str) -> Any:
            return getattr(self._client, name)

        def get_paginator(self, operation: str) -> Any:
            return Watched(self._client.get_paginator(operation))

        def paginate(self, **arguments: Any) -> Any:
            if arguments["StartAfter"]:
                listed.append(arguments["StartAfter"])
            return self._client.paginate(**arguments)

    for _ in range(3):
        assert gallery.mirror(s3=cast("S3Client", Watched(gallery.s3))).caught_up

    assert listed == [f"articles/utm_source={CHANNEL}/dt=2026-11-21/"]
    assert server.asked == ["/1.png", "/2.png"]


# However busy the machine is.
BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Url", "VideoUrl", "VideoPlayInfos", "Size", "Width", "Height", "Definition"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@BUSY
@given(covers=JSON, video=JSON)
def test_whatever_the_service_sends_as_media_is_passed_over_or_taken(covers: Any, video: Any) -> None:
    found = media_of({"CoverImages": covers, "Video": video}, "videos", 100)

    assert all(medium.url for medium in found)
    assert sum(medium.kind == "video" for medium in found) <= 1
    assert media_of({"CoverImages": covers, "Video": video}, "none", 100) == []


@pytest.mark.parametrize(
    ("value", "modes"),
    [
        ("", ("none", "none")),
        ("none", ("none", "none")),
        ("covers", ("covers", "covers")),
        ("a=videos", ("videos", "none")),
        ("covers,a=none", ("none", "covers")),
        ("a=videos,b=covers", ("videos", "covers")),
    ],
)
def test_what_is_copied_is_set_for_each_channel(value: str, modes: tuple[str, str]) -> None:
    configured = Settings({"VOLC_MIRROR": value})

    assert (configured.volc_mirror("a"), configured.volc_mirror("b")) == modes


@pytest.mark.parametrize("value", ["all", "a=", "a=covers,b", "a=Covers"])
def test_another_mode_is_a_fault_of_the_configuration(value: str) -> None:
    with pytest.raises(ConfigurationError, match="VOLC_MIRROR"):
        Settings({"VOLC_MIRROR": value}).volc_mirror("a")
