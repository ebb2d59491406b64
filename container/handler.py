"""Lambda entry points: SQS records in, jobs out. Batch size 1: an invocation is one job of one account.

A handler that returns has settled its message, whatever became of the job: outcomes stand on the task or the
login. One that raises leaves the message to SQS: it comes again, and after the queue's limit goes to the
dead-letter queue.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from chalicelib import aws
from chalicelib.accounts.logins import LoginKind
from chalicelib.logs import invocation
from chalicelib.trace import bound, note
from container.billing import billed
from container.jobs.check import run_check
from container.jobs.login import run_login
from container.jobs.publish import run_task
from container.jobs.session_import import run_import
from container.lease import Message
from container.worker import worker

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

logger = logging.getLogger(__name__)


class LambdaContext(Protocol):
    """The part of Lambda's context object that is used here."""

    aws_request_id: str
    memory_limit_in_mb: str | int

    def get_remaining_time_in_millis(self) -> int: ...


def publish(event: dict[str, Any], context: LambdaContext) -> None:
    """Publishes the task that the message names, or looks whether it was published; or checks the account that
    it names: in the same queue, so that nothing else uses the account's session meanwhile.
    """
    for record in event["Records"]:
        with _job(record, context) as body:
            message = _take(record, worker().settings.publish_queue_url)
            if "check" in body:
                note(account=body["check"])
                _run(run_check(worker(), body["check"], body["asked_at"], message))
                continue
            note(task_id=body["task_id"])
            with billed(worker().tasks(), body["task_id"], memory_mb=int(context.memory_limit_in_mb)):
                _run(run_task(worker(), body["task_id"], message, deadline=_deadline(context)))


def login(event: dict[str, Any], context: LambdaContext) -> None:
    """Shows the QR codes of the login that the message names until it has ended, or tries the session that was
    imported for it.
    """
    for record in event["Records"]:
        with _job(record, context) as body:
            note(login_id=body["login_id"])
            message = _take(record, worker().settings.login_queue_url)
            given = (worker(), body["login_id"], context.aws_request_id, message)
            if body.get("kind") == LoginKind.IMPORT:
                _run(run_import(*given))
            else:
                _run(run_login(*given, deadline=_deadline(context)))


@contextmanager
def _job(record: dict[str, Any], context: LambdaContext) -> Iterator[dict[str, Any]]:
    """Goes around the job of a record, and gives its body. What is logged names the request that sent it."""
    with invocation(context):
        body = json.loads(record["body"])
        with bound(request_id=body.get("request_id")):
            yield body


def _take(record: dict[str, Any], queue_url: str) -> Message:
    """The message, its invisibility shortened before anything else: a worker that dies in the next instant
    must not keep its account's messages back for the queue's own time-out.
    """
    message = Message(aws.sqs(), queue_url, record["receiptHandle"])
    message.keep_invisible()
    return message


def _run(job: Coroutine[Any, Any, None]) -> None:
    _runner().run(job, context=copy_context())  # Its own would know nothing of this message.


@cache
def _runner() -> asyncio.Runner:
    """One event loop for the life of the execution environment: the warm browser is bound to it."""
    return asyncio.Runner()


def _deadline(context: LambdaContext) -> Any:
    return lambda: context.get_remaining_time_in_millis() / 1000
