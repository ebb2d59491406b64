"""The synced articles: lists, one of them, and a look at the newest state upstream."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from chalice.app import Response

from chalicelib.api import wiring
from chalicelib.api.cursors import decode_cursor, encode_cursor
from chalicelib.api.edge import PathParameter, Routes, respond
from chalicelib.api.models import (
    ArticleAnswer,
    ArticleList,
    ArticleMedium,
    ArticleQuery,
    ArticlesQuery,
    ArticleSummary,
    ArticleVersion,
    RefreshRequest,
    RefreshStarted,
)
from chalicelib.articles import exact
from chalicelib.articles.index import AT_ONCE, Entry
from chalicelib.articles.lookup import newest_row, versions
from chalicelib.articles.media import load_manifest
from chalicelib.articles.refresh import request_refresh
from chalicelib.errors import (
    ArticleNotFound,
    ArticleWithdrawn,
    ChannelNotFound,
    CloudFailed,
    SyncError,
    ValidationFailed,
)
from chalicelib.keys.scopes import Scope
from chalicelib.settings import settings

if TYPE_CHECKING:
    from chalicelib.articles.changelog import Row
    from chalicelib.articles.media import Copy

logger = logging.getLogger(__name__)

routes = Routes(__name__, "articles")

_GROUP_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


def _check_group_id(value: str) -> None:
    if not _GROUP_ID.fullmatch(value):
        raise ArticleNotFound(f"{value[:64]!r} is no GroupId.")


GROUP_ID = PathParameter(
    "group_id", "The service's GroupId of an article.", "7251993249718480001", _check_group_id
)


@routes.operation(
    "GET",
    "/api/v1/articles",
    query=ArticlesQuery,
    scope=Scope.ARTICLES_READ,
    answer=ArticleList,
    errors=(ChannelNotFound,),
)
def list_articles(query: ArticlesQuery) -> ArticleList:
    """List the synced articles, the newest published first.

    Those that can be had now: neither withdrawn nor unavailable. A page may be short, or even empty, where few
    articles fit the filters: the list ends where `next_cursor` is null.
    """
    channel = _one_channel(query.channel)
    filters = {
        **query.model_dump(exclude={"cursor", "limit", "channel"}),
        "list": "articles",
        "channel": channel,
    }
    signer = wiring.signer()
    after = decode_cursor(query.cursor, filters, signer) if query.cursor is not None else None
    entries, following = wiring.article_index().page(
        channel,
        type=query.type,
        category=query.category,
        published_from=query.published_from,
        published_to=query.published_to,
        after=after,
        limit=query.limit,
    )
    return ArticleList(
        data=[ArticleSummary(**_summary(entry)) for entry in entries],
        next_cursor=encode_cursor(following, filters, signer) if following else None,
    )


@routes.operation(
    "GET",
    "/api/v1/articles/{group_id}",
    scope=Scope.ARTICLES_READ,
    query=ArticleQuery,
    answer=ArticleAnswer,
    errors=(ArticleNotFound, ArticleWithdrawn, ChannelNotFound, SyncError),
    parameters=(GROUP_ID,),
)
def get_article(query: ArticleQuery, group_id: str) -> Response:
    """Read one article: what is known of it, and the service's own JSON, untouched.

    Without `channel`, the first channel that has it. An article that the service says is unavailable has no
    `article` until it comes back; one that it has withdrawn is a 410, whatever was read of it before.
    """
    entry = _find(wiring.channels(query.channel), group_id)
    store = wiring.content_store()
    row = newest_row(store, entry)
    if row is None or (row.op == "upsert" and row.article is None):
        # It has moved on since its entry was read, or has just been withdrawn.
        entry = _find([entry.channel], group_id)
        row = newest_row(store, entry)
    if row is None:
        raise SyncError(f"The change log does not hold {group_id} where its index says.")
    answer = ArticleAnswer(
        **_summary(entry),
        article=row.article,
        media=[_medium(copy) for copy in load_manifest(store, entry.channel, group_id)] if entry.media else [],
        versions=[_version(one) for one in versions(store, entry)] if query.versions else None,
    )
    # pydantic would write numbers its own way.
    return Response(exact.dumps(answer.model_dump(by_alias=True)), headers={"Content-Type": "application/json"})


@routes.operation(
    "POST",
    "/api/v1/articles/refresh",
    scope=Scope.SYNC_WRITE,
    request=RefreshRequest,
    answer=RefreshStarted,
    errors=(ValidationFailed, ChannelNotFound),
    statuses={202: "The articles are looked at next: `refresh_requested_at` is null again once one was"},
    again="Has them looked at once more.",
)
def refresh_articles(body: RefreshRequest) -> Response:
    """Have articles looked at now.

    They are marked first, so nothing is forgotten whatever fails after that. Ids that were never synced are
    named in `unknown`; the service is asked for them, too, and what it has is synced.
    """
    channels = wiring.channels(body.channel)
    group_ids = list(dict.fromkeys(body.group_ids))
    index = wiring.article_index()
    requested = request_refresh(index, channels, group_ids)
    run_id = None
    try:
        run_id = wiring.run_starter().start_shared(index)
    except CloudFailed:
        logger.exception("the articles wait for the next tick")
    answer = RefreshStarted(run_id=run_id, group_ids=group_ids, unknown=list(requested.unknown))
    return respond(answer, status=202)


def _one_channel(given: str | None) -> str:
    channels = wiring.channels(given)
    if len(channels) > 1:
        detail = f"is needed: one of {', '.join(channels)}"
        raise ValidationFailed(f"/channel: {detail}", errors=[{"pointer": "/channel", "detail": detail}])
    return channels[0]


def _find(channels: list[str], group_id: str) -> Entry:
    """The entry of an article that is not withdrawn, in the first of the channels that has one."""
    index = wiring.article_index()
    entries = [entry for channel in channels if (entry := index.get(channel, group_id)) is not None]
    seen = [entry for entry in entries if entry.object is not None]
    for entry in seen:
        if entry.op != "takedown":
            return entry
    if seen:
        raise ArticleWithdrawn(f"{group_id} was withdrawn; it was noticed at {seen[0].observed_at}.")
    if any(entry.refresh_requested_at for entry in entries):
        raise ArticleNotFound(f"{group_id} was never synced; the content service is being asked for it.")
    raise ArticleNotFound(f"{group_id} was never synced to {', '.join(channels)}.")


def _summary(entry: Entry) -> dict[str, Any]:
    return {
        "group_id": entry.group_id,
        "channel": entry.channel,
        "state": "available" if entry.op == "upsert" else "unavailable",
        "type": entry.type,
        "title": entry.title,
        "category": entry.category,
        "categories": list(entry.categories),
        "published_at": entry.published_at,
        "first_seen_at": entry.first_seen_at,
        "observed_at": entry.observed_at,
        "content_sha256": entry.content_sha256,
        "next_check_at": None if entry.next_check_at == AT_ONCE else entry.next_check_at,
        "refresh_requested_at": entry.refresh_requested_at,
        "object": _address(entry.object),
        "seq": entry.seq,
        "pos": entry.pos,
    }


def _medium(copy: Copy) -> ArticleMedium:
    shown = {name: value for name, value in copy.to_dict().items() if name in ArticleMedium.model_fields}
    return ArticleMedium(object=_address(copy.key) if copy.key else None, **shown)


def _address(key: str | None) -> str:
    return f"s3://{settings.content_bucket}/{key}"


def _version(row: Row) -> ArticleVersion:
    return ArticleVersion(
        observed_at=row.observed_at,
        seq=row.seq,
        pos=row.pos,
        content_sha256=row.content_sha256 or "",
        article=row.article or {},
    )
