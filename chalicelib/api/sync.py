"""The content sync: how it stands, a run at once, and what the content service tells us."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from chalicelib import aws
from chalicelib.api import wiring
from chalicelib.api.edge import Routes, respond, signed_request
from chalicelib.api.models import (
    Notification,
    NotificationTaken,
    SyncAnswer,
    SyncBackfill,
    SyncChannel,
    SyncCounts,
    SyncMirror,
    SyncRunRequest,
    SyncRunStarted,
)
from chalicelib.articles.index import AT_ONCE
from chalicelib.articles.mirror_state import load_mirror
from chalicelib.articles.notifications import changed_ids, verify
from chalicelib.articles.reader import sync_status
from chalicelib.articles.refresh import request_refresh
from chalicelib.articles.state import backfill_names, create_state, load_state
from chalicelib.clock import from_rfc3339, utc_now
from chalicelib.errors import (
    ChannelNotFound,
    CloudFailed,
    NotificationRefused,
    NotificationsOff,
    ValidationFailed,
)
from chalicelib.keys.scopes import PUBLIC, Scope
from chalicelib.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalice.app import Response

logger = logging.getLogger(__name__)

routes = Routes(__name__, "sync")

# A thousand articles and what may be said of each. Many more could not be marked while the service waits.
_MAX_NOTIFICATION_BYTES = 256 * 1024
_MAX_WAITING = 100


@routes.operation("GET", "/api/v1/sync", scope=Scope.SYNC_READ, answer=SyncAnswer)
def get_sync() -> SyncAnswer:
    """See how the content sync stands.

    One entry a channel: its cursor and how old it is, what is committed, alarms, backfills and the last runs.
    """
    return SyncAnswer(data=[_channel(name) for name in settings.volc_channels])


@routes.operation(
    "POST",
    "/api/v1/sync/run",
    scope=Scope.SYNC_WRITE,
    request=SyncRunRequest,
    body_optional=True,
    answer=SyncRunStarted,
    errors=(ChannelNotFound, ValidationFailed, CloudFailed),
    statuses={202: "The run has been started: look for its run_id in GET /api/v1/sync"},
    again="Orders the same once more; the run goes on where the first has got to.",
)
def run_sync(body: SyncRunRequest) -> Response:
    """Run the content sync now.

    Without a body, the same run that the schedule starts, over every channel. With `backfill`, a second scan
    under that name reads the last 14 days from their start; with `group_ids`, the articles of the list are
    asked for, however old they are. Neither moves the live cursor. Both are kept before a run is started:
    should that fail, or die, the next tick of the schedule takes them up.
    """
    channels = wiring.channels(body.channel)
    if body.group_ids:
        request_refresh(wiring.article_index(), channels, list(dict.fromkeys(body.group_ids)))
    if body.backfill:
        for channel in channels:
            create_state(wiring.content_store(), channel, body.backfill, utc_now())
    run_id = None
    try:
        run_id = wiring.run_starter().start(channel=body.channel)
    except CloudFailed:
        if not (body.group_ids or body.backfill):
            raise
        logger.exception("what was ordered waits for the next tick")
    return respond(SyncRunStarted(run_id=run_id), status=202)


@routes.operation(
    "POST",
    "/api/v1/sync/notifications",
    scope=PUBLIC,
    request=Notification,
    answer=NotificationTaken,
    errors=(NotificationRefused, NotificationsOff),
    max_body_bytes=_MAX_NOTIFICATION_BYTES,
    again="Has the articles looked at once more.",
    unkeyed="the content service sends none; the articles are marked, and marking them again changes nothing",
)
def take_notification(body: Notification) -> NotificationTaken:
    """Take a notification of changed content from the content service (内容变更通知).

    The address to enter as 回调配置. Every request is signed: X-Content-Signature is the HMAC-SHA256, in
    hexadecimal, of X-Content-Timestamp, X-Content-Nonce and the body, one after the other, with the secret that
    is generated there. It may be an hour old. The articles that it names are looked at within minutes.
    """
    headers, raw = signed_request()
    _verify(headers, raw)
    group_ids = changed_ids(body.root)
    logger.info("a notification of articles", extra={"count": len(group_ids), "group_id": group_ids[:20]})
    if group_ids:
        request_refresh(wiring.article_index(), wiring.channels(), group_ids)
        try:
            wiring.run_starter().start_shared(wiring.article_index())
        except CloudFailed:
            logger.exception("the articles wait for the next tick")
    return NotificationTaken(group_ids=group_ids)


def _verify(headers: dict[str, str], raw: bytes) -> None:
    """With the secret as it was read last; where the signature does not fit, with the secret as it is now."""
    secrets = wiring.callback_secret()
    secret = secrets.current()
    if not (secret and settings.volc_channels):
        raise NotificationsOff
    try:
        verify(headers, raw, secret, utc_now())
    except NotificationRefused:
        renewed = secrets.renewed()
        if renewed == secret:
            raise
        verify(headers, raw, renewed, utc_now())


def _channel(name: str) -> SyncChannel:
    status = sync_status(aws.s3(), settings.content_bucket, name)
    return SyncChannel(
        channel=name,
        state=status.state.to_dict(),
        lag_seconds=status.lag_seconds,
        cursor_age_seconds=status.cursor_age_seconds,
        counts=SyncCounts(
            objects=status.state.objects,
            rows=status.state.rows,
            waiting=len(wiring.article_index().due(name, from_rfc3339(AT_ONCE), _MAX_WAITING)),
        ),
        alarms=[status.alarm] if status.alarm else [],
        backfills=list(_backfills(name)),
        mirror=_mirror(name),
        runs=[run.to_dict() for run in status.runs],
    )


def _mirror(channel: str) -> SyncMirror | None:
    state, etag = load_mirror(wiring.content_store(), channel)
    if etag is None:
        return None
    return SyncMirror(
        copied=state.copied,
        failed=state.failed,
        bytes=state.bytes,
        waiting=len(state.retries),
        caught_up=state.caught_up,
        last_run_at=state.last_run_at,
    )


def _backfills(channel: str) -> Iterator[SyncBackfill]:
    store = wiring.content_store()
    for name in backfill_names(store, channel):
        state = load_state(store, channel, name).state
        yield SyncBackfill(
            name=name,
            pending=not state.last_run_id,
            caught_up=state.caught_up_at is not None,
            state=state.to_dict(),
        )
