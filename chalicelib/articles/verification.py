"""Whether the log is whole, the index says what the log says, and both say what the service says."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Protocol

from chalicelib.articles.changelog import Row, content_sha256, parse_span
from chalicelib.articles.reader import channel_logs, iter_objects

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from chalicelib.articles.client import Lookup, Page
    from chalicelib.articles.index import ArticleIndex, Entry
    from chalicelib.articles.newest import Newest, NewestRows
    from chalicelib.articles.reader import Log, LogObject
    from chalicelib.articles.store import Store

Kind = Literal["log", "index", "upstream", "withdrawn"]

_IDS_A_CALL = 30
_TAKEDOWN = 500009
_UNAVAILABLE = 500008


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be. `subject` is the key or the GroupId that it concerns."""

    kind: Kind
    subject: str
    detail: str


@dataclass(slots=True)
class Report:
    """What was looked at, and what was found."""

    channel: str
    objects: int = 0
    rows: int = 0
    articles: int = 0
    indexed: int = 0
    asked: int = 0
    differences: list[Difference] = field(default_factory=list)


class Service(Protocol):
    """The part of `ContentClient` that is used."""

    def scan(self, utm_source: str, next_token: str) -> Page: ...

    def mget(self, utm_source: str, group_ids: list[str]) -> Lookup: ...


class Verification:
    """Looks at a channel, part by part: first `verify_log`, which fills `newest`. `report` has what was found.

    Every method raises botocore's errors, those that ask the service the client's.
    """

    def __init__(self, store: Store, channel: str, newest: NewestRows) -> None:
        self.report = Report(channel)
        self._store = store
        self._channel = channel
        self._newest = newest
        self._logs: list[Log] = channel_logs(store, channel)

    def verify_log(self) -> None:
        """Numbers without gaps, positions without gaps, rows that are what they say, and nothing of an article
        that was withdrawn.
        """
        for log in self._logs:
            self._verify_numbers(log)
        self.report.articles = len(self._newest)
        for article in self._newest:
            if article.op == "takedown" and article.content_in is not None:
                self._find(
                    "withdrawn", article.group_id, f"its content is still in {article.content_in}: run the sync"
                )

    def verify_index(self, index: ArticleIndex) -> None:
        """Each article's entry against its newest row. Rows that came since the log was read are no matter."""
        entries, articles = index.entries(self._channel), iter(self._newest)
        entry, article = next(entries, None), next(articles, None)
        while entry is not None or article is not None:
            if article is None or (entry is not None and entry.group_id < article.group_id):
                assert entry is not None  # noqa: S101 - for the type checker
                self._compare(entry, None)
                entry = next(entries, None)
            elif entry is None or article.group_id < entry.group_id:
                self._find("index", article.group_id, "has no entry")
                article = next(articles, None)
            else:
                self._compare(entry, article)
                entry, article = next(entries, None), next(articles, None)

    def verify_sample(self, service: Service, count: int, random: Random) -> None:
        """`count` articles, drawn by `random`, against what the service says of them now."""
        # Reservoir sampling: one pass, and no list of all ids.
        chosen: list[Newest] = []
        for number, article in enumerate(self._newest):
            if number < count:
                chosen.append(article)
            elif (place := random.randrange(number + 1)) < count:
                chosen[place] = article
        self._ask(service, chosen)

    def verify_all(self, service: Service) -> None:
        """Every article against what the service says of it now, and a scan of its whole window for articles
        that we lack.
        """
        self._ask(service, self._newest)
        token = ""
        while True:
            page = service.scan(self._channel, token)
            for article in page.articles:
                group_id = str(article["GroupId"])
                if self._newest.get(group_id) is None:
                    self._find("upstream", group_id, "the service has it, the log does not")
            if page.next_token == token:
                return
            token = page.next_token

    # The log

    def _verify_numbers(self, log: Log) -> None:
        expected, rows = 1, 0
        for item in iter_objects(self._store, log):
            first, last = parse_span(item.key)
            first = max(first, item.after + 1)
            if last < expected:
                self._find("log", item.key, "its number was used before")
            elif first > expected:
                self._find("log", item.key, f"missing before it: {_numbers(expected, first - 1)}")
            expected = max(expected, last + 1)
            rows += self._verify_object(item, first, last)
            self.report.objects += 1
        if expected < log.end:
            self._find("log", log.prefix, f"missing at the end: {_numbers(expected, log.end - 1)}")
        self.report.rows += rows
        if rows != log.rows:
            self._find("log", log.prefix, f"holds {rows} rows, {log.rows} were committed")

    def _verify_object(self, item: LogObject, first: int, last: int) -> int:
        """The number of rows. Positions count from 0 in each sequence number of the object."""
        seq, pos, count = first, 0, 0
        lines = enumerate(item.lines(), start=1)
        try:
            for number, line in lines:
                row, problem = _parse(line)
                if row is None:
                    self._find("log", item.key, f"line {number} {problem}")
                    continue
                if row.seq <= item.after:
                    continue
                count += 1
                if row.seq == seq + 1 and pos > 0:
                    seq, pos = row.seq, 0
                if (row.seq, row.pos) != (seq, pos):
                    problem = f"stands at ({row.seq}, {row.pos}), not at ({seq}, {pos})"
                seq, pos = row.seq, row.pos + 1
                if problem:
                    self._find("log", item.key, f"line {number} {problem}")
                self._newest.add(item.key, row)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            self._find("log", item.key, f"cannot be decompressed: {error}")
            return count
        if count == 0:
            self._find("log", item.key, "has no row")
        elif seq != last:
            self._find("log", item.key, f"ends with number {seq}, not {last}")
        return count

    # The index

    def _compare(self, entry: Entry, article: Newest | None) -> None:
        if entry.object is None or entry.seq is None or entry.pos is None:
            # Somebody asked for an id; no row of it was ever written.
            if article is not None:
                self._find("index", entry.group_id, "has no row in its entry")
            return
        self.report.indexed += 1
        version = (entry.observed_at or "", entry.seq, entry.pos)
        if article is None:
            if not self._came_since(entry):
                self._find("index", entry.group_id, f"is in the index ({entry.object}), not in the log")
        elif version < article.version:
            self._find("index", entry.group_id, f"is of {version}, the log has {article.version}")
        elif version > article.version:
            if not self._came_since(entry):
                self._find("index", entry.group_id, f"is of {version}, the log ends with {article.version}")
        else:
            self._compare_members(entry, article)

    def _compare_members(self, entry: Entry, article: Newest) -> None:
        if entry.op != article.op:
            self._find("index", entry.group_id, f"says {entry.op}, the log {article.op}")
        if article.op == "upsert" and entry.content_sha256 != article.content_sha256:
            self._find("index", entry.group_id, "has another content_sha256 than the log")
        if entry.object != article.object and not self._holds(entry, article):
            self._find("index", entry.group_id, f"points to {entry.object}, the row is in {article.object}")

    def _holds(self, entry: Entry, article: Newest) -> bool:
        """Whether the entry's object holds the row as well: both stand while objects are being compacted."""
        key = entry.object or ""
        first, last = parse_span(key)
        same_folder = key.rpartition("/")[0] == article.object.rpartition("/")[0]
        return same_folder and first <= article.seq <= last and self._store.metadata(key) is not None

    def _came_since(self, entry: Entry) -> bool:
        key, seq = entry.object or "", entry.seq or 0
        return any(key.startswith(log.prefix) and seq >= log.end for log in self._logs)

    # The service

    def _ask(self, service: Service, articles: Iterable[Newest]) -> None:
        remaining = iter(articles)
        while chunk := list(islice(remaining, _IDS_A_CALL)):
            answer = service.mget(self._channel, [article.group_id for article in chunk])
            for article in chunk:
                self.report.asked += 1
                if problem := _difference(article, answer):
                    self._find("upstream", article.group_id, problem)

    def _find(self, kind: Kind, subject: str, detail: str) -> None:
        self.report.differences.append(Difference(kind, subject, detail))


