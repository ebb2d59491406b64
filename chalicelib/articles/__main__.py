"""The lake from the command line: `python -m chalicelib.articles COMMAND` (docs/sync.md).

    list            the available articles, newest published first
    show ID         one article: its newest state, and its history
    cat             the rows of the log, one JSON object a line
    verify          the log, the index and the service against each other; exit code 1 where they differ
    rebuild-index   the index from the log
    compact         a day's small objects into one

Bucket, table and channel are those of the functions' environment unless given. Exit code 2: could not be done.
"""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from chalicelib import aws
from chalicelib.articles import exact
from chalicelib.articles.compaction import compact_day, days_over
from chalicelib.articles.index import ArticleIndex
from chalicelib.articles.newest import NewestRows
from chalicelib.articles.reader import channel_logs, iter_objects, iter_rows, version
from chalicelib.articles.store import Store
from chalicelib.articles.verification import Verification
from chalicelib.clock import Clock, utc_now
from chalicelib.errors import ConfigurationError, PublisherError
from chalicelib.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from mypy_boto3_s3 import S3Client

    from chalicelib.articles.changelog import Row
    from chalicelib.articles.client import ContentClient

_SAMPLE = 300


@dataclass(frozen=True)
class Tools:
    """What the commands work with. Few need the index or the service, so these are made when asked for."""

    s3: S3Client
    bucket: str
    prefix: str
    index: Callable[[], ArticleIndex]
    service: Callable[[], ContentClient]
    out: TextIO
    clock: Clock = utc_now

    @property
    def store(self) -> Store:
        return Store(self.s3, self.bucket, self.prefix)

    def print(self, *lines: str) -> None:
        for line in lines:
            # Half an emoji, which UTF-8 cannot carry, comes out as JSON's own escape.
            self.out.write(line.encode("utf-8", "backslashreplace").decode() + "\n")

    def print_json(self, value: Any) -> None:
        self.print(exact.dumps(value, ensure_ascii=False, indent=1, default=sorted))


def main(arguments: Sequence[str] | None = None) -> int:
    given = parse(arguments)
    try:
        tools = Tools(
            s3=aws.s3(),
            bucket=given.bucket or settings.content_bucket,
            prefix=given.prefix,
            index=lambda: ArticleIndex(aws.dynamodb(), given.table or settings.articles_table),
            service=_content_client,
            out=sys.stdout,
        )
        given.channel = given.channel or _only_channel()
        return run(given, tools)
    except PublisherError as error:
        sys.stderr.write(f"{error}\n{error.next_step}\n")
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
    return 2


def run(given: argparse.Namespace, tools: Tools) -> int:
    """Carries out what `parse` has read; the exit code."""
    code: int = given.command(given, tools)
    return code


# Looking


def _list(given: argparse.Namespace, tools: Tools) -> int:
    entries, after = tools.index().page(
        given.channel, type=given.type, category=given.category, after=given.after, limit=given.limit
    )
    if given.json:
        tools.print_json({"articles": [asdict(entry) for entry in entries], "after": after})
        return 0
    for entry in entries:
        published = (entry.published_at or "-")[:16]
        tools.print(f"{entry.group_id:<20} {published:<16}  {entry.type or '-':<12} {entry.title or '-'}")
    if after is not None:
        tools.print(f"more: --after '{after}'")
    return 0


def _show(given: argparse.Namespace, tools: Tools) -> int:
    history = [row for row in _rows(given, tools) if row.group_id == given.id]
    entry = tools.index().get(given.channel, given.id)
    newest = max(history, key=version, default=None)
    if given.json:
        tools.print_json(
            {
                "entry": None if entry is None else asdict(entry),
                "history": [_without_article(row) for row in history],
                "article": newest.article if newest else None,
            }
        )
    else:
        for row in history:
            changed = (row.content_sha256 or "-")[:12]
            tools.print(f"{row.observed_at}  {row.op:<11}  ({row.seq}, {row.pos})  {changed}  {row.run_id}")
        if entry is not None:
            tools.print(f"next check: {entry.next_check_at or 'never'}  checks: {entry.checks}")
        if newest is not None and newest.article is not None:
            tools.print_json(newest.article)
    if newest is None:
        sys.stderr.write(f"The log has no article {given.id}.\n")
        return 1
    return 0


def _cat(given: argparse.Namespace, tools: Tools) -> int:
    def wanted(row: Row) -> bool:
        return (given.since or "") <= row.observed_at and (not given.until or row.observed_at < given.until)

    if not given.latest:
        for row in filter(wanted, _rows(given, tools)):
            tools.print(row.to_line().decode().rstrip("\n"))
        return 0
    with NewestRows() as newest:
        for row in filter(wanted, _rows(given, tools)):
            newest.add("", row)
        for row in filter(wanted, _rows(given, tools)):
            known = newest.get(row.group_id)
            if known is not None and known.version == version(row) and row.op == "upsert":
                tools.print(row.to_line().decode().rstrip("\n"))
    return 0


# Proving and mending


