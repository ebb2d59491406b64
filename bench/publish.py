"""What a publish costs beside the platform: `python -m bench.publish [--size 5MB] [--runs 5] [--cold]`.

It is the shipped job, from the queue's message to the outcome: `container.handler.publish` with the emulated
AWS (vault, task, intent, evidence), a video and a cover that a server on this machine serves, and a form with
every field. The stand-in's delays are fixed: so much for the whole upload, so much for the answer to the
publish, next to none for rendering. What is left of the wall time is ours and the emulator's. CPU and memory
(PSS) are those of this process and of its browser. PSS shares out what other browsers on the machine have
loaded too: measure on a quiet one.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import requests
from rich import box
from rich.console import Console
from rich.table import Table

from app import app
from chalicelib import aws
from chalicelib.accounts.store import Profile
from chalicelib.clock import from_rfc3339, to_rfc3339
from chalicelib.evidence import FORM_STEP
from chalicelib.publishing.states import State
from chalicelib.publishing.task import Submission, Task
from container import handler
from container.worker import worker
from local.chromium import find_chromium
from local.emulator import client_environment, running_emulator
from local.processes import LOOPBACK, ChildProcess, clean_environment, free_port
from local.stack import deploy
from local.template import functions, load_template

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
MEDIA = ROOT / "local" / "standins" / "douyin" / "media"
PART = 5 * 1024 * 1024
UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}

# What the leading peer sleeps in the same path, whatever the platform does (facts of 2026-08).
PEER_SLEEPS = 27.25

# In the order in which they begin; `fill` and `submit` hold others.
_STEPS = (
    *("fetch_video", "fetch_cover", "open_session", "open_upload", "start_upload", "wait_form", "fill"),
    *("title", "description", "cover", "declaration", "settings", "wait_uploaded", "read_back", FORM_STEP),
    "submit",
)


@dataclass(frozen=True)
class Run:
    """Seconds. `steps` has when each began, after the message was taken, and how long it lasted."""

    wall: float
    platform: float
    cpu: float
    peak_mib: float
    steps: dict[str, tuple[float, float]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.publish", description=__doc__)
    parser.add_argument("--size", default="5MB", help="of the generated video: 5MB, 1GB")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="launch the browser anew in each run")
    parser.add_argument("--form", choices=["late", "early"], default="late", help="when the site shows it")
    parser.add_argument("--pace", type=int, default=1, metavar="MS", help="what each rendered thing takes")
    parser.add_argument("--upload-delay", type=int, default=1000, metavar="MS", help="of the whole upload")
    parser.add_argument("--answer-delay", type=int, default=500, metavar="MS", help="of the publish's answer")
    parser.add_argument("--json", action="store_true", help="print the numbers only")
    given = parser.parse_args()
    size = _bytes(given.size)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        site = stack.enter_context(_standin(folder))
        media = stack.enter_context(_media_server(folder / "media", size))
        endpoint = stack.enter_context(running_emulator(folder / "aws"))
        os.environ.update(_environment(endpoint, site, media))
        parts = -(-size // PART)
        part_delay = given.upload_delay // parts
        switches = {"pace": given.pace, "form": given.form, "publish": f"slow:{given.answer_delay}"}
        switches["upload"] = f"slow:{part_delay}"
        _post(site, "/admin/scenario", switches)
        bench = _Bench(site, media, parts * part_delay / 1000, given.answer_delay / 1000)
        # The first run warms the caches of the disk and of Python, and is not counted.
        runs = [bench.run(cold=given.cold) for _ in range(given.runs + 1)][1:]
        worker().browser.kill()
    (_print_json if given.json else _print)(runs, given)
    return 0


@dataclass(frozen=True)
class _Bench:
    site: str
    media: str
    upload_delay: float
    answer_delay: float

    def run(self, *, cold: bool) -> Run:
        account = f"bench-{uuid.uuid4().hex[:8]}"
        worker().vault.seal(account, 1, _log_in(self.site))
        worker().accounts.log_in(account, Profile(account, account, None), session_version=1)
        task = self._task(account)
        worker().tasks().create(task)
        record = _through_queue({"task_id": task.id})
        if cold:
            worker().browser.kill()
        end = time.monotonic() + 900
        context: Any = SimpleNamespace(
            aws_request_id="bench",
            memory_limit_in_mb=2048,
            get_remaining_time_in_millis=lambda: round((end - time.monotonic()) * 1000),
        )
        with _Meter() as meter:
            taken, began = datetime.now(UTC), time.monotonic()
            handler.publish({"Records": [record]}, context)
            wall = time.monotonic() - began
        # As Lambda does: else a later run gets it again, once it is visible.
        queue = worker().settings.publish_queue_url
        aws.sqs().delete_message(QueueUrl=queue, ReceiptHandle=record["receiptHandle"])
        done = worker().tasks().get(task.id)
        if done.state is not State.PUBLISHED:
            raise SystemExit(f"The publish ended as {done.state}: {done.error}")
        steps = {
            entry["name"]: (
                (from_rfc3339(entry["started_at"]) - taken).total_seconds(),
                entry["duration_ms"] / 1000,
            )
            for entry in done.timeline
        }
        return Run(wall, self._platform(steps), meter.cpu, meter.peak_mib, steps)

    def _platform(self, steps: dict[str, tuple[float, float]]) -> float:
        """Of the fixed delays, what the job had to wait for: an upload that runs while the form is filled is
        waited for only as long as it outlasts that.
        """
        waited = steps["wait_form"][1] + steps["wait_uploaded"][1]
        return min(self.upload_delay, waited) + self.answer_delay

    def _task(self, account: str) -> Task:
        when = datetime.now(UTC) + timedelta(days=2)
        submission = Submission(
            video_url=f"{self.media}/video.mp4",
            title=account,
            account_name=account,
            description="每一个字段都要填写",
            tags=["城市漫步", "记录美好生活"],
            cover_path=f"{self.media}/cover.png",
            claim_type="内容由AI生成",
            visibility="friends",
            allow_save=False,
        )
        now = to_rfc3339(datetime.now(UTC))
        return Task(
            str(uuid.uuid4()),
            State.QUEUED,
            submission,
            created_at=now,
            updated_at=now,
            publish_at=to_rfc3339(when),
            platform_schedule=True,
        )


def _through_queue(body: dict[str, str]) -> dict[str, str]:
    """The body as the record that Lambda would hand over."""
    queue = worker().settings.publish_queue_url
    aws.sqs().send_message(
        QueueUrl=queue,
        MessageBody=json.dumps(body),
        MessageGroupId=body["task_id"],
        MessageDeduplicationId=body["task_id"],
    )
    (message,) = aws.sqs().receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    return {"body": message["Body"], "receiptHandle": message["ReceiptHandle"]}


def _environment(endpoint: str, site: str, media: str) -> dict[str, str]:
    template = load_template(ROOT / ".chalice" / "resources.yml")
    parameters = {"BrowserImageUri": "none", "VolcUtmSources": "bench"}
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    outputs = deploy(endpoint, "publisher", template, parameters)
    environment = client_environment(endpoint)
    for function in functions(template, config, app, outputs=outputs, parameters=parameters):
        environment |= function.environment
    return environment | {
        "DOUYIN_ORIGIN": site,
        "MEDIA_ALLOW_LOOPBACK": media.removeprefix("http://"),
        "CHROMIUM_PATH": find_chromium() or "",
    }


@contextlib.contextmanager
def _media_server(folder: Path, size: int) -> Iterator[str]:
    folder.mkdir()
    _video(folder / "video.mp4", size)
    (folder / "cover.png").write_bytes((MEDIA / "demo.png").read_bytes())
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", LOOPBACK, "--directory", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
        try:
            yield f"http://{LOOPBACK}:{port}"
        finally:
            server.kill()


class _Meter:
    """CPU seconds and peak PSS of this process and of its browser, while it is entered."""

    def __enter__(self) -> _Meter:
        self.cpu = self.peak_mib = 0.0
        self._used: dict[int, float] = {}
        self._over = threading.Event()
        self._before = self._look()
        self._sampler = threading.Thread(target=self._sample)
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._sampler.join()
        self._look()
        self.cpu = sum(self._used.values()) - self._before

    def _sample(self) -> None:
        while not self._over.wait(0.2):
            self._look()

    def _look(self) -> float:
        pss = 0
        for pid in _tree(os.getpid()):
            with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):  # It has just ended.
                self._used[pid] = _cpu(pid)
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                pss += int(next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")))
        self.peak_mib = max(self.peak_mib, pss / 1024)
        return sum(self._used.values())


def _tree(root: int) -> list[int]:
    """The process, and what descends from it by way of Playwright: not the servers that it plays against."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [root], [pid for pid in children.get(root, []) if _is_driver(pid)]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def _is_driver(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"playwright" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _standin(folder: Path) -> Iterator[str]:
    process = ChildProcess(
        "douyin",
        [
            *(sys.executable, "-m", "local.standins.douyin", "--port", "0"),
            *("--data", str(folder / "data"), "--exit-on-stdin-eof"),
        ],
        env=clean_environment(folder / "tmp"),
        log_path=folder / "douyin.log",
    )
    yield process.start()
    process.stop()


