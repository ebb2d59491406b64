"""Adds what an invocation used to the task that it worked on."""

from __future__ import annotations

import contextlib
import logging
import math
import platform
import time
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.publishing.store import TaskStore

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def billed(tasks: TaskStore, task_id: str, *, memory_mb: int) -> Iterator[None]:
    """Bills the time that passes inside, however it ends. A bill that cannot be written is logged, no more."""
    started = time.monotonic()
    try:
        yield
    finally:
        used_ms = math.ceil((time.monotonic() - started) * 1000)
        try:
            tasks.bill(task_id, ms=used_ms, memory_mb=memory_mb, machine=platform.machine())
        except (ClientError, BotoCoreError):
            logger.warning("the bill of a task could not be written", extra={"task_id": task_id}, exc_info=True)
