"""Runs over real sockets: the strict stand-in upstream, an emulated S3 in a child process downstream."""

from __future__ import annotations

import json
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.articles.changelog import read_rows
from chalicelib.articles.client import ContentClient, Page
from chalicelib.articles.reader import iter_rows, latest_articles, sync_status
from chalicelib.articles.state import load_state
from chalicelib.articles.store import Store
from chalicelib.clock import to_rfc3339
from chalicelib.errors import (
    CursorConflict,
    ScanStuck,
    SyncError,
    UpstreamDenied,
    UpstreamMalformed,
    UpstreamThrottled,
    UpstreamUnavailable,
)
from tests.articles.support import (
    CHANNEL,
    Killed,
    Lake,
    Upstream,
    before_first_put,
    killed_writer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from chalicelib.articles.state import CursorState

KIB = 1024


def ids_in_log(lake: Lake) -> list[str]:
    return [row.group_id for row in iter_rows(lake.s3, lake.bucket, CHANNEL, prefix=lake.prefix)]


def committed(lake: Lake) -> CursorState:
    return load_state(Store(lake.s3, lake.bucket, lake.prefix), CHANNEL).state


def run_records(lake: Lake) -> list[dict[str, Any]]:
    records = [
        json.loads(lake.s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read()) for key in lake.keys("runs/")
    ]
    return sorted(records, key=lambda record: str(record["started_at"]))


class Scripted:
    """A page source that answers from a table: token sent → (ids, next token)."""

    def __init__(self, pages: dict[str, tuple[list[str], str]]) -> None:
        self.retries = 0
        self._pages = pages
        self._asked = {token: threading.Event() for token in pages}

    def wait_for(self, token: str) -> None:
        assert self._asked[token].wait(timeout=60)

    def scan(
        self,
        utm_source: str,
        next_token: str,
        max_results: int = 30,
        *,
        deadline: Callable[[], float] | None = None,
    ) -> Page:
        self._asked[next_token].set()
        ids, token = self._pages[next_token]
        return Page([{"GroupId": group_id} for group_id in ids], token, "R1")


# The end


def test_a_first_run_brings_every_article_once_in_the_order_of_sync(lake: Lake, upstream: Upstream) -> None:
    run = lake.run()

    assert ids_in_log(lake) == upstream.scannable()
    assert (run.status, run.caught_up, run.rows, run.pages) == ("succeeded", True, 95, 5)
    assert lake.keys("articles/") == [f"articles/utm_source={CHANNEL}/dt=2026-11-21/000000000001.jsonl.gz"]


def test_the_articles_are_stored_as_they_were_sent(lake: Lake, upstream: Upstream) -> None:
    lake.run()
    rows = list(iter_rows(lake.s3, lake.bucket, CHANNEL))
    sent = upstream.catalogue.mget([row.group_id for row in rows[:30]])["Articles"]

    assert {row.article["ArticleType"] for row in rows if row.article} == {
        "article",
        "feed_video",
        "short_video",
    }
    for row in rows[:30]:
        assert row.article is not None
        assert row.article.keys() == sent[row.group_id].keys()
        assert row.article["Tags"] == sent[row.group_id]["Tags"]
    assert {type(row.article["Video"]) for row in rows if row.article} == {dict, type(None)}


def test_an_empty_page_with_a_new_token_is_not_the_end(lake: Lake, upstream: Upstream) -> None:
    upstream.fault("ok")
    upstream.fault("empty_page")
    run = lake.run()

    assert ids_in_log(lake) == upstream.scannable()
    assert run.pages == 6


def test_a_short_page_is_not_the_end(lake: Lake, upstream: Upstream) -> None:
    upstream.fault("short_page", count=3)
    lake.run()

    assert ids_in_log(lake) == upstream.scannable()


def test_duplicates_of_the_service_are_kept_in_the_log_and_once_in_the_latest_view(
    lake: Lake, upstream: Upstream
) -> None:
    upstream.fault("ok")
    upstream.fault("duplicate_page")
    lake.run()

    assert len(ids_in_log(lake)) == 95 + 30
    assert list(latest_articles(lake.s3, lake.bucket, CHANNEL)) == upstream.scannable()


def test_a_page_with_the_token_that_was_sent_stops_with_an_error_and_keeps_what_came_before(
    lake: Lake, upstream: Upstream
) -> None:
    upstream.fault("ok")
    upstream.fault("stuck")
    with pytest.raises(ScanStuck, match="30 articles led back to the token"):
        lake.run()

    assert ids_in_log(lake) == upstream.scannable()[:30]
    assert run_records(lake)[-1]["error_code"] == "sync.stuck"
    lake.run()
    assert ids_in_log(lake) == upstream.scannable()


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param({"": (["1"], "A"), "A": (["2"], "B"), "B": (["3"], "A")}, id="to an earlier one"),
        pytest.param({"": (["1"], "A"), "A": (["2"], "")}, id="to the start"),
        pytest.param({"": (["1"], "A"), "A": ([], "")}, id="to the start, empty"),
        pytest.param({"": (["1"], "")}, id="nowhere"),
    ],
)
def test_a_token_that_leads_back_stops_instead_of_looping(
    lake: Lake, pages: dict[str, tuple[list[str], str]]
) -> None:
    with pytest.raises(ScanStuck):
        lake.run(client=Scripted(pages))


