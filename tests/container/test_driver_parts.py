"""The parts of the driver that need no browser: the table of locators, answers, declarations, proofs."""

from __future__ import annotations

import ast
import json
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import (
    OutcomeUnknown,
    PageChanged,
    PlatformBusy,
    PlatformRejected,
    SessionExpired,
)
from container.douyin import locators
from container.douyin.answer import item_id_of
from container.douyin.declaration import CHOICES, Dialog
from container.douyin.topics import squeeze
from container.douyin.works import parse_works
from tests.conftest import ROOT

# Captured class names end in six letters or digits of the site's build: coverControl-CjlzqC.
_HASHED = re.compile(r"[A-Za-z]-(?=[A-Za-z0-9_]*[A-Z0-9_])[A-Za-z0-9_]{6}(?![A-Za-z0-9_-])")


def test_every_locator_says_what_for_and_where_it_was_seen() -> None:
    assert len(locators.TABLE) > 25
    for target in locators.TABLE:
        assert target.purpose
        assert target.source[0] in "FP?", target.purpose
        assert len(set(target.ways)) == len(target.ways), target.purpose


def test_nothing_in_the_container_waits_for_time_to_pass() -> None:
    modules = sorted((ROOT / "container").rglob("*.py"))
    assert len(modules) > 20
    assert [path.name for path in modules if _sleeps(path.read_text("utf-8"))] == []
    assert _sleeps("await asyncio.sleep(1)")
    assert _sleeps("await page.wait_for_timeout(500)")


def _sleeps(source: str) -> bool:
    called = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = {getattr(function, "attr", getattr(function, "id", "")) for function in called}
    return not names.isdisjoint({"sleep", "wait_for_timeout"})


def test_purposes_are_unique() -> None:
    purposes = [target.purpose for target in locators.TABLE]
    assert len(set(purposes)) == len(purposes)


def test_no_locator_holds_a_hashed_class() -> None:
    selectors = [
        way.selector for target in locators.TABLE for way in target.ways if isinstance(way, locators.Css)
    ]
    selectors += [selector for mark in locators.MARKS for selector in mark.selectors]
    assert _HASHED.search(".coverControl-CjlzqC")
    assert [selector for selector in selectors if _HASHED.search(selector)] == []


def test_marks_have_names_of_their_own_and_something_to_tell_them_by() -> None:
    names = [mark.name for mark in locators.MARKS]
    assert len(set(names)) == len(names)
    assert all(mark.texts or mark.selectors or mark.hidden for mark in locators.MARKS)


@given(st.integers(10**18, 10**19 - 1), st.booleans())
def test_an_item_id_keeps_its_nineteen_digits(number: int, quoted: bool) -> None:
    body = json.dumps({"status_code": 0, "item_id": str(number) if quoted else number})
    assert item_id_of(body) == str(number)


def test_a_yes_without_an_item_id_is_a_yes() -> None:
    assert item_id_of('{"status_code": 0}') is None


@pytest.mark.parametrize("body", ["", "<html>", "[]", "null", '{"item_id": 1}', '"0"'])
def test_an_answer_that_cannot_be_read_proves_nothing(body: str) -> None:
    with pytest.raises(OutcomeUnknown):
        item_id_of(body)


def test_a_no_is_told_in_the_platforms_words() -> None:
    with pytest.raises(PlatformBusy, match="服务器开小差了"):
        item_id_of('{"status_code": 10006, "status_msg": "服务器开小差了，请稍后再试"}')
    with pytest.raises(PlatformRejected, match="内容违规"):
        item_id_of('{"status_code": 4021, "status_msg": "内容违规"}')
    with pytest.raises(PlatformRejected, match="status 7"):
        item_id_of('{"status_code": 7}')


def test_every_claim_type_has_an_answer_for_both_dialogs() -> None:
    from chalicelib.api.models import ClaimType  # noqa: PLC0415 - the API's list, for comparison only

    assert set(CHOICES) == set(get_args(ClaimType))
    assert all(set(choices) == set(Dialog) for choices in CHOICES.values())


def test_a_repost_always_says_from_where() -> None:
    for claim_type in ("取材网络", "内容为转载信息"):
        assert all(choice and choice.source == "取材站外" for choice in CHOICES[claim_type].values())


def test_works_keep_their_ids_and_times() -> None:
    (work,) = parse_works(
        '{"status_code":0,"aweme_list":[{"aweme_id":7412345678901234567,"desc":"标题 简介",'
        '"create_time":1795257000,"video":{"duration":2000}}]}'
    )
    assert (work.item_id, work.title, work.duration_ms) == ("7412345678901234567", "标题 简介", 2000)
    assert work.created_at.isoformat() == "2026-11-21T10:30:00+00:00"


@pytest.mark.parametrize("text", ["", "[]", '{"status_code":4031}', '{"status_code":0,"aweme_list":[{}]}'])
def test_a_works_list_that_cannot_be_read_is_no_empty_list(text: str) -> None:
    with pytest.raises(PageChanged):
        parse_works(text)


def test_the_works_list_of_nobody_is_a_session_that_is_over() -> None:
    with pytest.raises(SessionExpired):
        parse_works('{"status_code":8,"status_msg":"用户未登录"}')


@given(st.lists(st.sampled_from([*"一二 \n\t\u200b\ufeff\u00a0", "#"])))
def test_invisible_characters_make_no_difference(characters: list[str]) -> None:
    text = "".join(characters)
    assert squeeze(text) == "".join(character for character in text if character in "一二#")
