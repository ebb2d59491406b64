"""What is one thing to one reader of JSON and another to the next is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api.strict_json import MAX_DEPTH, check_json
from chalicelib.errors import MalformedRequest

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_plain_json_passes(value: object) -> None:
    check_json(json.dumps(value, ensure_ascii=True).encode())


@given(st.binary())
def test_whatever_else_comes_is_refused_with_a_problem(raw: bytes) -> None:
    try:
        json.loads(raw.decode())
    except ValueError:
        with pytest.raises(MalformedRequest):
            check_json(raw)


@given(st.text(max_size=100), VALUES)
def test_a_name_that_stands_twice_is_refused(name: str, value: object) -> None:
    member = f"{json.dumps(name)}: {json.dumps(value)}"

    with pytest.raises(MalformedRequest, match="more than once"):
        check_json(f'{{"outer": [{{{member}, {member}}}]}}'.encode())


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "[1, NaN]"])
def test_what_is_no_number_is_refused(literal: str) -> None:
    with pytest.raises(MalformedRequest, match="no JSON number"):
        check_json(literal.encode())


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
def test_what_is_nested_too_deep_is_refused(depth: int, left: str, right: str) -> None:
    with pytest.raises(MalformedRequest, match=f"deeper than {MAX_DEPTH}"):
        check_json((left * depth + "1" + right * depth).encode())


def test_the_deepest_that_is_taken() -> None:
    check_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


@pytest.mark.parametrize("raw", [b"\xff", '{"title": "小满"}'.encode("utf-16"), b"\xef\xbb\xbf{}", b"9" * 5000])
def test_another_encoding_a_mark_and_an_endless_number_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedRequest):
        check_json(raw)


def test_the_refusal_does_not_repeat_the_input() -> None:
    with pytest.raises(MalformedRequest) as refused:
        check_json(b'{"password": "canary" "x"}')

    assert "canary" not in refused.value.detail