def test_a_token_that_leads_a_later_run_back_to_the_start_stops_it(lake: Lake) -> None:
    lake.run(client=Scripted({"": (["1"], "A"), "A": ([], "A")}))

    with pytest.raises(ScanStuck):
        lake.run(client=Scripted({"A": (["2"], "B"), "B": ([], "")}))
    assert ids_in_log(lake) == ["1", "2"]


def test_a_channel_without_articles_is_a_success_without_objects(
    s3: S3Client, bucket: str, upstream: Upstream
) -> None:
    lake = Lake(s3, bucket, upstream)
    run = lake.run(client=Scripted({"": ([], "")}))

    assert (run.caught_up, run.objects) == (True, ())
    assert lake.keys("articles/") == []


# Going on


def test_a_run_without_news_writes_no_object_and_records_the_success(lake: Lake, upstream: Upstream) -> None:
    lake.run()
    before = committed(lake)
    upstream.clock.sleep(300)
    run = lake.run()
    after = committed(lake)

    assert (run.objects, run.rows, run.pages) == ((), 0, 1)
    assert len(lake.keys("articles/")) == 1
    assert (after.cursor, after.seq) == (before.cursor, before.seq)
    assert after.last_success_at != before.last_success_at


def test_the_next_run_brings_only_what_is_new(lake: Lake, upstream: Upstream) -> None:
    lake.run()
    upstream.clock.sleep(300)
    new = upstream.catalogue.add(5, upstream.clock.now())
    run = lake.run()

    assert run.rows == 5
    assert run.objects == (f"articles/utm_source={CHANNEL}/dt=2026-11-21/000000000002.jsonl.gz",)
    assert ids_in_log(lake)[-5:] == new
    assert ids_in_log(lake) == upstream.scannable()


def test_a_run_ends_before_its_time_does_and_the_next_goes_on(lake: Lake, upstream: Upstream) -> None:
    # The virtual clock moves by the pacing alone: two pages fit, and ten seconds are kept back.
    first = lake.run(seconds=10.1)

    assert (first.status, first.caught_up, first.pages) == ("succeeded", False, 2)
    assert ids_in_log(lake) == upstream.scannable()[:60]
    assert committed(lake).caught_up_at is None
    second = lake.run()
    assert (second.caught_up, second.cursor_before) == (True, first.cursor_after)
    assert ids_in_log(lake) == upstream.scannable()


def test_a_run_without_time_does_nothing_and_says_so(lake: Lake, upstream: Upstream) -> None:
    run = lake.run(seconds=9)

    assert (run.status, run.pages, run.caught_up) == ("succeeded", 0, False)
    assert upstream.admin("GET", "requests")["requests"] == {}


