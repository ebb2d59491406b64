"""The language of a problem's title."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api.languages import preferred_language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh-Hans-CN", "zh"),
        ("ZH-TW", "zh"),
        ("en-US,en;q=0.9,zh-CN;q=0.8", "en"),
        ("en;q=0.5, zh;q=0.7", "zh"),
        ("fr, zh;q=0.5", "zh"),
        ("fr, de", "en"),
        ("zh;q=0", "en"),
        ("*", "en"),
        ("*;q=0.1, zh", "zh"),
        ("en;q=0, *", "zh"),
        ("zh, en", "zh"),
        ("en, zh", "en"),
        ("zh;q=high", "en"),
        ("，zh", "en"),
    ],
)
def test_the_preferred_one_of_ours(header: str, language: str) -> None:
    assert preferred_language(header) == language


@given(st.text(max_size=2000))
def test_any_text_is_answered(header: str) -> None:
    assert preferred_language(header) in {"en", "zh"}
