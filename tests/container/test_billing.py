"""What a task has cost: measured by whoever worked on it, whatever became of the work."""

from __future__ import annotations

import platform
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chalicelib.cost import PRICES, cost_of
from chalicelib.publishing.states import State
from chalicelib.publishing.store import TaskStore
from chalicelib.publishing.task import Submission, Task
from container.billing import billed

if TYPE_CHECKING:
    from tests.conftest import Cloud

_MINUTE_AT_2_GB = 60_000 * 2048


def test_a_minute_at_two_gigabytes_costs_what_the_price_list_says() -> None:
    cost = cost_of(mb_ms=_MINUTE_AT_2_GB, invocations=1, machine="x86_64")
    assert cost is not None
    assert cost.gb_seconds == 120.0
    assert cost.usd == pytest.approx(0.0020002, rel=1e-3)
    arm = cost_of(mb_ms=_MINUTE_AT_2_GB, invocations=1, machine="aarch64")
    assert arm is not None
    assert arm.price_list.architecture == "arm64"
    assert arm.usd == pytest.approx(0.0016002, rel=1e-3)


def test_a_task_that_nobody_worked_on_has_no_cost() -> None:
    assert cost_of(mb_ms=0, invocations=0, machine=None) is None


def test_every_price_says_where_it_is_from_and_that_it_is_an_estimate() -> None:
    for prices in PRICES.values():
        assert prices.source.startswith("https://aws.amazon.com/")
        assert prices.region
        assert prices.as_of
        assert "estimate" in prices.note


def test_this_machine_has_a_price() -> None:
    assert platform.machine() in PRICES


@pytest.fixture
def tasks(cloud: Cloud) -> TaskStore:
    return TaskStore(cloud.client("dynamodb"), cloud.variable("TASKS_TABLE"))


@pytest.fixture
def task(tasks: TaskStore) -> Task:
    task = Task(
        id=str(uuid.uuid4()),
        state=State.QUEUED,
        submission=Submission("https://example.com/v.mp4", "t", "a"),
        created_at="2026-11-21T09:30:00.000Z",
        updated_at="2026-11-21T09:30:00.000Z",
    )
    tasks.create(task)
    return task


@pytest.mark.system
def test_invocations_add_up_in_every_state_and_epoch(tasks: TaskStore, task: Task) -> None:
    tasks.bill(task.id, ms=1000, memory_mb=2048, machine="x86_64")
    tasks.bill(task.id, ms=500, memory_mb=1024, machine="x86_64")

    seen = tasks.get(task.id)

    assert seen == replace(
        task, billed_ms=1500, billed_mb_ms=2048_000 + 512_000, invocations=2, machine="x86_64"
    )
    assert seen.cost is not None
    assert seen.cost.gb_seconds == 2.5


@pytest.mark.system
def test_work_that_fails_is_billed_too(tasks: TaskStore, task: Task) -> None:
    def fail() -> None:
        with billed(tasks, task.id, memory_mb=2048):
            raise RuntimeError("the browser is on fire")

    with pytest.raises(RuntimeError):
        fail()
    assert tasks.get(task.id).billed_ms >= 1


@pytest.mark.system
def test_a_task_that_is_gone_is_not_brought_back_by_its_bill(tasks: TaskStore, cloud: Cloud) -> None:
    tasks.bill("gone", ms=1, memory_mb=1, machine="x86_64")

    table = cloud.variable("TASKS_TABLE")
    assert "Item" not in cloud.client("dynamodb").get_item(TableName=table, Key={"id": {"S": "gone"}})


@pytest.mark.system
def test_a_bill_that_cannot_be_written_fails_nothing(
    cloud: Cloud, task: Task, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = TaskStore(cloud.client("dynamodb"), "no-such-table")
    with billed(nowhere, task.id, memory_mb=2048):
        pass
    assert "could not be written" in caplog.text
