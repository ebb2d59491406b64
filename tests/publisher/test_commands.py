"""The command as a person or a script runs it, against the real API."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.media import ACCEPTED
from chalicelib.publishing.store import TaskStore
from publisher import __version__
from publisher.files import TYPES
from publisher.settings import Settings, load, save
from tests.container.support import COVER, VIDEO
from tests.publisher.conftest import problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Api, Cloud
    from tests.publisher.conftest import Command, Ran, Scripted

pytestmark = pytest.mark.system

# More than two weeks ahead: the task is held.
_SCHEDULE = f"{datetime.now(UTC) + timedelta(days=60):%Y-%m-%d} 12:00"
_KEY = "sp_live_id_canary-of-the-key"


@pytest.fixture
def name(log_in: Callable[[str], str]) -> str:
    return log_in(f"account-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def tasks(cloud: Cloud) -> TaskStore:
    return TaskStore(cloud.client("dynamodb"), cloud.variable("TASKS_TABLE"))


@pytest.fixture
def submit(publisher: Command, name: str) -> Callable[..., Ran]:
    def run(*arguments: str) -> Ran:
        return publisher(
            "publish", "https://example.com/video.mp4", "--account", name, "--title", "标题", *arguments
        )

    return run


@pytest.fixture
def task_id(submit: Callable[..., Ran]) -> str:
    found: str = submit("--json").json["id"]
    return found


def test_every_field_of_the_api_reaches_the_task(
    publisher: Command, name: str, tasks: TaskStore, api: Api
) -> None:
    ran = publisher(
        *("publish", "https://example.com/video.mp4", "--account", name, "--title", "标题"),
        *("--description", "第一行", "--tag", "a", "--tag", "b", "--cover", "https://example.com/cover.png"),
        *("--claim-type", "自行拍摄", "--claim-place", "中国大陆", "--claim-place", "北京市"),
        *("--claim-date", "2026-10-01", "--schedule", _SCHEDULE, "--review", "--json"),
    )
    assert ran.status == 0, ran.err
    submission = tasks.get(ran.json["id"]).submission
    schema = api.get("/openapi.json").json()["components"]["schemas"]["PublishRequest"]
    assert submission.video_url == "https://example.com/video.mp4"
    assert (submission.account_name, submission.title, submission.description) == (name, "标题", "第一行")
    assert (list(submission.tags), submission.cover_path) == (["a", "b"], "https://example.com/cover.png")
    assert (submission.claim_type, submission.claim_date) == ("自行拍摄", "2026-10-01")
    assert list(submission.claim_place or ()) == ["中国大陆", "北京市"]
    assert (submission.schedule_time, submission.manual_review) == (_SCHEDULE, True)
    assert set(schema["properties"]) <= {
        *("video_url", "title", "description", "tags", "cover_path", "claim_type", "claim_place", "claim_date"),
        *("schedule_time", "account_name", "manual_review", "allow_duplicate"),
    }


def test_what_is_not_given_is_left_to_the_accounts_preferences(
    publisher: Command, name: str, tasks: TaskStore
) -> None:
    assert publisher("accounts", "set", name, "--default-tag", "日常", "--review").status == 0
    ran = publisher("publish", "https://example.com/v.mp4", "--account", name, "--title", "标题", "--json")
    task = tasks.get(ran.json["id"])
    assert (list(task.submission.tags), task.submission.manual_review) == (["日常"], True)


def test_files_are_uploaded_by_their_checksum(
    publisher: Command, name: str, tasks: TaskStore, cloud: Cloud
) -> None:
    ran = publisher(
        "publish", str(VIDEO), "--cover", str(COVER), "--account", name, "--title", "自己的文件", "--json"
    )
    assert ran.status == 0, ran.err
    submission = tasks.get(ran.json["id"]).submission
    for media_url, path in ((submission.video_url, VIDEO), (submission.cover_path or "", COVER)):
        key = f"uploads/{media_url.removeprefix('upload://')}/media"
        stored = cloud.client("s3").get_object(Bucket=cloud.variable("PRIVATE_BUCKET"), Key=key)
        assert hashlib.sha256(stored["Body"].read()).digest() == hashlib.sha256(path.read_bytes()).digest()


@pytest.mark.parametrize(
    ("file", "says"),
    [("none.mp4", "No such file"), ("notes.txt", "does not end like a video"), ("empty.mp4", "empty")],
)
def test_a_file_that_cannot_be_uploaded_is_named(
    publisher: Command, name: str, tmp_path: Path, file: str, says: str
) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "notes.txt").write_text("notes")
    ran = publisher("publish", str(tmp_path / file), "--account", name, "--title", "标题")
    assert (ran.status, ran.out) == (2, "")
    assert says in ran.err
    assert "Next: " in ran.err


def test_the_endings_of_files_are_those_of_what_the_api_takes() -> None:
    for kind, accepted in ACCEPTED.items():
        assert set(TYPES[kind].values()) == set(accepted)
        assert {ending: media_type for media_type, ending in accepted.items()}.items() <= TYPES[kind].items()


def test_a_refusal_shows_cause_next_step_and_request_id(submit: Callable[..., Ran]) -> None:
    ran = submit("--tag", "a b", "--schedule", "gestern")
    assert (ran.status, ran.out) == (1, "")
    assert "/tags/0: must be 1 to 30 characters without blanks" in ran.err
    assert "/schedule_time: must be 'YYYY-MM-DD HH:mm'" in ran.err
    assert "Next: Correct the fields listed in errors" in ran.err
    assert "request id: " in ran.err


def test_a_refusal_as_json_is_the_problem_document(publisher: Command) -> None:
    ran = publisher("accounts", "show", "nobody", "--json")
    assert ran.status == 1
    error = ran.json["error"]
    assert (error["code"], error["status"]) == ("account.not_found", 404)
    assert error["request_id"] in ran.err
    assert error["next_step"] in ran.err.replace("\n", " ")


def test_no_answer_is_a_status_of_its_own_and_tells_how_to_go_on_once(
    command: Command, scripted: Scripted
) -> None:
    scripted.answers(None)
    command.variables["PUBLISHER_URL"] = scripted.origin
    ran = command("publish", "https://example.com/v.mp4", "--account", "a", "--title", "t", "--json")
    assert ran.status == 3
    keys = {told.headers["idempotency-key"] for told in scripted.told}
    assert len(keys) == 1
    assert f"--idempotency-key {keys.pop().strip(chr(34))}" in ran.json["error"]["next_step"]
    assert "https://example.com/v.mp4" in ran.json["error"]["next_step"]


def test_a_key_of_ones_own_is_sent(command: Command, scripted: Scripted) -> None:
    scripted.answers((200, {}, {"id": "1", "status": "pending", "state": "queued", "publish_at": None}))
    command.variables["PUBLISHER_URL"] = scripted.origin
    ran = command(
        *("publish", "https://example.com/v.mp4", "--account", "a", "--title", "t", "--idempotency-key", "mine")
    )
    assert ran.status == 0, ran.err
    assert [told.headers["idempotency-key"] for told in scripted.told] == ['"mine"']


def test_a_task_is_shown_and_canceled(publisher: Command, task_id: str) -> None:
    shown = publisher("tasks", "show", task_id)
    assert shown.status == 0
    assert f"id       {task_id}" in shown.out
    assert publisher("tasks", "show", task_id, "--json").json["state"] == "queued"
    assert publisher("tasks", "cancel", task_id, "--json").json["state"] == "canceled"
    again = publisher("tasks", "cancel", task_id)
    assert again.status == 1
    assert "canceled" in again.err


def test_a_watch_ends_with_the_tasks_own_status(publisher: Command, task_id: str) -> None:
    over = publisher("tasks", "show", task_id, "--wait", "--timeout", "1s", "--json")
    assert (over.status, over.json["state"]) == (6, "queued")
    publisher("tasks", "cancel", task_id)
    ended = publisher("tasks", "show", task_id, "--wait", "--json")
    assert (ended.status, ended.json["state"]) == (1, "canceled")


def test_a_duration_that_is_none_is_wrong_usage(publisher: Command, task_id: str) -> None:
    ran = publisher("tasks", "show", task_id, "--wait", "--timeout", "soon")
    assert ran.status == 2
    assert "90s" in ran.err


def test_decisions_that_a_task_does_not_take_are_refused(publisher: Command, task_id: str) -> None:
    for arguments in (
        ["approve", task_id],
        ["reject", task_id],
        ["retry", task_id],
        ["resolve", task_id, "--live", "--item-id", "7412"],
        ["code", task_id, "123456"],
    ):
        ran = publisher("tasks", *arguments, "--json")
        assert (ran.status, ran.json["error"]["code"]) == (1, "task.state_conflict")
    assert publisher("tasks", "resolve", task_id).status == 2


def test_a_code_may_come_from_stdin(publisher: Command, task_id: str) -> None:
    ran = publisher.process("tasks", "code", task_id, "--json", stdin="12 34\n")
    assert ran.json["error"]["errors"][0]["pointer"] == "/code"


def test_evidence_is_listed(publisher: Command, task_id: str) -> None:
    assert publisher("tasks", "evidence", task_id, "--json").json["data"] == []


def test_accounts_are_listed_as_lines_with_tabs(publisher: Command, name: str) -> None:
    lines = [line.split("\t") for line in publisher("accounts", "list").out.splitlines()]
    assert [name, "小明", "logged_in"] in [line[:3] for line in lines]


def test_preferences_are_set_shown_and_taken_away(publisher: Command, name: str) -> None:
    ran = publisher(
        *("accounts", "set", name, "--visibility", "private", "--no-allow-save", "--daily-cap", "3"),
        *("--min-spacing", "30", "--time-zone", "Asia/Tokyo", "--default-claim-type", "内容由AI生成", "--json"),
    )
    assert ran.json["preferences"] == {
        "visibility": "private",
        "allow_save": False,
        "daily_cap": 3,
        "min_spacing_minutes": 30,
        "time_zone": "Asia/Tokyo",
        "default_claim_type": "内容由AI生成",
    }
    left = publisher("accounts", "set", name, "--unset", "daily_cap", "--unset", "time_zone")
    assert "daily_cap" not in left.out
    assert "private" in left.out
    assert publisher("accounts", "set", name).status == 2


def test_a_proxys_password_is_read_from_stdin_and_shown_nowhere(publisher: Command, name: str) -> None:
    ran = publisher.process(
        *("accounts", "set", name, "--proxy", "socks5://proxy.example.com:1080", "--proxy-credentials"),
        stdin="somebody\ncanary-of-the-proxy\n",
    )
    assert ran.status == 0, ran.err
    assert "has_credentials: yes" in ran.out
    assert "canary" not in ran.out + ran.err
    assert publisher("accounts", "set", name, "--proxy-credentials").status == 2


def test_an_account_is_deleted_only_if_somebody_agrees(publisher: Command, name: str) -> None:
    refused = publisher("accounts", "delete", name)
    assert refused.status == 2
    assert "--yes" in refused.err
    assert publisher("accounts", "delete", name, "--yes").out == f"{name} is removed.\n"
    assert publisher("accounts", "show", name).status == 1


def test_the_sync_is_shown_and_lists_end(publisher: Command) -> None:
    status = publisher("sync", "status", "--json").json
    assert [channel["channel"] for channel in status["data"]] == ["test_channel"]
    assert publisher("sync", "status").out.startswith("test_channel\t0\t0\t")
    assert publisher("articles", "list", "--json").json == {"data": [], "next_cursor": None}
    assert publisher("articles", "list", "--published-from", "gestern").status == 1
    assert publisher("articles", "show", "7251993249718480001").status == 1


def test_the_key_is_asked_for_once_kept_and_shown_nowhere(publisher: Command, api: Api) -> None:
    publisher.variables.pop("PUBLISHER_URL")
    ran = publisher.process("configure", "--url", api.origin, "--no-check", "--json", stdin=_KEY + "\n")
    assert ran.status == 0, ran.err
    path = publisher.folder / "config" / "social-publisher" / "config.json"
    assert ran.json == {"url": api.origin, "api_key": True, "file": str(path)}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load({}, path) == Settings(url=api.origin, api_key=_KEY)
    listed = publisher("accounts", "list", "--json")
    assert _KEY not in ran.out + ran.err + listed.out + listed.err


def test_a_key_that_is_refused_is_not_kept(command: Command, scripted: Scripted) -> None:
    scripted.answers((401, {}, problem(401, retryable=False, code="auth.key_invalid")))
    assert command.process("configure", "--url", scripted.origin, stdin=_KEY + "\n").status == 1
    assert scripted.told[0].headers["authorization"] == f"Bearer {_KEY}"
    assert not (command.folder / "config").exists()
    scripted.answers((403, {}, problem(403, retryable=False, code="auth.scope_missing")))
    assert command.process("configure", "--url", scripted.origin, stdin=_KEY + "\n").status == 0


def test_settings_that_cannot_be_used_are_wrong_usage(command: Command) -> None:
    command.variables["PUBLISHER_URL"] = "http://api.example.com"
    ran = command("accounts", "list", "--json")
    assert (ran.status, ran.json["error"]["code"]) == (2, "client.misconfigured")


def test_hostile_texts_change_nothing_on_the_terminal(command: Command, scripted: Scripted) -> None:
    name = "\x1b]0;owned\x07\u202eabc\n\tx"
    account = {"id": name, "name": name, "state": "logged_in", "checked_at": "now"}
    scripted.answers((200, {}, {"data": [account]}))
    command.variables["PUBLISHER_URL"] = scripted.origin
    ran = command("accounts", "list")
    assert ran.out.count("\n") == 1
    assert ran.out.count("\t") == 3
    assert not {"\x1b", "\x07", "\u202e"} & set(ran.out + ran.err)
    assert command("accounts", "list", "--json").json["data"][0]["name"] == name


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk"])
def test_a_terminal_that_knows_few_characters_gets_those_it_knows(
    publisher: Command, name: str, encoding: str
) -> None:
    variables = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    shown = publisher.process("accounts", "show", name, variables=variables, encoding=encoding)
    assert shown.status == 0, shown.err
    assert ("小明" if encoding == "gbk" else r"\u5c0f\u660e") in shown.out
    as_json = publisher.process("accounts", "show", name, "--json", variables=variables, encoding=encoding)
    assert as_json.json["name"] == "小明"


def test_a_reader_that_goes_away_early_is_no_fault_to_tell_of(publisher: Command, name: str) -> None:
    read, write = os.pipe()
    os.close(read)
    ran = publisher.process("accounts", "list", stdout=write)
    os.close(write)
    assert ran.err == ""


def test_it_says_its_version_and_helps_with_every_command(command: Command) -> None:
    assert command("--version").out == f"publisher {__version__}\n"
    for arguments in ([], ["publish"], ["login"], ["tasks"], ["tasks", "list"], ["keys", "create"], ["mcp"]):
        helped = command(*arguments, "--help")
        assert helped.status == 0
        assert "Usage: publisher" in helped.out
    assert command("nonsense").status == 2


def test_completion_is_there_for_the_shells(command: Command) -> None:
    shown = command.process(
        "--show-completion", "bash", variables={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    )
    assert "_PUBLISHER_COMPLETE" in shown.out


def test_a_file_kept_by_hand_works_too(publisher: Command, api: Api) -> None:
    publisher.variables.pop("PUBLISHER_URL")
    save(Settings(url=api.origin), publisher.folder / "config" / "social-publisher" / "config.json")
    assert publisher("accounts", "list").status == 0


def test_json_is_one_document_and_nothing_else(publisher: Command, task_id: str) -> None:
    for arguments in (["tasks", "show", task_id], ["accounts", "list"], ["sync", "status"]):
        answer: Any = json.loads(publisher(*arguments, "--json").out)
        assert isinstance(answer, dict)
