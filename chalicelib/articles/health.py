"""Whether a channel's cursor is still where nothing is lost, and how it is told before it is not.

The service lists what was synced in the last 14 days; what becomes of an older cursor is not documented, and
most likely it goes on at the window's start without a word. So the alarm comes while there is time to act, and
a cursor that must be older is not tried any more (docs/decisions/093).
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

from chalicelib.articles.state import commit_state, load_state
from chalicelib.clock import from_rfc3339, to_rfc3339
from chalicelib.events import BEHIND, RECOVERED, SYNC_BEHIND, SYNC_RECOVERED, emit, event, event_id

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.articles.news import Tell
    from chalicelib.articles.state import CursorState
    from chalicelib.articles.store import Store

logger = logging.getLogger(__name__)

Alarm = Literal["cursor_ageing", "cursor_expired"]

WINDOW: Final = timedelta(days=14)
"""What a scan reaches back. Source: the page 内容输出, ScanSyncArticles."""
AGEING_AFTER: Final = timedelta(days=3)
EXPIRED_AFTER: Final = timedelta(days=13)
"""A day before the end of the service's window."""

NAMESPACE: Final = "SocialPublisher"
METRIC: Final = "SyncLagSeconds"


def complete_until(state: CursorState) -> str | None:
    """The instant before which everything that the service has synced is committed, as far as is known.

    It is when the scan last reached its end. Before it ever did, a scan that goes on is in order: then it is
    its last success, or else its first attempt.
    """
    return state.caught_up_at or state.last_success_at or state.created_at


def lag(state: CursorState, now: datetime) -> timedelta | None:
    """How far the channel is behind; None before its first run."""
    since = complete_until(state)
    return None if since is None else max(timedelta(0), now - from_rfc3339(since))


def alarm(state: CursorState, now: datetime) -> Alarm | None:
    """`cursor_ageing` from 3 days of lag: something keeps the sync from going on. `cursor_expired` from 13:
    articles are about to be lost, or are lost; a backfill brings back what is still in the window.
    """
    behind = lag(state, now) or timedelta(0)
    if behind >= EXPIRED_AFTER:
        return "cursor_expired"
    return "cursor_ageing" if behind >= AGEING_AFTER else None


def expired(state: CursorState, now: datetime) -> bool:
    """Whether the cursor must be older than the service's window: for so long the scan has not got on."""
    moved = max(state.caught_up_at or "", state.last_success_at or "", state.restarted_at or "")
    since = moved or state.created_at
    return bool(state.cursor) and since is not None and now - from_rfc3339(since) >= WINDOW


def missing(state: CursorState, now: datetime) -> tuple[str, str] | None:
    """From when to when the service has synced what a scan from its window's start does not bring any more;
    None
    where that is nothing. Of a scan that never was complete, all that it began with counts as missing.
    """
    since = state.caught_up_at
    if since is None and state.created_at is not None:
        since = to_rfc3339(from_rfc3339(state.created_at) - WINDOW)
    reach = to_rfc3339(now - WINDOW)
    return None if since is None or since >= reach else (since, reach)


def announce(
    store: Store, channel: str, eventbridge: Any, bus: str, now: datetime, tell: Tell | None = None
) -> None:
    """Tells of an alarm that was not told of yet, and of its end, on the event bus, by `tell` and in the
    log. With the end, what is missing for ever.

    The state remembers what was told, after the bus has taken it: an event may come twice, with the same id.
    Raises EventNotTaken, CursorConflict if a run works on the channel, and botocore's errors.
    """
    stored = load_state(store, channel)
    state, found = stored.state, alarm(stored.state, now)
    owes_gap = found is None and not state.gap_told
    if stored.etag is None or (found == state.alarm and not owes_gap):
        return
    since = complete_until(state)
    if found is None:
        logger.warning("the sync has recovered", extra={"channel": channel})
        kind, told, seed = SYNC_RECOVERED, RECOVERED, f"{channel}/{state.alarm}/{since}/recovered"
        gap: dict[str, Any] = {"gap": owes_gap}
        if owes_gap:
            gap |= {"gap_from": state.gap_from, "gap_to": state.gap_to}
            logger.error("what was synced in a time is missing", extra={"channel": channel, **gap})
    else:
        behind = {"channel": channel, "alarm": found, "complete_until": since}
        logger.error("the sync is behind", extra=behind)
        kind, told, seed, gap = SYNC_BEHIND, BEHIND, f"{channel}/{found}/{since}", {}
    data = {"channel": channel, "alarm": found, "complete_until": since, **gap}
    emit(eventbridge, bus, [event(seed, kind, to_rfc3339(now), **data)])
    if tell is not None:
        tell(event_id(from_rfc3339(since) if since else now, seed), told, now, {**data, "url": "/api/v1/sync"})
    commit_state(store, replace(state, alarm=found, gap_told=state.gap_told or owes_gap), stored.etag)


def put_metric(channel: str, behind: timedelta, now: datetime, output: TextIO | None = None) -> None:
    """Writes the lag as a line in CloudWatch's embedded metric format.

    CloudWatch makes the metric from the log: no call, no right and no time of the function. The line has to
    stand alone, so it goes past the logger. Source: CloudWatch user guide, embedded metric format
    specification.
    """
    line = {
        "_aws": {
            "Timestamp": int(now.timestamp() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [["Channel"]],
                    "Metrics": [{"Name": METRIC, "Unit": "Seconds"}],
                }
            ],
        },
        "Channel": channel,
        METRIC: behind.total_seconds(),
    }
    output = output or sys.stdout
    output.write(json.dumps(line, ensure_ascii=False) + "\n")
    output.flush()
