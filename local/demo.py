"""The main job, once, through the public API: log in, publish, sync. Then a look at what really arrived.

Everything that is shown is checked against the other side's own records: the stand-in's works for Douyin, its
articles for Volcengine, and the objects in the bucket.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from rich import box
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from chalicelib.articles.reader import iter_rows
from chalicelib.clock import SHANGHAI

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from local.system import System

ACCOUNT = "demo_user"
PHONE_USER = 0  # The first of the stand-in's users holds the phone.
MEDIA = Path(__file__).resolve().parent / "standins" / "douyin" / "media"

_LOGIN_SECONDS = 90
_PUBLISH_SECONDS = 240
_SYNC_SECONDS = 240
_POLL_SECONDS = 0.5


class DemoFailed(Exception):
    """A step of the main job did not come to its end."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    expected: Any
    actual: Any

    @property
    def ok(self) -> bool:
        return bool(self.expected == self.actual)


@dataclass(slots=True)
class Report:
    """What the demo did and found. `failure` is set where it could not be carried to its end."""

    task: dict[str, Any] = field(default_factory=dict)
    work: dict[str, Any] = field(default_factory=dict)
    sync: dict[str, Any] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    failure: str | None = None

    @property
    def ok(self) -> bool:
        return self.failure is None and bool(self.checks) and all(check.ok for check in self.checks)

    def expect(self, name: str, expected: Any, actual: Any) -> None:
        self.checks.append(Check(name, expected, actual))

    def to_dict(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "failure": self.failure,
            "checks": [
                {"name": check.name, "ok": check.ok, "expected": check.expected, "actual": check.actual}
                for check in self.checks
            ],
            "task": self.task,
            "work": self.work,
            "sync": self.sync,
        }


def run_demo(system: System, console: Console) -> Report:
    """Shows the main job. What is played by the real sites is left out: a demo must not publish for real."""
    report = Report()
    with requests.Session() as session:
        session.trust_env = False  # Loopback only: no proxy has a place in between.
        demo = _Demo(system, session, report, console)
        try:
            if system.options.douyin_origin is None:
                demo.log_in()
                demo.publish()
            if system.options.volcengine is None:
                demo.sync()
        except (DemoFailed, requests.RequestException) as error:
            report.failure = str(error)
    path = system.options.data / "demo.json"
    path.write_text(json.dumps(report.to_dict(), ensure_ascii=False, indent=2), "utf-8")
    return report


