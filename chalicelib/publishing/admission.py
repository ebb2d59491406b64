"""Whether a queued task may run now: the account's own limits, and what Douyin's schedule still takes.

A task that is let through books its place on the account, by one conditional write, so two workers never take
the same one. A place is free again once its task has ended without submitting anything: nobody has to hand it
back, for it is looked up whenever it stands in another task's way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from chalicelib.accounts.preferences import time_zone
from chalicelib.clock import SHANGHAI, Clock, from_rfc3339, to_rfc3339, utc_now
from chalicelib.publishing.schedule import platform_takes
from chalicelib.publishing.states import State

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from chalicelib.accounts.store import AccountStore
    from chalicelib.publishing.store import TaskStore
    from chalicelib.publishing.task import Task

# Bookings older than this, and than the spacing, are forgotten.
KEPT = timedelta(days=2)

# After that many lost races for the account's bookings the task waits a little.
RACES = 5
AFTER_RACES = timedelta(minutes=1)

TOO_NEAR = "Douyin's own schedule takes no time this near: we publish at the time ourselves."


@dataclass(frozen=True, slots=True)
class Hold:
    """The task waits until then. `ours`: from now on we keep its time, not the platform."""

    until: datetime
    why: str
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """An account's preferences `daily_cap` (works that appear on one day of its `time_zone`) and
    `min_spacing_minutes` (between two that appear); None is no limit.
    """

    daily_cap: int | None
    spacing: timedelta
    zone: tzinfo = SHANGHAI

    @classmethod
    def of(cls, preferences: Mapping[str, Any]) -> Limits:
        cap, minutes = preferences.get("daily_cap"), preferences.get("min_spacing_minutes")
        return cls(
            cap if isinstance(cap, int) and cap > 0 else None,
            timedelta(minutes=minutes if isinstance(minutes, int) and minutes > 0 else 0),
            time_zone(preferences),
        )

    def hold(self, booked: Collection[datetime], at: datetime) -> Hold | None:
        """Why one more work cannot appear at that instant, beside those that are booked."""
        midnight = at.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        tomorrow = midnight + timedelta(days=1)
        that_day = sum(midnight <= other < tomorrow for other in booked)
        if self.daily_cap is not None and that_day >= self.daily_cap:
            return Hold(tomorrow, f"The account's daily_cap of {self.daily_cap} is reached.")
        near = [other for other in booked if abs(other - at) < self.spacing]
        if near:
            minutes = int(self.spacing.total_seconds() // 60)
            return Hold(max(near) + self.spacing, f"The account's min_spacing_minutes are {minutes}.")
        return None


@dataclass(frozen=True, slots=True)
class Admission:
    tasks: TaskStore
    accounts: AccountStore
    clock: Clock = utc_now

    def decide(self, task: Task) -> Hold | None:
        """None lets the task run now, its place booked for when its work appears. A rehearsal publishes
        nothing: it needs no place, and runs at once, whenever the work is to appear.
        """
        now = self.clock()
        publish_at = from_rfc3339(task.publish_at) if task.publish_at is not None else now
        if task.platform_schedule and not platform_takes(publish_at, now):
            return Hold(now if task.rehearsal else max(publish_at, now), TOO_NEAR, ours=True)
        if task.rehearsal:
            return None
        if not task.platform_schedule and now < publish_at:
            return Hold(publish_at, "It was approved before its time.")
        appears_at = publish_at if task.platform_schedule else now
        for _ in range(RACES):
            account = self.accounts.find(task.submission.account_name)
            if account is None:
                return None  # The job says so.
            limits = Limits.of(account.preferences)
            oldest = now - max(KEPT, limits.spacing)
            others = {
                task_id: at
                for task_id, at in account.bookings.items()
                if task_id != task.id and from_rfc3339(at) > oldest
            }
            if limits.hold(_instants(others), appears_at):
                others = {task_id: at for task_id, at in others.items() if self._counts(task_id)}
            if hold := limits.hold(_instants(others), appears_at):
                return replace(hold, ours=task.platform_schedule)
            if self.accounts.book(account, {**others, task.id: to_rfc3339(appears_at)}):
                return None
        return Hold(now + AFTER_RACES, "Others were publishing to the account at the same moment.")

    def _counts(self, task_id: str) -> bool:
        """Whether a booked task has published, may have, or is about to."""
        task = self.tasks.find(task_id)
        if task is None:
            return False
        about_to = task.state.held or task.state is State.QUEUED
        return about_to or task.intent is not None or task.state is State.PUBLISHED


def _instants(bookings: Mapping[str, str]) -> list[datetime]:
    return [from_rfc3339(at) for at in bookings.values()]