def test_objects_are_bounded_and_each_is_committed(lake: Lake, upstream: Upstream) -> None:
    lake.run(rows_per_object=60)
    counts = Counter(row.seq for row in iter_rows(lake.s3, lake.bucket, CHANNEL))
    assert counts == {1: 60, 2: 35}
    assert ids_in_log(lake) == upstream.scannable()


def test_rows_before_and_after_midnight_go_into_partitions_of_their_own(lake: Lake, upstream: Upstream) -> None:
    midnight = datetime(2026, 11, 22, tzinfo=UTC)
    upstream.clock.sleep((midnight - upstream.clock.now() - timedelta(seconds=0.15)).total_seconds())
    lake.run()
    days = [(row.observed_at[:10], row.seq) for row in iter_rows(lake.s3, lake.bucket, CHANNEL)]

    assert sorted(set(days)) == [("2026-11-21", 1), ("2026-11-22", 2)]
    assert [key.split("/")[2] for key in lake.keys("articles/")] == ["dt=2026-11-21", "dt=2026-11-22"]
    assert ids_in_log(lake) == upstream.scannable()


def test_a_clock_that_steps_back_over_midnight_does_not_take_the_log_back(
    lake: Lake, upstream: Upstream
) -> None:
    upstream.clock.sleep(86_400)
    lake.run()
    upstream.clock.rewind()
    new = upstream.catalogue.add(1, upstream.clock.now())
    lake.run()

    assert [key.split("/")[2] for key in lake.keys("articles/")] == ["dt=2026-11-22"] * 2
    assert ids_in_log(lake)[-1:] == new


def test_a_prefix_keeps_a_second_log_and_cursor_apart(lake: Lake, s3: S3Client, upstream: Upstream) -> None:
    lake.run()
    backfill = Lake(s3, lake.bucket, upstream, prefix="backfills/one/")
    run = backfill.run()

    assert run.rows == 95
    assert all(key.startswith("backfills/one/articles/") for key in run.objects)
    assert ids_in_log(lake) == ids_in_log(backfill)


# A clock that was wrong


def test_after_a_clock_that_was_ahead_nothing_is_observed_earlier_in_the_log(
    lake: Lake, s3: S3Client, upstream: Upstream
) -> None:
    upstream.clock.sleep(3_600)
    with pytest.raises(Killed):
        lake.run(s3=killed_writer(s3, write=1, after=True, only="articles/"), rows_per_object=60)
    upstream.clock.rewind()
    new = upstream.catalogue.add(3, upstream.clock.now())
    lake.run(rows_per_object=60)
    lake.run(client=Scripted({committed(lake).cursor: ([new[0]], "A"), "A": ([], "A")}))
    rows = list(iter_rows(s3, lake.bucket, CHANNEL))

    observed = [row.observed_at for row in rows]
    assert observed == sorted(observed)
    assert [row.group_id for row in rows] == [*upstream.scannable(), new[0]]
    # The newest row is the last one, also for who looks at the time first.
    assert latest_articles(s3, lake.bucket, CHANNEL)[new[0]] == rows[-1]
    assert committed(lake).observed_until == observed[-1]


# A cursor that is no longer good


DAY = 86_400.0


class Leisurely:
    """The service, whose pages take a hundred seconds each, by the clock of the run."""

    def __init__(self, upstream: Upstream) -> None:
        self._client = upstream.client()
        self._clock = upstream.clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def scan(self, *arguments: Any, **options: Any) -> Page:
        page = self._client.scan(*arguments, **options)
        self._clock.sleep(100)
        return page


def test_after_an_outage_longer_than_the_window_the_scan_begins_anew_and_says_what_is_missing(
    lake: Lake, upstream: Upstream
) -> None:
    lake.run()
    until = committed(lake).caught_up_at
    upstream.clock.sleep(5 * DAY)
    lost = upstream.catalogue.add(3, upstream.clock.now())
    upstream.clock.sleep(15 * DAY)
    found = upstream.catalogue.add(80, upstream.clock.now())
    reach = to_rfc3339(upstream.clock.now() - timedelta(days=14))
    first = lake.run(seconds=120, client=Leisurely(upstream))
    second = lake.run()
    third = lake.run()

    assert (first.restarted, first.gap, first.gap_from, first.gap_to) == (True, True, until, reach)
    assert (first.caught_up, first.rows) == (False, 60)
    assert (second.restarted, second.gap, second.gap_from, second.gap_to) == (True, True, until, reach)
    assert second.caught_up
    assert (third.restarted, third.gap) == (False, False)
    state = committed(lake)
    assert (state.gap, state.gap_from, state.gap_to) == (True, until, reach)
    assert run_records(lake)[-2]["gap"] is True
    assert ids_in_log(lake)[95:] == found
    assert not set(lost) & set(ids_in_log(lake))


