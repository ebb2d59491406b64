"""The index of the articles in DynamoDB: what the change log says of each, by GroupId.

It is derived from the log and can be rebuilt from it: every write is conditional on the row being the newest
known of its article, in the order of (observed_at, seq, pos), and can be repeated. Beside that it holds what is
to be done with an article next, and when (docs/decisions/080).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from chalicelib.articles.checks import next_check
from chalicelib.articles.records import read_record
from chalicelib.articles.sink import OutOfTime
from chalicelib.clock import from_rfc3339, to_rfc3339
from chalicelib.dynamodb import ConditionFailed, Table, Update, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef

    from chalicelib.articles.changelog import Op, Row

_Thing = TypeVar("_Thing")

AT_ONCE: Final = "1970-01-01T00:00:00.000Z"
"""`next_check_at` of what somebody waits for: it stands before everything that is merely due."""

RUN_LOST_AFTER: Final = timedelta(minutes=10)
"""How long Lambda keeps an event that waits for the function (MaximumEventAgeInSeconds in the template)."""

# No channel: what is kept there concerns all of them.
_ASKED_FOR = ("*", "run")

_CONNECTIONS = 8
_BATCH = 25
"""Statements a call, DynamoDB's limit. Fewer rows than that are mostly news of known articles."""
_MAX_TEXT = 500
_MAX_CATEGORIES = 100
_QUERIES_A_PAGE = 10
"""A filter that fits almost nothing ends its page here, however little was found."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of an article, by its newest row. Instants are RFC 3339 in UTC.

    `object`, `seq` and `pos` say where the row lies, `op` what it says; all are None while an id was only asked
    for. `type`, `title`, `category` (the first), `categories` (of every level) and `published_at` are the
    service's; absent from a withdrawn article. `objects` are the keys that hold, or held, its content.

    `next_check_at` is when something is to be done: None never, `AT_ONCE` before everything else. `checks`
    counts the looks so far, `miss_reason` is what the last one was told (500001, 500008, 500009).
    `refresh_requested_at` stays until that request is answered. `media` names the manifest of the copies of its
    media and counts them; None where nothing is mirrored.
    """

    channel: str
    group_id: str
    object: str | None = None
    seq: int | None = None
    pos: int | None = None
    op: Op | None = None
    content_sha256: str | None = None
    type: str | None = None
    title: str | None = None
    category: str | None = None
    categories: tuple[str, ...] = ()
    published_at: str | None = None
    observed_at: str | None = None
    first_seen_at: str | None = None
    next_check_at: str | None = None
    checks: int = 0
    miss_reason: int | None = None
    refresh_requested_at: str | None = None
    media: dict[str, Any] | None = None
    objects: frozenset[str] = frozenset()

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> Self:
        return read_record(
            cls,
            {
                **item,
                "categories": tuple(item.get("categories", ())),
                "objects": frozenset(item.get("objects", ())),
            },
        )


@dataclass(frozen=True, slots=True)
class Look:
    """That `entry` was looked at, and when it will be again; None is never. `miss_reason` is what was told."""

    entry: Entry
    next_check_at: datetime | None
    miss_reason: int | None = None


def _always() -> bool:
    return True


