"""What is owed with a write is told, whatever dies in between; and it never stands in the write's way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from chalicelib import outbox as outbox_module
from chalicelib.accounts.logins import LoginState, LoginStore
from chalicelib.accounts.store import AccountState, AccountStore, Profile
from chalicelib.clock import to_rfc3339
from chalicelib.dynamodb import Table
from chalicelib.errors import AccountNotFound, LoginCanceled
from chalicelib.events import event_id, first_id
from chalicelib.outbox import Outbox, owing
from chalicelib.publishing import states
from chalicelib.publishing.states import State
from chalicelib.publishing.store import TaskStore
from chalicelib.trace import bound
from chalicelib.webhooks.courier import LEASE
from chalicelib.webhooks.deliveries import DeliveryStore, Status
from chalicelib.webhooks.endpoints import EndpointStore
from chalicelib.webhooks.events import MAX_BODY_BYTES, event_of
from chalicelib.webhooks.outboxes import Bell, Interest
from tests.webhooks.support import HandClock, rings

if TYPE_CHECKING:
    from chalicelib.publishing.task import Task
    from tests.conftest import Cloud
    from tests.webhooks.support import Office, Receiver

pytestmark = pytest.mark.system

PROFILE = Profile("7001", "小明", None)


def owed(office: Office, source: str, key: str) -> list[str]:
    item = office.tables[source].get(key) or {}
    return [entry["type"] for entry in item.get("untold", [])]


def publish(office: Office, task: Task) -> None:
    """A publish with a code in the middle, move by move."""
    tasks, clock = office.tasks, office.clock
    tasks.create(task)
    lease = clock() + timedelta(seconds=30)
    held = tasks.claim(task.id, lease_until=lease)
    tasks.renew(held, lease_until=lease, progress={"step": "upload", "percent": 50})
    tasks.record(held, {"name": "fill"})
    tasks.move(task.id, states.INTEND, epoch=held.epoch, due_at=lease, intent={"at": "now", "works": []})
    tasks.move(task.id, states.ASK, epoch=held.epoch, due_at=lease, verification={"tries": 0})
    tasks.hand_over(task.id, "sealed")
    asked = tasks.get(task.id)
    tasks.take_code(asked, states.RESUBMIT, lease_until=lease)
    tasks.move(task.id, states.INTEND_AGAIN, epoch=held.epoch, due_at=lease)
    tasks.move(task.id, states.PROVE, epoch=held.epoch, result={"item_id": "1"})
    tasks.bill(task.id, ms=1000, memory_mb=2048, machine="x86_64")


PUBLISHED = [
    "task.queued",
    "task.running",
    "task.submitting",
    "task.needs_verification",
    "task.submitting",
    "task.published",
]


def test_a_publish_tells_each_state_in_its_order_and_renewals_tell_nothing(
    office: Office, receiver: Receiver
) -> None:
    office.subscribe(receiver)
    task = office.new_task()

    publish(office, task)
    assert owed(office, "task", task.id) == PUBLISHED
    version = office.tasks.get(task.id).version
    office.work()

    # Events of one millisecond have no order among themselves.
    assert sorted(receiver.types) == sorted(PUBLISHED)
    assert owed(office, "task", task.id) == []
    assert list(owing(office.tables["task"])) == []
    assert office.tasks.get(task.id).version == version


def test_events_of_different_times_arrive_in_their_order(office: Office, receiver: Receiver) -> None:
    office.subscribe(receiver)
    task = office.new_task(State.SCHEDULED)
    office.tasks.create(task)
    office.clock.advance(minutes=1)
    office.tasks.move(task.id, states.FALL_DUE, due_at=office.clock())
    office.clock.advance(minutes=1)
    office.tasks.move(task.id, states.CANCEL)

    while office.work():
        pass

    told = sorted(receiver.received, key=lambda got: got.id)
    assert [got.type for got in told] == ["task.scheduled", "task.queued", "task.canceled"]


def test_a_login_tells_each_of_its_states(office: Office) -> None:
    logins, clock = office.logins, office.clock
    later = clock() + timedelta(minutes=1)
    login = logins.claim(logins.create("小满").id, "worker")
    logins.show_qr(login, "png", expires_at=later)
    logins.show_qr(login, "png2", expires_at=later)
    logins.report(login, LoginState.SCANNED)
    asked = logins.ask(login, phone="138****0000", resend_at=later, tries=0, complaint=None)
    logins.poll(login.id)
    logins.hand_over(login.id, sealed_code="sealed")
    logins.take_answer(asked)
    logins.keep(login)
    logins.complete(login, 1)
    logins.end(login, LoginState.SUCCESS)

    told = ["starting", "qr_ready", "qr_ready", "scanned", "verification_required", "verifying", "success"]
    assert owed(office, "login", login.id) == [f"login.{state}" for state in told]


def test_a_login_that_another_one_supersedes_or_that_is_aborted_tells_its_end(office: Office) -> None:
    first, second = office.logins.create("小满"), office.logins.create("小满")
    office.logins.abort(second.id, LoginState.FAILED, LoginCanceled())

    assert owed(office, "login", first.id) == ["login.starting", "login.expired"]
    assert owed(office, "login", second.id) == ["login.starting", "login.failed"]


def test_an_account_tells_what_becomes_of_it_and_not_that_nothing_has(office: Office) -> None:
    accounts = office.accounts
    account = accounts.log_in("小满", PROFILE, session_version=1)
    accounts.confirm(account, "alive")
    accounts.refresh_session(account, "alive", session_version=2)
    account = accounts.get("小满")
    accounts.ask_for_verification(account, "身份验证")
    account = accounts.get("小满")
    accounts.mark_expired(account, "the page asks to log in")
    accounts.mark_expired(accounts.get("小满"), "still")
    accounts.log_in("小满", PROFILE, session_version=3)
    for _ in range(4):
        office.clock.advance(hours=9)
        accounts.doubt(accounts.get("小满"), "no answer")
    accounts.confirm(accounts.get("小满"), "alive again")

    told = ["logged_in", "needs_verification", "expired", "logged_in", "unknown", "logged_in"]
    assert owed(office, "account", "小满") == [f"account.{state}" for state in told]


def test_a_deleted_account_is_gone_at_once_and_told_of_and_leaves_nothing(
    office: Office, receiver: Receiver
) -> None:
    office.subscribe(receiver, "account.deleted")
    accounts = office.accounts
    account = accounts.log_in("小满", PROFILE, session_version=1)

    accounts.delete("小满")

    assert accounts.find("小满") is None
    assert accounts.list() == []
    assert list(accounts.due(office.clock() + timedelta(days=99))) == []
    assert not accounts.book(account, {"task": "now"})
    assert not accounts.confirm(account, "alive")
    with pytest.raises(AccountNotFound):
        accounts.delete("小满")
    assert "7001" not in str(office.tables["account"].get("小满"))
    office.work()
    assert [got.data["account_name"] for got in receiver.received] == ["小满"]
    assert office.tables["account"].get("小满") is None


def test_an_account_that_comes_back_before_its_end_was_told_lives_on(
    office: Office, receiver: Receiver
) -> None:
    office.subscribe(receiver)
    office.accounts.log_in("小满", PROFILE, session_version=1)
    office.accounts.delete("小满")
    back = office.accounts.log_in("小满", replace(PROFILE, uid="7002"), session_version=2)

    office.work()

    assert office.accounts.get("小满") == back
    assert sorted(receiver.types) == ["account.deleted", "account.logged_in", "account.logged_in"]


def test_where_nobody_wants_events_nothing_is_owed_and_a_deleted_account_is_deleted(office: Office) -> None:
    silent = Outbox("any", wanted=lambda: False, ring=lambda *_: pytest.fail("nobody is to be woken"))
    tasks = TaskStore(office.dynamodb, office.names["task"], office.clock, outbox=silent)
    logins = LoginStore(office.dynamodb, office.names["login"], office.clock, outbox=silent)
    accounts = AccountStore(office.dynamodb, office.names["account"], office.clock, outbox=silent)
    task = office.new_task()

    publish(replace(office, tasks=tasks), task)
    login = logins.create("小满")
    accounts.log_in("小满", PROFILE, session_version=1)

    assert "teller" not in (office.tables["task"].get(task.id) or {})
    assert "teller" not in (office.tables["login"].get(login.id) or {})
    accounts.delete("小满")
    assert office.tables["account"].get("小满") is None
    with pytest.raises(AccountNotFound):
        accounts.delete("小满")


def test_whoever_owes_rings_once_for_each_event(office: Office) -> None:
    rung: list[tuple[str, str]] = []
    office.tasks = TaskStore(office.dynamodb, office.names["task"], office.clock, outbox=rings(rung)("task"))
    task = office.new_task()

    publish(office, task)

    assert rung == [("task", task.id)] * len(PUBLISHED)


def test_an_item_that_nobody_tells_of_keeps_its_last_events_and_no_more(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "MAX_UNTOLD", 20)
    task = office.new_task()
    office.tasks.create(task)
    for _ in range(15):
        held = office.tasks.claim(task.id, lease_until=office.clock())
        office.tasks.move(task.id, states.BACK_OFF, epoch=held.epoch, due_at=office.clock())

    assert len(owed(office, "task", task.id)) == 20
    assert owed(office, "task", task.id)[-2:] == ["task.running", "task.queued"]


def test_an_endpoint_hears_of_what_happens_from_its_creation_on(office: Office) -> None:
    clock = HandClock()
    asked: list[bool] = []

    def ask() -> bool:
        asked.append(office.endpoints.any())
        return asked[-1]

    wanted = Interest(ask, lambda: clock().timestamp())
    assert [wanted(), wanted()] == [False, False]
    endpoint, _ = office.desk.create("https://example.com/", ("*",), "")
    assert [wanted(), wanted(), wanted()] == [True, True, True]
    assert asked == [False, False, True]
    office.endpoints.delete(endpoint.id)
    clock.advance(minutes=2)
    assert not wanted()


def test_no_answer_whether_anybody_listens_is_taken_for_a_yes_and_fails_nothing(office: Office) -> None:
    def ask() -> bool:
        raise ConnectTimeoutError(endpoint_url="http://127.0.0.1:9")

    store = TaskStore(
        office.dynamodb, office.names["task"], office.clock, outbox=Outbox("task", wanted=Interest(ask))
    )
    task = office.new_task()
    store.create(task)

    assert owed(office, "task", task.id) == ["task.queued"]


def test_a_bell_that_nobody_hears_fails_nothing_and_is_left_alone_for_a_minute() -> None:
    clock = HandClock()
    calls: list[str] = []

    class Lambda:
        def invoke(self, **call: Any) -> None:
            calls.append(call["FunctionName"])
            raise ConnectTimeoutError(endpoint_url="http://127.0.0.1:9")

    bell = Bell(Lambda(), "webhooks", lambda: clock().timestamp())  # type: ignore[arg-type]
    bell.ring(source="task", key="1")
    bell.ring(source="task", key="2")
    assert calls == ["webhooks"]
    clock.advance(minutes=1, seconds=1)
    bell.ring(source="task", key="3")
    assert calls == ["webhooks"] * 2


def test_ids_sort_by_time_and_are_the_same_for_the_same_seed() -> None:
    clock = HandClock()
    ids = []
    for _ in range(20):
        ids.append(event_id(clock()))
        clock.advance(milliseconds=1)

    assert ids == sorted(ids)
    assert len({len(one) for one in ids}) == 1
    assert event_id(clock(), "a", 1) == event_id(clock(), "a", 1) != event_id(clock(), "a", 2)
    assert event_id(clock()).startswith(first_id(clock()))


def test_an_event_names_the_request_that_caused_it(office: Office, receiver: Receiver) -> None:
    office.subscribe(receiver)
    with bound(request_id="request-1"):
        office.tasks.create(office.new_task())

    office.work()

    assert receiver.received[0].data["request_id"] == "request-1"


def test_an_event_is_thin_whatever_the_account_is_called() -> None:
    item = {
        "id": "x" * 36,
        "name": "名" * 64,
        "account_name": "名" * 64,
        "submission": {"account_name": "名" * 64},
    }
    for source in ("task", "login", "account"):
        entry = {"id": "evt", "type": f"{source}.failed", "at": "now", "request_id": "r" * 128}
        assert len(event_of(source, item, entry).body.encode()) < MAX_BODY_BYTES / 10


def test_one_item_that_cannot_be_told_does_not_hide_the_others(office: Office, receiver: Receiver) -> None:
    office.subscribe(receiver)
    broken, whole = office.new_task(), office.new_task()
    office.tasks.create(broken)
    office.clock.advance(seconds=1)
    office.tasks.create(whole)
    office.dynamodb.update_item(
        TableName=office.names["task"],
        Key={"id": {"S": broken.id}},
        UpdateExpression="REMOVE submission",
    )

    office.work()

    assert [got.data["task_id"] for got in receiver.received] == [whole.id]


class Killed(BaseException):
    """The process is gone."""


class Reaper:
    """Kills whoever makes the n-th call of DynamoDB through its client: before it takes effect, or after."""

    def __init__(self, cloud: Cloud, at: int | None, *, after: bool = False) -> None:
        self.client = cloud.client("dynamodb")
        self.calls = 0
        self._at = at
        when = "after-call" if after else "before-call"
        self.client.meta.events.register(f"{when}.dynamodb", self._count)

    def _count(self, **_: object) -> None:
        self.calls += 1
        if self.calls - 1 == self._at:
            raise Killed


def with_client(office: Office, client: Any) -> Office:
    """The same tables, spoken to by another process."""
    endpoints = EndpointStore(client, office.names["webhook"], office.clock)
    return replace(
        office,
        dynamodb=client,
        endpoints=endpoints,
        deliveries=DeliveryStore(client, office.names["webhook"], office.clock),
        tasks=TaskStore(client, office.names["task"], office.clock),
        accounts=AccountStore(client, office.names["account"], office.clock),
    )


def happen(office: Office, task: Task) -> None:
    """A change of each kind, then what the function does."""
    office.tasks.create(task)
    office.accounts.log_in(task.id, PROFILE, session_version=1)
    office.accounts.delete(task.id)
    office.work()


def test_a_kill_at_any_point_loses_no_event_and_changes_no_id(
    office: Office, receiver: Receiver, cloud: Cloud
) -> None:
    endpoint = office.subscribe(receiver)
    counting = Reaper(cloud, None)
    happen(with_client(office, counting.client), office.new_task())
    assert counting.calls > 15
    twice = 0
    # A kill before a call is one after the call before it.
    for call in range(counting.calls):
        receiver.received.clear()
        task, reaper = office.new_task(), Reaper(cloud, call)
        with pytest.raises(Killed):
            happen(with_client(office, reaper.client), task)
        office.clock.now += LEASE + timedelta(seconds=1)
        while office.work():
            pass

        kinds = {got.type for got in receiver.received}
        created = office.tasks.find(task.id) is not None
        assert ("task.queued" in kinds) is created, call
        ids = {(got.type, got.id) for got in receiver.received}
        assert len(ids) == len(kinds), call
        twice += len(receiver.received) - len(ids)
        for _, told in ids:
            assert office.deliveries.get(endpoint.id, told).status is Status.DELIVERED
        for source, table in office.tables.items():
            assert list(owing(table)) == [], (source, call)
        account = office.tables["account"].get(task.id)
        assert (account is not None) is ("account.logged_in" in kinds and "account.deleted" not in kinds)
    # Between the answer of the endpoint and its entry in the log: a kill there sends again.
    assert twice >= 1


def test_what_a_move_owes_is_in_the_very_write_of_the_move(office: Office, cloud: Cloud) -> None:
    task = office.new_task()
    office.tasks.create(task)
    reaper = Reaper(cloud, 0, after=True)
    tasks = TaskStore(reaper.client, office.names["task"], office.clock)

    with pytest.raises(Killed):
        tasks.claim(task.id, lease_until=office.clock())

    assert office.tasks.get(task.id).state is State.RUNNING
    assert owed(office, "task", task.id) == ["task.queued", "task.running"]


def test_an_account_of_an_older_version_of_ours_is_read(office: Office) -> None:
    office.accounts.log_in("小满", PROFILE, session_version=1)
    table = Table(office.dynamodb, office.names["account"], "name")
    assert {"untold", "teller", "untold_since"} <= set(table.get("小满") or {})

    account = office.accounts.get("小满")

    assert (account.state, account.checked_at) == (AccountState.LOGGED_IN, to_rfc3339(office.clock()))