def test_a_restart_that_dies_still_says_what_is_missing(lake: Lake, s3: S3Client, upstream: Upstream) -> None:
    lake.run()
    until = committed(lake).caught_up_at
    upstream.clock.sleep(20 * DAY)
    found = upstream.catalogue.add(5, upstream.clock.now())
    with pytest.raises(Killed):
        lake.run(s3=killed_writer(s3, write=1, after=True, only="articles/"))
    run = lake.run()

    assert (run.adopted, run.gap, run.gap_from) == (True, True, until)
    assert ids_in_log(lake)[95:] == found


def test_a_cursor_that_the_service_refuses_is_given_up_where_nothing_is_missing_without_a_gap(
    lake: Lake, upstream: Upstream
) -> None:
    lake.run()
    upstream.clock.sleep(5 * DAY)
    new = upstream.catalogue.add(4, upstream.clock.now())
    upstream.fault("error", code="MissingParameter")
    run = lake.run()

    assert (run.restarted, run.gap, run.caught_up) == (True, False, True)
    assert committed(lake).gap is False
    # What was there already comes again, and is in the latest view once.
    assert ids_in_log(lake) == [*upstream.scannable()[:95], *upstream.scannable()]
    assert list(latest_articles(lake.s3, lake.bucket, CHANNEL)) == upstream.scannable()
    assert set(new) <= set(ids_in_log(lake))
    upstream.clock.sleep(1)
    assert not lake.run().restarted


def test_a_cursor_that_is_refused_after_too_long_a_catching_up_leaves_a_gap(
    lake: Lake, upstream: Upstream
) -> None:
    """Its runs went on without an error, and never came to the end."""
    lake.run()
    until = committed(lake).caught_up_at
    for _ in range(4):
        upstream.clock.sleep(5 * DAY)
        upstream.catalogue.add(70, upstream.clock.now())
        assert not lake.run(seconds=120, client=Leisurely(upstream)).restarted
    upstream.fault("error", code="MissingParameter")
    run = lake.run()

    assert (run.restarted, run.gap, run.gap_from) == (True, True, until)
    assert set(upstream.scannable()) <= set(ids_in_log(lake))


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "code": "MissingParameter", "count": 2},
        {"kind": "error", "code": "LackPolicy"},
        {"kind": "garbage"},
        {"kind": "http503", "count": 5},
    ],
)
def test_another_failure_leaves_the_cursor_as_it_is(
    lake: Lake, upstream: Upstream, fault: dict[str, Any]
) -> None:
    lake.run()
    before = committed(lake)
    upstream.clock.sleep(5 * DAY)
    upstream.fault(**fault)
    with pytest.raises(SyncError):
        lake.run()

    assert (committed(lake).cursor, committed(lake).restarted_at) == (before.cursor, None)


# Failures


