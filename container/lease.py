"""Signs of life: as long as a job runs, its message stays invisible and its task leased; not much longer.

The queue's own visibility time-out is at least the function's, as Lambda insists. A worker that is killed would
block its account for that long. So the worker shortens the time-out of the one message it holds and renews it
while it lives: a dead one frees its account after `LEASE`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import Fenced, PublisherError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_sqs import SQSClient

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
RENEWAL = timedelta(seconds=10)
PACE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Message:
    """The message that an invocation holds."""

    sqs: SQSClient
    queue_url: str
    receipt_handle: str

    def keep_invisible(self) -> None:
        self._change(int(LEASE.total_seconds()))

    def _change(self, seconds: int) -> None:
        self.sqs.change_message_visibility(
            QueueUrl=self.queue_url, ReceiptHandle=self.receipt_handle, VisibilityTimeout=seconds
        )


@dataclass(slots=True)
class Heartbeat:
    """Async context: calls `beat` (blocking) at once and then every so often until it is left; sooner where
    there is news, but never more often than every PACE.

    A beat that fails is logged and tried again at the next turn: a lease outlives two failed ones. If it runs
    out all the same, the epoch fences this worker off at its next write. A beat that raises Fenced ends what
    goes on inside the context: it is canceled where it stands, and the context is left with that error.
    """

    beat: Callable[[], None]
    every: timedelta = RENEWAL
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _owner: asyncio.Task[Any] | None = None
    _lost: Fenced | None = None

    async def __aenter__(self) -> Heartbeat:
        self._owner = asyncio.current_task()
        self._task = asyncio.create_task(self._run(), name="heartbeat")
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        self._stop.set()
        self._news.set()
        if self._task is not None:
            await self._task
        if self._lost is not None and self._owner is not None:
            self._owner.uncancel()
            raise self._lost from error

    def tell(self) -> None:
        """There is news that the next beat should take along soon."""
        self._news.set()

    def lose(self, lost: Fenced) -> None:
        """Ends what goes on inside the context with this error."""
        if self._stop.is_set() or self._lost is not None or self._owner is None:
            return
        self._lost = lost
        self._owner.cancel()

    async def _run(self) -> None:
        while not self._stop.is_set():
            self._news.clear()
            try:
                await asyncio.to_thread(self.beat)
            except Fenced as lost:
                self.lose(lost)
                return
            except (PublisherError, ClientError, BotoCoreError):
                logger.warning("a sign of life could not be written", exc_info=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), PACE.total_seconds())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), (self.every - PACE).total_seconds())