@dataclass(slots=True)
class _Demo:
    system: System
    session: requests.Session
    report: Report
    console: Console

    def log_in(self) -> None:
        with self._progress("Log an account in") as progress:
            progress.say("asking for a QR code")
            login = self._call("POST", "/api/v1/accounts/login", {"account_name": ACCOUNT})
            path = f"/api/v1/accounts/login/{login['login_id']}"
            while not login["qr_code_base64"]:
                login |= self._call("GET", path)
                self._fail_if(login.get("status") in ("failed", "expired"), login.get("msg"))
                time.sleep(_POLL_SECONDS)
            progress.say("scanning the code with the phone (the stand-in's)", 40)
            phone = self.system.douyin_origin + "/phone/api"
            token = self._post(f"{phone}/scan", {"qr_png_base64": login["qr_code_base64"]})["token"]
            user = self._user()
            self._wait(
                lambda: self._call("GET", path), lambda seen: seen["state"] != "qr_ready", _LOGIN_SECONDS
            )
            progress.say("confirming on the phone", 70)
            self._post(f"{phone}/confirm", {"token": token, "user": user["uid"]})
            done = self._wait(
                lambda: self._call("GET", path), lambda seen: seen["status"] != "pending", _LOGIN_SECONDS
            )
            self._fail_if(done["status"] != "success", done["msg"])
            progress.say(f"{user['nickname']} is logged in as {ACCOUNT}", 100)
        accounts = {account["id"]: account for account in self._call("GET", "/api/v1/accounts")["data"]}
        self.report.expect(
            "the account stands in the list with the phone's nickname",
            user["nickname"],
            accounts.get(ACCOUNT, {}).get("name"),
        )

    def publish(self) -> None:
        media = self.system.douyin_origin + "/media"
        at = (datetime.now(SHANGHAI) + timedelta(days=1)).replace(second=0, microsecond=0)
        wanted = {
            "video_url": f"{media}/demo.mp4",
            "title": f"从代码发布到抖音 {datetime.now(SHANGHAI):%m-%d %H:%M:%S}",
            "description": "这条作品由API提交：封面、话题、声明与定时一应俱全。",
            "tags": ["城市漫步", "记录美好生活"],
            "cover_path": f"{media}/demo.png",
            "claim_type": "内容由AI生成",
            "schedule_time": f"{at:%Y-%m-%d %H:%M}",
            "account_name": ACCOUNT,
            "manual_review": False,
        }
        known = {work["item_id"] for work in self._works()}
        with self._progress("Publish a video") as progress:
            task_id = self._call("POST", "/api/v1/publish", wanted)["id"]
            task = self._wait(
                lambda: self._call("GET", f"/api/v1/tasks/{task_id}"),
                lambda seen: seen["status"] in ("success", "failed"),
                _PUBLISH_SECONDS,
                progress.task,
            )
            self.report.task = task
            self._fail_if(task["status"] != "success", f"the task failed: {task['error_msg']}")
            progress.say(f"published as {task['result']['item_id']}", 100)
        new = [work for work in self._works() if work["item_id"] not in known]
        self.report.expect("Douyin received exactly one work", 1, len(new))
        if new:
            self.report.work = new[0]
            expect_work(self.report, wanted, user_uid=self._user()["uid"], item_id=task["result"]["item_id"])

    def sync(self) -> None:
        wanted = {article["group_id"] for article in self._upstream_articles() if article["scannable"]}
        with self._progress("Sync the licensed content") as progress:
            deadline = time.monotonic() + _SYNC_SECONDS
            caught_up = False
            while not caught_up:
                self._fail_if(time.monotonic() > deadline, "the sync did not catch up in time")
                run_id = self._call("POST", "/api/v1/sync/run")["run_id"]
                run = self._wait(partial(self._run, run_id), bool, _SYNC_SECONDS)
                self._fail_if(run["status"] == "failed" and run["error_code"] != "sync.conflict", run["error"])
                caught_up = run["caught_up"]
                progress.say(f"{run['pages']} pages, {run['rows']} articles", 100 if caught_up else 50)
        channel = self._call("GET", "/api/v1/sync")["data"][0]
        bucket = self.system.content_bucket
        rows = list(iter_rows(self.system.client("s3"), bucket, channel["channel"]))
        expect_articles(self.report, wanted, [row.group_id for row in rows])
        kinds = Counter(row.article["ArticleType"] for row in rows if row.article)
        self.report.sync = {
            "channel": channel["channel"],
            "articles": len(rows),
            "by_type": dict(kinds),
            "bucket": bucket,
            "last_object": channel["state"]["last_key"],
            "objects": channel["state"]["objects"],
            "runs": channel["runs"][:3],
        }

    # The other side, and the API

    def _works(self) -> list[dict[str, Any]]:
        works: list[dict[str, Any]] = self._get(f"{self.system.douyin_origin}/admin/works")
        return works

    def _user(self) -> dict[str, Any]:
        user: dict[str, Any] = self._get(f"{self.system.douyin_origin}/phone/api/users")[PHONE_USER]
        return user

    def _upstream_articles(self) -> list[dict[str, Any]]:
        articles: list[dict[str, Any]] = self._get(f"{self.system.volcengine.endpoint}/admin/articles")[
            "articles"
        ]
        return articles

    def _run(self, run_id: str) -> dict[str, Any] | None:
        """The run's record once it has ended."""
        for run in self._call("GET", "/api/v1/sync")["data"][0]["runs"]:
            if run["run_id"] == run_id and run["status"] != "running":
                record: dict[str, Any] = run
                return record
        return None

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.session.request(method, self.system.origin + path, json=body, timeout=60)
        content: dict[str, Any] = answer.json()
        self._fail_if(not answer.ok, f"{method} {path}: {content.get('detail')}")
        return content

    def _get(self, url: str) -> Any:
        answer = self.session.get(url, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def _post(self, url: str, body: Any) -> Any:
        answer = self.session.post(url, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def _wait(
        self,
        look: Callable[[], Any],
        done: Callable[[Any], bool],
        seconds: float,
        show: Callable[[Any], None] = lambda _: None,
    ) -> Any:
        deadline = time.monotonic() + seconds
        while not done(seen := look()):
            self.system.check()
            self._fail_if(time.monotonic() > deadline, f"nothing came of it within {seconds:g} s: {seen}")
            show(seen)
            time.sleep(_POLL_SECONDS)
        return seen

    @staticmethod
    def _fail_if(condition: bool, text: Any) -> None:
        if condition:
            raise DemoFailed(str(text))

    def _progress(self, title: str) -> _Bar:
        return _Bar(title, self.console)


class _Bar:
    """One step of the demo as a progress bar."""

    def __init__(self, title: str, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("[bold]{task.fields[title]:<26}"),
            BarColumn(bar_width=28),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
        )
        self._id = self._progress.add_task("", total=100, title=title)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str, percent: float | None = None) -> None:
        self._progress.update(self._id, description=text)
        if percent is not None:
            self._progress.update(self._id, completed=percent)

    def task(self, seen: dict[str, Any]) -> None:
        """Shows where a task stands: by the steps that it has behind it, and the upload's own percentage."""
        steps = len(seen["timeline"])
        text = seen["state"]
        if seen["progress"]:
            text += f", {seen['progress']['step']} {seen['progress']['percent']} %"
        elif steps:
            text += f", after {seen['timeline'][-1]['name']}"
        self.say(text, min(95, 5 * steps))


def show_report(report: Report, console: Console) -> None:
    """The short summary: the timeline, the work as received, the articles, and whether all of it is true."""
    if report.task:
        _show_timeline(report.task["timeline"], console)
    if report.work:
        _show_work(report.work, console)
    if report.sync:
        _show_articles(report.sync, console)
    for check in report.checks:
        if check.ok:
            console.print(f"[green]✓[/] {check.name}")
        else:
            console.print(f"[red]✗ {check.name}: expected {check.expected!r}, found {check.actual!r}")
    if report.failure:
        console.print(f"[red]✗ {report.failure}")


def _show_timeline(timeline: list[dict[str, Any]], console: Console) -> None:
    table = _table("The task's timeline", "step", "began", "took")
    for entry in sorted(timeline, key=lambda entry: (entry["started_at"], -entry["duration_ms"])):
        began = datetime.fromisoformat(entry["started_at"]).astimezone(SHANGHAI)
        mark = "" if entry["outcome"] == "ok" else " [red]failed"
        table.add_row(entry["name"] + mark, f"{began:%H:%M:%S}", f"{entry['duration_ms'] / 1000:.2f} s")
    console.print(table, "")


def _show_work(work: dict[str, Any], console: Console) -> None:
    video, cover = work["video"], work["cover"]
    at = datetime.fromtimestamp(work["timing"], SHANGHAI) if work["timing"] > 0 else None
    table = _table("The work, as Douyin's stand-in received it", "field", "value")
    rows = {
        "item_id": work["item_id"],
        "title": work["title"],
        "description": work["description"],
        "topics": " ".join(f"#{topic}" for topic in work["topics"]),
        "video": f"{video['size']:,} bytes, {video['duration_ms'] / 1000:g} s",
        "cover": f"{cover['width']} x {cover['height']} in {' and '.join(cover['slots'])}",
        "declaration": work["declaration"]["choice"],
        "published": f"{at:%Y-%m-%d %H:%M} (Douyin's own schedule)" if at else "at once",
        "visible to": work["visibility"],
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table, "")


def _show_articles(sync: dict[str, Any], console: Console) -> None:
    table = _table("The articles in S3", "", "")
    table.show_header = False
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(sync["by_type"].items()))
    table.add_row("channel", sync["channel"])
    table.add_row("articles", f"{sync['articles']} ({kinds})")
    table.add_row("objects", f"{sync['objects']}, the last one:")
    table.add_row("", f"s3://{sync['bucket']}/{sync['last_object']}")
    console.print(table, "")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def expect_work(report: Report, wanted: dict[str, Any], *, user_uid: str, item_id: str) -> None:
    """Compares each field of the request with the work that arrived (`report.work`)."""
    work, expect = report.work, report.expect
    at = datetime.strptime(wanted["schedule_time"], "%Y-%m-%d %H:%M").replace(tzinfo=SHANGHAI)
    cover = sha256_of(MEDIA / "demo.png")
    topics = "".join(f"#{tag}" for tag in wanted["tags"])
    expect("the task names the work", work["item_id"], item_id)
    expect("video_url: the very bytes of the video", sha256_of(MEDIA / "demo.mp4"), work["video"]["sha256"])
    expect("title", wanted["title"], work["title"])
    expect("description", wanted["description"] + topics, "".join(work["description"].split(" ")))
    expect("tags: real topics", wanted["tags"], work["topics"])
    expect(
        "cover_path: the very bytes of the cover, in both slots",
        {"竖封面3:4": cover, "横封面4:3": cover},
        {slot: picture["sha256"] for slot, picture in work["cover"]["slots"].items()},
    )
    expect("claim_type: the declaration", wanted["claim_type"], work["declaration"]["choice"])
    expect("schedule_time: Douyin's own schedule", int(at.timestamp()), work["timing"])
    expect("account_name: the account of the phone", user_uid, work["user"])
    expect("everyone may see it", "公开", work["visibility"])


def expect_articles(report: Report, wanted: set[str], found: list[str]) -> None:
    """Compares the ids of the channel's articles with those of the rows in S3."""
    doubled = sorted(group_id for group_id, count in Counter(found).items() if count > 1)
    report.expect("no article is missing in S3", [], sorted(wanted - set(found)))
    report.expect("no article is doubled in S3", [], doubled)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
