"""Presigned uploads over the wire: the API's answer is used as a client would use it."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from chalicelib import aws
from chalicelib.accounts.store import AccountStore, Profile
from chalicelib.clock import from_rfc3339
from chalicelib.errors import (
    MediaDamaged,
    MediaTooLarge,
    MediaTypeRejected,
    UploadExpires,
    UploadMissing,
    UploadUsed,
)
from chalicelib.media import MAX_IMAGE_BYTES
from chalicelib.uploads.desk import Stored, Ticket, UploadDesk, is_upload
from container.media_file import Limits
from container.uploaded import fetch_upload
from local.emulator import client_environment
from tests.container.support import COVER, VIDEO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Api, Cloud

pytestmark = [pytest.mark.system]

_MP4 = VIDEO.read_bytes()
_PNG = COVER.read_bytes()
_LIMITS = Limits(max_bytes=10**8, max_seconds=3600, deadline=lambda: 60.0)


def _announcement(content: bytes = _MP4, **changes: Any) -> dict[str, Any]:
    return {
        "file_name": "假期 视频.mp4",
        "content_type": "video/mp4",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        **changes,
    }


def _open(api: Api, content: bytes = _MP4, **changes: Any) -> dict[str, Any]:
    answer = api.post("/api/v1/uploads", _announcement(content, **changes))
    assert answer.status_code == 200, answer.text
    ticket: dict[str, Any] = answer.json()
    return ticket


def _send(ticket: dict[str, Any], content: bytes = _MP4, **headers: str | None) -> requests.Response:
    given = {**ticket["headers"], **{name.replace("_", "-"): value for name, value in headers.items()}}
    return requests.request(ticket["method"], ticket["url"], data=content, headers=given, timeout=10)


def _uploaded(api: Api, content: bytes = _MP4, **changes: Any) -> str:
    ticket = _open(api, content, **changes)
    _send(ticket, content).raise_for_status()
    media_url: str = ticket["media_url"]
    return media_url


@pytest.fixture
def desk(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[UploadDesk]:
    """With the client that the API has."""
    for name, value in client_environment(cloud.endpoint).items():
        monkeypatch.setenv(name, value)
    aws.s3.cache_clear()
    yield _desk(cloud)
    aws.s3.cache_clear()


def _desk(cloud: Cloud, max_bytes: int = 4 * 2**30) -> UploadDesk:
    retention = timedelta(days=int(cloud.variable("UPLOAD_RETENTION_DAYS")))
    return UploadDesk(aws.s3(), cloud.variable("PRIVATE_BUCKET"), max_bytes=max_bytes, retention=retention)


@pytest.fixture
def account_name(cloud: Cloud) -> str:
    name = f"account-{uuid.uuid4().hex[:8]}"
    accounts = AccountStore(cloud.client("dynamodb"), cloud.variable("ACCOUNTS_TABLE"))
    accounts.log_in(name, Profile(uid="7001", nickname="小明", avatar_url=None), session_version=1)
    return name


def _in(days: int) -> str:
    """A schedule_time; the platform's own schedule knows no seconds."""
    return (datetime.now(UTC) + timedelta(days=days)).replace(second=0, microsecond=0).isoformat()


# The way of a file


def test_an_uploaded_file_reaches_the_worker_whole_and_under_its_name(
    api: Api, desk: UploadDesk, tmp_path: Path
) -> None:
    media_url = _uploaded(api)

    media = fetch_upload(desk, media_url, "video", "task-1", tmp_path, _LIMITS)

    assert media.path.read_bytes() == _MP4
    assert (media.media_type, media.file_name, media.duration_ms) == ("video/mp4", "假期 视频.mp4", 6000)


def test_a_task_may_be_submitted_with_uploads_in_both_places(api: Api, account_name: str) -> None:
    answer = api.post(
        "/api/v1/publish",
        {
            "video_url": _uploaded(api),
            "cover_path": _uploaded(api, _PNG, content_type="image/png"),
            "title": "t",
            "account_name": account_name,
        },
    )

    assert answer.status_code == 200, answer.text


def test_the_answer_names_its_deadline_and_holds_no_more_than_it_says(api: Api) -> None:
    before = datetime.now(UTC)
    ticket = _open(api)

    assert set(ticket) == {"upload_id", "url", "method", "headers", "expires_at", "media_url"}
    assert ticket["media_url"] == f"upload://{ticket['upload_id']}"
    left = from_rfc3339(ticket["expires_at"]) - before
    assert timedelta(minutes=15) <= left < timedelta(minutes=15, seconds=30)
    assert parse_qs(urlsplit(ticket["url"]).query)["X-Amz-Expires"] == ["900"]


