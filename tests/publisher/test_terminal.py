"""What only happens where a person sits: questions, tables, colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from publisher.settings import Settings, load
from tests.publisher.terminal import Session

if TYPE_CHECKING:
    from tests.publisher.conftest import Command, Scripted

_KEY = "sp_live_id_canary-of-the-key"
_ACCOUNTS: tuple[int, dict[str, str], Any] = (
    200,
    {},
    {"data": [{"id": "一号", "name": "[red]小明", "state": "logged_in", "checked_at": "2026-11-21T12:00:00Z"}]},
)


@pytest.fixture
def there(command: Command, scripted: Scripted) -> Command:
    command.variables["PUBLISHER_URL"] = scripted.origin
    return command


def sit(command: Command, *arguments: str, **terminal: Any) -> Session:
    return Session([*command.argv, *arguments], command.environment, **terminal)


def test_the_key_is_asked_for_and_never_seen(command: Command, scripted: Scripted) -> None:
    scripted.answers(_ACCOUNTS)
    with sit(command, "configure") as session:
        session.shows("URL of the API")
        session.type(scripted.origin + "\n")
        session.shows("API key")
        session.type(_KEY + "\n")
        assert session.ended() == 0, session.terminal.text
    assert _KEY not in session.terminal.text
    path = command.folder / "config" / "social-publisher" / "config.json"
    assert load({}, path) == Settings(url=scripted.origin, api_key=_KEY)


@pytest.mark.parametrize(("answer", "status", "asked"), [("n\n", 1, 0), ("y\n", 0, 1)])
def test_before_something_is_deleted_it_is_asked(
    there: Command, scripted: Scripted, answer: str, status: int, asked: int
) -> None:
    scripted.answers((200, {}, {"id": "一号", "deleted": True}))
    with sit(there, "accounts", "delete", "一号") as session:
        session.shows("Remove the account 一号")
        session.type(answer)
        assert session.ended() == status, session.terminal.text
    assert len(scripted.told) == asked


@pytest.mark.parametrize("columns", [100, 24])
def test_a_list_is_a_table_that_loses_nothing_where_it_is_narrow(
    there: Command, scripted: Scripted, columns: int
) -> None:
    scripted.answers(_ACCOUNTS)
    with sit(there, "accounts", "list", size=(columns, 50)) as session:
        assert session.ended() == 0
    joined = "".join(session.terminal.text.split())
    for text in ("一", "号", "[red]" if columns == 100 else "re", "小", "明"):
        assert text in joined


def test_an_empty_list_says_so_to_people_alone(there: Command, scripted: Scripted) -> None:
    scripted.answers((200, {}, {"data": []}))
    with sit(there, "accounts", "list") as session:
        assert session.ended() == 0
    assert "No accounts" in session.terminal.text
    assert there("accounts", "list").out == ""


def test_ctrl_c_ends_the_wait_and_tells_that_the_task_goes_on(there: Command, scripted: Scripted) -> None:
    task = {
        "id": "a-task",
        "state": "running",
        "allowed": [],
        "held": None,
        "publish_at": None,
        "timeline": [{"name": "fill", "duration_ms": 1200, "outcome": "ok", "started_at": "", "notes": []}],
        "progress": {"step": "wait_uploaded", "percent": 40},
    }
    scripted.answers((200, {}, task))
    with sit(there, "tasks", "show", "a-task", "--wait") as session:
        session.shows("wait_uploaded")
        session.type("\x03")
        assert session.ended() == 130
    assert "fill  1.20 s" in session.terminal.text
    assert "The task goes on" in session.terminal.text


def test_a_code_that_a_task_waits_for_is_asked_for(there: Command, scripted: Scripted) -> None:
    asked = {"phone": "183******91", "asked_at": "1", "expires_at": "2", "tries": 0}
    task: dict[str, Any] = {
        "id": "a-task",
        "state": "needs_verification",
        "allowed": ["verification"],
        "held": None,
        "timeline": [],
        "progress": None,
        "publish_at": None,
        "verification": asked,
        "error": None,
        "account_name": "a",
        "title": "t",
        "created_at": "",
        "attempts": 1,
        "result": None,
        "cost": None,
    }
    scripted.answers((200, {}, task))
    with sit(there, "tasks", "show", "a-task", "--wait") as session:
        session.shows("code by SMS to 183******91")
        session.type("123456\n")
        session.shows("checking it")
        scripted.answers((200, {}, {**task, "state": "published"}))
        assert session.ended() == 0, session.terminal.text
    assert b'{"code": "123456"}' in [told.body for told in scripted.told]
