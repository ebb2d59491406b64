"""What an endpoint gets, and what becomes of its answers."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.clock import from_rfc3339, to_rfc3339
from chalicelib.errors import TooManyWebhooks, WebhookDisabled, WebhookNotFound
from chalicelib.webhooks.courier import FAILURES_IN_A_ROW, shown
from chalicelib.webhooks.deliveries import ATTEMPTS_KEPT, KEPT, Delivery, Status
from chalicelib.webhooks.endpoints import FAILING_FOR, MAX_ENDPOINTS
from chalicelib.webhooks.schedule import GIVE_UP_AFTER, MAX_TRIES
from tests.webhooks.support import Answer

if TYPE_CHECKING:
    from tests.webhooks.support import Office, Receiver

pytestmark = pytest.mark.system


def log(office: Office, endpoint_id: str) -> list[Delivery]:
    return office.deliveries.page(endpoint_id, 100)[0]


def only(office: Office, endpoint_id: str) -> Delivery:
    (delivery,) = log(office, endpoint_id)
    return delivery


def test_an_event_arrives_signed_thin_and_once(office: Office, receiver: Receiver) -> None:
    endpoint = office.subscribe(receiver)
    task = office.new_task()
    office.tasks.create(task)

    assert office.work() == 1
    assert office.work() == 0

    (got,) = receiver.received
    assert receiver.refused == []
    assert json.loads(got.body) == {
        "type": "task.queued",
        "timestamp": "2026-11-21T09:30:00.000Z",
        "data": {
            "task_id": task.id,
            "account_name": "小满",
            "url": f"/api/v1/tasks/{task.id}",
            "state": "queued",
            "request_id": None,
        },
    }
    assert got.headers["Content-Type"] == "application/json"
    delivery = only(office, endpoint.id)
    assert (delivery.id, delivery.status, delivery.tries) == (got.id, Status.DELIVERED, 1)
    assert delivery.attempts[0]["status_code"] == 204
    assert office.endpoints.get(endpoint.id).last_success_at is not None


def test_an_endpoint_hears_only_of_the_types_that_it_asked_for(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    office.subscribe(receiver, "login.*", "task.scheduled")
    office.subscribe(other, "task.queued")
    office.tasks.create(office.new_task())
    office.logins.create("小满")

    office.work()

    assert receiver.types == ["login.starting"]
    assert other.types == ["task.queued"]


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_any_2xx_is_a_success(office: Office, receiver: Receiver, status: int) -> None:
    endpoint = office.subscribe(receiver)
    receiver.answers = [Answer(status, body=b"thanks")]
    office.tasks.create(office.new_task())

    office.work()

    delivery = only(office, endpoint.id)
    assert (delivery.status, delivery.attempts[0]["answer"]) == (Status.DELIVERED, "thanks")


def test_what_fails_is_tried_ten_times_over_three_days_by_one_id_and_then_given_up(
    office: Office, receiver: Receiver
) -> None:
    endpoint = office.subscribe(receiver)
    receiver.always = Answer(
        500, body=b"Authorization: Bearer abcdefghijklmnopqrstuvwxyz0123456789 13812345678"
    )
    office.tasks.create(office.new_task())
    began = office.clock()

    office.work()
    while (due_at := only(office, endpoint.id).due_at) is not None:
        office.clock.now = from_rfc3339(due_at) - timedelta(milliseconds=1)
        assert office.work() == 0
        office.clock.now = from_rfc3339(due_at)
        assert office.work() == 1

    assert len(receiver.received) == MAX_TRIES
    assert len({got.id for got in receiver.received}) == 1
    assert len({got.body for got in receiver.received}) == 1
    assert receiver.refused == []
    assert timedelta(days=2.6) < office.clock() - began < timedelta(days=3.4)
    delivery = only(office, endpoint.id)
    assert (delivery.status, delivery.tries) == (Status.FAILED, MAX_TRIES)
    assert {attempt["status_code"] for attempt in delivery.attempts} == {500}
    assert delivery.attempts[0]["answer"] == "Authorization: Bearer … …"
    found = office.endpoints.get(endpoint.id)
    assert (found.enabled, found.failures) == (True, MAX_TRIES)


def test_a_redirect_is_not_followed_and_is_a_failure(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    endpoint = office.subscribe(receiver)
    receiver.answers = [Answer(307, {"Location": other.url})]
    office.tasks.create(office.new_task())

    office.work()

    assert not other.received
    assert not other.refused
    (attempt,) = only(office, endpoint.id).attempts
    assert attempt["status_code"] == 307
    assert "redirect" in attempt["error"]


def test_410_disables_at_once_and_tells_the_others(office: Office, receiver: Receiver, other: Receiver) -> None:
    endpoint = office.subscribe(receiver, "task.*")
    office.subscribe(other, "webhook.disabled")
    receiver.answers = [Answer(410)]
    office.tasks.create(office.new_task())

    office.work()
    office.tasks.create(office.new_task())
    office.work()

    assert len(receiver.received) == 1
    found = office.endpoints.get(endpoint.id)
    assert found.disabled is not None
    assert (found.enabled, found.disabled["reason"]) == (False, "gone")
    assert only(office, endpoint.id).status is Status.FAILED
    (told,) = other.received
    assert told.type == "webhook.disabled"
    assert told.data == {
        "webhook_id": endpoint.id,
        "reason": "gone",
        "url": f"/api/v1/webhooks/{endpoint.id}",
    }
    with pytest.raises(WebhookDisabled):
        office.desk.test(endpoint.id)


def test_days_of_nothing_but_failures_disable_and_one_success_begins_anew(
    office: Office, receiver: Receiver
) -> None:
    endpoint = office.subscribe(receiver)
    receiver.answers = [Answer(500), Answer(204)]
    office.tasks.create(office.new_task())
    office.work()
    office.clock.now += FAILING_FOR
    office.tasks.create(office.new_task())
    office.work()
    assert office.endpoints.get(endpoint.id).failing_since is None

    receiver.always = Answer(503)
    office.tasks.create(office.new_task())
    office.work()
    office.clock.now += FAILING_FOR
    office.tasks.create(office.new_task())
    office.work()

    found = office.endpoints.get(endpoint.id)
    assert found.disabled is not None
    assert (found.enabled, found.disabled["reason"]) == (False, "failing")
    assert [event.data["reason"] for event in office.disabled] == ["failing"]

    receiver.always = None
    enabled = office.endpoints.change(endpoint.id, enabled=True)
    assert (enabled.disabled, enabled.failing_since, enabled.failures) == (None, None, 0)
    office.tasks.create(office.new_task())
    assert office.work() == 1
    assert office.endpoints.get(endpoint.id).last_success_at == to_rfc3339(office.clock())


def test_an_address_that_is_not_public_is_refused_where_loopback_is_not_allowed(
    office: Office, receiver: Receiver
) -> None:
    endpoint = office.subscribe(receiver)
    office.tasks.create(office.new_task())
    office.relay.sweep()

    office.courier(loopback=False).round(lambda: 600)

    assert not receiver.received
    assert not receiver.refused
    (attempt,) = only(office, endpoint.id).attempts
    assert attempt["status_code"] is None
    assert "https" in attempt["error"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://169.254.169.254/latest", "not a public address"),
        ("https://localhost/", "not a public address"),
    ],
)
def test_a_name_that_leads_inside_is_refused_when_it_is_called(office: Office, url: str, why: str) -> None:
    endpoint, _ = office.desk.create(url, ("*",), "")
    office.tasks.create(office.new_task())
    office.relay.sweep()

    office.courier(loopback=False).round(lambda: 600)

    (attempt,) = only(office, endpoint.id).attempts
    assert "not a public address" in attempt["error"]


def test_a_slow_endpoint_keeps_nobody_waiting_but_itself(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    slow, fast = office.subscribe(receiver), office.subscribe(other)
    release = threading.Event()
    receiver.answers = [Answer(until=release)]
    office.tasks.create(office.new_task())
    office.relay.sweep()
    courier = office.courier()
    first = threading.Thread(target=courier.round, args=(lambda: 600.0,))
    first.start()
    receiver.wait_for(1)
    other.wait_for(1)

    for _ in range(3):
        office.tasks.create(office.new_task())
    office.work()

    assert len(other.received) == 4
    assert {delivery.status for delivery in log(office, fast.id)} == {Status.DELIVERED}
    assert len(receiver.received) == 1
    release.set()
    first.join()
    # Whoever held the endpoint was told that there is more, and went on.
    assert len(receiver.received) == 4
    assert {delivery.status for delivery in log(office, slow.id)} == {Status.DELIVERED}


def test_an_endpoint_that_does_not_answer_is_asked_once_a_tick_and_catches_up_when_it_does(
    office: Office, receiver: Receiver
) -> None:
    endpoint = office.subscribe(receiver)
    receiver.always = Answer(500)
    for _ in range(8):
        office.tasks.create(office.new_task())

    assert office.work() == FAILURES_IN_A_ROW
    assert office.work(tick=False) == 0
    assert office.work() == 1

    receiver.always = None
    assert office.work() == 8 - FAILURES_IN_A_ROW - 1
    office.clock.advance(hours=2)
    assert office.work() == FAILURES_IN_A_ROW + 1
    assert {delivery.status for delivery in log(office, endpoint.id)} == {Status.DELIVERED}


def test_a_delivery_is_given_up_after_days_however_few_tries_it_had(office: Office, receiver: Receiver) -> None:
    endpoint = office.subscribe(receiver)
    receiver.always = Answer(500)
    office.tasks.create(office.new_task())
    office.work()
    office.clock.now += GIVE_UP_AFTER

    assert office.work() == 0
    assert only(office, endpoint.id).status is Status.FAILED


def test_what_has_just_been_told_is_sent_though_the_index_does_not_show_it_yet(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.subscribe(receiver)
    task = office.new_task()
    office.tasks.create(task)
    monkeypatch.setattr(type(office.deliveries), "due", lambda *_: iter(()))
    fresh = office.relay.relay("task", task.id)

    assert office.courier().round(lambda: 600, tick=False, fresh=fresh) == 1
    assert office.courier().round(lambda: 600, tick=False, fresh=fresh) == 0
    assert receiver.types == ["task.queued"]


def test_two_sweeps_at_once_send_each_event_once(office: Office, receiver: Receiver) -> None:
    endpoint = office.subscribe(receiver)
    for _ in range(6):
        office.tasks.create(office.new_task())
    start = threading.Barrier(4)

    def sweep() -> None:
        start.wait()
        office.work()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    office.work()

    assert len(receiver.received) == len({got.id for got in receiver.received}) == 6
    assert all(delivery.tries == 1 for delivery in log(office, endpoint.id))


def test_a_sender_that_has_little_time_left_leaves_the_rest_to_the_next(
    office: Office, receiver: Receiver
) -> None:
    office.subscribe(receiver)
    office.tasks.create(office.new_task())

    assert office.work(seconds=10) == 0
    assert office.work() == 1


def test_an_endpoint_that_is_disabled_or_deleted_while_it_is_served_gets_nothing_more(
    office: Office, receiver: Receiver
) -> None:
    endpoint = office.subscribe(receiver)
    release = threading.Event()
    receiver.answers = [Answer(until=release)]
    for _ in range(2):
        office.tasks.create(office.new_task())
    office.relay.sweep()
    sender = threading.Thread(target=office.courier().round, args=(lambda: 600.0,))
    sender.start()
    receiver.wait_for(1)
    office.endpoints.change(endpoint.id, enabled=False)
    release.set()
    sender.join()
    assert len(receiver.received) == 1
    office.endpoints.change(endpoint.id, enabled=True)
    office.work()
    assert len(receiver.received) == 2

    office.tasks.create(office.new_task())
    office.relay.sweep()
    office.endpoints.delete(endpoint.id)
    office.work()
    assert len(receiver.received) == 2
    with pytest.raises(WebhookNotFound):
        office.endpoints.get(endpoint.id)


def test_after_a_rotation_both_secrets_sign_for_a_day_and_then_the_new_one_alone(
    office: Office, receiver: Receiver
) -> None:
    endpoint = office.subscribe(receiver)
    old = receiver.secret
    _, new = office.desk.rotate(endpoint.id)

    for secret in (old, new):
        receiver.secret = secret
        office.tasks.create(office.new_task())
        office.work()
    assert receiver.refused == []
    assert [got.signatures for got in receiver.received] == [2, 2]

    office.clock.advance(hours=24)
    office.tasks.create(office.new_task())
    office.work()
    assert receiver.received[-1].signatures == 1
    receiver.secret = old
    office.tasks.create(office.new_task())
    office.work()
    assert receiver.refused == ["No matching signature found"]


def test_a_rotation_without_overlap_ends_every_old_secret_at_once(office: Office, receiver: Receiver) -> None:
    endpoint = office.subscribe(receiver)
    office.desk.rotate(endpoint.id)
    _, receiver.secret = office.desk.rotate(endpoint.id, timedelta())

    office.tasks.create(office.new_task())
    office.work()

    assert [got.signatures for got in receiver.received] == [1]


def test_a_replay_sends_the_same_words_by_the_same_id(office: Office, receiver: Receiver) -> None:
    endpoint = office.subscribe(receiver)
    office.tasks.create(office.new_task())
    office.work()
    office.clock.advance(days=10)

    for _ in range(ATTEMPTS_KEPT + 1):
        office.desk.replay(endpoint.id, receiver.received[0].id)
        assert office.work() == 1

    assert len({(got.id, got.body) for got in receiver.received}) == 1
    assert receiver.refused == []
    delivery = only(office, endpoint.id)
    assert (delivery.status, delivery.tries, len(delivery.attempts)) == (Status.DELIVERED, 1, ATTEMPTS_KEPT)


def test_a_test_reaches_an_endpoint_whatever_it_asked_for(office: Office, receiver: Receiver) -> None:
    endpoint = office.subscribe(receiver, "account.expired")

    delivery = office.desk.test(endpoint.id)
    office.work()

    assert [(got.id, got.type) for got in receiver.received] == [(delivery.id, "webhook.test")]


def test_the_log_is_read_newest_first_page_by_page_and_ends_after_thirty_days(office: Office) -> None:
    endpoint, _ = office.desk.create("https://example.com/", ("*",), "")
    ids = []
    for _ in range(7):
        ids.append(office.desk.test(endpoint.id).id)
        office.clock.advance(days=1)
    found, after = [], None
    while True:
        page, after = office.deliveries.page(endpoint.id, 3, after)
        found += [delivery.id for delivery in page]
        if after is None:
            break

    assert found == ids[::-1]
    office.clock.now += KEPT - timedelta(days=4)
    assert [delivery.id for delivery in log(office, endpoint.id)] == ids[:2:-1]
    assert office.deliveries.find(endpoint.id, ids[0]) is None


def test_there_are_only_so_many_endpoints_and_a_deleted_one_makes_room(office: Office) -> None:
    made = [office.desk.create("https://example.com/", ("*",), "")[0] for _ in range(MAX_ENDPOINTS)]
    with pytest.raises(TooManyWebhooks):
        office.desk.create("https://example.com/", ("*",), "")

    office.endpoints.delete(made[0].id)
    office.desk.create("https://example.com/", ("*",), "")

    assert len(office.endpoints.list()) == MAX_ENDPOINTS
    for endpoint in office.endpoints.list():
        assert office.endpoints.any()
        office.endpoints.delete(endpoint.id)
    assert not office.endpoints.any()


@given(st.binary(max_size=600))
def test_what_is_shown_of_an_answer_is_printable_and_short(head: bytes) -> None:
    text = shown(head)

    assert text.isprintable()
    assert len(text) <= 600


@pytest.mark.parametrize(
    "secret", ["whsec_" + "Ab9+" * 8, "sp_live_" + "x" * 30, "13800138000", "v1," + "A1b2" * 11 + "="]
)
def test_what_looks_like_a_secret_is_not_shown(secret: str) -> None:
    assert shown(f'{{"echo": "{secret}"}}'.encode()) in ('{"echo": "…"}', '{"echo": "v1,…"}')


def test_the_clock_of_a_try_is_real_time(office: Office, receiver: Receiver) -> None:
    endpoint = office.subscribe(receiver)
    office.tasks.create(office.new_task())
    before = time.monotonic()

    office.work()

    elapsed = (time.monotonic() - before) * 1000
    assert 0 <= only(office, endpoint.id).attempts[0]["duration_ms"] <= elapsed
