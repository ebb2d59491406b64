"""The synced articles over HTTP: lists, one of them, and asking for a fresh look."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.articles import exact
from chalicelib.articles.media import Copy, save_manifest
from tests.api.conftest import CHANNELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api.conftest import Functions, Shelf
    from tests.conftest import Api

pytestmark = pytest.mark.system

FIRST, SECOND = CHANNELS
# Each test looks at a year of its own: they share a table.
_YEARS = iter(range(1971, 2026))


@pytest.fixture
def year() -> int:
    return next(_YEARS)


def article(group_id: str, published: datetime, **members: Any) -> dict[str, Any]:
    return {
        "GroupId": group_id,
        "Title": f"标题 {group_id[-4:]}",
        "ArticleType": "article",
        "PublishTime": int(published.timestamp()),
        "Video": None,
        "Tags": {"Categories": [{"Name": "财经", "SubCategories": [{"Name": "股票", "SubCategories": []}]}]},
        **members,
    }


def within(year: int, **more: Any) -> dict[str, Any]:
    return {
        "channel": FIRST,
        "published_from": f"{year}-01-01T00:00:00Z",
        "published_to": f"{year + 1}-01-01T00:00:00Z",
        **more,
    }


def pages(api: Api, **query: Any) -> list[list[str]]:
    """The GroupIds of every page, by its cursors."""
    found: list[list[str]] = []
    while True:
        answer = api.get("/api/v1/articles", params=query)
        assert answer.status_code == 200, answer.text
        found.append([entry["group_id"] for entry in answer.json()["data"]])
        query["cursor"] = answer.json()["next_cursor"]
        if query["cursor"] is None:
            return found


def test_articles_are_listed_newest_first_in_pages_and_withdrawn_ones_are_not(
    content_api: Api, shelf: Shelf, new_id: Callable[[], str], year: int
) -> None:
    start = datetime(year, 3, 1, tzinfo=UTC)
    ids = [new_id() for _ in range(7)]
    shelf.put(
        *[(one, "upsert", article(one, start + timedelta(days=number))) for number, one in enumerate(ids)]
    )
    shelf.put((ids[2], "takedown", None), (ids[4], "unavailable", None))

    listed = pages(content_api, **within(year, limit=2))

    assert [one for page in listed for one in page] == [ids[6], ids[5], ids[3], ids[1], ids[0]]
    assert all(len(page) <= 2 for page in listed)


def test_a_list_can_be_narrowed_by_type_category_and_time(
    content_api: Api, shelf: Shelf, new_id: Callable[[], str], year: int
) -> None:
    noon = datetime(year, 6, 1, 12, tzinfo=UTC)
    plain, video, food, other_channel = (new_id() for _ in range(4))
    shelf.put(
        (plain, "upsert", article(plain, noon)),
        (video, "upsert", article(video, noon + timedelta(hours=1), ArticleType="feed_video")),
        (food, "upsert", article(food, noon + timedelta(hours=2), Tags={"Categories": [{"Name": "美食"}]})),
    )
    shelf.put((other_channel, "upsert", article(other_channel, noon)), channel=SECOND)

    def found(**query: Any) -> set[str]:
        return {one for page in pages(content_api, **within(year, **query)) for one in page}

    assert found() == {plain, video, food}
    assert found(channel=SECOND) == {other_channel}
    assert found(type="feed_video") == {video}
    assert found(category="股票") == {plain, video}
    assert found(category="美食") == {food}
    assert found(published_from=f"{year}-06-01T13:00:00Z") == {video, food}
    assert found(published_to=f"{year}-06-01T21:00:00+08:00") == {plain}
    assert found(type="short_video") == set()


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"limit": "0"}, "/limit"),
        ({"limit": "101"}, "/limit"),
        ({"limit": "many"}, "/limit"),
        ({"published_from": "2026-01-01T00:00:00"}, "/published_from"),
        ({"published_from": "yesterday"}, "/published_from"),
        ({"published_to": "9999-12-31T23:59:59-12:00"}, "/published_to"),
        ({"published_to": "0001-01-01T00:00:00+12:00"}, "/published_to"),
        ({"colour": "red"}, "/colour"),
        ({"type": ["a", "b"]}, "/type"),
        ({"cursor": "x"}, "/cursor"),
        ({"cursor": "!" * 20}, "/cursor"),
        ({"cursor": base64.urlsafe_b64encode(b'["a", "b"]').decode()}, "/cursor"),
        ({"cursor": base64.urlsafe_b64encode(b"{}").decode()}, "/cursor"),
        ({"cursor": base64.urlsafe_b64encode(b"\xff\xfe").decode()}, "/cursor"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_and_says_where(
    content_api: Api, query: dict[str, Any], pointer: str
) -> None:
    answer = content_api.get("/api/v1/articles", params={"channel": FIRST, **query})

    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_cursor_belongs_to_its_filters_and_to_what_they_hold(
    content_api: Api, shelf: Shelf, new_id: Callable[[], str], year: int
) -> None:
    ids = [new_id() for _ in range(3)]
    shelf.put(*[(one, "upsert", article(one, datetime(year, 5, 5, tzinfo=UTC))) for one in ids])
    query = within(year, limit=1)
    cursor = content_api.get("/api/v1/articles", params=query).json()["next_cursor"]

    def answer(**changes: Any) -> int:
        return content_api.get("/api/v1/articles", params={**query, "cursor": cursor, **changes}).status_code

    assert answer() == 200
    assert answer(limit=2) == 200
    assert answer(type="article") == 422
    assert answer(channel=SECOND) == 422
    signed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    for forged in (
        signed[:32] + f"{year - 1}-01-01T00:00:00.000Z#1",
        signed[:32],
        signed[:-1],
        "0" * 32 + signed[32:],
    ):
        assert answer(cursor=base64.urlsafe_b64encode(forged.encode()).decode().rstrip("=")) == 422


def test_with_several_channels_a_list_needs_one_and_only_ours_exist(content_api: Api) -> None:
    needed = content_api.get("/api/v1/articles")
    unknown = content_api.get("/api/v1/articles", params={"channel": "somebody_elses"})

    assert (needed.status_code, needed.json()["errors"][0]["pointer"]) == (422, "/channel")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "sync.channel_not_found")


def test_one_article_is_the_services_json_untouched(
    content_api: Api, shelf: Shelf, new_id: Callable[[], str], year: int
) -> None:
    group_id, beside = new_id(), new_id()
    content = article(
        group_id, datetime(year, 1, 1, tzinfo=UTC), New={"n": 2**63 + 1, "x": [None, 1.5]}, 半="\ud83d"
    )
    content |= exact.loads('{"Price": 1.50, "Tiny": 1E-7, "Huge": 1e+22}')
    key = shelf.put((beside, "upsert", {"GroupId": beside}), (group_id, "upsert", content))

    answer = content_api.get(f"/api/v1/articles/{group_id}")

    assert answer.status_code == 200
    told = answer.json()
    assert '"Price": 1.50, "Tiny": 1E-7, "Huge": 1e+22' in answer.text
    for name in ("Price", "Tiny", "Huge"):
        del told["article"][name], content[name]
    assert told["article"] == content
    assert list(told["article"]) == list(content)
    assert (told["channel"], told["state"], told["pos"]) == (FIRST, "available", 1)
    assert told["object"].endswith(f"/{key}")
    assert told["categories"] == ["财经", "股票"]
    assert told["versions"] is None


def test_an_articles_former_versions_can_be_read(
    content_api: Api, shelf: Shelf, new_id: Callable[[], str], year: int
) -> None:
    group_id, at = new_id(), datetime(year, 1, 1, tzinfo=UTC)
    for number in range(3):
        shelf.put((group_id, "upsert", article(group_id, at, Title=f"第{number}版")))

    told = content_api.get(f"/api/v1/articles/{group_id}", params={"versions": "true"}).json()

    assert told["article"]["Title"] == "第2版"
    assert [one["article"]["Title"] for one in told["versions"]] == ["第2版", "第1版", "第0版"]


def test_an_article_tells_of_the_copies_of_its_media(
    content_api: Api, shelf: Shelf, new_id: Callable[[], str], year: int
) -> None:
    group_id = new_id()
    shelf.put((group_id, "upsert", article(group_id, datetime(year, 1, 1, tzinfo=UTC))))
    before = content_api.get(f"/api/v1/articles/{group_id}").json()
    copies = [
        Copy("image", "a", "https://x/1.png", "copied", "t", key="media/1.png", size=5),
        Copy("video", "b", "https://x/2.mp4", "failed", "t", error_code="media.not_served"),
    ]
    save_manifest(shelf.store, FIRST, group_id, copies)
    assert shelf.index.mirrored(FIRST, group_id, {"copied": 1, "failed": 1})

    told = content_api.get(f"/api/v1/articles/{group_id}").json()["media"]

    assert before["media"] == []
    assert [(one["kind"], one["status"], one["error_code"]) for one in told] == [
        ("image", "copied", None),
        ("video", "failed", "media.not_served"),
    ]
    assert told[0]["object"].endswith("/media/1.png")
    assert told[1]["object"] is None


def test_an_unavailable_article_is_told_without_its_content_and_comes_back(
    content_api: Api, shelf: Shelf, new_id: Callable[[], str], year: int
) -> None:
    group_id, at = new_id(), datetime(year, 1, 1, tzinfo=UTC)
    shelf.put((group_id, "upsert", article(group_id, at)))
    shelf.put((group_id, "unavailable", None))
    gone = content_api.get(f"/api/v1/articles/{group_id}").json()
    shelf.put((group_id, "upsert", article(group_id, at)))
    back = content_api.get(f"/api/v1/articles/{group_id}").json()

    assert (gone["state"], gone["article"]) == ("unavailable", None)
    assert (back["state"], back["article"]["GroupId"]) == ("available", group_id)


def test_a_withdrawn_article_is_gone_whatever_was_read_before(
    content_api: Api, shelf: Shelf, new_id: Callable[[], str], year: int
) -> None:
    group_id = new_id()
    shelf.put((group_id, "upsert", article(group_id, datetime(year, 1, 1, tzinfo=UTC), Title="撤回的标题")))
    shelf.put((group_id, "takedown", None))

    answer = content_api.get(f"/api/v1/articles/{group_id}", params={"versions": "true"})

    assert (answer.status_code, answer.json()["code"]) == (410, "article.withdrawn")
    assert "撤回的标题" not in answer.text


@pytest.mark.parametrize("group_id", ["7000000000000000001", "x" * 65, "a b", "..", "%2e%2e", "7#1"])
def test_what_was_never_synced_is_not_found(content_api: Api, group_id: str) -> None:
    answer = content_api.get(f"/api/v1/articles/{group_id.replace('#', '%23')}")

    assert answer.status_code == 404
    assert answer.json()["code"] in ("article.not_found", "request.route_not_found")


def test_an_article_of_another_channel_is_found_unless_one_is_asked_for(
    content_api: Api, shelf: Shelf, new_id: Callable[[], str], year: int
) -> None:
    group_id = new_id()
    content = article(group_id, datetime(year, 1, 1, tzinfo=UTC))
    shelf.put((group_id, "upsert", content), channel=SECOND)

    assert content_api.get(f"/api/v1/articles/{group_id}").json()["channel"] == SECOND
    assert content_api.get(f"/api/v1/articles/{group_id}", params={"channel": FIRST}).status_code == 404


def test_a_log_that_does_not_hold_what_the_index_says_is_an_error_and_no_empty_answer(
    content_api: Api, shelf: Shelf, new_id: Callable[[], str], year: int
) -> None:
    group_id = new_id()
    key = shelf.put((group_id, "upsert", article(group_id, datetime(year, 1, 1, tzinfo=UTC))))
    found = shelf.store.get(key)
    assert found is not None
    shelf.store.put_if(key, b"", etag=found[1], content_type="application/gzip")

    answer = content_api.get(f"/api/v1/articles/{group_id}")

    assert (answer.status_code, answer.json()["code"]) == (502, "sync.error")


def test_a_refresh_marks_what_is_known_and_asks_for_the_rest_everywhere(
    content_api: Api, functions: Functions, shelf: Shelf, new_id: Callable[[], str], year: int
) -> None:
    known, unknown = new_id(), new_id()
    shelf.put((known, "upsert", article(known, datetime(year, 1, 1, tzinfo=UTC))), channel=SECOND)

    answer = content_api.post("/api/v1/articles/refresh", {"group_ids": [known, unknown, known]})

    assert answer.status_code == 202
    assert answer.json() == {
        "run_id": functions.details[0]["run_id"],
        "group_ids": [known, unknown],
        "unknown": [unknown],
    }
    started = {"run_id": answer.json()["run_id"], "request_id": answer.headers["X-Request-Id"]}
    assert functions.details == [started]
    marked = {
        (channel, entry.group_id)
        for channel in CHANNELS
        for entry in shelf.index.due(channel, datetime(1970, 1, 1, tzinfo=UTC), 1000)
    }
    assert {(SECOND, known), (FIRST, unknown), (SECOND, unknown)} <= marked
    assert (FIRST, known) not in marked
    told = content_api.get(f"/api/v1/articles/{known}").json()
    assert told["refresh_requested_at"] is not None
    assert told["next_check_at"] is None
    waiting = content_api.get(f"/api/v1/articles/{unknown}")
    assert (waiting.status_code, "is being asked" in waiting.json()["detail"]) == (404, True)


def test_a_refresh_is_remembered_where_no_run_can_be_started(
    content_api: Api, functions: Functions, shelf: Shelf, new_id: Callable[[], str]
) -> None:
    functions.down = True
    group_id = new_id()

    answer = content_api.post("/api/v1/articles/refresh", {"group_ids": [group_id], "channel": FIRST})

    assert (answer.status_code, answer.json()["run_id"]) == (202, None)
    entry = shelf.index.get(FIRST, group_id)
    assert entry is not None
    assert entry.refresh_requested_at is not None
    assert shelf.index.get(SECOND, group_id) is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"group_ids": []}, 422),
        ({"group_ids": ["1"] * 101}, 422),
        ({"group_ids": [7250000000000000001]}, 422),
        ({"group_ids": ["a b"]}, 422),
        ({"group_ids": ["1"], "all": True}, 422),
        ({}, 422),
        ({"group_ids": ["1"], "channel": "somebody_elses"}, 404),
    ],
)
def test_a_refresh_that_makes_no_sense_starts_nothing(
    content_api: Api, functions: Functions, body: dict[str, Any], status: int
) -> None:
    assert content_api.post("/api/v1/articles/refresh", body).status_code == status
    assert functions.events == []