def _difference(article: Newest, answer: Lookup) -> str | None:
    sent = answer.articles.get(article.group_id)
    reason = answer.miss_reasons.get(article.group_id)
    if sent is not None:
        if article.op != "upsert":
            return f"the service has it, the log says {article.op}"
        same = content_sha256(sent) == article.content_sha256
        return None if same else "the service has other content than the log"
    if (article.op, reason) in {("takedown", _TAKEDOWN), ("unavailable", _UNAVAILABLE)}:
        return None
    if reason is None:
        return "the service says nothing of it"
    return f"the service says {reason}, the log {article.op}"


def _parse(line: bytes) -> tuple[Row | None, str | None]:
    """A row, and what is wrong with it; no row where the line is none."""
    try:
        row = Row.from_line(line)
        article: dict[str, Any] | None = row.article
        if row.op != "upsert":
            problem = None if article is None else f"is a {row.op} with content"
        elif article is None:
            problem = "is an upsert without content"
        elif str(article.get("GroupId")) != row.group_id:
            problem = f"has the GroupId {article.get('GroupId')!r} under the group_id {row.group_id!r}"
        elif content_sha256(article) != row.content_sha256:
            problem = "does not have the content_sha256 of its article"
        else:
            problem = None
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, AttributeError) as error:
        return None, f"is not a row: {error}"
    return row, problem


def _numbers(first: int, last: int) -> str:
    return f"number {first}" if first == last else f"numbers {first} to {last}"
