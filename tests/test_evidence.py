"""Which of a task's pictures to look at first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from chalicelib.evidence import FORM_STEP, Picture, useful_first

_NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def _picture(epoch: int, step: str, minute: int) -> Picture:
    return Picture(f"{epoch}-{step}.jpg", epoch, step, _NOON + timedelta(minutes=minute), "key")


def test_the_last_attempts_failure_comes_first_then_its_form_then_what_is_newer() -> None:
    pictures = [
        _picture(1, "cover", 1),
        _picture(1, "fill", 2),
        _picture(2, FORM_STEP, 3),
        _picture(2, "title", 4),
        _picture(2, "submit", 5),
        _picture(2, "settings", 6),
    ]

    ordered = [(picture.epoch, picture.step) for picture in useful_first(pictures, "submit")]

    assert ordered == [(2, "submit"), (2, FORM_STEP), (2, "settings"), (2, "title"), (1, "fill"), (1, "cover")]


def test_without_a_failure_the_form_comes_first() -> None:
    pictures = [_picture(1, "open_upload", 9), _picture(1, FORM_STEP, 3)]
    assert useful_first(pictures, None)[0].step == FORM_STEP
