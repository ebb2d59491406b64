"""The MCP server, spoken to by the official client over stdin and stdout, against the real API."""

from __future__ import annotations

import asyncio
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client as McpClient
from mcp import StdioServerParameters

from publisher.agents import build_server
from publisher.client import Client
from publisher.settings import Settings
from tests.conftest import ROOT
from tests.container.support import VIDEO
from tests.publisher.conftest import problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.server.mcpserver import MCPServer
    from mcp.types import CallToolResult, Tool

    from tests.publisher.conftest import Command, Scripted

pytestmark = pytest.mark.system

_READ_ONLY = {
    *("get_task", "list_tasks", "task_pictures", "list_accounts", "check_login"),
    *("search_articles", "get_article", "sync_status"),
}
_DESTRUCTIVE = {"publish_video", "decide_task", "cancel_login", "delete_account"}
_REPEATABLE = {"publish_video", "check_account", "cancel_login", "delete_account"}


def started(command: Command) -> StdioServerParameters:
    """As an agent's host starts it."""
    return StdioServerParameters(
        command=sys.executable, args=["-m", "publisher", "mcp"], env=command.environment, cwd=ROOT
    )


def talk(server: StdioServerParameters | MCPServer[Any], say: Callable[[McpClient], Awaitable[Any]]) -> Any:
    async def conversation() -> Any:
        async with McpClient(server) as client:
            return await say(client)

    return asyncio.run(asyncio.wait_for(conversation(), 120))


def call(command: Command, tool: str, **arguments: Any) -> CallToolResult:
    """Of a server in this process, which is quicker."""
    server = build_server(Client(Settings(url=command.variables["PUBLISHER_URL"]), pause=lambda _: None))
    result: CallToolResult = talk(server, lambda client: client.call_tool(tool, arguments))
    return result


def told(result: CallToolResult) -> str:
    (content,) = result.content
    assert content.type == "text"
    return content.text


@pytest.fixture
def name(log_in: Callable[[str], str]) -> str:
    return log_in(f"account-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def tools(publisher: Command) -> dict[str, Tool]:
    async def listed(client: McpClient) -> Any:
        return (await client.list_tools()).tools

    return {tool.name: tool for tool in talk(started(publisher), listed)}


def test_every_tool_says_what_it_does_to_the_world(tools: dict[str, Tool]) -> None:
    hints = {name: tool.annotations for name, tool in tools.items()}
    assert all(hint is not None and hint.read_only_hint is not None for hint in hints.values())
    assert {name for name, hint in hints.items() if hint and hint.read_only_hint} == _READ_ONLY
    writes = {name: hint for name, hint in hints.items() if hint and not hint.read_only_hint}
    assert {name for name, hint in writes.items() if hint.destructive_hint} == _DESTRUCTIVE
    assert {name for name, hint in writes.items() if hint.idempotent_hint} == _REPEATABLE
    assert len(tools) <= 15
    for tool in tools.values():
        assert tool.description
        assert len(tool.description) > 20


def test_no_tool_can_be_given_a_key(tools: dict[str, Tool]) -> None:
    for tool in tools.values():
        assert not {"api_key", "key", "url"} & set(tool.input_schema.get("properties", {}))


def test_a_video_is_published_looked_at_and_canceled(publisher: Command, name: str) -> None:
    key = str(uuid.uuid4())

    async def conversation(client: McpClient) -> Any:
        arguments = {"account_name": name, "title": "由代理发布", "video": "https://example.com/v.mp4"}
        made = await client.call_tool("publish_video", {**arguments, "tags": ["a"], "idempotency_key": key})
        task_id = (made.structured_content or {})["id"]
        seen = await client.call_tool("get_task", {"task_id": task_id, "wait_seconds": 1})
        ended = await client.call_tool("decide_task", {"task_id": task_id, "decision": "cancel"})
        return [made, seen, ended]

    made, seen, ended = talk(started(publisher), conversation)
    assert made.structured_content["state"] == "queued"
    assert seen.structured_content["title"] == "由代理发布"
    assert ended.structured_content["state"] == "canceled"


def test_a_file_of_this_machine_is_uploaded(publisher: Command, name: str) -> None:
    result = call(publisher, "publish_video", account_name=name, title="自己的文件", video=str(VIDEO))
    assert not result.is_error, told(result)


@pytest.mark.parametrize("file", ["/etc/passwd", "~/.ssh/id_rsa"])
def test_what_does_not_end_like_a_video_is_not_uploaded(publisher: Command, name: str, file: str) -> None:
    result = call(publisher, "publish_video", account_name=name, title="偷", video=file)
    assert result.is_error
    assert "does not end like a video" in told(result)


def test_a_refusal_tells_the_next_step_and_the_request_id(publisher: Command) -> None:
    result = talk(
        started(publisher), lambda client: client.call_tool("delete_account", {"account_name": "nobody"})
    )
    assert result.is_error
    assert "account.not_found" in told(result)
    assert "Next: List the accounts" in told(result)
    assert "request id: " in told(result)


def test_a_publish_without_an_answer_tells_how_to_repeat_it(command: Command, scripted: Scripted) -> None:
    scripted.answers((503, {}, problem(503, retryable=True)))
    command.variables["PUBLISHER_URL"] = scripted.origin
    arguments = {"account_name": "a", "title": "t", "video": "https://example.com/v.mp4"}
    result = call(command, "publish_video", **arguments)
    keys = {entry.headers["idempotency-key"].strip('"') for entry in scripted.told}
    assert len(keys) == 1
    assert f"idempotency_key {keys.pop()}, video https://example.com/v.mp4" in told(result)


def test_the_given_key_is_the_one_that_is_sent(command: Command, scripted: Scripted) -> None:
    scripted.answers((200, {}, {"id": "1", "status": "pending", "state": "queued", "publish_at": None}))
    command.variables["PUBLISHER_URL"] = scripted.origin
    call(
        command,
        "publish_video",
        account_name="a",
        title="t",
        video="https://e.cn/v.mp4",
        idempotency_key="mine",
    )
    assert [entry.headers["idempotency-key"] for entry in scripted.told] == ['"mine"']


def test_a_code_goes_to_one_of_the_two(publisher: Command) -> None:
    assert "Give either task_id or login_id" in told(call(publisher, "give_code", code="123456"))


def test_arguments_that_are_none_are_refused_before_the_api(publisher: Command) -> None:
    result = call(publisher, "decide_task", task_id="x", decision="publish it")
    assert result.is_error


def test_accounts_and_articles_are_read(publisher: Command, name: str) -> None:
    accounts = call(publisher, "list_accounts").structured_content or {}
    assert name in [account["id"] for account in accounts["data"]]
    assert (call(publisher, "search_articles", limit=1).structured_content or {})["data"] == []
    assert (call(publisher, "sync_status").structured_content or {})["data"][0]["channel"] == "test_channel"


def test_without_the_extra_it_says_how_to_install_it(command: Command) -> None:
    hidden = command.folder / "hidden" / "mcp"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'mcp'\", name='mcp')")
    path = f"{hidden.parent}:{command.environment['PYTHONPATH']}"
    ran = command.process("mcp", variables={"PYTHONPATH": path})
    assert ran.status == 2
    assert "pip install 'social-publisher[mcp]'" in ran.err
