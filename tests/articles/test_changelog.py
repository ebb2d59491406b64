from __future__ import annotations

import copy
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.articles.changelog import (
    ObjectBuilder,
    article_key,
    content_sha256,
    parse_day,
    parse_seq,
    read_rows,
)
from local.standins.volcengine.content import Content

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=20),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=10,
)
articles = st.dictionaries(st.text(max_size=8), json_values, max_size=4)

CONTENT = Content("seed", "channel")


def build(*rows: dict[str, Any]) -> bytes:
    builder = ObjectBuilder(seq=7, day="2026-11-21", run_id="run-1")
    for row in rows:
        builder.add("725", "upsert", row, observed_at="2026-11-21T09:44:38.123Z", request_id="R1")
    return builder.finish()


def article(number: int = 3, *, revision: int = 0, fetch: int = 1) -> dict[str, Any]:
    return CONTENT.article(number, synced_at=1_795_000_000, revision=revision, fetch=fetch)


def test_a_row_holds_what_is_documented_in_that_order() -> None:
    (line,) = gzip.decompress(build({"GroupId": "725", "Video": None})).splitlines()

    assert json.loads(line) == {
        "group_id": "725",
        "op": "upsert",
        "observed_at": "2026-11-21T09:44:38.123Z",
        "seq": 7,
        "pos": 0,
        "run_id": "run-1",
        "request_id": "R1",
        "miss_reason": None,
        "content_sha256": content_sha256({"GroupId": "725", "Video": None}),
        "article": {"GroupId": "725", "Video": None},
    }
    assert list(json.loads(line))[:5] == ["group_id", "op", "observed_at", "seq", "pos"]


@given(st.lists(articles, max_size=4))
def test_any_article_comes_back_untouched(written: list[dict[str, Any]]) -> None:
    rows = list(read_rows(build(*written)))

    assert [row.article for row in rows] == written
    assert [list(row.article or ()) for row in rows] == [list(row) for row in written]
    assert [row.pos for row in rows] == list(range(len(written)))


def test_chinese_is_stored_readably_and_half_an_emoji_still_as_json() -> None:
    readable, escaped = gzip.decompress(build({"Title": "美食😮"}, {"Title": "美食\ud83d"})).splitlines()

    assert "美食😮" in readable.decode()
    assert b"\\ud83d" in escaped


def test_the_same_rows_give_the_same_bytes() -> None:
    assert build(article()) == build(article())
    # Bytes 4 to 7 of a gzip header are the time.
    assert build(article())[4:8] == bytes(4)


@given(st.integers(0, 500), st.integers(0, 9), st.integers(10, 99))
def test_the_hash_ignores_what_differs_in_every_answer(number: int, fetch: int, later: int) -> None:
    first, second = article(number, fetch=fetch), article(number, fetch=later)

    assert first != second
    assert content_sha256(first) == content_sha256(second)


def test_the_hash_changes_with_the_content() -> None:
    assert content_sha256(article()) != content_sha256(article(revision=1))


@pytest.mark.parametrize("path", [("Author", "Name"), ("Tags", "Categories"), ("PublishTime",), ("New",)])
def test_the_hash_covers_every_other_field(path: tuple[str, ...]) -> None:
    changed = copy.deepcopy(article())
    target = changed
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = "changed"

    assert content_sha256(changed) != content_sha256(article())


def test_the_hash_sees_another_picture_behind_a_url() -> None:
    before = {"Url": "https://host/one.jpeg?x-signature=1"}

    assert content_sha256(before) == content_sha256({"Url": "https://host/one.jpeg?x-signature=2"})
    assert content_sha256(before) != content_sha256({"Url": "https://host/two.jpeg?x-signature=1"})


def test_a_question_in_a_title_is_content() -> None:
    assert content_sha256({"Title": "为什么?因为"}) != content_sha256({"Title": "为什么?所以"})


def test_the_order_of_members_is_not_content() -> None:
    assert content_sha256({"a": 1, "b": 2}) == content_sha256({"b": 2, "a": 1})


@pytest.mark.parametrize(
    ("channel", "folder"),
    [("xxxx_default_content", "xxxx_default_content"), ("a/b=c 频", "a%2Fb%3Dc%20%E9%A2%91")],
)
def test_keys_are_hive_partitions_and_sort_by_sequence(channel: str, folder: str) -> None:
    key = article_key("lake/", channel, "2026-11-21", 42)

    assert key == f"lake/articles/utm_source={folder}/dt=2026-11-21/000000000042.jsonl.gz"
    assert parse_seq(key) == 42
    assert parse_day(key) == "2026-11-21"
    assert key < article_key("lake/", channel, "2026-11-21", 1000)
