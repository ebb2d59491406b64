"""`make demo` tells the truth: it ends with 0 only if everything it showed is true."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import requests

from local.demo import MEDIA, Report, expect_articles, expect_work, sha256_of
from local.options import Options
from local.processes import free_port
from local.system import System
from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

WANTED = {
    "title": "标题",
    "description": "描述文字",
    "tags": ["城市漫步", "记录美好生活"],
    "claim_type": "内容由AI生成",
    "schedule_time": "2026-12-24 18:00",
}
COVER = {"sha256": sha256_of(MEDIA / "demo.png")}
WORK: dict[str, Any] = {
    "item_id": "7695258663905144926",
    "title": "标题",
    "description": "描述文字 #城市漫步 #记录美好生活 ",
    "topics": ["城市漫步", "记录美好生活"],
    "video": {"sha256": sha256_of(MEDIA / "demo.mp4")},
    "cover": {"slots": {"竖封面3:4": COVER, "横封面4:3": COVER}},
    "declaration": {"choice": "内容由AI生成"},
    "timing": 1798106400,
    "user": "7001",
    "visibility": "公开",
}


def judge(work: dict[str, Any]) -> Report:
    report = Report(work=work)
    expect_work(report, WANTED, user_uid="7001", item_id="7695258663905144926")
    return report


def test_a_work_that_arrived_as_asked_is_right() -> None:
    assert judge(WORK).ok


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("item_id",), "7695258663905144927"),
        (("title",), "标题2"),
        (("description",), "描述 #城市漫步 #记录美好生活"),
        (("topics",), ["城市漫步"]),
        (("video", "sha256"), "0" * 64),
        (("cover", "slots"), {"竖封面3:4": COVER}),
        (("cover", "slots"), {"竖封面3:4": COVER, "横封面4:3": {"sha256": "0" * 64}}),
        (("declaration", "choice"), "无需添加自主声明"),
        (("timing",), -1),
        (("timing",), 1798106460),
        (("user",), "7002"),
        (("visibility",), "仅自己可见"),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else None,
)
def test_any_field_that_arrived_wrongly_is_found(path: tuple[str, ...], value: Any) -> None:
    work = copy.deepcopy(WORK)
    holder = work
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value

    report = judge(work)

    assert not report.ok
    assert len([check for check in report.checks if not check.ok]) == 1


@pytest.mark.parametrize(
    ("found", "right"), [(["1", "2"], True), (["1"], False), (["1", "2", "2"], False), (["1", "2", "3"], True)]
)
def test_a_missing_or_doubled_article_is_found(found: list[str], right: bool) -> None:
    report = Report()

    expect_articles(report, {"1", "2"}, found)

    assert report.ok is right


def test_a_demo_that_checked_nothing_or_stopped_early_is_not_right() -> None:
    assert not Report().ok
    report = judge(WORK)
    report.failure = "nothing came of it"
    assert not report.ok


def run_demo(data: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local", "--demo-only", "--port", str(free_port()), "--data", data],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.mark.system
def test_the_demo_ends_with_0_and_writes_down_what_it_checked(tmp_path: Path) -> None:
    done = run_demo(tmp_path)

    assert done.returncode == 0, done.stdout
    record = json.loads((tmp_path / "demo.json").read_text("utf-8"))
    assert record["ok"] is True
    assert all(check["ok"] for check in record["checks"])
    assert record["task"]["status"] == "success"
    assert record["sync"]["articles"] > 0


@pytest.mark.system
def test_the_demo_ends_with_1_where_the_platform_refuses_the_work(tmp_path: Path) -> None:
    with System(Options(port=free_port(), data=tmp_path)) as system:
        requests.post(
            f"{system.douyin_origin}/admin/scenario", json={"publish": "rejected"}, timeout=10
        ).raise_for_status()

    done = run_demo(tmp_path)

    assert done.returncode == 1
    assert "the task failed" in done.stdout
    assert json.loads((tmp_path / "demo.json").read_text("utf-8"))["ok"] is False
