"""An account's preferences stand in for what a task does not say."""

from __future__ import annotations

from chalicelib.accounts.preferences import applied, merged


def test_a_field_that_the_caller_gave_is_the_callers() -> None:
    preferences = {"default_tags": ["a"], "default_claim_type": "内容由AI生成", "visibility": "private"}

    assert applied(preferences, {"tags", "title"}) == {
        "claim_type": "内容由AI生成",
        "visibility": "private",
    }


def test_without_preferences_nothing_is_decided() -> None:
    assert applied({}, {"title"}) == {}


def test_limits_are_no_fields_of_a_task() -> None:
    assert applied({"daily_cap": 3, "min_spacing_minutes": 10}, set()) == {}


def test_a_change_of_null_takes_a_preference_away_and_the_others_stay() -> None:
    assert merged({"daily_cap": 3, "visibility": "private"}, {"daily_cap": None, "allow_save": False}) == {
        "visibility": "private",
        "allow_save": False,
    }
