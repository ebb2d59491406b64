"""Functions run as on Lambda: warm, one invocation in a process, killed with all they started."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from local.processes import clean_environment
from local.runtime.errors import FunctionClosed, FunctionFailed, FunctionThrottled, FunctionTimedOut
from tests.local.support import alive, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import MakeFunction

pytestmark = pytest.mark.system


def test_a_result_comes_back_as_json(make_function: MakeFunction) -> None:
    event = {"text": "内容", "list": [1, None, True], "big": "x" * 2_000_000}
    assert make_function("echo").invoke(event) == event


def test_an_environment_is_kept_warm(make_function: MakeFunction) -> None:
    function = make_function("count")
    first, second = function.invoke({}), function.invoke({})
    assert (first["calls"], second["calls"]) == (1, 2)
    assert first["pid"] == second["pid"]


def test_a_handlers_exception_comes_back_and_the_environment_stays_warm(make_function: MakeFunction) -> None:
    function = make_function("fail_or_count")
    before = function.invoke({})
    with pytest.raises(FunctionFailed, match="nothing here") as failure:
        function.invoke({"fail": True})
    payload = failure.value.payload()
    assert (payload["errorType"], payload["errorMessage"]) == ("LookupError", "nothing here")
    assert "handlers.py" in payload["stackTrace"][-1]
    assert function.invoke({}) == {"pid": before["pid"], "calls": 2}


@pytest.mark.parametrize(
    ("handler", "error", "message"),
    [
        ("kill_self", "Runtime.ExitError", "signal 9"),
        ("leave", "Runtime.ExitError", "status 3"),
        ("not_json", "TypeError", "not JSON serializable"),
        ("is_not_there", "AttributeError", "is_not_there"),
    ],
)
def test_every_way_to_fail_is_told_apart(
    make_function: MakeFunction, handler: str, error: str, message: str
) -> None:
    function = make_function(handler)
    for _ in range(2):  # the next invocation gets a fresh process and fails the same way
        with pytest.raises(FunctionFailed, match=message) as failure:
            function.invoke({})
        assert failure.value.error_type == error


def test_a_timed_out_invocation_is_killed_with_what_it_started(
    make_function: MakeFunction, tmp_path: Path
) -> None:
    note = tmp_path / "pids"
    function = make_function("sleep_with_child")
    with pytest.raises(FunctionTimedOut, match=r"timed out after 1\.00 seconds"):
        function.invoke({"pid_file": str(note)}, timeout=1)
    pids = [int(pid) for pid in note.read_text().split()]
    assert len(pids) == 4
    eventually(lambda: not any(alive(pid) for pid in pids))


def test_a_handler_sees_its_own_variables_and_nothing_of_ours(
    make_function: MakeFunction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", "mine")
    function = make_function("describe", variables={"TASKS_TABLE": "tasks"}, env={"BROWSER_MODE": "headed"})
    seen = function.invoke({}, timeout=10)
    environment = seen["environment"]
    assert "MY_SECRET" not in environment
    assert (environment["TASKS_TABLE"], environment["BROWSER_MODE"]) == ("tasks", "headed")
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == seen["name"] == function.spec.name
    assert (seen["memory"], seen["arn"]) == ("256", function.arn)
    assert 0 < seen["remaining_ms"] <= 10_000
    assert environment["TMPDIR"].startswith(str(tmp_path))
    log = (tmp_path / "logs" / f"{function.spec.name}.log").read_text()
    assert "a printed line" in log
    assert "a line of the log" in log
    assert f"START RequestId: {seen['request_id']}" in log


def test_concurrency_is_bounded_and_the_next_one_waits(make_function: MakeFunction, tmp_path: Path) -> None:
    function = make_function("wait_for_file", concurrency=2)
    until = tmp_path / "until"

    def event(name: str) -> dict[str, str]:
        return {"started": str(tmp_path / name), "until": str(until)}

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(function.invoke, event(name)) for name in ("a", "b")]
        eventually(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists())
        with pytest.raises(FunctionThrottled):
            function.invoke(event("c"), wait=False)
        waiting = pool.submit(function.invoke, event("d"))
        assert function.running == 2
        assert not (tmp_path / "d").exists()
        until.touch()
        assert [future.result(20) for future in (*running, waiting)] == ["done"] * 3


def test_closing_kills_what_runs_and_refuses_more(make_function: MakeFunction, tmp_path: Path) -> None:
    function = make_function("sleep_with_child")
    note = tmp_path / "pids"
    closed = threading.Event()

    def run() -> None:
        with pytest.raises(FunctionClosed):
            function.invoke({"pid_file": str(note)})
        closed.set()

    thread = threading.Thread(target=run)
    thread.start()
    eventually(note.exists)
    function.close()
    thread.join(10)
    assert closed.is_set()
    assert not any(alive(int(pid)) for pid in note.read_text().split())
    with pytest.raises(FunctionClosed):
        function.invoke({})
    assert not list((tmp_path / "tmp").rglob("*/*"))


def test_a_killed_parent_takes_handler_and_grandchildren_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    code = (
        "from pathlib import Path; from local.runtime.function import LocalFunction;"
        "from local.template import FunctionSpec;"
        "spec = FunctionSpec('f', 'tests.local.handlers.sleep_with_child', 60, 128);"
        f"LocalFunction(spec, {{}}, Path({str(tmp_path / 'logs')!r})).invoke({{'pid_file': {str(note)!r}}})"
    )
    environment = clean_environment(tmp_path / "own")
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as parent:
        eventually(note.exists)
        parent.kill()
    eventually(lambda: not any(alive(int(pid)) for pid in note.read_text().split()))