# What the signature holds a client to


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (_MP4[:-1], {}, 403),  # the length is signed
        (_MP4 + b"x", {}, 403),
        (_MP4[:-1] + b"x", {}, 400),  # the checksum is signed, and S3 computes it
        (_MP4, {"Content_Type": "text/html"}, 403),
        (_MP4, {"x_amz_checksum_sha256": None}, 403),
        (_MP4, {"If_None_Match": None}, 403),
        (_MP4, {"x_amz_meta_file_name": "other.mp4"}, 403),
    ],
)
def test_anything_but_the_announced_file_is_refused(
    api: Api, desk: UploadDesk, content: bytes, headers: dict[str, str | None], status: int
) -> None:
    ticket = _open(api)

    assert _send(ticket, content, **headers).status_code == status
    with pytest.raises(UploadMissing):
        desk.check(ticket["media_url"], "video", needed_at=datetime.now(UTC))


def test_another_checksum_with_its_own_file_is_refused(api: Api) -> None:
    other = _MP4[:-1] + b"x"
    checksum = base64.b64encode(hashlib.sha256(other).digest()).decode()

    assert _send(_open(api), other, x_amz_checksum_sha256=checksum).status_code == 403


def test_a_url_takes_one_file_and_no_second(api: Api) -> None:
    ticket = _open(api)

    assert _send(ticket).status_code == 200
    assert _send(ticket).status_code == 412


def test_a_url_is_for_one_object_and_for_putting_it(api: Api) -> None:
    ticket = _open(api)
    _send(ticket).raise_for_status()

    elsewhere = {**ticket, "url": ticket["url"].replace("/media?", "/task?")}
    assert _send(elsewhere).status_code == 403
    assert requests.get(ticket["url"], headers=ticket["headers"], timeout=10).status_code == 403


def test_a_url_ends_after_fifteen_minutes(desk: UploadDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_ago(minutes: float) -> dict[str, Any]:
        then = datetime.now(UTC) - timedelta(minutes=minutes)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: then.replace(tzinfo=None))
        ticket: Ticket = desk.open("v.mp4", "video/mp4", len(_MP4), hashlib.sha256(_MP4).hexdigest())
        monkeypatch.undo()
        return {"method": ticket.method, "url": ticket.url, "headers": ticket.headers}

    assert _send(open_ago(15.2)).status_code == 403
    assert _send(open_ago(14.5)).status_code == 200


# What is not opened at all


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"content_type": "text/html"}, "/content_type"),
        ({"content_type": "image/gif"}, "/content_type"),
        ({"size": 0}, "/size"),
        ({"size": "5"}, "/size"),
        ({"sha256": "00"}, "/sha256"),
        ({"sha256": "g" * 64}, "/sha256"),
        ({"file_name": ""}, "/file_name"),
        ({"key": "sessions/x"}, "/key"),
    ],
)
def test_a_request_with_a_bad_field_is_told_which(api: Api, changes: dict[str, Any], pointer: str) -> None:
    answer = api.post("/api/v1/uploads", _announcement(**changes))

    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("media_type", "size"),
    [("video/mp4", 4 * 2**30 + 1), ("image/png", MAX_IMAGE_BYTES + 1), ("image/webp", 2**30)],
)
def test_a_file_beyond_the_cap_of_its_kind_is_refused_before_it_travels(
    api: Api, media_type: str, size: int
) -> None:
    answer = api.post("/api/v1/uploads", _announcement(content_type=media_type, size=size))

    assert (answer.status_code, answer.json()["code"]) == (422, "media.too_large")


def test_the_largest_files_are_opened(cloud: Cloud, desk: UploadDesk) -> None:
    desk.open("v", "video/mp4", 4 * 2**30, "0" * 64)
    desk.open("c", "image/png", MAX_IMAGE_BYTES, "0" * 64)
    with pytest.raises(MediaTooLarge):
        _desk(cloud, max_bytes=16 * 2**30).open("v", "video/mp4", 5 * 2**30 + 1, "0" * 64)


# What may refer to an upload


_SOME_ID = "0d8f7c9e-6a43-4b0e-9c52-7c1f3f6a2b11"


@pytest.mark.parametrize(
    "media_url",
    [
        "upload://",
        "upload://x",
        "upload://../sessions/x",
        f"upload://{_SOME_ID}/task",
        f"upload://{_SOME_ID}?x",
        f"UPLOAD://{_SOME_ID}",
        f"upload://{_SOME_ID.upper()}",
        f"upload://user@{_SOME_ID}",
        f"upload://{_SOME_ID}\n",
    ],
)
def test_only_the_exact_form_names_an_upload(api: Api, account_name: str, media_url: str) -> None:
    assert not is_upload(media_url)
    answer = api.post("/api/v1/publish", {"video_url": media_url, "title": "t", "account_name": account_name})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/video_url")


