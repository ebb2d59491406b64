"""Handlers that the tests run as functions."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3

logger = logging.getLogger("app.handlers")  # One of ours: of others, no text is told.

_calls = 0


def echo(event: Any, context: Any) -> Any:
    return event


def count(event: Any, context: Any) -> dict[str, int]:
    """How often this very process was called."""
    global _calls  # noqa: PLW0603  # the state of a warm process is what the tests look at
    _calls += 1
    return {"pid": os.getpid(), "calls": _calls}


def describe(event: Any, context: Any) -> dict[str, Any]:
    logger.info("a line of the log")
    print("a printed line")
    return {
        "environment": dict(os.environ),
        "request_id": context.aws_request_id,
        "name": context.function_name,
        "memory": context.memory_limit_in_mb,
        "arn": context.invoked_function_arn,
        "remaining_ms": context.get_remaining_time_in_millis(),
    }


def fail(event: Any, context: Any) -> None:
    raise LookupError("nothing here")


def fail_or_count(event: Any, context: Any) -> dict[str, int]:
    if event.get("fail"):
        raise LookupError("nothing here")
    return count(event, context)


def leave(event: Any, context: Any) -> None:
    sys.exit(3)


def kill_self(event: Any, context: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def not_json(event: Any, context: Any) -> object:
    return object()


def sleep_with_child(event: Any, context: Any) -> None:
    """Starts three processes, notes all process ids in the file `event["pid_file"]`, and never ends.

    One stays in the group, one leads a session of its own as browsers do, one is an orphan besides.
    """
    children = [subprocess.Popen(["sleep", "600"]), subprocess.Popen(["sleep", "600"], start_new_session=True)]
    orphan = subprocess.run(
        ["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!"], stdout=subprocess.PIPE, check=True
    )
    note = Path(event["pid_file"])
    draft = note.with_suffix(".draft")
    draft.write_text(" ".join(map(str, [os.getpid(), *(child.pid for child in children), int(orphan.stdout)])))
    draft.replace(note)
    time.sleep(600)


def wait_for_file(event: Any, context: Any) -> str:
    """Notes that it runs in `event["started"]` and returns once the file `event["until"]` exists."""
    Path(event["started"]).touch()
    _wait_for(Path(event["until"]))
    return "done"


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


# SQS: what a record is to do stands in its body, JSON without spaces: {"do", ...}; each is noted in a file.


def consume(event: Any, context: Any) -> dict[str, Any]:
    """Notes each record's start and end in the file JOURNAL: lines of `start|end <body> <receive count>`."""
    failures = []
    for record in event["Records"]:
        body = record["body"]
        received = record["attributes"]["ApproximateReceiveCount"]
        _note(f"start {body} {received}")
        if body.startswith("raise"):
            raise RuntimeError(body)
        if body.startswith("hang"):
            time.sleep(600)
        if body.startswith("slow"):
            time.sleep(0.3)
        if body.startswith("hold"):
            _wait_for(Path(os.environ["JOURNAL"] + ".go"))
        if body.startswith("shorten"):
            if body == "shorten-when-told":
                _wait_for(Path(os.environ["JOURNAL"] + ".go"))
            url = os.environ["QUEUE_URL"]
            boto3.client("sqs").change_message_visibility(
                QueueUrl=url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=1
            )
            raise RuntimeError(body)
        if body.startswith("report"):
            failures.append({"itemIdentifier": record["messageId"]})
        _note(f"end {body} {received}")
    return {"batchItemFailures": failures}


def record_event(event: Any, context: Any) -> None:
    import json  # noqa: PLC0415

    _note(json.dumps(event))


def _note(line: str) -> None:
    with Path(os.environ["JOURNAL"]).open("a") as journal:
        journal.write(line + "\n")
