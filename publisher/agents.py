"""The API for agents: an MCP server. Few tools, each of which says what it does to the world.

The only module that knows the package `mcp`, which is an extra.
"""

import base64
import threading
import time
import uuid
from collections.abc import Callable
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from publisher import __version__
from publisher.client import Client, Document
from publisher.errors import ClientError
from publisher.files import fetch, media_url
from publisher.following import POLL_SECONDS, follow

_INSTRUCTIONS = """Publishes videos to Douyin (抖音) and reads synced articles.

A publish is a task: publish_video answers at once, get_task with wait_seconds watches it. Never submit a work
again because its outcome is unknown; repeat a call that failed with the same idempotency_key instead. A task in
awaiting_review waits for decide_task, one in needs_verification for give_code: ask your user.
To log an account in: start_login, show the picture to your user, who scans it with the Douyin app, then
check_login until it has ended."""

# The API ends a login that nobody has asked after for 30 s. People take longer to answer.
_KEEP_SECONDS = 10.0
_MOST_PICTURES = 4

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
# What it does is seen by others, and cannot be taken back from here.
_PUBLISHES = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True
)
_DECIDES = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=True
)
_LOGS_IN = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
)
_STARTS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True
)
_DELETES = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)

Account = Annotated[str, Field(description="Your user's own name of the account; list_accounts has them.")]
TaskId = Annotated[str, Field(description="The id that publish_video answered with.")]
LoginId = Annotated[str, Field(description="The id that start_login answered with.")]
Seconds = Annotated[
    int, Field(ge=0, le=120, description="Wait so long at most for something to happen; 0 answers at once.")
]
Limit = Annotated[int, Field(ge=1, le=100)]
Cursor = Annotated[str | None, Field(description="next_cursor of the page before, with the same filters.")]
Decision = Literal["approve", "reject", "cancel", "retry", "is_live", "is_not_live"]


def build_server(client: Client) -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer(
        "social-publisher",
        title="Social Publisher",
        version=__version__,
        instructions=_INSTRUCTIONS,
        log_level="WARNING",  # To stderr: stdout belongs to the protocol.
    )
    for tools in (_task_tools, _account_tools, _content_tools):
        tools(server, client)
    return server


