"""Whether a queued task may run now: the account's own limits, and what Douyin's schedule still takes.

A task that is let through books its place on the account, by one conditional write, so two workers never take
the same one. A place is free again once its task has ended without submitting anything: nobody has to hand it
back, for it is looked up whenever it stands in another task's way.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Hold:
    """The task waits until then. `ours`: from now on we keep its time, not the platform."""

    until: datetime
    why: str
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """An account's preferences `daily_cap` (works a day of its `time_zone`) and `min_spacing_minutes`; None is
    no limit.
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

    def hold(self, booked: Collection[datetime], now: datetime) -> Hold | None:
        """Why one more work cannot go out now, beside those that are booked."""
        midnight = now.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        today = sum(at >= midnight for at in booked)
        if self.daily_cap is not None and today >= self.daily_cap:
            return Hold(
                midnight + timedelta(days=1), f"The account's daily_cap of {self.daily_cap} is reached."
            )
        latest = max(booked, default=None)
        if latest is not None and now < latest + self.spacing:
            minutes = int(self.spacing.total_seconds() // 60)
            return Hold(latest + self.spacing, f"The account's min_spacing_minutes are {minutes}.")
        return None


@dataclass(frozen=True, slots=True)
class Admission:
    tasks: TaskStore
    accounts: AccountStore
    clock: Clock = utc_now

    def decide(self, task: Task) -> Hold | None:
        """None lets the task run now, its place booked. A rehearsal publishes nothing and needs none."""
        now = self.clock()
        if task.platform_schedule and task.publish_at is not None:
            publish_at = from_rfc3339(task.publish_at)
            if not platform_takes(publish_at, now):
                why = "Douyin's own schedule takes no time this near: we publish at the time ourselves."
                return Hold(max(publish_at, now), why, ours=True)
        if task.rehearsal:
            return None
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
            if limits.hold(_instants(others), now):
                others = {task_id: at for task_id, at in others.items() if self._counts(task_id)}
            if hold := limits.hold(_instants(others), now):
                return hold
            if self.accounts.book(account, {**others, task.id: to_rfc3339(now)}):
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
