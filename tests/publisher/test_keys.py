"""Keys, through the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from publisher.settings import Settings, load

if TYPE_CHECKING:
    from tests.conftest import Api
    from tests.publisher.conftest import Command

pytestmark = pytest.mark.system


def test_a_key_is_made_used_rotated_and_revoked(publisher: Command, api: Api) -> None:
    made = publisher(
        "keys", "create", "the test", "--scope", "accounts:read", "--scope", "tasks:read", "--json"
    )
    assert made.status == 0, made.err
    key, key_id = made.json["key"], made.json["id"]
    listed = publisher("keys", "list")
    assert key_id in listed.out
    assert key not in listed.out
    publisher.variables["PUBLISHER_API_KEY"] = key
    assert publisher("accounts", "list").status == 0
    refused = publisher("accounts", "delete", "nobody", "--yes", "--json")
    assert (refused.status, refused.json["error"]["code"]) == (1, "auth.scope_missing")
    del publisher.variables["PUBLISHER_API_KEY"]
    rotated = publisher("keys", "rotate", key_id, "--overlap-hours", "1", "--json").json
    assert rotated["key"] != key
    assert publisher("keys", "revoke", key_id, "--yes").status == 0
    publisher.variables["PUBLISHER_API_KEY"] = key
    refused = publisher("accounts", "list", "--json")
    assert (refused.status, refused.json["error"]["code"]) == (1, "auth.key_invalid")


def test_configure_keeps_a_key_that_works_and_no_other(publisher: Command, api: Api) -> None:
    key = publisher("keys", "create", "configured", "--scope", "tasks:read", "--json").json["key"]
    publisher.variables.pop("PUBLISHER_URL")
    path = publisher.folder / "config" / "social-publisher" / "config.json"
    wrong = publisher.process("configure", "--url", api.origin, stdin=key[:-4] + "0000\n")
    assert (wrong.status, path.exists()) == (1, False)
    assert publisher.process("configure", "--url", api.origin, stdin=key + "\n").status == 0
    assert load({}, path) == Settings(url=api.origin, api_key=key)