def _log_in(site: str) -> dict[str, Any]:
    with requests.Session() as session:
        session.trust_env = False
        token = session.get(f"{site}/passport/web/get_qrcode/", timeout=10).json()["data"]["token"]
        user = session.get(f"{site}/phone/api/users", timeout=10).json()[0]["uid"]
        session.post(f"{site}/phone/api/scan", json={"token": token}, timeout=10)
        session.post(f"{site}/phone/api/confirm", json={"token": token, "user": user}, timeout=10)
        session.get(f"{site}/passport/web/check_qrconnect/?token={token}", timeout=10)
        return {
            "cookies": [
                {"name": cookie.name, "value": cookie.value, "domain": "127.0.0.1", "path": "/"}
                for cookie in session.cookies
            ],
            "origins": [],
        }


def _post(site: str, path: str, body: dict[str, Any]) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.post(site + path, json=body, timeout=10).raise_for_status()


def _video(path: Path, size: int) -> Path:
    """The demo's video and, after it, as many bytes as no player looks at."""
    demo = (MEDIA / "demo.mp4").read_bytes()
    block = bytes(range(256)) * 4096
    with path.open("wb") as file:
        file.write(demo)
        file.write(struct.pack(">I4sQ", 1, b"free", size - len(demo)))
        for _ in itertools.repeat(None, (size - file.tell()) // len(block)):
            file.write(block)
        file.write(bytes(size - file.tell()))
    return path


def _bytes(text: str) -> int:
    number, unit = text[:-2], text[-2:].upper()
    if unit not in UNITS or not number.isdecimal():
        raise SystemExit(f"--size {text}: a number and one of {', '.join(UNITS)}")
    return int(number) * UNITS[unit]


def _print(runs: list[Run], given: argparse.Namespace) -> None:
    console = Console(highlight=False)
    console.print(
        f"{given.size}, {'cold' if given.cold else 'warm'} browser, {given.form} form, {len(runs)} runs, "
        f"pace {given.pace} ms, upload {given.upload_delay} ms, answer {given.answer_delay} ms, "
        f"{os.cpu_count()} cores"
    )
    table = Table("step", "begins at s", "takes s", "min", "max", box=box.SIMPLE)
    for step in _STEPS:
        seen = [run.steps[step] for run in runs if step in run.steps]
        if seen:
            begins = statistics.median(begin for begin, _ in seen)
            times = [lasts for _, lasts in seen]
            table.add_row(
                *(step, f"{begins:.2f}", f"{statistics.median(times):.2f}"),
                *(f"{min(times):.2f}", f"{max(times):.2f}"),
            )
    console.print(table)
    overheads = [run.wall - run.platform for run in runs]
    for name, values, unit in (
        ("wall", [run.wall for run in runs], "s"),
        ("platform", [run.platform for run in runs], "s"),
        ("overhead (wall − platform)", overheads, "s"),
        ("CPU", [run.cpu for run in runs], "s"),
        ("peak PSS of the tree", [run.peak_mib for run in runs], "MiB"),
    ):
        middle = statistics.median(values)
        console.print(f"{name:<28}{middle:8.2f} {unit:<4}({min(values):.2f} to {max(values):.2f})")
    overhead, wall = statistics.median(overheads), statistics.median(run.wall for run in runs)
    console.print(f"{'overhead ÷ wall':<28}{overhead / wall:8.2f}")
    console.print(f"{'overhead ÷ a peer’s sleeps':<28}{overhead / PEER_SLEEPS:8.2f}     ({PEER_SLEEPS} s)")


def _print_json(runs: list[Run], given: argparse.Namespace) -> None:
    print(json.dumps({"options": vars(given), "runs": [vars(run) for run in runs]}))


if __name__ == "__main__":
    sys.exit(main())
