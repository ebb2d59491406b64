"""The shipped SQL on what the sync writes: DuckDB's as it is, Athena's translated to DuckDB's."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cfnlint  # type: ignore[import-untyped]
import duckdb
import pytest
import sqlglot

from chalicelib.articles.changelog import Row, article_key, content_sha256
from local.template import load_template
from tests.articles.support import CHANNEL, Lake, Upstream
from tests.articles.views import ATHENA, by_athena, by_duckdb, download

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.articles.client import ContentClient, Page

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]


class Novel:
    """The stand-in's pages, with what the reference does not know in every article."""

    ADDED: dict[str, Any] = {  # noqa: RUF012
        "Future": {"Deep": [1, 2**53 + 1, 123456789012345678901234567890], "Null": None},
        'Ärger, "x","article":{': "\u2028\n\x01\x00'😮}",
    }

    def __init__(self, client: ContentClient) -> None:
        self.retries = 0
        self._client = client

    def scan(
        self,
        utm_source: str,
        next_token: str,
        max_results: int = 30,
        *,
        deadline: Callable[[], float] | None = None,
    ) -> Page:
        page = self._client.scan(utm_source, next_token, max_results, deadline=deadline)
        for article in page.articles:
            article.update(self.ADDED)
        return page


def add_object(folder: Path, seq: int, *rows: dict[str, Any], prefix: str = "", channel: str = CHANNEL) -> None:
    """Rows of later observations, as the sync writes them."""
    lines = []
    for pos, given in enumerate(rows):
        fields: dict[str, Any] = {"op": "upsert", "observed_at": "2026-11-22T00:00:00.000Z"} | given
        article = fields.setdefault("article", None)
        digest = content_sha256(article) if article else None
        row = Row(
            seq=seq,
            pos=pos,
            run_id="later",
            request_id="R",
            miss_reason={"takedown": 500009, "unavailable": 500008}.get(fields["op"]),
            content_sha256=digest,
            **fields,
        )
        lines.append(row.to_line())
    path = folder / article_key(prefix, channel, "2026-11-22", seq)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(b"".join(lines)))


by_engine = pytest.mark.parametrize("latest", [by_duckdb, by_athena])


@by_engine
def test_the_view_shows_what_the_service_has(
    lake: Lake, upstream: Upstream, tmp_path: Path, latest: Callable[[Path], list[dict[str, Any]]]
) -> None:
    upstream.fault("ok")
    upstream.fault("duplicate_page")
    lake.run(client=Novel(upstream.client()), rows_per_object=60)
    upstream.admin("POST", "articles", {"count": 40})
    lake.run(client=Novel(upstream.client()), rows_per_object=60)
    download(lake, tmp_path)

    shown = {row["group_id"]: row for row in latest(tmp_path)}

    ids = upstream.scannable()
    assert len(ids) == 135
    assert shown.keys() == set(ids)
    sent: dict[str, Any] = {}
    for start in range(0, len(ids), 30):
        sent |= upstream.client().mget(CHANNEL, ids[start : start + 30]).articles
    for group_id, row in shown.items():
        article = json.loads(row["article"])
        assert article.items() >= Novel.ADDED.items()
        expected = sent[group_id] | Novel.ADDED
        assert list(article) == list(expected)
        assert row["content_sha256"] == content_sha256(article) == content_sha256(expected)
        assert row["utm_source"] == CHANNEL
    assert {type(json.loads(row["article"])["Video"]) for row in shown.values()} == {dict, type(None)}


@by_engine
def test_the_article_is_the_very_text_that_was_stored(
    tmp_path: Path, latest: Callable[[Path], list[dict[str, Any]]]
) -> None:
    # Digits that no double holds, half an emoji: a JSON reader rounds the one and refuses the other.
    head = '{"group_id":"1","op":"upsert","observed_at":"T","seq":1,"pos":0,"media":{"cover":1}'
    article = '{"GroupId": "1","Half":"\\ud83d","Ratio":0.10000000000000000001,"Big":9999999999999999999999}'
    path = tmp_path / article_key("", CHANNEL, "2026-11-22", 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(f'{head},"article":{article}}}\n'.encode()))

    (row,) = latest(tmp_path)

    assert row["article"] == article


