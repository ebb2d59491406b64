"""Settling an uncertain publish by the creator's own works list. Reads only: it never clicks."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from playwright.async_api import Error as BrowserError

from chalicelib.clock import from_rfc3339, to_rfc3339
from chalicelib.errors import NotPublished, PublisherError, SessionExpired
from chalicelib.publishing import states
from container.browser import open_page
from container.douyin.works import list_works
from container.evidence import Timeline
from container.jobs.session import open_session
from container.points import reach

if TYPE_CHECKING:
    from typing import Any

    from chalicelib.publishing.store import TaskStore
    from chalicelib.publishing.task import Task
    from container.douyin.works import WorkSummary
    from container.worker import Worker

logger = logging.getLogger(__name__)

# A work that is not in the list after this long, at the last of these looks, was not published. It is longer
# than any worker can live: one that wrote its intent and then hung may still click for as long.
ABSENT_AFTER = timedelta(minutes=20)
CHECK_DELAYS = tuple(timedelta(seconds=seconds) for seconds in (30, 60, 120, 300, 600))

# The platform's clock and ours differ by less than this.
CLOCK_SKEW = timedelta(minutes=2)


async def reconcile(worker: Worker, tasks: TaskStore, task: Task) -> None:
    """Looks once. Found: published. Not found, late enough: not published. Else the task is looked at again.

    A look that fails proves nothing and counts for nothing.
    """
    reach("reconcile_claimed")
    now = worker.clock()
    delay = CHECK_DELAYS[min(task.checks, len(CHECK_DELAYS) - 1)]
    try:
        work = await _look(worker, tasks, task)
    except (PublisherError, BrowserError) as error:
        logger.warning("task %s: the works list could not be read: %s", task.id, error)
        current = await asyncio.to_thread(tasks.get, task.id)
        await asyncio.to_thread(tasks.postpone, current, now + delay)
        return
    reach("list_read")
    if work is not None:
        result = {
            "item_id": work.item_id,
            "url": f"https://www.douyin.com/video/{work.item_id}",
            "found_at": to_rfc3339(now),
        }
        reach("before_settle")
        await asyncio.to_thread(tasks.move, task.id, states.PROVE, epoch=task.epoch, result=result, error=None)
        return
    intent_at = from_rfc3339((task.intent or {})["at"])
    if task.checks + 1 >= len(CHECK_DELAYS) and now >= intent_at + ABSENT_AFTER:
        absent = NotPublished(f"Looked {task.checks + 1} times, until {to_rfc3339(now)}.")
        reach("before_settle")
        await asyncio.to_thread(tasks.move, task.id, states.MISS, epoch=task.epoch, error=absent.describe())
        return
    current = await asyncio.to_thread(tasks.get, task.id)
    await asyncio.to_thread(tasks.postpone, current, now + delay, checks=task.checks + 1)


async def _look(worker: Worker, tasks: TaskStore, task: Task) -> WorkSummary | None:
    account = await asyncio.to_thread(worker.accounts.get, task.submission.account_name)
    account.require_login()

    async def record(entry: dict[str, Any]) -> None:
        await asyncio.to_thread(tasks.record, task, entry)

    timeline = Timeline(record, clock=worker.clock)
    async with (
        timeline.step("look_at_works"),
        open_session(worker, account, timeline) as context,
    ):
        page = await open_page(context)
        try:
            works = await list_works(page, worker.settings.douyin_origin)
        except SessionExpired:
            await asyncio.to_thread(worker.accounts.mark_expired, account)
            raise
    return find_work(task, works)


def find_work(task: Task, works: list[WorkSummary]) -> WorkSummary | None:
    """The task's work among the creator's works: new since the intent, not older than it, same title.

    Two such works cannot be told apart, and either proves that it is live: the older one is taken.
    """
    intent = task.intent or {}
    known = set(intent.get("works", []))
    earliest = from_rfc3339(intent["at"]) - CLOCK_SKEW
    candidates = [
        work
        for work in works
        if work.item_id not in known
        and work.title.strip() == task.submission.title.strip()
        and work.created_at >= earliest
    ]
    return min(candidates, key=lambda work: work.created_at, default=None)
