"""Nothing gets into a log line that is not meant to be there, and what is there can be followed."""

from __future__ import annotations

import ast
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import MediaUnreachable
from chalicelib.logs import FIELDS, Formatter, InvocationFailed, described, invocation
from chalicelib.trace import bound, carried, note, request_id

ROOT = Path(__file__).resolve().parents[1]
CANARY = "canary-4b1d0f2e"

LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def calls() -> list[tuple[str, ast.Call]]:
    """Every call of a logger in what runs in the cloud."""
    found = []
    files = [ROOT / "app.py", *(ROOT / "chalicelib").rglob("*.py"), *(ROOT / "container").rglob("*.py")]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            if (
                isinstance(called, ast.Attribute)
                and called.attr in LEVELS
                and isinstance(called.value, ast.Name)
                and called.value.id == "logger"
            ):
                assert isinstance(node, ast.Call)
                found.append((f"{file.relative_to(ROOT)}:{node.lineno}", node))
    return found


def test_every_message_of_ours_is_a_fixed_text() -> None:
    assert len(calls()) > 40
    for where, call in calls():
        assert len(call.args) == 1, where
        assert isinstance(call.args[0], ast.Constant), where
        assert {keyword.arg for keyword in call.keywords} <= {"extra", "exc_info"}, where


def test_every_field_that_is_logged_is_on_the_list() -> None:
    for where, call in calls():
        for keyword in call.keywords:
            if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict):
                names = {key.value for key in keyword.value.keys if isinstance(key, ast.Constant)}
                assert names <= set(FIELDS), where


def record(
    text: str = "a text", *args: Any, name: str = "chalicelib.x", error: Exception | None = None, **extra: Any
) -> logging.LogRecord:
    caught: Any = (type(error), error, None) if error else None
    return logging.getLogger(name).makeRecord(
        name, logging.WARNING, str(ROOT / "x.py"), 1, text, args, caught, "f", extra
    )


def lines(made: logging.LogRecord) -> list[str]:
    return [Formatter().format(made), Formatter(pretty=True).format(made)]


def test_a_line_tells_what_happened_and_for_whom() -> None:
    with bound(request_id="r-1", task_id="t-1"):
        note(account="小明")
        line = json.loads(Formatter().format(record(step="fill", duration_ms=12, status=None)))

    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "WARNING",
        "logger": "chalicelib.x",
        "message": "a text",
        "request_id": "r-1",
        "task_id": "t-1",
        "account": "小明",
        "step": "fill",
        "duration_ms": 12,
    }


@pytest.mark.parametrize(
    "made",
    [
        record("%s", CANARY),
        record("a text", secret=CANARY),
        record("a text", step=f"two words: {CANARY}"),
        record("a text", host=f"https://x.example/?signature={CANARY}"),
        record(f"what others say: {CANARY}", name="urllib3.connectionpool"),
        record("%s", CANARY, name="asyncio"),
        record(error=ValueError(CANARY)),
        record(error=MediaUnreachable(CANARY, errors=[CANARY])),
        record(error=ExceptionGroup(CANARY, [ValueError(CANARY)])),
    ],
    ids=lambda made: f"{made.name} {made.msg[:8]} {made.exc_info and made.exc_info[0].__name__}",
)
def test_what_is_not_meant_to_be_there_is_not(made: logging.LogRecord) -> None:
    for line in lines(made):
        assert CANARY not in line


# What stands in a line anyway must not look like a find.
@given(secret=st.text(min_size=12).map(lambda text: f"\x00{text}"))
def test_no_value_gets_into_a_line_by_any_other_way(secret: str) -> None:
    made = record(secret, name="others", error=RuntimeError(secret), password=secret, step=secret)

    told = json.loads(Formatter().format(made))
    assert secret not in json.dumps(told, ensure_ascii=False)
    assert secret not in [*told.values()]


def test_an_exception_is_told_by_its_types_and_places_and_codes() -> None:
    def fail(secret: str) -> None:
        try:
            raise MediaUnreachable(secret)  # noqa: TRY301 - so that there is a place to tell
        except MediaUnreachable as error:
            raise LookupError(secret) from error

    try:
        fail(CANARY)
    except LookupError:
        made = logging.getLogger("chalicelib.x").makeRecord(
            "chalicelib.x", logging.ERROR, "x.py", 1, "it failed", (), sys.exc_info()
        )
    last, first = described(made)["error"]

    assert (last["type"], first["type"], first["code"]) == (
        "LookupError",
        "MediaUnreachable",
        "media.unreachable",
    )
    assert ".fail:" in first["frames"][-1]
    assert "places_and_codes.<locals>" in "".join(last["frames"])
    for line in lines(made):
        assert CANARY not in line


def test_what_an_invocation_raises_leaves_it_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvocationFailed) as raised, invocation(None):
        raise ValueError(CANARY)

    assert str(raised.value) == "ValueError"
    assert raised.value.__suppress_context__


def test_what_belongs_to_a_request_takes_its_id_along() -> None:
    assert (request_id(), carried()) == (None, {})
    assert carried("of the task") == {"request_id": "of the task"}
    with bound(request_id="r-1"):
        with bound(task_id="t"):
            assert carried("of the task") == {"request_id": "r-1"}
        with bound(request_id=None):
            assert request_id() == "r-1"
    assert request_id() is None


def test_a_function_on_lambda_logs_json_alone_whatever_the_runtime_had_set_up() -> None:
    script = f"""
import logging, sys
logging.root.addHandler(logging.StreamHandler(sys.stdout))
from types import SimpleNamespace
from chalicelib.jobs import sweep
event = {{"version": "0", "account": "", "region": "", "detail": {{"secret": "{CANARY}"}}, "detail-type": "",
          "source": "", "time": "", "id": "", "resources": []}}
try:
    sweep(event, SimpleNamespace(aws_request_id="i-1"))
except Exception as error:
    assert str(error) == "ConfigurationError", error
"""
    environment = {
        "AWS_LAMBDA_FUNCTION_NAME": "sweep",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": CANARY,
        "AWS_SECRET_ACCESS_KEY": CANARY,
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (line,) = done.stdout.splitlines()

    assert CANARY not in done.stdout + done.stderr
    told = json.loads(line)
    assert (told["message"], told["invocation"]) == ("the invocation failed", "i-1")
    assert told["error"][0]["code"] == "internal.configuration"