def _task_tools(server: MCPServer[Any], client: Client) -> None:
    @server.tool(annotations=_PUBLISHES)
    def publish_video(
        account_name: Account,
        title: Annotated[str, Field(description="1 to 30 characters.")],
        video: Annotated[
            str,
            Field(description="An https URL on a public address, or the path of a file on this machine."),
        ],
        description: Annotated[str | None, Field(description="At most 1000 characters.")] = None,
        tags: Annotated[list[str] | None, Field(description="At most 5 topics.")] = None,
        cover: Annotated[str | None, Field(description="A picture, given like the video.")] = None,
        claim_type: Annotated[
            str | None, Field(description="The creator's declaration, such as 内容由AI生成 for what AI made.")
        ] = None,
        schedule_time: Annotated[
            str | None, Field(description="RFC 3339 with an offset: when it appears. Left out: now.")
        ] = None,
        manual_review: Annotated[
            bool | None,
            Field(description="Fill the form and wait for decide_task. Left out: as the account prefers."),
        ] = None,
        idempotency_key: Annotated[
            str | None,
            Field(
                description="Choose one for each work, and give the same one whenever you repeat this call: "
                "the same key and arguments never make a second task, for 24 hours."
            ),
        ] = None,
        allow_duplicate: Annotated[
            bool, Field(description="Although the account had this video with this title within 24 hours.")
        ] = False,
    ) -> Document:
        """Publish a video to Douyin, for everybody to see (as the account's preferences say).

        Answers with a task at once. Where this call fails without an answer, repeat it with the same
        idempotency_key, and with the upload:// address that the error names in place of a file.
        """
        given: Document = {
            "account_name": account_name,
            "title": title,
            "description": description,
            "tags": tags,
            "claim_type": claim_type,
            "schedule_time": schedule_time,
            "manual_review": manual_review,
            "allow_duplicate": allow_duplicate or None,
        }
        body = {name: value for name, value in given.items() if value is not None}
        with _told():
            body["video_url"] = media_url(client, video, "video", _silent)
            if cover is not None:
                body["cover_path"] = media_url(client, cover, "image", _silent)
        key = idempotency_key or str(uuid.uuid4())
        with _told(f"If you repeat this call: idempotency_key {key}, video {body['video_url']}."):
            return client.publish(body, key)

    @server.tool(annotations=_READS)
    def get_task(task_id: TaskId, wait_seconds: Seconds = 0) -> Document:
        """See how a task stands: state, timeline, error with its next step, and what is allowed.

        With wait_seconds it answers when the task has ended or needs somebody, or that time is over.
        """
        with _told():
            return follow(client, task_id, show=lambda _: None, seconds=wait_seconds)[0]

    @server.tool(annotations=_READS)
    def list_tasks(
        account_name: str | None = None,
        status: Literal["pending", "running", "success", "failed"] | None = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Document:
        """List tasks, newest first."""
        with _told():
            return client.tasks({"account_name": account_name, "status": status, "cursor": cursor}, limit)

    @server.tool(annotations=_READS, structured_output=False)
    def task_pictures(
        task_id: TaskId, limit: Annotated[int, Field(ge=1, le=_MOST_PICTURES)] = 1
    ) -> list[str | Image]:
        """Look at a task's pictures, the most useful first: the form as it was filled, failed steps."""
        with _told():
            pictures = client.evidence(task_id)["data"][:limit]
            seen: list[str | Image] = []
            for picture in pictures:
                seen += [
                    f"{picture['step']}, taken at {picture['taken_at']}",
                    Image(data=fetch(picture["url"]), format="jpeg"),
                ]
        return seen or ["The task has no pictures."]

    @server.tool(annotations=_DECIDES)
    def decide_task(
        task_id: TaskId,
        decision: Annotated[
            Decision,
            Field(
                description="approve: publish what awaits its review. reject: end it unpublished. cancel: end "
                "a task that was not submitted. retry: run a failed one again. is_live, is_not_live: what a "
                "person saw in the creator center of a work whose outcome nobody else could tell."
            ),
        ],
        item_id: Annotated[str | None, Field(description="With is_live: the work's id, if known.")] = None,
    ) -> Document:
        """Decide about a task, as your user has told you. `allowed` of the task says what it takes now."""
        with _told():
            if decision in ("is_live", "is_not_live"):
                return client.resolve(task_id, live=decision == "is_live", item_id=item_id)
            return client.act(task_id, decision)

    @server.tool(annotations=_LOGS_IN)
    def give_code(
        code: Annotated[str, Field(description="4 to 8 digits, as your user read them from the phone.")],
        task_id: str | None = None,
        login_id: str | None = None,
    ) -> Document:
        """Give the code that Douyin has sent by SMS, for a task or a login that waits for it."""
        with _told():
            if task_id is not None and login_id is None:
                return client.give_task_code(task_id, code)
            if login_id is not None and task_id is None:
                return _without_picture(client.give_login_code(login_id, code))
        raise ToolError("Give either task_id or login_id.")


def _account_tools(server: MCPServer[Any], client: Client) -> None:
    @server.tool(annotations=_READS)
    def list_accounts() -> Document:
        """List the Douyin accounts, and how their sessions are."""
        with _told():
            return client.accounts()

    @server.tool(annotations=_STARTS)
    def check_account(account_name: Account) -> Document:
        """Look now whether an account's session is alive. Takes up to 15 seconds."""
        with _told():
            return client.check_account(account_name)

    @server.tool(annotations=_LOGS_IN, structured_output=False)
    def start_login(account_name: Account) -> list[str | Image]:
        """Log a new or known account in: answers with a QR code for your user to scan with the Douyin app.

        A code lives a minute: check_login has the current one. The login is kept going for 5 minutes.
        """
        with _told():
            login_id = client.start_login(account_name)["login_id"]
            _keep(client, login_id)
            return _seen(client.login(login_id), login_id)

    @server.tool(annotations=_READS, structured_output=False)
    def check_login(login_id: LoginId, wait_seconds: Seconds = 0) -> list[str | Image]:
        """See how a login stands, with its current QR code. With wait_seconds it answers when that changes."""
        with _told():
            before = login = client.login(login_id)
            deadline = time.monotonic() + wait_seconds
            while login["status"] == "pending" and _sight(login) == _sight(before):
                if time.monotonic() >= deadline:
                    break
                time.sleep(POLL_SECONDS)
                login = client.login(login_id)
            return _seen(login, login_id)

    @server.tool(annotations=_DELETES)
    def cancel_login(login_id: LoginId) -> Document:
        """Cancel a login that is under way."""
        with _told():
            return _without_picture(client.cancel_login(login_id))

    @server.tool(annotations=_DELETES)
    def delete_account(account_name: Account) -> Document:
        """Remove an account, its sessions and its evidence, as your user has told you. Works on Douyin stay."""
        with _told():
            return client.delete_account(account_name)


def _content_tools(server: MCPServer[Any], client: Client) -> None:
    @server.tool(annotations=_READS)
    def search_articles(
        channel: Annotated[str | None, Field(description="Needed where sync_status shows several.")] = None,
        type: Annotated[str | None, Field(description="article, feed_video or short_video.")] = None,  # noqa: A002
        category: Annotated[str | None, Field(description="The name of a category of any level.")] = None,
        published_from: Annotated[str | None, Field(description="RFC 3339 with an offset.")] = None,
        published_to: Annotated[str | None, Field(description="RFC 3339 with an offset; not included.")] = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Document:
        """List the synced articles, the newest published first."""
        filters = {
            "channel": channel,
            "type": type,
            "category": category,
            "published_from": published_from,
            "published_to": published_to,
            "cursor": cursor,
        }
        with _told():
            return client.articles(filters, limit)

    @server.tool(annotations=_READS)
    def get_article(group_id: str, channel: str | None = None) -> Document:
        """Read one synced article: what is known of it, and the content service's own JSON."""
        with _told():
            return client.article(group_id, channel)

    @server.tool(annotations=_READS)
    def sync_status() -> Document:
        """See how the content sync stands: a channel an entry, with lag, alarms and the last runs."""
        with _told():
            return client.sync()


class _told:  # noqa: N801 - reads like a statement
    """What goes wrong within is told to the agent, with the next step."""

    def __init__(self, more: str = "") -> None:
        self._more = more

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ClientError):
            told = error.to_dict()
            lines = [f"{told['code']}: {error.cause}", f"Next: {error.next_step}", self._more]
            lines.append(f"request id: {error.request_id}" if error.request_id else "")
            raise ToolError("\n".join(line for line in lines if line)) from None


def _silent(doing: str, done: int, total: int) -> None:
    pass


def _seen(login: Document, login_id: str) -> list[str | Image]:
    said = f"login_id {login_id}: {login['state']}. {login['msg']}."
    verification, error = login["verification"], login["error"]
    if verification:
        said += f" Code sent to {verification['phone']}; give_code until {verification['expires_at']}."
    if error:
        said += f" {error['code']}. Next: {error['next_step']}"
    picture = login["qr_code_base64"] if login["state"] == "qr_ready" else None
    if picture is None:
        return [said]
    said += f" This code lives until {login['qr_expires_at']}."
    return [said, Image(data=base64.b64decode(picture), format="png")]


def _sight(login: Document) -> tuple[Any, ...]:
    verification = login["verification"] or {}
    return login["state"], login["qr_code_base64"], verification.get("tries")


def _without_picture(login: Document) -> Document:
    return {name: value for name, value in login.items() if name != "qr_code_base64"}


def _keep(client: Client, login_id: str, pause: Callable[[float], object] = time.sleep) -> None:
    """Asks after the login until it has ended, so that it waits for people."""

    def ask() -> None:
        pending = True
        while pending:
            pause(_KEEP_SECONDS)
            try:
                pending = client.login(login_id)["status"] == "pending"
            except ClientError:
                return

    threading.Thread(target=ask, daemon=True, name=f"login {login_id}").start()