@by_engine
def test_the_newest_observation_wins_over_live_log_and_backfills(
    tmp_path: Path, latest: Callable[[Path], list[dict[str, Any]]]
) -> None:
    old, new = {"Title": "old"}, {"Title": "new"}
    early, late = "2026-11-22T00:00:00.999Z", "2026-11-22T00:00:01.000Z"
    ids = ("live", "backfilled", "pos", "gone", "away", "back", "other")
    add_object(tmp_path, 11, *({"group_id": name, "article": old} for name in ids))
    add_object(
        tmp_path,
        12,
        {"group_id": "live", "article": new, "observed_at": late},
        {"group_id": "backfilled", "article": old, "observed_at": early},
        {"group_id": "gone", "op": "takedown", "observed_at": late},
        {"group_id": "away", "op": "unavailable", "observed_at": late},
        {"group_id": "back", "op": "unavailable", "observed_at": early},
        {"group_id": "back", "article": new, "observed_at": late},
        {"group_id": "pos", "article": old},
        {"group_id": "pos", "article": new},
    )
    add_object(tmp_path, 13, {"group_id": "other", "op": "takedown", "observed_at": late}, channel="a/b")
    first = article_key("", CHANNEL, "2026-11-22", 1)
    add_object(
        tmp_path / "elsewhere",
        1,
        {"group_id": "live", "article": old, "observed_at": early},
        {"group_id": "backfilled", "article": new, "observed_at": late},
        {"group_id": "gone", "article": old, "observed_at": early},
        {"group_id": "older", "article": new, "observed_at": early},
    )
    backfill = tmp_path / first.replace("articles/", "backfill/").replace("/dt=", "/name=spring/dt=")
    backfill.parent.mkdir(parents=True)
    (tmp_path / "elsewhere" / first).rename(backfill)

    shown = {row["group_id"]: json.loads(row["article"])["Title"] for row in latest(tmp_path)}

    assert shown == {
        "live": "new",
        "backfilled": "new",
        "pos": "new",
        "back": "new",
        "older": "new",
        "other": "old",
    }


def test_channels_are_apart_and_have_their_own_names(tmp_path: Path) -> None:
    for seq, channel in enumerate(("one", "a/b=c 频"), start=1):
        add_object(tmp_path, seq, {"group_id": "7", "article": {"of": channel}}, channel=channel)

    shown = {row["utm_source"]: json.loads(row["article"]) for row in by_duckdb(tmp_path)}

    assert shown == {"one": {"of": "one"}, "a/b=c 频": {"of": "a/b=c 频"}}


def test_the_log_is_a_hive_table_for_a_json_reader_too(lake: Lake, upstream: Upstream, tmp_path: Path) -> None:
    lake.run()
    download(lake, tmp_path)

    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT utm_source, dt, count(*) FROM read_json(?, hive_partitioning = true) GROUP BY ALL",
            [f"{tmp_path}/articles/**/*.jsonl.gz"],
        ).fetchall()

    assert [(channel, str(day), count) for channel, day, count in found] == [(CHANNEL, "2026-11-21", 95)]


def test_the_tables_of_the_template_lie_where_the_sync_writes() -> None:
    resources = load_template(ROOT / ".chalice" / "resources.yml")["Resources"]
    tables = [
        resource["Properties"]["TableInput"]
        for resource in resources.values()
        if resource.get("Type") == "AWS::Glue::Table"
    ]
    locations = {table["Name"]: table["Parameters"]["storage.location.template"]["Fn::Sub"] for table in tables}
    here = {"${ContentBucket}": "bucket", "${!utm_source}": CHANNEL, "${!dt}": "2026-11-22"}
    for text, value in here.items():
        locations = {name: location.replace(text, value) for name, location in locations.items()}

    key = article_key("", CHANNEL, "2026-11-22", 12)
    assert key.startswith(locations["articles"].removeprefix("s3://bucket/"))
    assert key.replace("articles/", "backfill/").startswith(locations["backfill"].removeprefix("s3://bucket/"))
    assert {column["Name"] for table in tables for column in table["StorageDescriptor"]["Columns"]} == {"line"}
    assert set(locations) == {
        table.name
        for table in sqlglot.parse_one(ATHENA, read="athena").find_all(sqlglot.exp.Table)
        if table.name in ("articles", "backfill")
    }


def test_the_tables_of_the_template_pass_cfn_lint() -> None:
    template = load_template(ROOT / ".chalice" / "resources.yml")
    resources = {
        name: resource
        for name, resource in template["Resources"].items()
        if name == "ContentBucket" or resource.get("Type", "").startswith("AWS::Glue::")
    }
    assert len(resources) == 4
    reduced = {
        "Parameters": {"VolcUtmSources": template["Parameters"]["VolcUtmSources"]},
        "Conditions": {"SyncEnabled": template["Conditions"]["SyncEnabled"]},
        "Resources": resources,
    }

    found = cfnlint.lint_all(json.dumps(reduced))

    assert [str(match) for match in found if match.rule.severity != "informational"] == []
