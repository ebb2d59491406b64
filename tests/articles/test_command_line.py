"""`python -m chalicelib.articles`, over the emulated AWS and the stand-in."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.articles import __main__ as command_line
from chalicelib.articles.__main__ import Tools
from local.emulator import client_environment
from local.processes import clean_environment
from tests.articles.support import ACCESS_KEY, CHANNEL, SECRET_KEY, Lake, Upstream

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from chalicelib.articles.index import ArticleIndex
    from tests.conftest import Cloud

pytestmark = pytest.mark.system


@pytest.fixture
def lake(s3: S3Client, bucket: str, upstream: Upstream, index: ArticleIndex) -> Lake:
    """95 articles in four objects, indexed."""
    lake = Lake(s3, bucket, upstream, index=index)
    lake.run(rows_per_object=30)
    return lake


@pytest.fixture
def tools(lake: Lake, index: ArticleIndex) -> Tools:
    return Tools(
        s3=lake.s3,
        bucket=lake.bucket,
        prefix="",
        index=lambda: index,
        service=lake.upstream.client,
        out=io.StringIO(),
        clock=lambda: lake.upstream.clock.now() + timedelta(days=1),
    )


def call(tools: Tools, *arguments: str) -> tuple[int, str]:
    given = command_line.parse([*arguments, "--channel", CHANNEL])
    out = io.StringIO()
    code = command_line.run(given, replace(tools, out=out))
    return code, out.getvalue()


def call_json(tools: Tools, *arguments: str) -> Any:
    return json.loads(call(tools, *arguments, "--json")[1])


def test_list_shows_the_newest_published_first_and_goes_on(tools: Tools, upstream: Upstream) -> None:
    shown = []
    after: list[str] = []
    while True:
        page = call_json(tools, "list", "--limit", "40", *after)
        shown += page["articles"]
        if page["after"] is None:
            break
        after = ["--after", page["after"]]

    assert {entry["group_id"] for entry in shown} == set(upstream.scannable())
    times = [entry["published_at"] for entry in shown]
    assert times == sorted(times, reverse=True)
    text = call(tools, "list", "--limit", "2")[1].splitlines()
    assert text[0].startswith(shown[0]["group_id"])
    assert shown[0]["title"] in text[0]
    assert text[2].startswith("more: --after '")
    kinds = {entry["type"] for entry in call_json(tools, "list", "--type", "short_video")["articles"]}
    assert kinds == {"short_video"}


def test_show_has_the_newest_state_and_the_history(tools: Tools, lake: Lake, upstream: Upstream) -> None:
    group_id = upstream.scannable()[40]
    upstream.admin("POST", f"articles/{group_id}/change")
    upstream.clock.sleep(60)
    lake.run(name="spring")

    shown = call_json(tools, "show", group_id)
    assert shown["article"]["GroupId"] == group_id
    assert shown["article"]["Title"].endswith("(更新1)")
    assert [row["op"] for row in shown["history"]] == ["upsert", "upsert"]
    assert shown["history"][1]["content_sha256"] == shown["entry"]["content_sha256"]
    assert shown["entry"]["object"].startswith("backfill/")
    code, text = call(tools, "show", group_id)
    assert code == 0
    assert "upsert" in text.splitlines()[0]
    assert shown["article"]["Title"] in text


def test_show_of_an_unknown_id_says_so(tools: Tools, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tools, "show", "42")[0] == 1
    assert "no article 42" in capsys.readouterr().err


def test_cat_has_every_row_or_the_newest_of_each_article(tools: Tools, lake: Lake, upstream: Upstream) -> None:
    upstream.clock.sleep(60)
    lake.run(name="spring")
    rows = [json.loads(line) for line in call(tools, "cat")[1].splitlines()]
    latest = [json.loads(line) for line in call(tools, "cat", "--latest")[1].splitlines()]
    later = [json.loads(line) for line in call(tools, "cat", "--since", "2026-11-21T03:21")[1].splitlines()]

    assert [row["group_id"] for row in rows] == upstream.scannable() * 2
    assert [row["group_id"] for row in latest] == upstream.scannable()
    assert latest == later == rows[95:]


def test_verify_tells_a_whole_lake_from_a_broken_one(tools: Tools, lake: Lake, upstream: Upstream) -> None:
    code, text = call(tools, "verify", "--all")
    assert code == 0
    assert text.startswith(f"{CHANNEL}: 95 rows in 4 objects, 95 articles, 95 in the index, 95 asked of ")
    assert text.endswith(": no differences\n")
    assert call_json(tools, "verify", "--sample", "7")["asked"] == 7

    group_id = upstream.scannable()[0]
    upstream.admin("POST", f"articles/{group_id}/takedown")
    lake.s3.delete_object(Bucket=lake.bucket, Key=lake.keys("articles/")[-1])
    code, text = call(tools, "verify", "--all")
    assert code == 1
    lines = text.splitlines()
    assert any(line.split()[:1] == ["log"] and "missing at the end: number 4" in line for line in lines)
    assert any(group_id in line and "500009" in line for line in lines)
    report = call_json(tools, "verify", "--all")
    assert len(report["differences"]) == len(lines) - 1


def test_a_lost_index_is_rebuilt(tools: Tools, lake: Lake, index: ArticleIndex) -> None:
    lost = sorted(entry.group_id for entry in index.entries(CHANNEL))
    for group_id in lost:
        index._table.delete((CHANNEL, group_id))
    assert call(tools, "verify", "--sample", "0")[0] == 1

    assert call(tools, "rebuild-index") == (0, "95 rows of 4 objects are in the index\n")

    assert call(tools, "verify", "--sample", "0")[0] == 0
    assert [entry.group_id for entry in index.entries(CHANNEL)] == lost


def test_compact_takes_the_days_that_are_over(tools: Tools, lake: Lake) -> None:
    assert call_json(tools, "compact", "--month", "2026-10") == []
    (done,) = call_json(tools, "compact", "--month", "2026-11")
    assert (done["rows"], len(done["originals"])) == (95, 4)
    assert lake.keys("articles/") == [done["key"]]
    assert call(tools, "compact") == (0, "0 objects became 0\n")
    assert call(tools, "verify", "--sample", "0")[0] == 0
    with pytest.raises(ValueError, match="is not over"):
        call(tools, "compact", "--day", "2026-11-22")


def test_it_takes_bucket_table_and_channel_from_the_functions_environment(
    cloud: Cloud, tmp_path: Path, s3: S3Client, upstream: Upstream
) -> None:
    environment = clean_environment(
        tmp_path,
        {
            **client_environment(cloud.endpoint),
            "CONTENT_BUCKET": cloud.variable("CONTENT_BUCKET"),
            "ARTICLES_TABLE": cloud.variable("ARTICLES_TABLE"),
            "VOLC_UTM_SOURCES": "nobody_default_content",
            "VOLC_ENDPOINT": upstream.url,
            "VOLC_ACCESS_KEY": ACCESS_KEY,
            "VOLC_SECRET_KEY": SECRET_KEY,
        },
    )
    command = [sys.executable, "-m", "chalicelib.articles"]

    def execute(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    done = execute("verify", "--sample", "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("nobody_default_content: 0 rows")
    del environment["VOLC_UTM_SOURCES"]
    failed = execute("list")
    assert failed.returncode == 2
    assert "--channel" in failed.stderr
