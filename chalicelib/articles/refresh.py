"""Asking for articles to be looked at now, ahead of their turn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.clock import Clock, utc_now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.articles.index import ArticleIndex

_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Requested:
    """`channels` are those that will ask for at least one of the articles. `unknown` are the ids that stood in
    no index: they are asked for in every channel.
    """

    channels: tuple[str, ...]
    unknown: tuple[str, ...]


def request_refresh(
    index: ArticleIndex, channels: Sequence[str], group_ids: Sequence[str], *, clock: Clock = utc_now
) -> Requested:
    """Marks the articles as due at once, durably: whichever run comes next looks at them first.

    An article is asked for in the channels that know it, one that no channel knows in all of them. Raises
    botocore's errors.
    """
    now = clock()

    def mark(group_id: str) -> tuple[list[str], bool]:
        knowing = [channel for channel in channels if _is_known(index, channel, group_id)]
        for channel in knowing or channels:
            index.request_refresh(channel, [group_id], now)
        return list(knowing or channels), bool(knowing)

    with ThreadPoolExecutor(_CONNECTIONS, "refresh") as pool:
        marked = list(pool.map(mark, group_ids))
    return Requested(
        channels=tuple(dict.fromkeys(channel for asked, _ in marked for channel in asked)),
        unknown=tuple(group_id for group_id, (_, known) in zip(group_ids, marked, strict=True) if not known),
    )


def _is_known(index: ArticleIndex, channel: str, group_id: str) -> bool:
    """Whether the channel's log has the article; one that was only asked for is not known yet."""
    entry = index.get(channel, group_id)
    return entry is not None and entry.object is not None
