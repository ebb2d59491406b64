"""What a scan costs: `python -m bench.sync [--articles 100000] [--pages 150] [--runs 3]`.

It is the shipped scan over real sockets: the strict stand-in in a process of its own, which answers each
request so many milliseconds after it came, and S3 of the emulated AWS in another.

Three questions. How near does the scan come to its bound? The cursor is sequential, so no client gets more than
1 ÷ round-trip pages a second; beside the scan stands a loop that only fetches. The flow limit of 10 a second is
off on both sides there, and on in the last line, which must not pass it. Of several runs the best counts: what
else the machine does only ever takes away. What does a page cost in CPU (user and system, of this process)? And
does memory stay flat, with few writes, over many articles?

The index is left out unless `--index` puts it in: the emulator's DynamoDB is slower than AWS's, and shares the
machine's cores. `--pages 0` leaves out the first two questions. The exit code is 1 where the answer to the
third is no: more than a write for 300 articles, an article that is not in the index, or memory that still grows
by a tenth between the second tenth of the articles and the last.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import sys
import tempfile
import time
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from rich import box
from rich.console import Console
from rich.table import Table

from app import app
from chalicelib.articles.client import MAX_RESULTS, SCAN_PER_SECOND, ContentClient
from chalicelib.articles.credentials import Credentials
from chalicelib.articles.index import ArticleIndex
from chalicelib.articles.scan import run_scan
from local.emulator import make_client, running_emulator
from local.processes import ChildProcess, clean_environment
from local.stack import deploy
from local.standins.serving import parser as standin_parser
from local.standins.serving import serve
from local.standins.volcengine.app import build_app
from local.standins.volcengine.catalogue import Catalogue
from local.standins.volcengine.signature import Account
from local.template import functions, load_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from chalicelib.articles.changelog import Row
    from chalicelib.articles.client import Page
    from chalicelib.articles.sink import RowSink

ROOT = Path(__file__).resolve().parent.parent
CHANNEL = "bench_default_content"
ACCESS_KEY, SECRET_KEY = "AKLTbench", "c2VjcmV0"
ROUND_TRIPS = (20, 50, 200)
STEPS = 10
"""Points of the memory's curve."""


@dataclass(frozen=True)
class Speed:
    """Pages a second, and milliseconds of CPU a page.

    `peak` is the most requests in any one second, `refused` how many were answered with an error.
    """

    round_trip_ms: int
    limited: bool
    bound: float
    fetching: float
    fetching_cpu_ms: float
    scanning: float
    scanning_cpu_ms: float
    peak: int
    refused: int


@dataclass(frozen=True)
class Bulk:
    """`rss_mib` after each tenth of the articles, the start first. `indexed` are those in the index; None where
    it
    was left out.
    """

    articles: int
    pages: int
    objects: int
    puts: int
    seconds: float
    cpu_ms_a_page: float
    rss_mib: list[float]
    indexed: int | None

    @property
    def holds(self) -> bool:
        return (
            self.puts <= self.articles / 300
            and self.indexed in (None, self.articles)
            and max(self.rss_mib[2:]) <= 1.1 * self.rss_mib[2]
        )


class Counted:
    """A boto3 client of S3 that counts what it writes."""

    def __init__(self, s3: Any) -> None:
        self.puts = 0
        self._s3 = s3

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **arguments: Any) -> Any:
        self.puts += 1
        return self._s3.put_object(**arguments)


class Watched:
    """A page source that calls `watch` with the articles so far after every page."""

    def __init__(self, client: ContentClient, watch: Callable[[int], None]) -> None:
        self.retries = 0
        self.pages = 0
        self._client = client
        self._watch = watch
        self._articles = 0

    def scan(
        self,
        utm_source: str,
        next_token: str,
        max_results: int = MAX_RESULTS,
        *,
        deadline: Callable[[], float] | None = None,
    ) -> Page:
        page = self._client.scan(utm_source, next_token, max_results, deadline=deadline)
        self.pages += 1
        self._articles += len(page.articles)
        self._watch(self._articles)
        return page


class NoIndex:
    def put_rows(self, channel: str, key: str, rows: Iterable[Row], **_: object) -> None:
        pass


