"""Signs of life: as long as a job runs, its message stays invisible and its task leased; not much longer.

The queue's own visibility time-out is six times the function's, as Lambda's documentation asks for. A worker
that is killed would block its account for that long. So the worker shortens the time-out of the one message it
holds and renews it while it lives: a dead one frees its account after `LEASE`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import PublisherError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_sqs import SQSClient

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
RENEWAL = timedelta(seconds=10)


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
    """Async context: calls `beat` (blocking) at once and then every RENEWAL until it is left.

    A beat that fails is logged and tried again at the next turn: a lease outlives two failed ones. If it runs
    out all the same, the epoch fences this worker off at its next write.
    """

    beat: Callable[[], None]
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Heartbeat:
        self._task = asyncio.create_task(self._run(), name="heartbeat")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._stop.is_set():
            try:
                await asyncio.to_thread(self.beat)
            except (PublisherError, ClientError, BotoCoreError):
                logger.warning("a sign of life could not be written", exc_info=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), RENEWAL.total_seconds())
