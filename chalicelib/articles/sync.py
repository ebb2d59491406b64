"""One turn of the sync: for each channel what is due, the live scan, the backfills that are under way, and once
a day the compaction of the days that are over.

One function with a reserved concurrency of one takes every turn, so that a channel has one writer; the
conditional state stops whoever gets past that (docs/decisions/081).
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.articles import health, news
from chalicelib.articles.compaction import GROUP_SECONDS, compact_log, is_due
from chalicelib.articles.recheck import ArticleSource, run_recheck
from chalicelib.articles.scan import PageSource, run_scan
from chalicelib.articles.state import LIVE, backfill_names, create_state, load_state
from chalicelib.articles.store import Store
from chalicelib.clock import Clock, utc_now
from chalicelib.errors import ChannelNotFound, CloudFailed, PublisherError, ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mypy_boto3_s3 import S3Client

    from chalicelib.articles.compaction import Compaction
    from chalicelib.articles.index import ArticleIndex
    from chalicelib.articles.news import Tell
    from chalicelib.articles.runs import RunSummary

    Deadline = Callable[[], float]

logger = logging.getLogger(__name__)

_BACKFILL_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_GROUP_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_MAX_GROUP_IDS: Final = 10_000
_SMALLEST_SHARE_SECONDS: Final = 20.0
"""Of which a run keeps ten back."""


class ContentSource(PageSource, ArticleSource, Protocol):
    """What a turn uses of `ContentClient`."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a turn is to do beside the usual.

    `channel` restricts it to one channel. `backfill` starts a second scan, of that name, at the beginning of
    the service's window; every turn carries it on until it is through. `group_ids` are looked at before all
    others, whatever their age, and looked for where they were never seen. All of it is kept before anything is
    done.
    """

    channel: str | None = None
    backfill: str | None = None
    group_ids: tuple[str, ...] = ()

    @classmethod
    def from_detail(cls, detail: dict[str, Any]) -> Order:
        """From the detail of an event; members that are not known are passed over. Raises ValidationFailed."""
        channel, backfill = detail.get("channel"), detail.get("backfill")
        group_ids = detail.get("group_ids") or []
        if not isinstance(channel, str | None):
            raise ValidationFailed("channel must be the name of a channel.")
        if backfill is not None and not (
            isinstance(backfill, str) and _BACKFILL_NAME.fullmatch(backfill) and backfill != LIVE
        ):
            raise ValidationFailed(
                f"backfill must be a name of up to 40 letters a to z, digits and dashes, not {LIVE!r}."
            )
        if not (
            isinstance(group_ids, list)
            and len(group_ids) <= _MAX_GROUP_IDS
            and all(isinstance(group_id, str) and _GROUP_ID.fullmatch(group_id) for group_id in group_ids)
        ):
            raise ValidationFailed(
                f"group_ids must be a list of at most {_MAX_GROUP_IDS} ids, "
                "each of up to 64 letters, digits, _ or -."
            )
        return cls(channel, backfill, tuple(group_ids))

    def choose(self, channels: Sequence[str]) -> list[str]:
        """The channels that the turn is for. Raises ChannelNotFound, also where ids could be of any channel."""
        if self.channel is not None and self.channel not in channels:
            raise ChannelNotFound(f"{self.channel!r} is not among the channels that are synced.")
        chosen = list(channels) if self.channel is None else [self.channel]
        if self.group_ids and len(chosen) != 1:
            raise ChannelNotFound("Name the channel that the ids are of.")
        return chosen


@dataclass(frozen=True, slots=True)
class Sync:
    """The sync's collaborators. `client` is asked for when there is something to ask the service, so that
    missing keys fail the runs, and not the alarm about them. `eventbridge` is a boto3 client, `bus` the name of
    an event bus. `tell` keeps an event for webhooks; None where nobody wants any.
    """

    client: Callable[[], ContentSource]
    s3: S3Client
    bucket: str
    index: ArticleIndex
    eventbridge: Any
    bus: str
    prefix: str = ""
    clock: Clock = utc_now
    tell: Tell | None = None

    def turn(
        self, channels: Sequence[str], order: Order, *, run_id: str, deadline: Deadline
    ) -> dict[str, dict[str, str]]:
        """Takes a turn; for each channel how each of its runs ended: `succeeded`, or an error's code.

        `deadline` returns the seconds left. Channels share them evenly, those that succeeded longest ago first.
        A run that fails keeps no other from its turn; its failure is in its record and in the log. Raises
        ChannelNotFound, and before any run what keeps the order from being kept.
        """
        store = Store(self.s3, self.bucket, self.prefix)
        chosen = order.choose(channels)
        if order.channel is None:
            _guarded("all channels", "note of the beginning", self.index.run_begins)
        for channel in chosen:
            self.index.request_refresh(channel, order.group_ids, self.clock())
            if order.backfill is not None:
                create_state(store, channel, order.backfill, self.clock())
        chosen.sort(key=lambda channel: load_state(store, channel).state.last_success_at or "")
        outcomes = {}
        for done, channel in enumerate(chosen):
            share = _share(deadline, len(chosen) - done)
            outcomes[channel] = {
                what: _guarded(channel, what, run)
                for what, run in self._runs(store, channel, channels, run_id=run_id, deadline=share)
            }
        return outcomes

    def _runs(
        self, store: Store, channel: str, channels: Sequence[str], *, run_id: str, deadline: Deadline
    ) -> Iterator[tuple[str, Callable[[], object]]]:
        """What is to be run for the channel, each when its turn has come."""
        yield (
            "alarm",
            lambda: health.announce(store, channel, self.eventbridge, self.bus, self.clock(), self.tell),
        )
        # What the last turn did not come to tell: before this one commits anything.
        yield from self._news(store, channel)
        # First, because somebody may wait for it, or withdrawn content still lie there; but not for ever.
        siblings = [other for other in channels if other != channel]
        yield "recheck", partial(self._recheck, channel, siblings, f"{run_id}-recheck", _share(deadline, 3))
        yield "scan", partial(self._scan, channel, LIVE, run_id, deadline)
        for name in backfill_names(store, channel):
            if not load_state(store, channel, name).state.complete:
                yield f"backfill {name}", partial(self._scan, channel, name, run_id, deadline)
        yield from self._news(store, channel)
        for name in (LIVE, *backfill_names(store, channel)):
            if is_due(load_state(store, channel, name).state, self.clock()) and deadline() > GROUP_SECONDS:
                what = "compaction" if name == LIVE else f"compaction of {name}"
                yield what, partial(self._compact, store, channel, name, deadline)
        yield "metric", lambda: self._measure(store, channel)

    def _news(self, store: Store, channel: str) -> Iterator[tuple[str, Callable[[], object]]]:
        if (tell := self.tell) is not None:
            for name in (LIVE, *backfill_names(store, channel)):
                told = partial(news.tell_changes, store, channel, name, tell, self.clock())
                yield f"news {name}", told

    def _compact(self, store: Store, channel: str, name: str, deadline: Deadline) -> list[Compaction]:
        return compact_log(store, self.index, channel, name, time_left=deadline, clock=self.clock)

    def _measure(self, store: Store, channel: str) -> None:
        now = self.clock()
        behind = health.lag(load_state(store, channel).state, now)
        if behind is not None:
            health.put_metric(channel, behind, now)

    def _recheck(
        self, channel: str, siblings: Sequence[str], run_id: str, deadline: Deadline
    ) -> RunSummary | None:
        return run_recheck(
            channel,
            self.client(),
            self.s3,
            self.bucket,
            self.index,
            run_id=run_id,
            deadline=deadline,
            siblings=siblings,
            prefix=self.prefix,
            clock=self.clock,
        )

    def _scan(self, channel: str, name: str, run_id: str, deadline: Deadline) -> RunSummary:
        return run_scan(
            channel,
            self.client(),
            self.s3,
            self.bucket,
            self.index,
            name=name,
            run_id=run_id,
            deadline=deadline,
            prefix=self.prefix,
            clock=self.clock,
        )


def _guarded(channel: str, what: str, run: Callable[[], object]) -> str:
    try:
        run()
    except PublisherError as error:
        logger.exception("a run failed", extra={"channel": channel, "what": what})
        return error.code
    except (ClientError, BotoCoreError):
        logger.exception("a run failed", extra={"channel": channel, "what": what})
        return CloudFailed.code
    except Exception:
        # Content that nobody thought of must not keep the other channels from their turns, this time and ever.
        logger.exception("a run failed", extra={"channel": channel, "what": what})
        return PublisherError.code
    return "succeeded"


def _share(deadline: Deadline, parts: int) -> Deadline:
    """The time of one of so many parts, from now on."""
    left = deadline()
    rest = left - min(left, max(left / parts, _SMALLEST_SHARE_SECONDS))
    return lambda: deadline() - rest