def test_throttling_is_waited_out_and_counted(lake: Lake, upstream: Upstream) -> None:
    upstream.fault("ok", count=2)
    upstream.fault("throttle429", count=2)
    upstream.fault("throttle400")
    run = lake.run()

    assert run.retries == 3
    assert ids_in_log(lake) == upstream.scannable()


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ({"kind": "throttle429", "count": 5}, UpstreamThrottled, "sync.throttled"),
        ({"kind": "http503", "count": 5}, UpstreamUnavailable, "sync.unavailable"),
        ({"kind": "error", "code": "LackPolicy"}, UpstreamDenied, "sync.denied"),
        ({"kind": "error200", "code": "AccessDenied"}, UpstreamDenied, "sync.denied"),
        ({"kind": "garbage"}, UpstreamMalformed, "sync.malformed"),
    ],
)
def test_a_failure_in_mid_scan_keeps_what_came_before_and_is_recorded(
    lake: Lake, upstream: Upstream, fault: dict[str, Any], error: type[SyncError], code: str
) -> None:
    upstream.fault("ok", count=2)
    upstream.fault(**fault)
    with pytest.raises(error):
        lake.run()
    (record,) = run_records(lake)

    assert ids_in_log(lake) == upstream.scannable()[:60]
    assert (record["status"], record["error_code"], record["rows"]) == ("failed", code, 60)
    assert committed(lake).last_success_at is None
    lake.run()
    assert ids_in_log(lake) == upstream.scannable()


def test_a_failing_bucket_fails_the_run(lake: Lake) -> None:
    lake.bucket = "no-such-bucket"

    with pytest.raises(lake.s3.exceptions.ClientError, match="NoSuchBucket"):
        lake.run()


# Kills


def test_a_run_killed_between_data_and_cursor_is_carried_on_without_loss_or_double(
    lake: Lake, s3: S3Client, upstream: Upstream
) -> None:
    with pytest.raises(Killed):
        lake.run(s3=killed_writer(s3, write=1, after=True, only="articles/"))
    assert committed(lake).seq == 1
    assert ids_in_log(lake) == [], "what is not committed is not read"
    (key,) = lake.keys("articles/")
    left = s3.head_object(Bucket=lake.bucket, Key=key)["ETag"]
    run = lake.run()

    assert run.adopted
    assert (run.rows, run.pages) == (95, 1)
    assert lake.keys("articles/") == [key]
    assert s3.head_object(Bucket=lake.bucket, Key=key)["ETag"] == left
    assert ids_in_log(lake) == upstream.scannable()


def test_an_object_left_behind_yesterday_is_found_today(lake: Lake, s3: S3Client, upstream: Upstream) -> None:
    with pytest.raises(Killed):
        lake.run(s3=killed_writer(s3, write=2, after=True, only="articles/"), rows_per_object=30)
    upstream.clock.sleep(86_400)
    lake.run(rows_per_object=30)

    assert [key.split("/", 2)[2] for key in lake.keys("articles/")] == [
        "dt=2026-11-21/000000000001.jsonl.gz",
        "dt=2026-11-21/000000000002.jsonl.gz",
        "dt=2026-11-22/000000000003.jsonl.gz",
        "dt=2026-11-22/000000000004.jsonl.gz",
    ]
    assert ids_in_log(lake) == upstream.scannable()


def test_a_stale_runs_stray_object_is_not_taken_for_a_left_one(
    lake: Lake, s3: S3Client, upstream: Upstream
) -> None:
    lake.run()
    before = committed(lake)
    s3.copy_object(
        Bucket=lake.bucket,
        Key=before.last_key.replace("dt=2026-11-21", "dt=2026-11-22"),
        CopySource={"Bucket": lake.bucket, "Key": before.last_key},
    )
    run = lake.run()

    assert not run.adopted
    assert (committed(lake).seq, committed(lake).rows) == (before.seq, before.rows)


def test_a_lost_state_is_rebuilt_from_the_log(lake: Lake, s3: S3Client, upstream: Upstream) -> None:
    lake.run(rows_per_object=30)
    before = committed(lake)
    (state_key,) = lake.keys("state/")
    s3.delete_object(Bucket=lake.bucket, Key=state_key)
    lake.run(rows_per_object=30)
    after = committed(lake)

    assert (after.cursor, after.seq, after.rows, after.objects) == (
        before.cursor,
        before.seq,
        before.rows,
        before.objects,
    )
    assert ids_in_log(lake) == upstream.scannable()


def test_what_a_newer_version_wrote_can_be_read_after_a_rollback(
    lake: Lake, s3: S3Client, upstream: Upstream
) -> None:
    lake.run()
    for key in (*lake.keys("state/"), *lake.keys("runs/")):
        value = json.loads(s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read())
        s3.put_object(Bucket=lake.bucket, Key=key, Body=json.dumps({**value, "new": 1}))

    assert lake.run().caught_up
    assert len(sync_status(s3, lake.bucket, CHANNEL, clock=upstream.clock.now).runs) == 2


