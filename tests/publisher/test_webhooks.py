"""Webhooks, through the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.publisher.conftest import Command

pytestmark = pytest.mark.system


def test_a_webhook_is_made_tested_rotated_and_deleted(publisher: Command) -> None:
    made = publisher(
        *(
            "webhooks",
            "create",
            "https://example.com/hooks",
            "--event",
            "task.*",
            "--description",
            "x",
            "--json",
        )
    )
    assert made.status == 0, made.err
    secret, webhook_id = made.json["secret"], made.json["id"]
    assert (made.json["events"], made.json["description"]) == (["task.*"], "x")
    listed = publisher("webhooks", "list").out
    assert [webhook_id, "https://example.com/hooks", "task.*", "yes", ""] in [
        line.split("\t") for line in listed.splitlines()
    ]
    assert secret not in listed
    assert publisher("webhooks", "test", webhook_id, "--json").json["type"] == "webhook.test"
    sent = publisher("webhooks", "deliveries", webhook_id).out.splitlines()
    assert [line.split("\t")[1] for line in sent] == ["webhook.test"]
    rotated = publisher("webhooks", "rotate", webhook_id, "--overlap-hours", "0", "--json").json
    assert rotated["secret"] != secret
    assert publisher("webhooks", "delete", webhook_id, "--yes").status == 0
    assert publisher("webhooks", "test", webhook_id).status == 1
