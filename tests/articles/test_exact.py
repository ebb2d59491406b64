"""Numbers stay the text that they came as, from the service's answer into the lake and out of it."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.articles import exact
from chalicelib.articles.changelog import ObjectBuilder, content_sha256, read_rows
from chalicelib.articles.purge import purge_object
from chalicelib.articles.store import Store
from tests.articles.test_client import Transport, client_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# The grammar of RFC 8259, section 6, with digits of any number.
INTEGERS = st.from_regex(r"-?(0|[1-9][0-9]*)", fullmatch=True)
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,6})?", fullmatch=True)
TRICKY = [
    *("1", "1.0", "1.00", "-0", "-0.0", "1e5", "1E5", "1E+05", "1e400", "-1e-400", "0.1", "0.10"),
    *("0.10000000000000000001", "9007199254740993", "9007199254740993.0", "1e22", "1e+22", "123456.789e-3"),
    "1" * 5_000,
    "0." + "3" * 5_000,
]


@given(st.one_of(NUMBERS, INTEGERS, st.sampled_from(TRICKY)), st.text(max_size=5))
def test_any_number_is_written_as_it_was_read(number: str, beside: str) -> None:
    text = f'{{"n":{number},"deep":[{number},{{"x":{number}}}],"s":{json.dumps(beside)},"t":"{number}"}}'

    assert exact.dumps(exact.loads(text), separators=(",", ":")) == text


@given(st.lists(st.sampled_from(TRICKY), max_size=6))
def test_numbers_stay_in_their_places_when_members_are_sorted(numbers: list[str]) -> None:
    members = [(f"{place * 7 % 11}-{place}", number) for place, number in enumerate(numbers)]
    text = "{" + ",".join(f'"{name}":{number}' for name, number in members) + "}"

    written = exact.dumps(exact.loads(text), sort_keys=True, separators=(",", ":"))

    assert written == "{" + ",".join(f'"{name}":{number}' for name, number in sorted(members)) + "}"


def test_ordinary_numbers_are_pythons_own() -> None:
    assert exact.loads("[1, -5, 0.5, 1e+22, 123456789012345678901234567890]") == [
        *(1, -5, 0.5, 1e22),
        123456789012345678901234567890,
    ]


def test_what_is_not_json_is_refused_as_ever() -> None:
    with pytest.raises(TypeError, match="object is not JSON"):
        exact.dumps({"x": object()})


def sent(number: str) -> str:
    return f'{{"GroupId":"7251","Ratio":{number},"Many":[{number},1]}}'


def article_of(number: str) -> dict[str, Any]:
    """The article as the client has it of the service's answer."""
    answer = f'{{"ResponseMetadata":{{}},"Result":{{"Articles":[{sent(number)}],"NextToken":"1"}}}}'
    (article,) = client_of(Transport((200, answer.encode()))).scan("u", "").articles
    return article


@given(st.one_of(NUMBERS, st.sampled_from(TRICKY)))
def test_the_log_holds_the_services_own_digits(number: str) -> None:
    article = article_of(number)
    builder = ObjectBuilder(seq=1, day="2026-11-21", run_id="r")
    builder.add("7251", "upsert", article, observed_at="T", request_id="R")
    content = builder.finish()

    assert gzip.decompress(content).decode().endswith(f',"article":{sent(number)}}}\n')
    (row,) = read_rows(content)
    assert row.article == article
    assert row.content_sha256 == content_sha256(article) == content_sha256(article_of(number))
    assert row.to_line() == gzip.decompress(content)


def test_the_hash_tells_notations_apart_and_is_what_it_was_for_ordinary_numbers() -> None:
    hashes = {content_sha256(exact.loads(f'{{"n":{number}}}')) for number in TRICKY}

    assert len(hashes) == len(TRICKY)
    assert content_sha256(exact.loads('{"n":0.5,"m":3}')) == content_sha256({"n": 0.5, "m": 3})


@pytest.mark.system
def test_a_purge_keeps_the_others_digits(s3: S3Client, bucket: str) -> None:
    builder = ObjectBuilder(seq=1, day="2026-11-21", run_id="r")
    for group_id in ("7251", "7252"):
        builder.add(group_id, "upsert", article_of("0.10"), observed_at="T", request_id="R")
    store = Store(s3, bucket)
    store.put_if("x.jsonl.gz", builder.finish(), etag=None, content_type="application/gzip")

    assert purge_object(store, "x.jsonl.gz", ["7252"])

    found = store.get("x.jsonl.gz")
    assert found is not None
    first, second = gzip.decompress(found[0]).decode().splitlines()
    assert first.endswith(f',"article":{sent("0.10")}}}')
    assert second.endswith('"article":null}')