def main() -> int:
    given = _parse()
    if given.serve:
        _serve()
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        bench = _Bench(
            folder,
            stack.enter_context(running_emulator(folder / "aws", keep_nothing=True)),
            runs=given.runs,
            indexed=given.index,
        )
        speeds = []
        if given.pages:
            speeds = [bench.speed(round_trip, given.pages) for round_trip in ROUND_TRIPS]
            speeds.append(bench.speed(ROUND_TRIPS[0], SCAN_PER_SECOND * 10, limited=True))
        bulk = bench.bulk(given.articles)
    if given.json:
        print(json.dumps({"speeds": [asdict(speed) for speed in speeds], "bulk": asdict(bulk)}, indent=1))
    else:
        _print(speeds, bulk, indexed=given.index)
    return 0 if bulk.holds else 1


class _Bench:
    def __init__(self, folder: Path, endpoint: str, *, runs: int, indexed: bool) -> None:
        self._folder = folder
        self._runs = runs
        self._s3 = make_client("s3", endpoint)
        self._index: RowSink = _index(endpoint) if indexed else NoIndex()

    def speed(self, round_trip_ms: int, pages: int, *, limited: bool = False) -> Speed:
        articles = pages * MAX_RESULTS
        with self._upstream(articles, round_trip_ms, limited=limited) as url:
            client = _client(url, limited=limited)
            # The connection, and what Python and the stand-in make on first use.
            client.scan(CHANNEL, "")
            fetching, scanning = [], []
            for _ in range(self._runs):
                with _Meter() as meter:
                    token = ""
                    while (page := client.scan(CHANNEL, token)).next_token != token:
                        token = page.next_token
                fetching.append(meter)
                with _Meter() as meter:
                    self._scan(client, self._s3)
                scanning.append(meter)
            answer = requests.get(f"{url}/admin/requests", timeout=10).json()
        # The end of the scan is told by one page more.
        asked = pages + 1
        return Speed(
            round_trip_ms,
            limited,
            bound=1000 / round_trip_ms,
            fetching=asked / min(meter.seconds for meter in fetching),
            fetching_cpu_ms=1000 * min(meter.cpu for meter in fetching) / asked,
            scanning=asked / min(meter.seconds for meter in scanning),
            scanning_cpu_ms=1000 * min(meter.cpu for meter in scanning) / asked,
            peak=answer["peak_per_second"]["ScanSyncArticles"],
            refused=sum(answer["errors"].values()),
        )

    def bulk(self, articles: int) -> Bulk:
        rss = [_rss_mib()]

        def watch(so_far: int) -> None:
            if so_far >= articles * len(rss) // STEPS and len(rss) <= STEPS:
                rss.append(_rss_mib())

        s3 = Counted(self._s3)
        with self._upstream(articles, 0, limited=False) as url:
            source = Watched(_client(url, limited=False), watch)
            with _Meter() as meter:
                objects = self._scan(source, s3)
        return Bulk(
            articles,
            source.pages,
            objects,
            s3.puts,
            meter.seconds,
            1000 * meter.cpu / source.pages,
            [round(value, 1) for value in rss],
            sum(1 for _ in self._index.entries(CHANNEL)) if isinstance(self._index, ArticleIndex) else None,
        )

    def _scan(self, source: Any, s3: Any) -> int:
        """The number of objects written, in a bucket of its own."""
        bucket = f"bench-{uuid.uuid4().hex}"
        self._s3.create_bucket(Bucket=bucket)
        run = run_scan(CHANNEL, source, s3, bucket, self._index, run_id="bench", deadline=lambda: 3600.0)
        if not run.caught_up:
            raise SystemExit("The scan did not reach its end.")
        return len(run.objects)

    @contextlib.contextmanager
    def _upstream(self, articles: int, delay_ms: int, *, limited: bool) -> Iterator[str]:
        name = f"upstream-{uuid.uuid4().hex[:8]}"
        options = ["--articles", str(articles), "--delay", str(delay_ms), *(["--limited"] if limited else [])]
        process = ChildProcess(
            name,
            [
                *(sys.executable, "-m", "bench.sync", "--serve", "--port", "0"),
                *("--data", str(self._folder / name), "--exit-on-stdin-eof", *options),
            ],
            env=clean_environment(self._folder / "tmp"),
            log_path=self._folder / f"{name}.log",
        )
        url = process.start(timeout=120)
        try:
            yield url
        finally:
            process.stop()


class _Meter:
    """Seconds by the clock, and of CPU."""

    def __enter__(self) -> _Meter:
        self._start, self._cpu = time.perf_counter(), time.process_time()
        self.seconds = self.cpu = 0.0
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start
        self.cpu = time.process_time() - self._cpu


