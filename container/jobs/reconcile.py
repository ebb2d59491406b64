"""Settling an uncertain publish by the creator's own works list. Reads only: it never clicks."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from playwright.async_api import Error as BrowserError

from chalicelib.clock import from_rfc3339, to_rfc3339
from chalicelib.errors import AccountNotFound, NotPublished, OutcomeUnknown, PublisherError, SessionExpired
from chalicelib.publishing import states
from chalicelib.publishing.states import State
from chalicelib.publishing.task import work_url
from container.browser import open_page
from container.douyin.works import list_works
from container.evidence import Timeline
from container.jobs.session import expire_session, open_session
from container.points import reach

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from chalicelib.publishing.store import TaskStore
    from chalicelib.publishing.task import Task
    from container.douyin.works import WorkSummary
    from container.worker import Worker

logger = logging.getLogger(__name__)

# How many works a look asks for. A list of fewer than the site's own pages ask for is the whole list.
NEWEST = 50
WHOLE = 10

# A work that is not in the list after this long, at the last of these looks, was not published. It is longer
# than any worker can live: one that wrote its intent and then hung may still click for as long.
ABSENT_AFTER = timedelta(minutes=20)
CHECK_DELAYS = tuple(timedelta(seconds=seconds) for seconds in (30, 60, 120, 300, 600))

# After a look that failed: the account may be logged out, and a person is needed.
FAILED_DELAYS = (*CHECK_DELAYS, timedelta(hours=1))

# The platform's clock and ours differ by less than this.
CLOCK_SKEW = timedelta(minutes=2)

# The platform's encoders change a video's length by less than this.
DURATION_SKEW_MS = 1_500


async def reconcile(worker: Worker, tasks: TaskStore, task: Task) -> None:
    """Looks once. Found: published. Not found, late enough: not published. Else the task is looked at again.

    A look that fails proves nothing and counts for nothing; nor does one that does not reach back far enough,
    or that finds a work to which another uncertain task has the better claim.
    """
    reach("reconcile_claimed")
    now = worker.clock()
    try:
        works = await _look(worker, tasks, task)
    except (PublisherError, BrowserError, ClientError, BotoCoreError) as error:
        logger.warning("the works list could not be read", exc_info=error)
        changes: dict[str, Any] = {"failed_checks": task.failed_checks + 1}
        if isinstance(error, AccountNotFound):
            why = "The account was deleted: look yourself whether the work is live, or log it in again."
            changes["error"] = OutcomeUnknown(why).describe()
        delay = FAILED_DELAYS[min(task.failed_checks, len(FAILED_DELAYS) - 1)]
        await _look_later(tasks, task, now + delay, **changes)
        return
    reach("list_read")
    found = find_works(task, works)
    mine = await asyncio.to_thread(_without_others, worker, tasks, task, found) if found else []
    for work in mine:
        if await asyncio.to_thread(tasks.claim_work, work.item_id, task.id):
            result = {"item_id": work.item_id, "url": work_url(work.item_id), "found_at": to_rfc3339(now)}
            reach("before_settle")
            await asyncio.to_thread(
                tasks.move, task.id, states.PROVE, epoch=task.epoch, result=result, error=None
            )
            return
    delay = CHECK_DELAYS[min(task.checks, len(CHECK_DELAYS) - 1)]
    if len(mine) < len(found) or not reaches_back(task, works):
        await _look_later(tasks, task, now + delay, failed_checks=task.failed_checks + 1)
        return
    if task.checks + 1 >= len(CHECK_DELAYS) and now >= last_click(task) + ABSENT_AFTER:
        absent = NotPublished(f"Looked {task.checks + 1} times, until {to_rfc3339(now)}.")
        reach("before_settle")
        await asyncio.to_thread(tasks.move, task.id, states.MISS, epoch=task.epoch, error=absent.describe())
        return
    await _look_later(tasks, task, now + delay, checks=task.checks + 1)


def _without_others(
    worker: Worker, tasks: TaskStore, task: Task, found: list[WorkSummary]
) -> list[WorkSummary]:
    """The works without those that are other tasks' of the account: of one whose outcome is open and whose
    intent is later, whatever fits it, for a click follows its intent in seconds; of one that is known to be
    live though nobody said which work it is, one that fits it, the soonest after its click.
    """
    account = worker.accounts.find(task.submission.account_name)
    others = [tasks.find(task_id) for task_id in (account.bookings if account else ()) if task_id != task.id]
    clicked = sorted((other for other in others if other and other.intent), key=last_click)
    for other in clicked:
        if other.state.watched and last_click(other) > last_click(task):
            found = [work for work in found if not find_works(other, [work])]
        elif other.state is State.PUBLISHED and not (other.result or {}).get("item_id"):
            its_own = find_works(other, found)[:1]
            found = [work for work in found if work not in its_own]
    return found


async def _look_later(tasks: TaskStore, task: Task, due_at: datetime, **changes: Any) -> None:
    current = await asyncio.to_thread(tasks.get, task.id)
    if current.state is State.OUTCOME_UNKNOWN:
        await asyncio.to_thread(tasks.postpone, current, due_at, **changes)


async def _look(worker: Worker, tasks: TaskStore, task: Task) -> list[WorkSummary]:
    account = await asyncio.to_thread(worker.accounts.get, task.submission.account_name)
    account.require_login()

    async def record(entry: dict[str, Any]) -> None:
        if task.failed_checks < len(FAILED_DELAYS):  # Looks that go on failing would fill the timeline.
            await asyncio.to_thread(tasks.record, task, entry)

    timeline = Timeline(record, clock=worker.clock)
    async with (
        timeline.step("look_at_works"),
        open_session(worker, account, timeline) as context,
    ):
        page = await open_page(context)
        try:
            return await list_works(page, worker.settings.douyin_origin, newest=NEWEST)
        except SessionExpired as proof:
            await expire_session(worker, account, proof)
            raise


def find_works(task: Task, works: list[WorkSummary]) -> list[WorkSummary]:
    """The works that may be the task's, the likeliest first: new since the intent, not older than it, with its
    title, and as long as its video where both lengths are known.

    Two that fit cannot be told apart, and either proves that it is live: the one made soonest after the intent
    is taken, unless it is another task's.
    """
    intent = task.intent or {}
    known = set(intent.get("works", []))
    earliest = from_rfc3339(intent["at"]) - CLOCK_SKEW
    candidates = [
        work
        for work in works
        if work.item_id not in known
        and _squeezed(work.title) == _squeezed(task.submission.title)
        and work.created_at >= earliest
        and _as_long(work.duration_ms, intent.get("duration_ms"))
    ]
    return sorted(candidates, key=lambda work: work.created_at)


def reaches_back(task: Task, works: list[WorkSummary]) -> bool:
    """Whether the list shows all works since the intent: only then a missing one is missing."""
    intent = task.intent or {}
    known = set(intent.get("works", []))
    earliest = from_rfc3339(intent["at"]) - CLOCK_SKEW
    return len(works) < WHOLE or any(work.item_id in known or work.created_at < earliest for work in works)


def last_click(task: Task) -> datetime:
    """When the click was made at the earliest: it may have been made again after a code was entered."""
    intent = task.intent or {}
    return from_rfc3339(intent.get("renewed_at") or intent["at"])


def _squeezed(title: str) -> str:
    return " ".join(title.split())


def _as_long(found: int | None, sent: int | None) -> bool:
    return found is None or sent is None or abs(found - sent) <= DURATION_SKEW_MS