class ArticleIndex:
    """Safe to share between threads. Every method raises botocore's errors."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table, "channel", "group_id")

    # The log's rows

    def put_rows(
        self, channel: str, key: str, rows: Iterable[Row], *, has_time: Callable[[], bool] = _always
    ) -> None:
        """Takes in the rows of the log's object `key`. Rows older than what is known change nothing but
        `objects`; the same rows may come again, also in another object.

        `has_time` is asked before each write; raises OutOfTime once it says no.
        """
        changes = _newest(rows)
        if len(changes) >= _BATCH:
            batches = [changes[start : start + _BATCH] for start in range(0, len(changes), _BATCH)]
            changes = []
            _at_once(lambda batch: changes.extend(self._insert(channel, key, batch)), batches, has_time)
        _at_once(lambda change: self._put(channel, key, change), changes, has_time)

    def move_rows(
        self, channel: str, key: str, rows: Iterable[Row], *, has_time: Callable[[], bool] = _always
    ) -> None:
        """As `put_rows`, for rows that the index has already, from other objects: a write each."""
        _at_once(lambda change: self._move(channel, key, change), _newest(rows), has_time)

    def _insert(self, channel: str, key: str, changes: Sequence[_Change]) -> list[_Change]:
        """Makes the entries of articles that have none; returns the changes of the others.

        A statement is as conditional as an update, and costs a sixth of the processor time: 25 go in one call.
        """
        statements: list[BatchStatementRequestTypeDef] = []
        for change in changes:
            item = encode(change.item(channel, key))
            members = ", ".join(f"'{name}': ?" for name in item)
            statements.append(
                {
                    "Statement": f'INSERT INTO "{self._table.name}" VALUE {{{members}}}',
                    "Parameters": list(item.values()),
                }
            )
        answer = self._table.client.batch_execute_statement(Statements=statements)
        # Whatever the reason: the update that follows finds out, and is repeated where it may be.
        return [change for change, done in zip(changes, answer["Responses"], strict=True) if "Error" in done]

    def _move(self, channel: str, key: str, change: _Change) -> None:
        update = Update().set(object=key).when("version", "=", change.version)
        if change.has_content:
            # The entry of a withdrawn article has to become due, which is not done here.
            update = update.include("objects", key).when("op", "<>", "takedown")
        try:
            self._table.update((channel, change.group_id), update)
        except ConditionFailed:
            self._put(channel, key, change)

    def _put(self, channel: str, key: str, change: _Change) -> None:
        try:
            self._table.update((channel, change.group_id), change.update(channel, key))
        except ConditionFailed as failure:
            known = failure.item or {}
            update = Update()
            if known["version"] == change.version and known["object"] != key:
                # The newest row, in a compacted object.
                update.set(object=key)
            if change.has_content and key not in known.get("objects", ()):
                update.include("objects", key)
                if known["op"] == "takedown":
                    # Content of a withdrawn article that the purge has not seen.
                    update.set(next_check_at=AT_ONCE, check_shard=channel)
            if update.assignments or update.additions:
                self._table.update((channel, change.group_id), update)

    # Reading

    def get(self, channel: str, group_id: str) -> Entry | None:
        """The article's entry, read consistently; None where nothing was ever seen or asked."""
        item = self._table.get((channel, group_id))
        return None if item is None else Entry.from_item(item)

    def entries(self, channel: str) -> Iterator[Entry]:
        """Every entry of the channel by id, those of withdrawn articles and of mere requests included."""
        query: dict[str, Any] = {
            "TableName": self._table.name,
            "KeyConditionExpression": "channel = :channel",
            "ExpressionAttributeValues": {":channel": {"S": channel}},
            "ConsistentRead": True,
        }
        while True:
            answer = self._table.client.query(**query)
            for item in answer["Items"]:
                yield Entry.from_item(decode(item))
            if "LastEvaluatedKey" not in answer:
                return
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def page(
        self,
        channel: str,
        *,
        type: str | None = None,  # noqa: A002 - the service's own name of it
        category: str | None = None,
        published_from: datetime | None = None,
        published_to: datetime | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> tuple[list[Entry], str | None]:
        """Available articles, the newest published first, and where the next page starts; None at the end.

        `type` is the service's ArticleType, `category` the name of a category of any level. `published_from` is
        included, `published_to` is not. `after` is what the last page returned. A page may be short, or even
        empty, and still have a next one: few articles fit the filter there.
        """
        lower = to_rfc3339(published_from) if published_from else " "
        # The articles of an instant sort behind the instant itself.
        upper = to_rfc3339(published_to) if published_to else "~"
        if lower > upper:
            return [], None
        names = {"#channel": "channel", "#published": "published"}
        values: dict[str, Any] = {":channel": channel, ":lower": lower, ":upper": upper}
        filters = []
        if type is not None:
            names["#type"], values[":type"] = "type", type
            filters.append("#type = :type")
        if category is not None:
            names["#categories"], values[":category"] = "categories", category
            filters.append("contains(#categories, :category)")
        query: dict[str, Any] = {
            "TableName": self._table.name,
            "IndexName": "by_published",
            "KeyConditionExpression": "#channel = :channel AND #published BETWEEN :lower AND :upper",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": encode(values),
            "ScanIndexForward": False,
        }
        if filters:
            query["FilterExpression"] = " AND ".join(filters)
        found: list[Entry] = []
        for _ in range(_QUERIES_A_PAGE):
            if after is not None:
                query["ExclusiveStartKey"] = _position(channel, after)
            answer = self._table.client.query(**query, Limit=limit - len(found))
            found += [Entry.from_item(decode(item)) for item in answer["Items"]]
            last = answer.get("LastEvaluatedKey")
            after = last["published"]["S"] if last else None
            if after is None or len(found) >= limit:
                break
        return found, after

    def due(self, channel: str, now: datetime, limit: int) -> list[Entry]:
        """At most `limit` articles for which something is to be done by `now`: what somebody waits for, then
        the longest overdue. A write of the last moment may not show yet.
        """
        query: dict[str, Any] = {
            "TableName": self._table.name,
            "IndexName": "by_next_check",
            "KeyConditionExpression": "check_shard = :channel AND next_check_at <= :now",
            "ExpressionAttributeValues": {":channel": {"S": channel}, ":now": {"S": to_rfc3339(now)}},
        }
        found: list[Entry] = []
        while len(found) < limit:
            answer = self._table.client.query(**query, Limit=limit - len(found))
            found += [Entry.from_item(decode(item)) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                break
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return found

    # What is to be done

    def request_refresh(self, channel: str, group_ids: Iterable[str], at: datetime) -> None:
        """Has the articles looked at before all others. Ids that were never seen are looked for."""

        def request(group_id: str) -> None:
            update = Update().set(
                refresh_requested_at=to_rfc3339(at), next_check_at=AT_ONCE, check_shard=channel
            )
            self._table.update((channel, group_id), update)

        _at_once(request, group_ids)

    def ask_for_run(self, run_id: str, at: datetime) -> str:
        """The id of the run that will look at what is due: `run_id`, which the caller has to start now, unless
        another that was asked for has not begun. One that has not begun for RUN_LOST_AFTER never will.
        """
        update = Update().set(run_id=run_id, asked_at=to_rfc3339(at))
        name, lost = update.name("asked_at"), update.value(to_rfc3339(at - RUN_LOST_AFTER))
        update.conditions.append(f"(attribute_not_exists({name}) OR {name} <= {lost})")
        try:
            self._table.update(_ASKED_FOR, update)
        except ConditionFailed as failure:
            return str((failure.item or {})["run_id"])
        return run_id

    def run_begins(self) -> None:
        """Notes that a run looks at what is due from now on: whoever comes later has to ask for another one."""
        known = self._table.get(_ASKED_FOR) or {}
        if run_id := known.get("run_id"):
            self.run_is_off(run_id)

    def run_is_off(self, run_id: str) -> None:
        """Takes back that the run was asked for, unless another one was meanwhile."""
        update = Update().set(run_id=None, asked_at=None).when("run_id", "=", run_id)
        with suppress(ConditionFailed):
            self._table.update(_ASKED_FOR, update)

    def checked(self, looks: Iterable[Look]) -> None:
        """Notes what was looked at, and when it will be again.

        Nothing is noted where a refresh was requested since `entry` was read, which is still to be answered, or
        where a withdrawn article would be forgotten before its content is purged.
        """
        _at_once(self._checked, looks)

    def _checked(self, look: Look) -> None:
        again = look.next_check_at
        update = Update().set(
            next_check_at=to_rfc3339(again) if again else None,
            check_shard=look.entry.channel if again else None,
            refresh_requested_at=None,
            miss_reason=look.miss_reason,
        )
        if look.entry.op == "takedown" and again is None:
            update.when_absent("objects")
        self._done(look.entry, update.add("checks", 1))

    def mirrored(self, channel: str, group_id: str, media: dict[str, Any]) -> bool:
        """Notes what of the article's media is copied; False, and nothing noted, where it was withdrawn."""
        update = Update().set(media=media).when("op", "<>", "takedown").when_exists("object")
        try:
            self._table.update((channel, group_id), update)
        except ConditionFailed:
            return False
        return True

    def purged(self, entry: Entry) -> None:
        """Notes that the objects of `entry` hold nothing of it any more.

        Nothing is noted where another object, or a refresh, has come to it since `entry` was read.
        """
        waiting = entry.refresh_requested_at is not None
        update = Update().set(
            objects=None,
            next_check_at=AT_ONCE if waiting else None,
            check_shard=entry.channel if waiting else None,
        )
        if entry.objects:
            update.when("objects", "=", set(entry.objects))
        else:
            update.when_absent("objects")
        self._done(entry, update)

    def _done(self, entry: Entry, update: Update) -> None:
        if entry.refresh_requested_at is None:
            update.when_absent("refresh_requested_at")
        else:
            update.when("refresh_requested_at", "=", entry.refresh_requested_at)
        try:
            self._table.update((entry.channel, entry.group_id), update)
        except ConditionFailed:
            return


def _at_once(
    write: Callable[[_Thing], None], things: Iterable[_Thing], has_time: Callable[[], bool] = _always
) -> None:
    """Makes the writes beside each other. Raises the first failure, after the others have ended."""

    def timely(thing: _Thing) -> None:
        if not has_time():
            raise OutOfTime
        write(thing)

    with ThreadPoolExecutor(_CONNECTIONS, "index") as pool:
        for written in [pool.submit(timely, thing) for thing in things]:
            written.result()


def _newest(rows: Iterable[Row]) -> list[_Change]:
    """What the rows make of their articles' entries, an article once."""
    newest: dict[str, _Change] = {}
    for row in rows:
        change = _Change(row)
        known = newest.get(row.group_id)
        if known is not None:
            change = max(known, change, key=lambda one: one.version).with_content_of(known, change)
        newest[row.group_id] = change
    return list(newest.values())


class _Change:
    """What a row makes of its article's entry, without the row's weight."""

    def __init__(self, row: Row) -> None:
        self.group_id = row.group_id
        self.version = f"{row.observed_at}#{row.seq:012d}#{row.pos:09d}"
        self.has_content = row.article is not None
        self._attributes: dict[str, Any] = {
            "seq": row.seq,
            "pos": row.pos,
            "op": row.op,
            "observed_at": row.observed_at,
            "miss_reason": row.miss_reason,
            "version": self.version,
        }
        self._defaults: dict[str, Any] = {"first_seen_at": row.observed_at, "checks": 0}
        match row.op:
            case "upsert":
                self._attributes |= {"content_sha256": row.content_sha256, **_described(row)}
                seen_at = from_rfc3339(row.observed_at)
                self._defaults["next_check_at"] = to_rfc3339(next_check(row.group_id, seen_at, seen_at))
            case "unavailable":
                self._attributes["published"] = None
                self._defaults["next_check_at"] = row.observed_at
            case "takedown":
                self._attributes |= dict.fromkeys(_WITHDRAWN)
                self._attributes["next_check_at"] = AT_ONCE

    def with_content_of(self, *changes: _Change) -> Self:
        self.has_content = any(change.has_content for change in changes)
        return self

    def item(self, channel: str, key: str) -> dict[str, Any]:
        """The entry of an article that had none."""
        return {
            "channel": channel,
            "group_id": self.group_id,
            "check_shard": channel,
            "object": key,
            "objects": {key} if self.has_content else None,
            **self._defaults,
            **self._attributes,
        }

    def update(self, channel: str, key: str) -> Update:
        """The change of an entry, if it is older."""
        update = Update().set(object=key, check_shard=channel, **self._attributes).default(**self._defaults)
        if self.has_content:
            update.include("objects", key)
        version = update.name("version")
        update.conditions.append(
            f"(attribute_not_exists({version}) OR {version} < {update.value(self.version)})"
        )
        return update


_WITHDRAWN = (
    *("content_sha256", "type", "title", "category", "categories", "published_at", "published"),
    "media",
)


def _described(row: Row) -> dict[str, Any]:
    """What lists show and filter by. None of it is worth failing for: a field of another type is absent."""
    article = row.article or {}
    title, kind = article.get("Title"), article.get("ArticleType")
    tags = article.get("Tags")
    tree = tags.get("Categories") if isinstance(tags, dict) else None
    categories = list(dict.fromkeys(islice(_category_names(tree), _MAX_CATEGORIES)))
    published_at = _instant(article.get("PublishTime"))
    return {
        "type": _text(kind),
        "title": _text(title),
        "category": categories[0] if categories else None,
        "categories": categories or None,
        "published_at": published_at,
        # An article without a time is listed by the time at which it was seen.
        "published": f"{published_at or row.observed_at}#{row.group_id}",
    }


def _category_names(tree: object) -> Iterator[str]:
    for node in tree if isinstance(tree, list) else ():
        if isinstance(node, dict):
            if name := _text(node.get("Name")):
                yield name
            yield from _category_names(node.get("SubCategories"))


def _text(value: object) -> str | None:
    """Short, and such that UTF-8 can carry it: a title cut within an emoji ends with half a surrogate pair."""
    if not isinstance(value, str):
        return None
    return value[:_MAX_TEXT].encode("utf-8", "replace").decode()


def _instant(seconds: object) -> str | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        return None
    try:
        return to_rfc3339(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, OSError, ValueError):
        return None


def _position(channel: str, after: str) -> dict[str, Any]:
    group_id = after.partition("#")[2]
    return encode({"channel": channel, "published": after, "group_id": group_id})
