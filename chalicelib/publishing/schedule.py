"""When a work goes out: `schedule_time` as text, the instant it means, and who keeps the time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from chalicelib.clock import SHANGHAI

# Douyin's own schedule takes times between two hours and fourteen days ahead. The slack is what the job needs
# until it reads the time back from the form.
PLATFORM_EARLIEST = timedelta(hours=2)
PLATFORM_LATEST = timedelta(days=14)
SLACK = timedelta(minutes=15)

# What a run needs, at the least, from its claim until it sets the time in the form; and once the form is there.
RUN = timedelta(minutes=5)
FILL = timedelta(minutes=1)

# A task cannot be held for ever: nobody would remember it.
FARTHEST = timedelta(days=366)

_LOCAL = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}")


@dataclass(frozen=True, slots=True)
class Plan:
    """`publish_at` is when the work appears. The platform keeps the time where it can (`platform_schedule`),
    else the task is held and the job starts at that instant.
    """

    publish_at: datetime
    platform_schedule: bool


def parse_schedule_time(text: str, zone: tzinfo = SHANGHAI) -> datetime:
    """`YYYY-MM-DD HH:mm` in `zone`, or RFC 3339 with an offset. ValueError says what is wrong.

    A time that a clock shows twice, when summer ends, is the earlier one.
    """
    if is_local(text):
        local = datetime.strptime(text, "%Y-%m-%d %H:%M")  # noqa: DTZ007 - the zone is added below
        try:
            instant = local.replace(tzinfo=zone).astimezone(UTC)
        except OverflowError:
            raise ValueError("there is no such year in UTC") from None
        # Only the way there and back tells of a time that the beginning of summer skips.
        if instant.astimezone(zone).replace(tzinfo=None) != local:
            raise ValueError(f"clocks in {zone} skip that time")
        return instant
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an RFC 3339 time needs an offset")
    return instant


def is_local(text: str) -> bool:
    """Whether the time is written without an offset, so that it is the account's time zone that counts."""
    return _LOCAL.fullmatch(text) is not None


def plan(publish_at: datetime, now: datetime) -> Plan:
    """ValueError where the time is past, or more than a year ahead."""
    if publish_at <= now:
        raise ValueError("the time is past")
    if publish_at > now + FARTHEST:
        raise ValueError("the time is more than 366 days ahead")
    on_platform = now + PLATFORM_EARLIEST + SLACK <= publish_at <= now + PLATFORM_LATEST - SLACK
    return Plan(publish_at, on_platform and publish_at.second == 0)


def platform_takes(publish_at: datetime, now: datetime, *, within: timedelta = RUN) -> bool:
    """Whether the platform's own schedule still takes this time from a form that is filled in `within` then."""
    return now + PLATFORM_EARLIEST + within <= publish_at
