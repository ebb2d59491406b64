"""An upload tells how far it is, while it runs; afterwards the task tells what it has cost."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.container.support import VIDEO
from tests.system.flows import log_in, outcome, submit, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Api
    from tests.system.conftest import Phone

pytestmark = [pytest.mark.system]

_PARTS = 8
_PART_SIZE = 5 * 1024 * 1024


def test_percents_are_seen_while_the_upload_runs_and_the_cost_when_it_is_over(
    client: Api, phone: Phone, scenario: Callable[..., None]
) -> None:
    scenario(upload="slow:1000")
    assert log_in(client, phone, "slow_uploader", phone.users()[0]["uid"])["status"] == "success"
    task_id = submit(client, video_url=_upload_large(client), title="慢慢传", account_name="slow_uploader")
    seen: dict[int, None] = {}

    def look() -> Any:
        task = client.get(f"/api/v1/tasks/{task_id}").json()
        if task["progress"] and task["progress"]["step"] in ("wait_form", "wait_uploaded"):
            seen[task["progress"]["percent"]] = None
        return task

    task = until(look, lambda task: task["status"] in ("success", "failed"))

    assert task["status"] == "success", task
    percents = list(seen)
    assert len(percents) >= 3, percents
    assert percents == sorted(percents)
    assert min(percents) < 50
    billed = until(lambda: outcome(client, task_id), lambda task: task["cost"] is not None)
    worked = sum(entry["duration_ms"] for entry in billed["timeline"] if entry["name"] == "wait_form") / 1000
    assert billed["cost"]["gb_seconds"] > 2 * worked  # at 2 GB, and there was more to do than to wait
    assert billed["cost"]["usd"] == pytest.approx(
        billed["cost"]["gb_seconds"] * billed["cost"]["price_list"]["usd_per_gb_second"], rel=0.05
    )


def _upload_large(client: Api) -> str:
    """The demo video, with enough padding to travel in several parts."""
    padding = _PARTS * _PART_SIZE - VIDEO.stat().st_size - 1000
    content = VIDEO.read_bytes() + struct.pack(">I4s", padding, b"free") + bytes(padding - 8)
    answer = client.post(
        "/api/v1/uploads",
        {
            "file_name": "large.mp4",
            "content_type": "video/mp4",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        },
    )
    ticket = answer.json()
    requests.put(ticket["url"], data=content, headers=ticket["headers"], timeout=60).raise_for_status()
    media_url: str = ticket["media_url"]
    return media_url