def _verify(given: argparse.Namespace, tools: Tools) -> int:
    with NewestRows() as newest:
        verification = Verification(tools.store, given.channel, newest)
        verification.verify_log()
        verification.verify_index(tools.index())
        if given.all:
            verification.verify_all(tools.service())
        elif given.sample:
            chance = random.Random(given.seed)  # noqa: S311 - which articles are asked for is no secret
            verification.verify_sample(tools.service(), given.sample, chance)
        report = verification.report
    if given.json:
        tools.print_json(asdict(report))
    else:
        for difference in report.differences:
            tools.print(f"{difference.kind:<9} {difference.subject}  {difference.detail}")
        tools.print(
            f"{report.channel}: {report.rows} rows in {report.objects} objects, {report.articles} articles, "
            f"{report.indexed} in the index, {report.asked} asked of the service: "
            f"{len(report.differences) or 'no'} difference{'' if len(report.differences) == 1 else 's'}"
        )
    return 1 if report.differences else 0


def _rebuild_index(given: argparse.Namespace, tools: Tools) -> int:
    index, objects, rows = tools.index(), 0, 0
    for log in channel_logs(tools.store, given.channel):
        for item in iter_objects(tools.store, log):
            for chunk in item.chunks():
                index.put_rows(given.channel, item.key, chunk)
                rows += len(chunk)
            objects += 1
    _tell(given, tools, f"{rows} rows of {objects} objects are in the index", objects=objects, rows=rows)
    return 0


def _compact(given: argparse.Namespace, tools: Tools) -> int:
    done = []
    for log in channel_logs(tools.store, given.channel):
        over = days_over(tools.store, log, tools.clock)
        for day in [given.day] if given.day else [day for day in over if day.startswith(given.month)]:
            done += compact_day(tools.store, tools.index(), given.channel, log, day, clock=tools.clock)
    originals = sum(len(compaction.originals) for compaction in done)
    if given.json:
        tools.print_json([asdict(compaction) for compaction in done])
    else:
        for compaction in done:
            tools.print(f"{compaction.key}  {compaction.rows} rows of {len(compaction.originals)} objects")
        tools.print(f"{originals} objects became {len(done)}")
    return 0


# Helpers


def _rows(given: argparse.Namespace, tools: Tools) -> Any:
    return iter_rows(tools.s3, tools.bucket, given.channel, prefix=tools.prefix)


def _tell(given: argparse.Namespace, tools: Tools, text: str, **values: int) -> None:
    if given.json:
        tools.print_json(values)
    else:
        tools.print(text)


def _without_article(row: Row) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name != "article"}


def _only_channel() -> str:
    if len(settings.volc_channels) != 1:
        raise ConfigurationError("Say which channel: --channel, or VOLC_UTM_SOURCES with a single one.")
    return settings.volc_channels[0]


def _content_client() -> ContentClient:
    from chalicelib.articles.client import ContentClient  # noqa: PLC0415 - reading needs no HTTP client
    from chalicelib.articles.credentials import SecretCache, read_credentials  # noqa: PLC0415

    keys = SecretCache(lambda: read_credentials(settings, secretsmanager=aws.secretsmanager, ssm=aws.ssm))
    return ContentClient(settings.volc_endpoint, keys.current(), settings.volc_region, renew=keys.renewed)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--channel", help="the UtmSource; by default the only one of VOLC_UTM_SOURCES")
    common.add_argument("--bucket", help="by default CONTENT_BUCKET")
    common.add_argument("--table", help="the index; by default ARTICLES_TABLE")
    common.add_argument("--prefix", default="", help="below which the lake lies in the bucket")
    common.add_argument("--json", action="store_true", help="for programs")
    parser = argparse.ArgumentParser(
        prog="python -m chalicelib.articles", description="The lake of synced articles."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, text: str, function: Callable[[argparse.Namespace, Tools], int]
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, parents=[common])
        added.set_defaults(command=function)
        return added

    listing = command("list", "the available articles, newest published first", _list)
    listing.add_argument("--type", help="article, feed_video or short_video")
    listing.add_argument("--category")
    listing.add_argument("--limit", type=int, default=20)
    listing.add_argument("--after", help="where the last page ended")
    command("show", "one article: its newest state, and its history", _show).add_argument("id")
    cat = command("cat", "the rows of the log, one JSON object a line", _cat)
    cat.add_argument("--since", metavar="TIME", help="observed at or after, RFC 3339 in UTC or its beginning")
    cat.add_argument("--until", metavar="TIME", help="observed before")
    cat.add_argument("--latest", action="store_true", help="only the newest row of each available article")
    verify = command("verify", "the log, the index and the service against each other", _verify)
    extent = verify.add_mutually_exclusive_group()
    extent.add_argument("--sample", type=int, default=_SAMPLE, help="articles to ask the service for; 0: none")
    extent.add_argument("--all", action="store_true", help="every article, and the service's whole window")
    verify.add_argument("--seed", type=int, help="the same sample again")
    command("rebuild-index", "the index from the log", _rebuild_index)
    compact = command("compact", "the small objects of days that are over into one a day", _compact)
    days = compact.add_mutually_exclusive_group()
    days.add_argument("--day", metavar="YYYY-MM-DD")
    days.add_argument("--month", metavar="YYYY-MM", default="")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
