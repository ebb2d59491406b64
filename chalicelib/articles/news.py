"""What webhooks are told of a channel's articles: thinly, one event a run that brought any.

The state is its own outbox: what is committed and what was told both stand in it. So a run that is killed loses
no news; an event may come twice, with the same id where nothing was committed in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from chalicelib.articles.state import commit_state, load_state
from chalicelib.events import ARTICLES_CHANGED, event_id

if TYPE_CHECKING:
    from chalicelib.articles.store import Store

Tell = Callable[[str, str, datetime, dict[str, Any]], None]
"""Keeps an event until it is sent: its id, its type, when it happened, and its data."""


def tell_changes(store: Store, channel: str, name: str, tell: Tell, now: datetime) -> None:
    """Tells what the scan `name` and the rechecks have committed since it was told last.

    Raises CursorConflict if a run works on the channel, and botocore's errors.
    """
    stored = load_state(store, channel, name)
    state = stored.state
    if stored.etag is None or state.seq == state.told_seq:
        return
    data = {
        "channel": channel,
        "scan": name,
        "run_id": state.last_run_id,
        "objects": state.objects - state.told_objects,
        "rows": state.rows - state.told_rows,
        "url": f"/api/v1/articles?channel={quote(channel, safe='')}",
    }
    tell(
        event_id(_started(state.last_run_id) or now, channel, name, state.told_seq, state.seq),
        ARTICLES_CHANGED,
        now,
        data,
    )
    told = replace(state, told_seq=state.seq, told_objects=state.objects, told_rows=state.rows)
    commit_state(store, told, stored.etag)


def _started(run_id: str) -> datetime | None:
    """When a run of this id began (`runs.new_run_id`)."""
    try:
        return datetime.strptime(run_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
