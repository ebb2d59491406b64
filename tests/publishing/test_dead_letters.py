"""What the sweeper does about messages that no worker could handle."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.accounts.logins import LoginState, LoginStore
from chalicelib.publishing.dead_letters import drain
from chalicelib.publishing.dispatch import DEAD_LETTER_PAUSE, MAX_DEAD_LETTERS
from chalicelib.publishing.states import State
from tests.publishing.support import claim, uncertain

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Cloud
    from tests.publishing.conftest import Desk

pytestmark = pytest.mark.system


@pytest.fixture
def dead(cloud: Cloud) -> tuple[Any, str]:
    """A dead-letter queue: the client and the URL."""
    sqs = cloud.client("sqs")
    return sqs, sqs.create_queue(QueueName=f"dead-{uuid.uuid4().hex[:8]}")["QueueUrl"]


def left_in(queue: tuple[Any, str]) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = queue[0].get_queue_attributes(QueueUrl=queue[1], AttributeNames=names)["Attributes"]
    return sum(int(count) for count in attributes.values())


def die(queue: tuple[Any, str], body: Any) -> None:
    queue[0].send_message(QueueUrl=queue[1], MessageBody=body if isinstance(body, str) else json.dumps(body))


def test_a_task_that_no_worker_could_claim_is_sent_again_and_then_fails_with_the_cause(
    desk: Desk, dead: tuple[Any, str]
) -> None:
    task = desk.desk.submit(desk.submission())
    desk.sent()
    for letters in range(1, MAX_DEAD_LETTERS):
        die(dead, {"task_id": task.id})
        assert drain(*dead, {"task_id": desk.dispatcher.bury}) == 1
        assert desk.dispatcher.sweep() == 0
        desk.clock.advance(seconds=(DEAD_LETTER_PAUSE * letters + timedelta(seconds=1)).total_seconds())
        desk.dispatcher.sweep()
        assert desk.sent() == [task.id]
    die(dead, {"task_id": task.id})
    drain(*dead, {"task_id": desk.dispatcher.bury})

    failed = desk.tasks.get(task.id)
    assert failed.state is State.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "publish.dead_letter"
    assert left_in(dead) == 0
    assert desk.desk.retry(task.id).dead_letters == 0


@pytest.mark.parametrize("bring", [lambda desk: claim(desk, desk.desk.submit(desk.submission()).id), uncertain])
def test_a_task_that_a_worker_had_is_left_to_its_lease_or_its_next_look(
    desk: Desk, dead: tuple[Any, str], bring: Callable[[Desk], Any]
) -> None:
    task = bring(desk)
    die(dead, {"task_id": task.id})

    assert drain(*dead, {"task_id": desk.dispatcher.bury}) == 1

    assert desk.tasks.get(task.id) == task
    assert left_in(dead) == 0


@pytest.mark.parametrize("body", ["not json", "[]", {"other": "x"}, {"task_id": "unknown"}])
def test_a_letter_that_says_nothing_is_thrown_away(desk: Desk, dead: tuple[Any, str], body: Any) -> None:
    die(dead, body)

    assert drain(*dead, {"task_id": desk.dispatcher.bury}) == 1
    assert left_in(dead) == 0


def test_a_letter_that_cannot_be_dealt_with_stays(dead: tuple[Any, str]) -> None:
    def fail(_: str) -> None:
        raise ConnectionRefusedError

    die(dead, {"task_id": "x"})
    with pytest.raises(ConnectionRefusedError):
        drain(*dead, {"task_id": fail})
    assert left_in(dead) == 1


def test_a_login_that_no_worker_could_show_fails_with_the_cause(cloud: Cloud, dead: tuple[Any, str]) -> None:
    logins = LoginStore(cloud.client("dynamodb"), cloud.variable("LOGINS_TABLE"))
    waiting = logins.create(f"waiting-{uuid.uuid4().hex[:8]}")
    over = logins.claim(logins.create(f"over-{uuid.uuid4().hex[:8]}").id, "worker")
    logins.end(over, LoginState.SUCCESS)
    for login in (waiting, over):
        die(dead, {"login_id": login.id})

    assert drain(*dead, {"login_id": logins.bury}) == 2

    buried = logins.get(waiting.id)
    assert buried.state is LoginState.FAILED
    assert buried.error is not None
    assert buried.error["code"] == "login.dead_letter"
    assert logins.get(over.id).state is LoginState.SUCCESS
