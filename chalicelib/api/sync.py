"""The content sync: how it stands, and a run at once."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from chalicelib import aws
from chalicelib.api.edge import Routes, respond
from chalicelib.api.models import SyncAnswer, SyncChannel, SyncRunStarted
from chalicelib.articles.reader import sync_status
from chalicelib.articles.runs import new_run_id
from chalicelib.clock import to_rfc3339, utc_now
from chalicelib.errors import ChannelNotFound
from chalicelib.settings import settings

if TYPE_CHECKING:
    from datetime import datetime

    from chalice.app import Response

routes = Routes(__name__, "sync")


@routes.operation("GET", "/api/v1/sync", answer=SyncAnswer)
def get_sync() -> SyncAnswer:
    """See how the content sync stands.

    One entry a channel: its cursor state, the seconds since its last success, and its last runs, newest first.
    """
    return SyncAnswer(data=[_channel(name) for name in settings.volc_channels])


@routes.operation(
    "POST",
    "/api/v1/sync/run",
    answer=SyncRunStarted,
    errors=(ChannelNotFound,),
    statuses={202: "The run has been started: look for its run_id in GET /api/v1/sync"},
)
def run_sync() -> Response:
    """Run the content sync now.

    The same run that the schedule starts, over every channel.
    """
    if not settings.volc_channels:
        raise ChannelNotFound("No channel is configured: set VOLC_UTM_SOURCES.")
    now = utc_now()
    run_id = new_run_id(now)
    aws.lambda_().invoke(
        FunctionName=settings.scan_function_name,
        InvocationType="Event",
        Payload=json.dumps(_scheduled_event(now, {"run_id": run_id})).encode(),
    )
    return respond(SyncRunStarted(run_id=run_id), status=202)


def _scheduled_event(now: datetime, detail: dict[str, str]) -> dict[str, Any]:
    """An event as EventBridge sends it (EventBridge user guide, event structure)."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Sync requested",
        "source": "social-publisher.api",
        "account": "",
        "time": to_rfc3339(now),
        "region": "",
        "resources": [],
        "detail": detail,
    }


def _channel(name: str) -> SyncChannel:
    status = sync_status(aws.s3(), settings.content_bucket, name)
    return SyncChannel(
        channel=name,
        state=status.state.to_dict(),
        lag_seconds=status.lag_seconds,
        runs=[run.to_dict() for run in status.runs],
    )