def _client(url: str, *, limited: bool) -> ContentClient:
    session = requests.Session()
    session.trust_env = False
    sleep = time.sleep if limited else lambda _: None
    return ContentClient(url, Credentials(ACCESS_KEY, SECRET_KEY), session=session, sleep=sleep)


def _index(endpoint: str) -> ArticleIndex:
    template = load_template(ROOT / ".chalice" / "resources.yml")
    parameters = {"BrowserImageUri": "none", "VolcUtmSources": CHANNEL}
    outputs = deploy(endpoint, "bench", template, parameters)
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    specs = functions(template, config, app, outputs=outputs, parameters=parameters)
    table = next(spec.environment["ARTICLES_TABLE"] for spec in specs if spec.name == "scan")
    return ArticleIndex(make_client("dynamodb", endpoint), table)


def _rss_mib() -> float:
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    return resident * os.sysconf("SC_PAGE_SIZE") / 2**20


# The upstream, in its own process


def _serve() -> None:
    options = standin_parser("bench.sync", __doc__)
    options.add_argument("--serve", action="store_true")
    options.add_argument("--articles", type=int, required=True)
    options.add_argument("--delay", type=int, required=True, metavar="MS", help="from a request to its answer")
    options.add_argument("--limited", action="store_true", help="no more than the service allows")
    given = options.parse_args()
    catalogue = Catalogue(given.data, utm_source=CHANNEL, count=given.articles, now=datetime.now(UTC))
    # A clock on which each request comes a second after the last one keeps every limit.
    monotonic = time.monotonic if given.limited else itertools.count().__next__
    upstream = build_app(catalogue, Account(ACCESS_KEY, SECRET_KEY), monotonic=monotonic)
    serve(_delayed(upstream, given.delay / 1000), given, date_header=False)  # type: ignore[arg-type]


def _delayed(inner: ASGIApp, delay: float) -> ASGIApp:
    """Answers `delay` seconds after the request, what the stand-in itself takes included."""

    async def delayed(scope: Scope, receive: Receive, send: Send) -> None:
        due = asyncio.get_running_loop().time() + delay

        async def send_when_due(message: Message) -> None:
            if message["type"] == "http.response.start":
                await asyncio.sleep(due - asyncio.get_running_loop().time())
            await send(message)

        await inner(scope, receive, send_when_due)

    return delayed


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.sync", description=__doc__)
    parser.add_argument("--articles", type=int, default=100_000, help="for memory and writes")
    parser.add_argument("--pages", type=int, default=150, help="for each round-trip; 0: articles in bulk alone")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--index", action="store_true", help="write the index as well")
    parser.add_argument("--json", action="store_true", help="print the numbers only")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_known_args()[0]


def _print(speeds: list[Speed], bulk: Bulk, *, indexed: bool) -> None:
    console = Console()
    table = Table(box=box.SIMPLE, title="Pages a second" + (", the index included" if indexed else ""))
    headings = ("round-trip", "bound", "fetching", "scan", "÷ bound", "÷ fetching", "peak", "refused")
    for heading in (*headings, "CPU ms", "fetching"):
        table.add_column(heading, justify="right")
    for speed in speeds:
        bound = min(speed.bound, SCAN_PER_SECOND) if speed.limited else speed.bound
        table.add_row(
            f"{speed.round_trip_ms} ms{' *' if speed.limited else ''}",
            f"{bound:.1f}",
            f"{speed.fetching:.1f}",
            f"{speed.scanning:.1f}",
            f"{speed.scanning / bound:.3f}",
            f"{speed.scanning / speed.fetching:.3f}",
            str(speed.peak) if speed.limited else "-",
            str(speed.refused),
            f"{speed.scanning_cpu_ms:.1f}",
            f"{speed.fetching_cpu_ms:.1f}",
        )
    if speeds:
        console.print(table, "* no faster than the service allows\n", sep="")
    console.print(
        f"{bulk.articles:,} articles, {bulk.pages:,} pages in {bulk.seconds:.0f} s, "
        f"{bulk.cpu_ms_a_page:.1f} ms CPU a page\n"
        f"{bulk.objects} objects, {bulk.puts} PUTs: {bulk.articles / bulk.puts:,.0f} articles a PUT\n"
        f"memory after each {100 // STEPS} %, MiB: {' '.join(f'{value:.0f}' for value in bulk.rss_mib)}\n"
        + (f"{bulk.indexed:,} articles in the index\n" if bulk.indexed is not None else "")
        + ("" if bulk.holds else "that is not what it should be: see the beginning of the file")
    )


if __name__ == "__main__":
    sys.exit(main())