@pytest.mark.parametrize("state", ["unknown", "not sent", "of the other kind", "used", "gone by then"])
def test_an_upload_that_cannot_serve_is_told_at_submission(
    api: Api, desk: UploadDesk, account_name: str, state: str
) -> None:
    body: dict[str, Any] = {"title": "t", "account_name": account_name}
    match state:
        case "unknown":
            media_url, code = f"upload://{uuid.uuid4()}", "media.upload_missing"
        case "not sent":
            media_url, code = _open(api)["media_url"], "media.upload_missing"
        case "of the other kind":
            media_url, code = _uploaded(api, _PNG, content_type="image/png"), "media.type"
        case "used":
            media_url, code = _uploaded(api), "media.upload_used"
            desk.take(media_url, "video", "another task").body.close()
        case _:
            media_url, code = _uploaded(api), "media.upload_expires"
            body["schedule_time"] = _in(days=20)

    answer = api.post("/api/v1/publish", {**body, "video_url": media_url})

    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/video_url"]
    assert answer.json()["next_step"]


def test_a_schedule_that_douyin_keeps_needs_the_file_at_once(api: Api, account_name: str) -> None:
    at = _in(days=10)
    body = {"video_url": _uploaded(api), "title": "t", "account_name": account_name, "schedule_time": at}

    assert api.post("/api/v1/publish", body).status_code == 200


def test_the_first_task_has_the_upload_and_may_come_back_for_it(api: Api, desk: UploadDesk) -> None:
    media_url = _uploaded(api)
    for _ in range(2):
        assert desk.take(media_url, "video", "first").body.read() == _MP4
    with pytest.raises(UploadUsed):
        desk.take(media_url, "video", "second")


def test_of_tasks_that_come_at_once_one_has_the_upload(api: Api, desk: UploadDesk) -> None:
    media_url = _uploaded(api)
    together, ends = threading.Barrier(6), Counter[str]()

    def take(task_id: str) -> None:
        together.wait(10)
        try:
            desk.take(media_url, "video", task_id).body.close()
        except UploadUsed:
            ends["refused"] += 1
        else:
            ends["taken"] += 1

    threads = [threading.Thread(target=take, args=(f"task-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == {"taken": 1, "refused": 5}


def test_an_upload_does_not_outlive_its_retention(api: Api, desk: UploadDesk) -> None:
    media_url = _uploaded(api)
    now = datetime.now(UTC)
    desk.check(media_url, "video", needed_at=now + timedelta(days=6, hours=23))
    with pytest.raises(UploadExpires):
        desk.check(media_url, "video", needed_at=now + timedelta(days=7, hours=1))


# What the worker finds


def test_the_worker_is_told_of_an_upload_that_is_gone(desk: UploadDesk, tmp_path: Path) -> None:
    with pytest.raises(UploadMissing):
        fetch_upload(desk, f"upload://{uuid.uuid4()}", "video", "task", tmp_path, _LIMITS)


def test_a_file_that_is_not_what_it_was_called_is_refused_by_its_bytes(
    api: Api, desk: UploadDesk, tmp_path: Path
) -> None:
    page = b"<!doctype html><title>not a video</title>" * 10
    with pytest.raises(MediaTypeRejected, match="a web page"):
        fetch_upload(desk, _uploaded(api, page), "video", "task", tmp_path, _LIMITS)
    assert list(tmp_path.iterdir()) == []


def test_a_file_whose_hash_has_changed_is_refused(
    api: Api, desk: UploadDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine: Callable[..., Stored] = desk.take
    monkeypatch.setattr(desk, "take", lambda *given: replace(genuine(*given), sha256="0" * 64))
    with pytest.raises(MediaDamaged, match="SHA-256"):
        fetch_upload(desk, _uploaded(api), "video", "task", tmp_path, _LIMITS)
    assert list(tmp_path.iterdir()) == []


# Who may do what


def test_the_apis_role_may_put_uploads_sealed_imports_and_orders_and_nothing_else_into_a_bucket() -> None:
    policy = json.loads((Path(__file__).parents[2] / ".chalice" / "policy-api.json").read_text())
    puts = [
        statement["Resource"]
        for statement in policy["Statement"]
        if {"s3:PutObject", "s3:*", "*"} & set(_listed(statement["Action"]))
    ]

    assert puts == [
        [{"Fn::Sub": "${PrivateBucket.Arn}/uploads/*/media"}, {"Fn::Sub": "${PrivateBucket.Arn}/imports/*"}],
        # The states of backfills that it is asked for.
        {"Fn::Sub": "${ContentBucket.Arn}/state/utm_source=*/name=*.json"},
    ]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