def test_a_foreign_object_in_the_log_is_not_taken_for_a_left_one(lake: Lake, s3: S3Client) -> None:
    key = f"articles/utm_source={CHANNEL}/dt=2026-11-21/000000000001.jsonl.gz"
    s3.put_object(Bucket=lake.bucket, Key=key, Body=b"")

    with pytest.raises(SyncError, match="this sync did not write it"):
        lake.run()


def test_a_killed_run_stays_recorded_as_running(lake: Lake, s3: S3Client) -> None:
    with pytest.raises(Killed):
        lake.run(s3=killed_writer(s3, write=1, after=False, only="state/"))

    assert [record["status"] for record in run_records(lake)] == ["running"]


@pytest.fixture(scope="module")
def shared_upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    with Upstream(tmp_path_factory.mktemp("upstream"), articles=95) as running:
        yield running


@pytest.fixture(scope="module")
def shared_bucket(s3: S3Client) -> str:
    name = f"lake-{uuid4().hex}"
    s3.create_bucket(Bucket=name)
    return name


kills = st.tuples(st.integers(1, 9), st.booleans())


@given(
    kills=st.lists(kills, max_size=5),
    rows_per_object=st.sampled_from([7, 30, 60, 3000]),
    pause=st.sampled_from([0, 60, 40_000]),
    faults=st.lists(st.sampled_from(["throttle429", "short_page", "empty_page", "error200"]), max_size=3),
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_article_arrives_exactly_once_whenever_runs_are_killed(
    s3: S3Client,
    shared_bucket: str,
    shared_upstream: Upstream,
    *,
    kills: list[tuple[int, bool]],
    rows_per_object: int,
    pause: float,
    faults: list[str],
) -> None:
    upstream = shared_upstream
    upstream.admin("DELETE", "faults")
    upstream.clock.rewind()
    lake = Lake(s3, shared_bucket, upstream, prefix=f"{uuid4().hex}/")
    for kind in faults:
        upstream.fault(kind)
    for write, after in kills:
        try:
            lake.run(s3=killed_writer(s3, write=write, after=after), rows_per_object=rows_per_object)
        except (Killed, UpstreamThrottled):  # Runs right after one another share the upstream's second.
            upstream.clock.sleep(pause)
    upstream.clock.sleep(1)
    lake.run(rows_per_object=rows_per_object)

    assert ids_in_log(lake) == upstream.scannable()
    assert committed(lake).rows == 95
    assert committed(lake).seq == len(lake.keys("articles/")) + 1


# Two writers


def test_a_second_writer_gets_a_conflict_and_the_first_ones_data_stand(
    lake: Lake, s3: S3Client, upstream: Upstream
) -> None:
    with (
        before_first_put(s3, "articles/", lambda: lake.run(run_id="20261121T032000Z-first")) as late,
        pytest.raises(CursorConflict, match="has written"),
    ):
        lake.run(s3=late, run_id="20261121T032000Z-late")

    assert {row.run_id for row in iter_rows(s3, lake.bucket, CHANNEL)} == {"20261121T032000Z-first"}
    assert ids_in_log(lake) == upstream.scannable()
    assert {record["run_id"]: record["error_code"] for record in run_records(lake)} == {
        "20261121T032000Z-first": None,
        "20261121T032000Z-late": "sync.conflict",
    }


@pytest.mark.parametrize("earlier_runs", [0, 1])
def test_a_run_whose_object_was_adopted_by_another_stops_at_its_commit(
    lake: Lake, s3: S3Client, upstream: Upstream, earlier_runs: int
) -> None:
    for _ in range(earlier_runs):
        lake.run()
        upstream.catalogue.add(5, upstream.clock.now())
    with (
        before_first_put(s3, "state/", lake.run) as slow,
        pytest.raises(CursorConflict, match="moved the cursor"),
    ):
        lake.run(s3=slow)

    assert ids_in_log(lake) == upstream.scannable()
    assert len(lake.keys("articles/")) == 1 + earlier_runs


def test_writes_that_boto3_repeats_after_a_lost_answer_are_recognised(
    lake: Lake, s3: S3Client, upstream: Upstream
) -> None:
    class Repeating:
        def __getattr__(self, name: str) -> Any:
            return getattr(s3, name)

        def put_object(self, **arguments: Any) -> Any:
            s3.put_object(**arguments)
            return s3.put_object(**arguments)

    run = lake.run(s3=Repeating())  # type: ignore[arg-type]

    assert run.status == "succeeded"
    assert ids_in_log(lake) == upstream.scannable()


# Records, cost


def test_the_run_record_says_what_was_done(lake: Lake, upstream: Upstream) -> None:
    upstream.fault("throttle429")
    run = lake.run(run_id="20261121T032000Z-abc")
    (key,) = lake.keys("runs/")
    record = run_records(lake)[0]

    assert key == f"runs/dt=2026-11-21/utm_source={CHANNEL}/20261121T032000Z-abc.json"
    assert record == json.loads(json.dumps(run.to_dict()))
    assert record["objects"] == lake.keys("articles/")
    assert (record["rows"], record["pages"], record["retries"], record["status"]) == (95, 5, 1, "succeeded")
    assert record["cursor_before"] == ""
    assert record["cursor_after"] == committed(lake).cursor
    assert record["started_at"] == "2026-11-21T03:20:00.000Z" < record["ended_at"]


def test_the_next_page_is_fetched_while_the_last_is_written(lake: Lake, s3: S3Client) -> None:
    source = Scripted({"": (["1"], "A"), "A": (["2"], "B"), "B": ([], "B")})
    # The first write ends only when the second page was asked for.
    with before_first_put(s3, "articles/", lambda: source.wait_for("A")) as watched:
        run = lake.run(client=source, s3=watched, rows_per_object=1)

    assert len(run.objects) == 2


def test_bulk_costs_at_most_one_write_per_300_articles(s3: S3Client, bucket: str, upstream: Upstream) -> None:
    upstream.catalogue.add(6_000, upstream.clock.now())
    writes: list[str] = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(s3, name)

        def put_object(self, **arguments: Any) -> Any:
            writes.append(arguments["Key"])
            return s3.put_object(**arguments)

    lake = Lake(s3, bucket, upstream)
    run = lake.run(s3=Counting())  # type: ignore[arg-type]

    assert run.rows == 6_095
    assert len(writes) <= run.rows / 300
    assert upstream.admin("GET", "requests")["peak_per_second"]["ScanSyncArticles"] <= 10
    (largest,) = sorted(
        (s3.head_object(Bucket=bucket, Key=key)["ContentLength"] for key in run.objects), reverse=True
    )[:1]
    assert largest < 3_000 * KIB
    rows = read_rows(s3.get_object(Bucket=bucket, Key=run.objects[0])["Body"].read())
    assert sum(1 for _ in rows) == 3_000


def test_status_tells_state_lag_and_last_runs(lake: Lake, upstream: Upstream) -> None:
    fresh = sync_status(lake.s3, lake.bucket, CHANNEL, clock=upstream.clock.now)
    assert (fresh.lag_seconds, fresh.runs, fresh.state.cursor) == (None, (), "")

    lake.run()
    upstream.clock.sleep(2 * 86_400)
    upstream.fault("garbage")
    with pytest.raises(UpstreamMalformed):
        lake.run()
    upstream.clock.sleep(60)
    status = sync_status(lake.s3, lake.bucket, CHANNEL, clock=upstream.clock.now)

    assert status.lag_seconds == pytest.approx(2 * 86_400 + 60, abs=1)
    assert [run.status for run in status.runs] == ["failed", "succeeded"]
    assert status.state.rows == 95
    newest = sync_status(lake.s3, lake.bucket, CHANNEL, runs=1, clock=upstream.clock.now)
    assert newest.runs == status.runs[:1]


def test_content_clients_are_page_sources(upstream: Upstream) -> None:
    assert isinstance(upstream.client(), ContentClient)
