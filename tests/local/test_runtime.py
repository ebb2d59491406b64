"""All functions together, and Lambda's Invoke through boto3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.emulator import make_client
from local.runtime.system import FunctionRuntime
from local.template import EventSourceSpec, FunctionSpec
from tests.local.support import eventually, lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.system


def handler(name: str) -> str:
    return f"tests.local.handlers.{name}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runtime")


@pytest.fixture(scope="module")
def runtime(emulator: str, sqs: Any, folder: Path) -> Iterator[FunctionRuntime]:
    queue = sqs.create_queue(QueueName="runtime")["QueueUrl"]
    source = EventSourceSpec(queue, "arn:aws:sqs:us-east-1:000000000000:runtime", 1, 2)
    journal = {"JOURNAL": str(folder / "journal"), "QUEUE_URL": queue}
    specs = [
        FunctionSpec("echo", handler("echo"), 20, 128),
        FunctionSpec("fail", handler("fail"), 20, 128),
        FunctionSpec("hold", handler("wait_for_file"), 20, 128, reserved_concurrency=1),
        FunctionSpec("late", handler("sleep_with_child"), 1, 128),
        FunctionSpec("describe", handler("describe"), 20, 128, {"OWN": "value"}),
        FunctionSpec("consume", handler("consume"), 20, 128, journal, event_source=source),
        FunctionSpec("ticks", handler("record_event"), 20, 128, journal, schedule="rate(1 hour)"),
    ]
    with FunctionRuntime(
        specs, emulator, folder, env={"LOCAL_SWITCH": "on"}, tick_at_start=["ticks"]
    ) as running:
        yield running


@pytest.fixture(scope="module")
def aws_lambda(runtime: FunctionRuntime) -> Any:
    return make_client("lambda", runtime.invoke_endpoint, attempts=1)


def test_queues_schedules_and_switches_are_at_work(runtime: FunctionRuntime, sqs: Any, folder: Path) -> None:
    sqs.send_message(QueueUrl=runtime.functions["consume"].spec.environment["QUEUE_URL"], MessageBody="a")
    eventually(lambda: "end a 1" in lines(folder / "journal"))
    eventually(lambda: any('"aws.events"' in line for line in lines(folder / "journal")))
    environment = runtime.functions["describe"].invoke({})["environment"]
    assert (environment["LOCAL_SWITCH"], environment["OWN"]) == ("on", "value")
    assert environment["AWS_ENDPOINT_URL_LAMBDA"] == runtime.invoke_endpoint
    assert environment["AWS_ENDPOINT_URL"] != runtime.invoke_endpoint


def test_invoke_waits_for_the_result(aws_lambda: Any) -> None:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:echo"
    for function in ("echo", arn):
        answer = aws_lambda.invoke(FunctionName=function, Payload=json.dumps({"a": "内容"}))
        assert (answer["StatusCode"], json.load(answer["Payload"])) == (200, {"a": "内容"})
        assert "FunctionError" not in answer
        assert answer["ExecutedVersion"] == "$LATEST"


def test_invoke_returns_a_handlers_exception_as_its_payload(aws_lambda: Any) -> None:
    answer = aws_lambda.invoke(FunctionName="fail", Payload="{}")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    payload = json.load(answer["Payload"])
    assert (payload["errorType"], payload["errorMessage"]) == ("LookupError", "nothing here")


def test_invoke_returns_a_time_out_as_its_payload(aws_lambda: Any, tmp_path: Path) -> None:
    answer = aws_lambda.invoke(FunctionName="late", Payload=json.dumps({"pid_file": str(tmp_path / "pids")}))
    assert answer["FunctionError"] == "Unhandled"
    payload = json.load(answer["Payload"])
    assert payload["errorType"] == "Sandbox.Timedout"
    assert payload["errorMessage"].endswith("Task timed out after 1.00 seconds")


def test_an_event_is_taken_at_once_and_run_later(aws_lambda: Any, tmp_path: Path) -> None:
    event = {"started": str(tmp_path / "started"), "until": str(tmp_path / "until")}
    answer = aws_lambda.invoke(FunctionName="hold", InvocationType="Event", Payload=json.dumps(event))
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    eventually((tmp_path / "started").exists)
    with pytest.raises(ClientError) as throttled:  # its reserved concurrency is in use
        aws_lambda.invoke(FunctionName="hold", Payload=json.dumps(event))
    assert throttled.value.response["Error"]["Code"] == "TooManyRequestsException"
    (tmp_path / "until").touch()


def test_an_unknown_function_is_not_found(aws_lambda: Any) -> None:
    with pytest.raises(aws_lambda.exceptions.ResourceNotFoundException, match="function:nobody"):
        aws_lambda.invoke(FunctionName="nobody", Payload="{}")


def test_an_event_that_is_no_json_is_refused(aws_lambda: Any) -> None:
    with pytest.raises(aws_lambda.exceptions.InvalidRequestContentException):
        aws_lambda.invoke(FunctionName="echo", Payload="{")


def test_a_dry_run_runs_nothing(aws_lambda: Any) -> None:
    assert aws_lambda.invoke(FunctionName="fail", InvocationType="DryRun", Payload="{}")["StatusCode"] == 204
