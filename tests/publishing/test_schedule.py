"""What a schedule_time means, and who keeps it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.clock import SHANGHAI, from_rfc3339, to_rfc3339
from chalicelib.publishing.schedule import FARTHEST, parse_schedule_time, plan

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def test_the_contracts_form_is_shanghai_time() -> None:
    assert parse_schedule_time("2024-03-20 18:00") == datetime(2024, 3, 20, 10, tzinfo=UTC)


def test_rfc_3339_with_an_offset_is_taken_as_it_is() -> None:
    assert parse_schedule_time("2024-03-20T18:00:00+01:00") == datetime(2024, 3, 20, 17, tzinfo=UTC)


def test_an_accounts_time_zone_says_what_a_time_without_an_offset_means() -> None:
    berlin = ZoneInfo("Europe/Berlin")

    assert parse_schedule_time("2024-07-20 18:00", berlin) == datetime(2024, 7, 20, 16, tzinfo=UTC)
    assert parse_schedule_time("2024-12-20 18:00", berlin) == datetime(2024, 12, 20, 17, tzinfo=UTC)
    assert parse_schedule_time("2024-07-20T18:00:00+08:00", berlin) == datetime(2024, 7, 20, 10, tzinfo=UTC)


def test_a_time_that_a_clock_skips_is_refused_and_one_that_it_shows_twice_is_the_earlier() -> None:
    berlin = ZoneInfo("Europe/Berlin")

    with pytest.raises(ValueError, match="Europe/Berlin skip"):
        parse_schedule_time("2027-03-28 02:30", berlin)
    assert parse_schedule_time("2027-10-31 02:30", berlin) == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-03-20",
        "2024-03-20T18:00:00",
        "2024-3-20 18:00",
        "2024-02-30 10:00",
        "0001-01-01 00:00",
        "soon",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_schedule_time(text)


@pytest.mark.parametrize(
    ("ahead", "on_platform"),
    [
        (timedelta(minutes=1), False),
        (timedelta(hours=2), False),
        (timedelta(hours=2, minutes=15), True),
        (timedelta(days=13), True),
        (timedelta(days=13, hours=23, minutes=45), True),
        (timedelta(days=14), False),
        (timedelta(days=300), False),
    ],
)
def test_douyin_keeps_what_its_form_takes_and_we_keep_the_rest(ahead: timedelta, on_platform: bool) -> None:
    assert plan(NOW + ahead, NOW).platform_schedule is on_platform


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=-1), FARTHEST + timedelta(seconds=1)])
def test_the_past_and_the_far_future_are_refused(ahead: timedelta) -> None:
    with pytest.raises(ValueError, match="time is"):
        plan(NOW + ahead, NOW)


EARLIEST, LATEST = datetime(2000, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone

minutes = st.datetimes(EARLIEST, LATEST).map(lambda moment: moment.replace(second=0, microsecond=0))


@given(minutes)
def test_every_minute_reads_back_as_written(moment: datetime) -> None:
    local = moment.replace(tzinfo=SHANGHAI)

    assert parse_schedule_time(local.strftime("%Y-%m-%d %H:%M")) == local


@given(st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC)))
def test_stored_instants_keep_their_milliseconds_and_their_order(moment: datetime) -> None:
    assert abs(from_rfc3339(to_rfc3339(moment)) - moment) < timedelta(milliseconds=1)
    assert to_rfc3339(moment) < to_rfc3339(moment + timedelta(milliseconds=1))
