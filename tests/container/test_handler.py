"""The function's own entry point, invoked again and again in one execution environment."""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib import aws
from chalicelib.accounts.store import Profile
from chalicelib.clock import to_rfc3339, utc_now
from chalicelib.publishing.states import State
from chalicelib.publishing.task import Submission, Task
from container import browser as chromium
from container import handler
from container.browser import Browser
from container.worker import worker
from local.emulator import client_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.async_api import BrowserContext

    from tests.conftest import Cloud
    from tests.container.support import Site

pytestmark = pytest.mark.system

_CACHES = (worker, handler._runner, aws.dynamodb, aws.sqs, aws.s3, aws.kms)


@dataclass
class Environment:
    """An execution environment of the publish function, and what its browser did."""

    launches: int = 0
    contexts: list[BrowserContext] = field(default_factory=list)

    def invoke(self, task_id: str) -> None:
        """As Lambda does, with a message from the queue. Playwright's other API occupies this thread."""
        queue = worker().settings.publish_queue_url
        aws.sqs().send_message(
            QueueUrl=queue,
            MessageBody=json.dumps({"task_id": task_id}),
            MessageGroupId=task_id,
            MessageDeduplicationId=task_id,
        )
        (message,) = aws.sqs().receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
        record = {"body": message["Body"], "receiptHandle": message["ReceiptHandle"]}
        end = time.monotonic() + 300
        context: Any = SimpleNamespace(
            aws_request_id="test",
            memory_limit_in_mb=2048,
            get_remaining_time_in_millis=lambda: round((end - time.monotonic()) * 1000),
        )
        thread = threading.Thread(target=handler.publish, args=({"Records": [record]}, context))
        thread.start()
        thread.join()
        aws.sqs().delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


@pytest.fixture
def environment(
    cloud: Cloud, site: Site, chromium_path: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Environment]:
    variables = client_environment(cloud.endpoint)
    for function in cloud.functions.values():
        variables |= function.environment
    # A queue of their own: on the shipped one lie messages of other tests.
    queue = cloud.client("sqs").create_queue(
        QueueName=f"q{uuid.uuid4().hex[:8]}.fifo", Attributes={"FifoQueue": "true"}
    )
    variables |= {
        "PUBLISH_QUEUE_URL": queue["QueueUrl"],
        "DOUYIN_ORIGIN": site.origin,
        "MEDIA_ALLOW_LOOPBACK": site.origin.removeprefix("http://"),
        "CHROMIUM_PATH": chromium_path,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    seen = Environment()
    launch, open_page = Browser._launch, chromium.open_page

    async def count_launch(browser: Browser) -> Any:
        seen.launches += 1
        return await launch(browser)

    async def count_context(context: BrowserContext) -> Any:
        seen.contexts.append(context)
        return await open_page(context)

    monkeypatch.setattr(Browser, "_launch", count_launch)
    monkeypatch.setattr("container.jobs.publish.open_page", count_context)
    for cached in _CACHES:
        cached.cache_clear()
    yield seen
    end = threading.Thread(target=_end)
    end.start()
    end.join()
    for cached in _CACHES:
        cached.cache_clear()


def test_two_invocations_share_a_warm_browser_and_nothing_else(environment: Environment, site: Site) -> None:
    tasks = [_task(site, name) for name in ("甲", "乙")]

    for task in tasks:
        environment.invoke(task.id)

    assert [worker().tasks().get(task.id).state for task in tasks] == [State.PUBLISHED] * 2
    assert [work["title"] for work in site.works()] == ["甲", "乙"]
    assert environment.launches == 1
    assert len(set(environment.contexts)) == 2


def test_a_browser_that_died_between_two_invocations_is_replaced(environment: Environment, site: Site) -> None:
    tasks = [_task(site, name) for name in ("甲", "乙")]

    environment.invoke(tasks[0].id)
    for pid in chromium._tree(worker().browser._mark):
        chromium._end(pid)
    environment.invoke(tasks[1].id)

    assert [worker().tasks().get(task.id).state for task in tasks] == [State.PUBLISHED] * 2
    assert environment.launches == 2


def _end() -> None:
    """In good order: what a killed driver leaves behind would be found in another test."""
    with handler._runner() as runner:
        runner.run(worker().browser.close())


def _task(site: Site, title: str) -> Task:
    """A queued task of an account of its own, which is logged in."""
    account = f"warm-{uuid.uuid4().hex[:8]}"
    worker().vault.seal(account, 1, site.log_in())
    worker().accounts.log_in(account, Profile(account, account, None), session_version=1)
    now = to_rfc3339(utc_now())
    submission = Submission(f"{site.origin}/media/demo.mp4", title, account)
    task = Task(str(uuid.uuid4()), State.QUEUED, submission, created_at=now, updated_at=now)
    worker().tasks().create(task)
    return task
