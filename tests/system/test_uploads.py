"""A publish whose files come from the caller's own disk: no URL of theirs is ever fetched."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
import requests

from tests.container.support import COVER, VIDEO
from tests.system.flows import log_in, outcome, submit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Api
    from tests.system.conftest import Phone

pytestmark = [pytest.mark.system]


def test_an_uploaded_video_and_cover_are_published_once(client: Api, phone: Phone) -> None:
    user = phone.users()[0]
    assert log_in(client, phone, "uploader", user["uid"])["status"] == "success"
    video, cover = _upload(client, VIDEO, "video/mp4"), _upload(client, COVER, "image/png")
    body = {"video_url": video, "cover_path": cover, "title": "自己上传", "account_name": "uploader"}

    task = outcome(client, submit(client, **body))

    assert task["status"] == "success", task
    (work,) = [work for work in phone.works() if work["title"] == "自己上传"]
    assert work["video"]["sha256"] == hashlib.sha256(VIDEO.read_bytes()).hexdigest()
    assert work["cover"]["sha256"] == hashlib.sha256(COVER.read_bytes()).hexdigest()
    again = client.post("/api/v1/publish", {**body, "title": "再来一次"})
    assert (again.status_code, again.json()["code"]) == (422, "media.upload_used")


def _upload(client: Api, file: Path, media_type: str) -> str:
    content = file.read_bytes()
    answer = client.post(
        "/api/v1/uploads",
        {
            "file_name": file.name,
            "content_type": media_type,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        },
    )
    ticket = answer.json()
    with file.open("rb") as opened:
        sent = requests.request(
            ticket["method"], ticket["url"], data=opened, headers=ticket["headers"], timeout=30
        )
    sent.raise_for_status()
    media_url: str = ticket["media_url"]
    return media_url
