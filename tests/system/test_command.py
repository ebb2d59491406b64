"""The command and the server for agents, from the first scan to the published work, with everything real."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client as McpClient
from mcp import StdioServerParameters
from mcp.types import ImageContent, TextContent

from tests.conftest import ROOT
from tests.container.support import COVER, VIDEO
from tests.publisher.conftest import Command
from tests.publisher.terminal import Session, Terminal
from tests.system.flows import log_in, outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.system import System
    from tests.conftest import Api
    from tests.system.conftest import Phone

pytestmark = pytest.mark.system


@pytest.fixture
def command(system: System, tmp_path: Path) -> Command:
    return Command(tmp_path, {"PUBLISHER_URL": system.origin})


@pytest.fixture
def account(client: Api, phone: Phone) -> str:
    assert log_in(client, phone, "of_the_command", phone.users()[0]["uid"])["status"] == "success"
    return "of_the_command"


def scan(phone: Phone, terminal: Terminal) -> str:
    """The phone gets a photograph of the terminal."""
    picture = io.BytesIO()
    terminal.photograph().save(picture, "PNG")
    return phone.scan(base64.b64encode(picture.getvalue()).decode())


def readable(terminal: Terminal) -> bool:
    try:
        return bool(terminal.code)
    except (AssertionError, ValueError):
        return False


def test_a_login_and_a_publish_in_a_terminal(
    command: Command, phone: Phone, scenario: Callable[..., None]
) -> None:
    user = phone.users()[1]
    scenario(second_verification="login", user=user["uid"])
    with Session([*command.argv, "login", "终端账号"], command.environment) as session:
        token = scan(phone, session.until(readable))
        phone.confirm(token, user["uid"])
        session.shows("code by SMS to")
        session.type(phone.sms(user["uid"]) + "\n")
        assert session.ended() == 0, session.terminal.text
        assert "Login successful" in session.terminal.text

    arguments = ["publish", str(VIDEO), "--cover", str(COVER), "--account", "终端账号", "--title", "从终端发布"]
    with Session([*command.argv, *arguments, "--tag", "命令行", "--wait"], command.environment) as session:
        assert session.ended() == 0, session.terminal.text
        for step in ("✓ fetch_video", "✓ fill", "✓ submit", "published"):
            assert step in session.terminal.text
    (work,) = [work for work in phone.works() if work["title"] == "从终端发布"]
    assert (work["user"], work["topics"]) == (user["uid"], ["命令行"])
    assert work["video"]["sha256"] == hashlib.sha256(VIDEO.read_bytes()).hexdigest()
    assert work["item_id"] in session.terminal.text


def test_a_review_ends_the_wait_and_its_picture_can_be_fetched(
    command: Command, phone: Phone, account: str, tmp_path: Path
) -> None:
    waits = command.process(
        *("publish", str(VIDEO), "--account", account, "--title", "先看一眼", "--review", "--wait", "--json")
    )
    assert (waits.status, waits.json["state"]) == (4, "awaiting_review"), waits.err
    task_id = waits.json["id"]
    assert f"publisher tasks approve {task_id}" in waits.err
    kept = command.process("tasks", "evidence", task_id, "--save", str(tmp_path / "pictures"), "--json")
    assert kept.json["data"]
    for picture in kept.json["data"]:
        assert (tmp_path / "pictures" / picture["file"]).read_bytes().startswith(b"\xff\xd8")
    approved = command.process("tasks", "approve", task_id, "--wait", "--json")
    assert (approved.status, approved.json["state"]) == (0, "published"), approved.err
    assert len([work for work in phone.works() if work["title"] == "先看一眼"]) == 1


def test_a_publish_that_fails_ends_with_its_cause_and_next_step(
    command: Command, system: System, account: str
) -> None:
    picture = f"{system.douyin_origin}/media/demo.png"
    ran = command.process("publish", picture, "--account", account, "--title", "不是视频", "--wait", "--json")
    assert (ran.status, ran.json["error"]["code"]) == (1, "media.type"), ran.err
    assert f"Next: {ran.json['error']['next_step']}" in ran.err


def test_ctrl_c_ends_the_login_with_nobody_logged_in(command: Command, client: Api) -> None:
    with Session([*command.argv, "login", "abgebrochen"], command.environment) as session:
        session.until(readable)
        session.type("\x03")
        assert session.ended() == 130
    assert client.get("/api/v1/accounts/abgebrochen").status_code == 404


def test_the_session_of_an_account_is_looked_at(command: Command, account: str) -> None:
    ran = command.process("accounts", "check", account, "--json")
    assert (ran.status, ran.json["state"]) == (0, "logged_in"), ran.err


def test_an_agent_logs_an_account_in_and_publishes_with_a_code(
    command: Command, phone: Phone, client: Api, scenario: Callable[..., None]
) -> None:
    user = phone.users()[2]
    scenario(second_verification="publish", user=user["uid"])
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "publisher", "mcp"], env=command.environment, cwd=ROOT
    )

    async def conversation() -> dict[str, Any]:
        async with McpClient(server) as agent:
            text, image = (await agent.call_tool("start_login", {"account_name": "代理账号"})).content
            assert isinstance(image, ImageContent)
            token = phone.scan(image.data)
            phone.confirm(token, user["uid"])
            login_id = found(r"login_id (\S+):", said_in(text))
            said = ""
            while "success" not in said:
                seen = await agent.call_tool("check_login", {"login_id": login_id, "wait_seconds": 60})
                said = said_in(seen.content[0])
                assert "failed" not in said, said

            arguments = {"account_name": "代理账号", "title": "代理发布", "video": str(VIDEO)}
            made = await agent.call_tool("publish_video", {**arguments, "idempotency_key": "agent-1"})
            task_id = made.structured_content["id"]
            watch = {"task_id": task_id, "wait_seconds": 120}
            waiting = await agent.call_tool("get_task", watch)
            assert waiting.structured_content["state"] == "needs_verification", waiting
            code = {"task_id": task_id, "code": phone.sms(user["uid"])}
            assert not (await agent.call_tool("give_code", code)).is_error
            return dict((await agent.call_tool("get_task", watch)).structured_content)

    task = asyncio.run(asyncio.wait_for(conversation(), 280))
    done = outcome(client, task["id"])
    assert done["status"] == "success", done
    assert len([work for work in phone.works() if work["title"] == "代理发布"]) == 1


def said_in(content: Any) -> str:
    assert isinstance(content, TextContent)
    return content.text


def found(pattern: str, text: str) -> str:
    matched = re.search(pattern, text)
    assert matched, text
    return matched[1]
