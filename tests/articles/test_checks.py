from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.articles.checks import AGES, PERIOD, next_check

SEEN = datetime(2026, 11, 21, 3, 20, tzinfo=UTC)
DAY = timedelta(days=1)
ids = st.integers(0, 10**19).map(str)


@given(ids)
def test_an_article_is_looked_at_at_rising_ages_and_then_every_month(group_id: str) -> None:
    at, ages = SEEN, []
    for _ in range(9):
        at = next_check(group_id, SEEN, at)
        ages.append(at - SEEN)

    for age, planned in zip(ages, AGES, strict=False):
        assert planned <= age <= planned * 1.2
    first = ages[6] - AGES[-1]
    assert PERIOD <= first <= PERIOD * 1.2
    assert ages[7] - ages[6] == ages[8] - ages[7] == PERIOD


@given(ids, st.timedeltas(timedelta(0), 400 * DAY))
def test_the_next_check_is_always_to_come_and_never_farther_than_a_period_and_its_spread(
    group_id: str, age: timedelta
) -> None:
    wait = next_check(group_id, SEEN, SEEN + age) - SEEN - age

    assert timedelta(0) < wait <= PERIOD * 1.2 + AGES[-1]


def test_checks_that_nobody_made_are_made_up_for_by_one() -> None:
    assert next_check("1", SEEN, SEEN + 2 * DAY) >= SEEN + 3 * DAY


@pytest.mark.parametrize("age", [timedelta(0), 5 * DAY, 100 * DAY])
def test_articles_of_one_page_are_not_looked_at_all_at_once(age: timedelta) -> None:
    times = {next_check(str(number), SEEN, SEEN + age) for number in range(1000)}

    assert len(times) > 900
