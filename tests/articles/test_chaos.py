"""Everything at once, by seeds: the service misbehaves in every way that the stand-in knows, articles are
edited, withdrawn and come back, backfills and refreshes are asked for, media are mirrored, days are compacted,
the index is slow, and the process is killed at any write: by chance, and once at least in each kind of work.
"""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.articles.changelog import content_sha256
from chalicelib.articles.media import load_manifest
from chalicelib.articles.sync import Order
from local.standins.volcengine.faults import KINDS
from tests.articles.support import CHANNEL, NOTHING_MORE, Fuse, Killed, Upstream, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from chalicelib.articles.changelog import Row
    from tests.articles.support import Aim

HOUR = 3600.0
DAY = 24 * HOUR
SEEDS = range(20)
TURNS = 4

# `slow` needs a client that does not wait, `error` is among the others by another name.
FAULTS = sorted(KINDS - {"slow", "error"})
ODDS = {
    "throttle429": 4,
    "throttle400": 3,
    "http500": 3,
    "http503": 3,
    "error200": 3,
    "reset": 3,
    "truncated": 3,
}


class Chaos:
    """One seed's story."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.withdrawn: set[str] = set()
        self.unavailable: set[str] = set()
        self.kills: Counter[str] = Counter()
        self.backfills = 0

    def live(self) -> None:
        # The first turn has enough to write for any of these to be in the middle of it.
        self.turn(Fuse(self.chance.randrange(1, 10), after=self.chance.random() < 0.5))
        for _ in range(TURNS):
            self.upset_the_service()
            self.change_the_content()
            limit = self.chance.randrange(1, 35)
            fuse = Fuse(limit, after=self.chance.random() < 0.5) if self.chance.random() < 0.7 else None
            seconds = self.chance.choice([10.4, 31, 280])
            self.turn(fuse, self.an_order(), seconds=seconds, impatient=self.chance.random() < 0.1)
            if self.chance.random() < 0.3:
                self.mirror(Fuse(self.chance.randrange(1, 20), after=self.chance.random() < 0.5))
            self.world.clock.sleep(self.chance.choice([1, 300, HOUR, 7 * HOUR, 1.3 * DAY]))

    def upset_the_service(self) -> None:
        weights = [ODDS.get(kind, 1) for kind in FAULTS]
        for kind in self.chance.choices(FAULTS, weights, k=self.chance.randrange(9)):
            for _ in range(self.chance.randrange(3)):
                self.world.upstream.fault("ok")
            self.world.upstream.fault(kind)

    def change_the_content(self) -> None:
        catalogue, chance = self.world.upstream.catalogue, self.chance
        # Only of what was brought already: the service lists nothing that is not available, and does not list
        # later what was not when the scan went by.
        known = [
            entry.group_id
            for entry in self.world.listed()
            if entry.group_id not in self.withdrawn | self.unavailable
        ]
        chance.shuffle(known)
        for _ in range(chance.randrange(3)):
            if known:
                catalogue.change(known[-1])
        for _ in range(chance.randrange(2)):
            if known:
                self.withdrawn.add(known[-1])
                catalogue.set_state(known.pop(), "takedown")
        for _ in range(chance.randrange(2)):
            if known:
                self.unavailable.add(known[-1])
                catalogue.set_state(known.pop(), "unavailable")
        if self.unavailable and chance.random() < 0.4:
            back = min(self.unavailable)
            self.unavailable.remove(back)
            catalogue.set_state(back, "available")
        if chance.random() < 0.6:
            catalogue.add(chance.randrange(1, 8), self.world.clock.now())

    def an_order(self) -> Order:
        chance = self.chance
        if chance.random() < 0.2:
            self.backfills += 1
            return Order(backfill=f"again-{self.backfills}")
        if chance.random() < 0.3:
            known = self.world.upstream.scannable()
            return Order(group_ids=(*chance.sample(known, min(len(known), 5)), "7000000000000000001"))
        return NOTHING_MORE

    def turn(
        self,
        fuse: Fuse | None,
        order: Order = NOTHING_MORE,
        *,
        seconds: float = 280,
        impatient: bool = False,
    ) -> None:
        client, index_seconds = None, self.chance.choice([0, 0.01, 0.4])
        if impatient:
            self.world.upstream.fault("slow", seconds=1)
            client = self.world.upstream.client(read_timeout=0.5)
        try:
            self.world.turn(order, fuse=fuse, seconds=seconds, client=client, index_seconds=index_seconds)
        except Killed:
            self.kills["any"] += 1

    def mirror(self, fuse: Fuse | None = None, kind: str = "any") -> None:
        try:
            self.world.mirror(fuse=fuse)
        except Killed:
            self.kills[kind] += 1

    # One of each kind of death

    def die_everywhere(self) -> None:
        self.calm_down()
        deaths = [self.die_in_the_index, self.die_in_a_purge, self.die_compacting, self.die_mirroring]
        self.chance.shuffle(deaths)
        for die in deaths:
            die()
            self.world.clock.sleep(1)

    def calm_down(self) -> None:
        """The service is itself again, and what went wrong before is made good."""
        self.world.upstream.admin("DELETE", "faults")
        for _ in range(2):
            assert set(self.world.turn()[CHANNEL].values()) == {"succeeded"}

    def killed_in(self, aim: Aim, order: Order = NOTHING_MORE, *, most: int = 1) -> None:
        fuse = Fuse(self.chance.randrange(1, most + 1), after=self.chance.random() < 0.5, aim=aim)
        with pytest.raises(Killed):
            self.world.turn(order, fuse=fuse)
        self.kills[aim] += 1

    def die_in_the_index(self) -> None:
        self.world.upstream.catalogue.add(3, self.world.clock.now())
        self.killed_in("index", most=3)

    def die_in_a_purge(self) -> None:
        known = min(entry.group_id for entry in self.world.listed() if entry.group_id not in self.unavailable)
        self.withdrawn.add(known)
        self.world.upstream.catalogue.set_state(known, "takedown")
        self.killed_in("purge", Order(group_ids=(known,)))

    def die_compacting(self) -> None:
        """In a day of three objects at least; on the next day what was left to their readers goes."""
        self.world.clock.sleep(DAY)
        for _ in range(3):
            self.world.upstream.catalogue.add(1, self.world.clock.now())
            self.world.turn()
        self.world.clock.sleep(DAY)
        self.killed_in("compaction", most=2)
        self.world.turn()
        self.world.clock.sleep(DAY)
        self.killed_in("deletion", most=2)

    def die_mirroring(self) -> None:
        self.world.upstream.catalogue.add(2, self.world.clock.now())
        self.world.turn()
        self.mirror(Fuse(self.chance.randrange(1, 7), after=self.chance.random() < 0.5), "mirror")

    def settle(self) -> None:
        """The service is itself again; everything that is due by age comes due."""
        self.world.upstream.admin("DELETE", "faults")
        for _ in range(4):
            outcome = self.world.turn()[CHANNEL]
            assert set(outcome.values()) == {"succeeded"}
        for _ in range(2):
            self.world.clock.sleep(40 * DAY)
            assert set(self.world.turn()[CHANNEL].values()) == {"succeeded"}
        assert self.world.mirror().caught_up


@pytest.fixture(params=SEEDS)
def chaos(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    s3: S3Client,
    bucket: str,
    dynamodb: DynamoDBClient,
    articles_table: str,
) -> Iterator[Chaos]:
    with Upstream(tmp_path, articles=31, media=True) as upstream:
        yield Chaos(World(upstream, s3, bucket, dynamodb, articles_table), request.param)


def test_whatever_happens_the_lake_and_the_index_end_as_the_service_is(chaos: Chaos) -> None:
    world = chaos.world
    chaos.live()
    chaos.die_everywhere()
    chaos.settle()
    assert chaos.kills >= Counter(("index", "purge", "compaction", "deletion", "mirror"))

    truth = {row["group_id"]: row["state"] for row in world.upstream.catalogue.truth(world.clock.now())}
    available = {group_id for group_id, state in truth.items() if state == "available"}
    content = contents(world, sorted(available))

    # The latest view and the index hold exactly the service's articles, as they are now.
    latest = world.latest()
    assert latest.keys() == available
    assert {group_id: row.content_sha256 for group_id, row in latest.items()} == content
    listed = {entry.group_id: entry for entry in world.listed()}
    assert {group_id: entry.content_sha256 for group_id, entry in listed.items()} == content
    for group_id, row in latest.items():
        assert (listed[group_id].seq, listed[group_id].pos) == (row.seq, row.pos)
        assert listed[group_id].object is not None
        assert [row] == [
            found
            for found in world.object_rows(listed[group_id].object or "")
            if (found.seq, found.pos) == (row.seq, row.pos)
        ]
        covers = {copy.status for copy in load_manifest(world.store, CHANNEL, group_id)}
        assert covers <= {"copied"}
        assert bool(covers) == bool(row.article and row.article["CoverImages"])
    for group_id in chaos.withdrawn:
        assert world.entry(group_id).op == "takedown"
        assert world.holding(f"/a{group_id}/") == []
        assert list(world.store.keys(f"media/utm_source={CHANNEL}/group_id={group_id}/")) == []
    for group_id in chaos.unavailable:
        assert world.entry(group_id).op == "unavailable"
        assert world.holding(f"/a{group_id}/") != []
    assert world.index.due(CHANNEL, world.clock.now(), 10) == []

    # No article twice, but where the service sent it twice or it has changed.
    assert_scanned_as_sent(world, [row for row in world.rows() if not row.run_id.endswith("-recheck")])
    assert_rechecks_wrote_only_news(world.rows(), chaos.withdrawn)
    for number in range(1, chaos.backfills + 1):
        state = world.state(f"again-{number}")
        assert state.caught_up_at is not None
        assert state.rows == len(world.rows(f"again-{number}"))
        assert_scanned_as_sent(world, world.rows(f"again-{number}"))
    assert world.state().rows == len(world.rows())

    peaks = world.upstream.admin("GET", "requests")["peak_per_second"]
    assert peaks["ScanSyncArticles"] <= 10
    assert peaks["MGetSyncArticles"] <= 20


def assert_scanned_as_sent(world: World, scanned: list[Row]) -> None:
    """The log holds whole pages, as the service sent them, and none was asked for twice: so an article stands
    in it
    as often as it was sent, and no more.
    """
    pages: dict[str, list[str]] = {}
    for row in scanned:
        pages.setdefault(row.request_id, []).append(row.group_id)
    sent = {request_id: world.upstream.pages[request_id] for request_id in pages}
    assert pages == {request_id: ids for request_id, (_, ids) in sent.items()}
    assert len({token for token, _ in sent.values()}) == len(sent)


def contents(world: World, group_ids: list[str]) -> dict[str, str]:
    """The hash of what the service has now."""
    articles: dict[str, Any] = {}
    for start in range(0, len(group_ids), 30):
        articles |= world.upstream.catalogue.mget(group_ids[start : start + 30])["Articles"]
    return {group_id: content_sha256(article) for group_id, article in articles.items()}


def assert_rechecks_wrote_only_news(live: list[Row], withdrawn: set[str]) -> None:
    by_article: dict[str, list[Row]] = {}
    for row in live:
        by_article.setdefault(row.group_id, []).append(row)
    for group_id, history in by_article.items():
        if group_id not in withdrawn:  # A purge makes all rows the same.
            for before, after in pairwise(history):
                if after.run_id.endswith("-recheck"):
                    assert (before.op, before.content_sha256) != (after.op, after.content_sha256)
