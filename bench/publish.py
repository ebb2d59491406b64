"""What a publish costs beside the platform: `python -m bench.publish [--size 5MB] [--runs 5] [--cold]`.

The driver publishes a generated video with every field on the stand-in, whose delays are fixed: a given time
for each part of the upload and for the answer to the publish, next to none for rendering. What is left of the
wall time is ours. CPU and memory (PSS) are those of this process and of all that descend from it, without the
stand-in. PSS shares out what other browsers on the machine have loaded too: measure on a quiet one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import statistics
import struct
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from rich import box
from rich.console import Console
from rich.table import Table

from container.browser import Browser, open_page, platform_hosts
from container.douyin.publish import Publication, Work
from container.evidence import Timeline
from local.chromium import find_chromium
from local.processes import ChildProcess, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

MEDIA = Path(__file__).resolve().parent.parent / "local" / "standins" / "douyin" / "media"
PART = 5 * 1024 * 1024
UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}

# What the leading peer sleeps in the same path, whatever the platform does (facts of 2026-08).
PEER_SLEEPS = 27.25

_STEPS = (
    *("open_session", "open_upload", "start_upload", "wait_form"),
    *("title", "description", "cover", "declaration", "settings", "wait_uploaded", "read_back", "submit"),
)


@dataclass(frozen=True)
class Run:
    wall: float
    cpu: float
    peak_mib: float
    steps: dict[str, float]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.publish", description=__doc__)
    parser.add_argument("--size", default="5MB", help="of the generated video: 5MB, 1GB")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="launch the browser anew in each run")
    parser.add_argument("--form", choices=["late", "early"], default="late", help="when the site shows it")
    parser.add_argument("--pace", type=int, default=1, metavar="MS", help="what each rendered thing takes")
    parser.add_argument(
        "--part-delay",
        type=int,
        default=1000,
        metavar="MS",
        help="of each 5 MiB uploaded; 0: as fast as it goes",
    )
    parser.add_argument("--answer-delay", type=int, default=500, metavar="MS", help="of the publish's answer")
    parser.add_argument("--json", action="store_true", help="print the numbers only")
    given = parser.parse_args()
    size = _bytes(given.size)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _standin(Path(folder)) as site:
        video = _video(Path(folder) / "video.mp4", size)
        switches = {"pace": given.pace, "form": given.form, "publish": f"slow:{given.answer_delay}"}
        switches["upload"] = f"slow:{given.part_delay}" if given.part_delay else "ok"
        runs = asyncio.run(_runs(site, video, switches, given.runs, cold=given.cold))
    platform = [given.answer_delay / 1000 + _transfer(run, size, given) for run in runs]
    (_print_json if given.json else _print)(runs, platform, given)
    return 0


def _transfer(run: Run, size: int, given: argparse.Namespace) -> float:
    """Seconds of the upload that are the platform's: its delays, or all of it where there are none."""
    if given.form == "early":
        return 0.0  # Nobody waits for it: the form is filled meanwhile.
    if given.part_delay == 0:
        return run.steps["wait_form"]
    return float(-(-size // PART) * given.part_delay / 1000)


async def _runs(site: str, video: Path, switches: dict[str, Any], count: int, *, cold: bool) -> list[Run]:
    browser = Browser(find_chromium(), allowed_hosts=platform_hosts(site))
    session = _log_in(site)
    runs = []
    # The first one warms the caches of the disk and of Python, and is not counted.
    for number in range(count + 1):
        _post(site, "/admin/scenario", switches)
        if cold:
            await browser.close()
        else:
            await browser.start()
        run = await _run(site, browser, session, video, number)
        if number:
            runs.append(run)
    await browser.close()
    return runs


async def _run(site: str, browser: Browser, session: dict[str, Any], video: Path, number: int) -> Run:
    steps: dict[str, float] = {}

    async def keep(entry: dict[str, Any]) -> None:
        steps[entry["name"]] = entry["duration_ms"] / 1000

    end = time.monotonic() + 600
    work = Work(
        video=video,
        title=f"第 {number} 次",
        description="每一个字段都要填写",
        tags=("城市漫步", "记录美好生活"),
        cover=MEDIA / "demo.png",
        claim_type="内容由AI生成",
        publish_at=datetime.now(UTC) + timedelta(days=2),
        visibility="friends",
        allow_save=False,
    )

    async def intend() -> None:
        pass

    with _Meter() as meter:
        began = time.monotonic()
        timeline = Timeline(keep)
        async with contextlib.AsyncExitStack() as stack:
            async with timeline.step("open_session"):
                context = await stack.enter_async_context(browser.context(storage_state=session))
                page = await open_page(context)
            publication = Publication(page, site, timeline, lambda: end - time.monotonic())
            await publication.open_upload()
            await publication.start_upload(work.video)
            await publication.wait_form()
            await publication.fill(work)
            await publication.wait_uploaded()
            await publication.read_back(work)
            await publication.submit(intend)
            wall = time.monotonic() - began
    return Run(wall, meter.cpu, meter.peak_mib, steps)


class _Meter:
    """CPU seconds and peak PSS of this process and its descendants, while it is entered."""

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
        pids = list(_tree(os.getpid()))
        pss = 0
        for pid in pids:
            with contextlib.suppress(OSError, ValueError):
                self._used[pid] = _cpu(pid)
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                pss += int(next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")))
        self.peak_mib = max(self.peak_mib, pss / 1024)
        return sum(self._used.values())


def _tree(root: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        if b"local.standins" in Path(f"/proc/{pid}/cmdline").read_bytes():
            continue
        yield pid
        waiting += children.get(pid, [])


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


def _print(runs: list[Run], platform: list[float], given: argparse.Namespace) -> None:
    console = Console(highlight=False)
    console.print(
        f"{given.size}, {'cold' if given.cold else 'warm'} browser, {given.form} form, {len(runs)} runs, "
        f"pace {given.pace} ms, {os.cpu_count()} cores"
    )
    overheads = [run.wall - theirs for run, theirs in zip(runs, platform, strict=True)]
    overhead = statistics.median(overheads)
    answer = given.answer_delay / 1000
    transfer = statistics.median(platform) - answer
    table = Table("step", "median s", "min", "max", "of the overhead", box=box.SIMPLE)
    for step in _STEPS:
        times = [run.steps.get(step, 0.0) for run in runs]
        middle = statistics.median(times)
        ours = middle - {"submit": answer, "wait_form": transfer}.get(step, 0.0)
        share = f"{ours / overhead:.0%}"
        table.add_row(step, f"{middle:.2f}", f"{min(times):.2f}", f"{max(times):.2f}", share)
    console.print(table)
    for name, values, unit in (
        ("wall", [run.wall for run in runs], "s"),
        ("platform", platform, "s"),
        ("overhead (wall − platform)", overheads, "s"),
        ("CPU", [run.cpu for run in runs], "s"),
        ("peak PSS of the tree", [run.peak_mib for run in runs], "MiB"),
    ):
        middle = statistics.median(values)
        console.print(f"{name:<28}{middle:8.2f} {unit:<4}({min(values):.2f} to {max(values):.2f})")
    wall = statistics.median(run.wall for run in runs)
    console.print(f"{'overhead ÷ wall':<28}{overhead / wall:8.2f}")
    console.print(f"{'overhead ÷ a peer’s sleeps':<28}{overhead / PEER_SLEEPS:8.2f}     ({PEER_SLEEPS} s)")


def _print_json(runs: list[Run], platform: list[float], given: argparse.Namespace) -> None:
    print(json.dumps({"platform": platform, "options": vars(given), "runs": [vars(run) for run in runs]}))


if __name__ == "__main__":
    sys.exit(main())
