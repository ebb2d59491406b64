"""An article's whole life, through the public API alone: it appears, is edited, and is withdrawn."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from local.emulator import make_client
from local.system import STANDIN_CALLBACK_SECRET, STANDIN_CHANNEL, STANDIN_SECRET_KEY
from tests.system.canaries import Canaries, Watch
from tests.system.flows import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.system import System
    from tests.conftest import Api

pytestmark = pytest.mark.system


@pytest.fixture
def upstream(system: System) -> str:
    return f"{system.volcengine.endpoint}/admin"


def admin(url: str, body: object = None) -> Any:
    answer = requests.post(url, json=body, timeout=60)
    answer.raise_for_status()
    return answer.json()


def sync_now(client: Api) -> dict[str, Any]:
    """Starts a run and returns the record of its scan once it is over."""
    run_id = client.post("/api/v1/sync/run").json()["run_id"]
    (record,) = until(
        lambda: [
            run
            for run in client.get("/api/v1/sync").json()["data"][0]["runs"]
            if run["run_id"] == run_id and run["status"] != "running"
        ],
        bool,
    )
    assert record["status"] == "succeeded", record
    return dict(record)


def mirror_now(system: System) -> Any:
    """Ticks the mirror's schedule; what the function returns."""
    event = {
        "version": "0",
        "id": "tick",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": "2026-11-21T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {},
    }
    answer = make_client("lambda", system.functions_endpoint).invoke(
        FunctionName="mirror", Payload=json.dumps(event).encode()
    )
    return json.loads(answer["Payload"].read())


def copied(system: System, medium: dict[str, Any]) -> bool:
    """Whether the copy is what the stand-in serves."""
    bucket, _, key = medium["object"].removeprefix("s3://").partition("/")
    content = system.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return bool(hashlib.sha256(content).hexdigest() == medium["sha256"] and len(content) == medium["size"])


def listed(client: Api) -> set[str]:
    found: set[str] = set()
    query: dict[str, Any] = {"limit": 100}
    while True:
        page = client.get("/api/v1/articles", params=query).json()
        found |= {entry["group_id"] for entry in page["data"]}
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def stored(system: System) -> Iterator[tuple[str, bytes]]:
    """Everything in the lake and in its index, by key; of copied media the key alone."""
    s3, bucket = system.client("s3"), system.content_bucket
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for key in (entry["Key"] for entry in page.get("Contents", ())):
            if key.startswith("media/") and not key.endswith("/manifest.json"):
                yield key, b""
                continue
            try:
                content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            except s3.exceptions.NoSuchKey:  # It has been deleted since it was listed.
                continue
            yield key, gzip.decompress(content) if key.endswith(".gz") else content
    for page in (
        system.client("dynamodb").get_paginator("scan").paginate(TableName=system.variables["ARTICLES_TABLE"])
    ):
        for item in page["Items"]:
            yield "index", json.dumps(item, ensure_ascii=False).encode()


def test_an_article_appears_is_edited_and_is_withdrawn(client: Api, system: System, upstream: str) -> None:
    ids = admin(f"{upstream}/articles", {"count": 3})["group_ids"]
    edited, kept = ids[0], ids[1]

    assert sync_now(client)["caught_up"] is True
    assert set(ids) <= listed(client)
    first = client.get(f"/api/v1/articles/{edited}").json()
    assert (first["state"], first["article"]["GroupId"]) == ("available", edited)
    # What stands in this article alone: titles are made from few words.
    mark = first["article"]["Author"]["AvatarUrl"].partition("~")[0].rpartition("/")[2].encode()
    assert {key for key, content in stored(system) if mark in content} == {
        first["object"].removeprefix(f"s3://{system.content_bucket}/")
    }

    assert mirror_now(system) == {"channels": {STANDIN_CHANNEL: "succeeded"}}
    media = [medium for one in ids for medium in client.get(f"/api/v1/articles/{one}").json()["media"]]
    assert media
    assert {medium["status"] for medium in media} == {"copied"}
    assert all(copied(system, medium) for medium in media)

    admin(f"{upstream}/articles/{edited}/change")
    notified = admin(
        f"{upstream}/notifications",
        {"url": f"{system.origin}/api/v1/sync/notifications", "group_ids": [edited]},
    )
    assert notified["status"] == 200, notified
    second = until(
        lambda: client.get(f"/api/v1/articles/{edited}", params={"versions": "true"}).json(),
        lambda seen: seen["content_sha256"] != first["content_sha256"],
    )
    assert second["article"]["Title"] == f"{first['article']['Title']}(更新1)"
    assert [version["content_sha256"] for version in second["versions"]] == [
        second["content_sha256"],
        first["content_sha256"],
    ]

    admin(f"{upstream}/articles/{edited}/takedown")
    answer = client.post("/api/v1/articles/refresh", {"group_ids": [edited, kept, "7000000000000000001"]})
    assert (answer.status_code, answer.json()["unknown"]) == (202, ["7000000000000000001"])
    gone = until(lambda: client.get(f"/api/v1/articles/{edited}"), lambda seen: seen.status_code != 200)
    assert (gone.status_code, gone.json()["code"]) == (410, "article.withdrawn")
    until(lambda: [key for key, content in stored(system) if mark in content], lambda found: not found)
    until(
        lambda: [
            key for key, _ in stored(system) if f"media/utm_source={STANDIN_CHANNEL}/group_id={edited}" in key
        ],
        lambda found: not found,
    )
    assert edited not in listed(client)
    assert kept in listed(client)
    assert client.get("/api/v1/articles/7000000000000000001").status_code == 404

    watch = Watch(Canaries(key=STANDIN_SECRET_KEY, callback=STANDIN_CALLBACK_SECRET))
    watch.look_into(system.options.data / "logs")
    for place, content in stored(system):
        watch.look_at(place, content)
    assert watch.found == set()


def test_a_forged_notification_changes_nothing(client: Api) -> None:
    headers = {
        "X-Content-Timestamp": "1700000000",
        "X-Content-Nonce": "abcdef12",
        "X-Content-Signature": "0" * 64,
    }

    answer = client.post("/api/v1/sync/notifications", {"GroupId": "7251993249718480001"}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "sync.notification_refused")
    assert client.get("/api/v1/articles/7251993249718480001").status_code == 404
