"""What becomes of looks at a session: states, doubt, when the next one is due, the one event of an expiry."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.accounts.checks import CHECKS_A_SWEEP, CheckDesk, Herald
from chalicelib.accounts.health import (
    DOUBT_PAUSE,
    UNKNOWN_AFTER,
    UNKNOWN_LOOKS,
    next_check,
    next_check_in_doubt,
)
from chalicelib.accounts.store import Account, AccountState, AccountStore, Profile
from chalicelib.clock import from_rfc3339, to_rfc3339
from chalicelib.errors import EventNotTaken, LoginRequired
from chalicelib.publishing.dead_letters import drain
from tests.accounts.support import BUS, EventQueue, events_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Cloud

EVERY = timedelta(hours=6)
PROFILE = Profile("7001", "小明", None)

_INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.text(min_size=1, max_size=64), _INSTANTS, st.integers(1, 168))
def test_the_next_check_comes_after_half_a_period_and_one_and_a_half_at_most(
    name: str, seen_at: datetime, hours: int
) -> None:
    every = timedelta(hours=hours)
    due = next_check(name, seen_at, every)

    assert due is not None
    assert every / 2 < due - seen_at <= every * 3 / 2
    assert next_check(name, due, every) == due + every


@given(_INSTANTS)
def test_accounts_that_logged_in_together_are_not_checked_together(seen_at: datetime) -> None:
    accounts, slices = 1200, 24
    places = Counter(
        int(((next_check(f"account-{number}", seen_at, EVERY) or seen_at) - seen_at) / EVERY * slices)
        for number in range(accounts)
    )

    assert max(places.values()) < 1.6 * accounts / slices
    assert len(places) >= slices


@given(st.integers(1, 10_000), st.integers(1, 168))
def test_a_session_in_doubt_is_looked_at_sooner_and_then_as_often_as_others(looks: int, hours: int) -> None:
    every, now = timedelta(hours=hours), datetime(2026, 11, 21, tzinfo=UTC)
    due = next_check_in_doubt({"at": to_rfc3339(now), "looks": looks}, every)

    assert due is not None
    assert min(DOUBT_PAUSE, every) <= due - now <= every
    assert looks > 1 or due - now == DOUBT_PAUSE


def test_checks_that_are_switched_off_are_never_due() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    assert next_check("a", now, timedelta()) is None
    assert next_check_in_doubt({"at": to_rfc3339(now), "looks": 1}, timedelta()) is None


# On the real table, queue and bus


@dataclass
class HandClock:
    now: datetime = field(default_factory=lambda: datetime(2026, 11, 21, 9, 30, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@dataclass
class Ward:
    """Accounts in a table of their own, with their own queue."""

    clock: HandClock
    store: AccountStore
    desk: CheckDesk
    herald: Herald
    sqs: Any
    names: list[str] = field(default_factory=list)

    def admit(self, name: str) -> Account:
        version = int(self.clock().timestamp() * 1000)
        return self.store.log_in(name, PROFILE, session_version=version)

    def sweep(self) -> int:
        return self.desk.sweep(self.herald)

    def asked(self) -> list[str]:
        """Names of the accounts whose checks are on the queue; they are taken off."""
        names = []
        while messages := self.sqs.receive_message(QueueUrl=self.desk.queue_url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                self.sqs.delete_message(QueueUrl=self.desk.queue_url, ReceiptHandle=message["ReceiptHandle"])
                names.append(json.loads(message["Body"])["check"])
        return names


@pytest.fixture
def ward(cloud: Cloud, new_table: Callable[[str], str]) -> Ward:
    table = new_table("ACCOUNTS_TABLE")
    dynamodb, sqs = cloud.client("dynamodb"), cloud.client("sqs")
    queue_url = sqs.create_queue(QueueName=f"{table}.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    clock = HandClock()
    store = AccountStore(dynamodb, table, clock, check_every=EVERY)
    return Ward(
        clock, store, CheckDesk(store, sqs, queue_url, clock), Herald(store, cloud.client("events"), BUS), sqs
    )


@pytest.fixture
def account(ward: Ward) -> Account:
    return ward.admit(f"账号-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def told(cloud: Cloud, account: Account) -> EventQueue:
    return events_of(cloud, account.name)


@pytest.mark.system
def test_a_look_that_cannot_tell_leaves_the_state_and_is_shown_as_doubt(ward: Ward, account: Account) -> None:
    ward.clock.advance(hours=3)
    assert ward.store.doubt(account, "HTTP 503")

    seen = ward.store.get(account.name)
    assert (seen.state, seen.checked_at, seen.evidence) == (
        AccountState.LOGGED_IN,
        account.checked_at,
        "A login succeeded.",
    )
    at = to_rfc3339(ward.clock())
    assert seen.doubt == {"since": at, "at": at, "looks": 1, "seen": "HTTP 503"}
    assert seen.looked_at == at
    assert seen.due_at == to_rfc3339(ward.clock() + DOUBT_PAUSE)


@pytest.mark.system
def test_doubt_that_lasts_makes_the_state_unknown_and_forbids_nothing(ward: Ward, account: Account) -> None:
    for _ in range(UNKNOWN_LOOKS + 1):
        ward.store.doubt(ward.store.get(account.name), "HTTP 503")
        ward.clock.advance(minutes=1)
    assert ward.store.get(account.name).state is AccountState.LOGGED_IN
    ward.clock.advance(seconds=UNKNOWN_AFTER.total_seconds())
    ward.store.doubt(ward.store.get(account.name), "a captcha")

    unknown = ward.store.get(account.name)
    assert (unknown.state, unknown.evidence) == (AccountState.UNKNOWN, "a captcha")
    unknown.require_login()
    assert unknown.due_at is not None

    ward.store.confirm(unknown, "named")
    proved = ward.store.get(account.name)
    assert (proved.state, proved.evidence, proved.doubt) == (AccountState.LOGGED_IN, "named", None)


@pytest.mark.system
def test_a_long_doubt_of_few_looks_is_not_enough_for_unknown(ward: Ward, account: Account) -> None:
    for _ in range(UNKNOWN_LOOKS - 1):
        ward.store.doubt(ward.store.get(account.name), "HTTP 503")
        ward.clock.advance(days=5)

    assert ward.store.get(account.name).state is AccountState.LOGGED_IN


@pytest.mark.system
@pytest.mark.parametrize("known", ["expired", "needs_verification"])
def test_doubt_takes_nothing_back_that_was_proved(ward: Ward, account: Account, known: str) -> None:
    if known == "expired":
        ward.store.mark_expired(account, "the page asks to log in")
    else:
        ward.store.ask_for_verification(account, "身份验证")
    for _ in range(UNKNOWN_LOOKS):
        ward.store.doubt(ward.store.get(account.name), "HTTP 503")
        ward.clock.advance(days=1)

    assert ward.store.get(account.name).state == known


@pytest.mark.system
def test_only_an_account_that_is_known_to_be_logged_out_must_log_in(ward: Ward, account: Account) -> None:
    ward.store.ask_for_verification(account, "身份验证")
    ward.store.get(account.name).require_login()

    ward.store.mark_expired(ward.store.get(account.name), "the page asks to log in")
    with pytest.raises(LoginRequired, match="the page asks to log in"):
        ward.store.get(account.name).require_login()


@pytest.mark.system
def test_an_expiry_is_told_once_whoever_finds_it(ward: Ward, account: Account, told: EventQueue) -> None:
    for _ in range(2):  # Two who read the account before either wrote.
        ward.store.mark_expired(account, "the page asks to log in")
        ward.herald.announce(account.name)
    ward.store.mark_expired(ward.store.get(account.name), "the page still asks to log in")
    ward.clock.advance(hours=1)
    ward.sweep()
    ward.sweep()

    (event,) = told.take()
    assert (event["source"], event["detail-type"]) == ("social-publisher", "Account expired")
    detail = event["detail"]
    assert detail.items() >= {"account": account.name, "evidence": "the page asks to log in"}.items()
    assert (detail["at"], uuid.UUID(detail["id"]).version) == (account.checked_at, 4)
    kept = ward.store.get(account.name)
    assert (kept.evidence, kept.owed, kept.due_at) == ("the page still asks to log in", [], None)


@pytest.mark.system
def test_the_next_expiry_is_told_again(ward: Ward, account: Account, told: EventQueue) -> None:
    for _ in range(2):
        ward.store.mark_expired(ward.store.get(account.name), "the page asks to log in")
        ward.herald.announce(account.name)
        ward.clock.advance(days=1)
        ward.admit(account.name)

    first, second = told.take()
    assert first["detail"]["id"] != second["detail"]["id"]


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["log_in", "confirm", "refresh", "doubt", "expire", "verify"]),
        st.booleans(),  # Whether by somebody who read the account before the last login.
        st.integers(0, 20),  # Hours that pass before.
    ),
    max_size=12,
)


@pytest.mark.system
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_STEPS)
def test_whatever_happens_only_proof_of_the_session_in_force_ends_it(
    ward: Ward, steps: list[tuple[str, bool, int]]
) -> None:
    store, name = ward.store, uuid.uuid4().hex
    stale = ward.admit(name)
    expected, expiries = AccountState.LOGGED_IN, 0
    for step, late, hours in steps:
        ward.clock.advance(hours=hours, seconds=1)
        now = store.get(name)
        account = stale if late else now
        outdated = account.session_version != now.session_version
        version = int(ward.clock().timestamp() * 1000)
        told = True
        match step:
            case "log_in":
                stale = now
                ward.admit(name)
            case "confirm":
                told = store.confirm(account, "seen")
            case "refresh":
                told = store.refresh_session(account, "seen", session_version=version)
            case "doubt":
                told = store.doubt(account, "HTTP 503")
            case "verify":
                told = store.ask_for_verification(account, "seen")
            case "expire":
                told = store.mark_expired(account, "seen")
        known = step == "expire" and now.state is AccountState.EXPIRED
        proved_since = step == "doubt" and now.checked_at != account.checked_at
        assert told or outdated or known or proved_since
        assert not (told and step != "log_in" and (outdated or proved_since))
        if not told:
            continue
        expiries += step == "expire" and now.state is not AccountState.EXPIRED
        proved = {"expire": AccountState.EXPIRED, "verify": AccountState.NEEDS_VERIFICATION}
        if step != "doubt":
            expected = proved.get(step, AccountState.LOGGED_IN)
        elif expected is AccountState.LOGGED_IN and store.get(name).state is AccountState.UNKNOWN:
            expected = AccountState.UNKNOWN

        after = store.get(name)
        assert after.state is expected
        assert after.session_version >= now.session_version
        assert len(after.owed) == expiries
        assert (after.doubt is not None) is (step == "doubt")
        assert after.due_at is not None


@pytest.mark.system
def test_an_event_whose_sender_died_is_sent_by_the_sweeper(
    ward: Ward, account: Account, told: EventQueue
) -> None:
    ward.store.mark_expired(account, "the page asks to log in")
    owed = ward.store.get(account.name).owed
    ward.sweep()
    assert told.take() == []  # Whoever found it may be about to send it.
    ward.clock.advance(minutes=1)
    ward.sweep()
    ward.sweep()

    (event,) = told.take()
    assert [event["detail"]] == [entry["detail"] for entry in owed]
    assert ward.asked() == []


@pytest.mark.system
def test_a_sender_that_dies_after_sending_leads_to_the_same_id_again(
    ward: Ward, account: Account, told: EventQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.store.mark_expired(account, "the page asks to log in")
    with monkeypatch.context() as patch:
        patch.setattr(AccountStore, "settle", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ward.herald.announce(account.name)
    ward.clock.advance(minutes=1)
    ward.sweep()

    first, second = told.take()
    assert first["detail"]["id"] == second["detail"]["id"]


@pytest.mark.system
def test_an_event_that_the_bus_does_not_take_stays_owed(ward: Ward, account: Account) -> None:
    ward.store.mark_expired(account, "the page asks to log in")
    refusing = Herald(ward.store, ward.herald.eventbridge, "arn:no-such-bus:")

    with pytest.raises(EventNotTaken):
        refusing.announce(account.name)

    assert len(ward.store.get(account.name).owed) == 1


@pytest.mark.system
def test_a_check_is_asked_for_when_it_is_due_and_not_before(ward: Ward, account: Account) -> None:
    assert account.due_at is not None
    ward.clock.now = from_rfc3339(account.due_at) - timedelta(seconds=1)
    assert (ward.sweep(), ward.asked()) == (0, [])

    ward.clock.advance(seconds=2)
    assert (ward.sweep(), ward.asked()) == (1, [account.name])
    assert ward.sweep() == 0
    # Its message was lost: the next period has a check all the same.
    ward.clock.advance(hours=9)
    assert ward.sweep() == 1


@pytest.mark.system
def test_an_account_that_was_just_seen_alive_is_not_checked(ward: Ward, account: Account) -> None:
    ward.clock.advance(hours=3)
    ward.store.refresh_session(account, "A work was published.", session_version=account.session_version + 1)
    ward.clock.advance(hours=2, minutes=59)

    assert (ward.sweep(), ward.asked()) == (0, [])


@pytest.mark.system
def test_a_sweep_asks_for_a_few_checks_and_the_next_ones_for_the_rest(ward: Ward) -> None:
    names = {ward.admit(f"account-{number}").name for number in range(2 * CHECKS_A_SWEEP + 1)}
    ward.clock.advance(days=1)

    sweeps = [ward.sweep() for _ in range(4)]

    assert sweeps == [CHECKS_A_SWEEP, CHECKS_A_SWEEP, 1, 0]
    asked = ward.asked()
    assert (len(asked), set(asked)) == (len(names), names)


@pytest.mark.system
def test_asking_again_changes_nothing_until_somebody_has_looked(ward: Ward, account: Account) -> None:
    for _ in range(3):
        ward.desk.ask(ward.store.get(account.name))
        ward.clock.advance(seconds=1)
    assert ward.asked() == [account.name]

    ward.store.confirm(account, "named")
    ward.desk.ask(ward.store.get(account.name))
    assert ward.asked() == [account.name]


@pytest.mark.system
def test_a_check_that_no_worker_could_carry_out_is_doubt(ward: Ward, account: Account) -> None:
    dead = ward.sqs.create_queue(QueueName=f"dead-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    for name in (account.name, "deleted since"):
        body = {"check": name, "asked_at": account.checked_at}
        ward.sqs.send_message(QueueUrl=dead, MessageBody=json.dumps(body))

    assert drain(ward.sqs, dead, {"task_id": print, "check": ward.desk.bury}) == 2

    seen = ward.store.get(account.name)
    assert seen.state is AccountState.LOGGED_IN
    assert (seen.doubt or {})["seen"] == "No worker could carry the check out."
    assert ward.store.find("deleted since") is None
