"""What a person does with a login, on the real tables: answers for the SMS code, learns how it ended."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from chalicelib.accounts.login_desk import LoginDesk
from chalicelib.accounts.logins import LIFE, WORKER_SILENCE, Login, LoginState, LoginStore
from chalicelib.accounts.store import AccountStore, Profile
from chalicelib.clock import from_rfc3339, utc_now
from chalicelib.errors import LoginConflict, LoginNotFound
from chalicelib.sealing import Sealer
from chalicelib.unsealing import Unsealer
from chalicelib.verification import ANSWER_TIME
from tests.conftest import ROOT, TEMPLATE

if TYPE_CHECKING:
    from tests.conftest import Cloud

pytestmark = pytest.mark.system

PHONE = "183******91"
MOMENT = timedelta(seconds=2)


class Stage:
    """A login whose worker is played by the test, at a time that the test sets."""

    def __init__(self, cloud: Cloud) -> None:
        self.now = utc_now()
        self.logins = LoginStore(cloud.client("dynamodb"), cloud.variable("LOGINS_TABLE"), self.clock)
        self.accounts = AccountStore(cloud.client("dynamodb"), cloud.variable("ACCOUNTS_TABLE"), self.clock)
        kms, key_id = cloud.client("kms"), cloud.variable("SESSION_KEY_ID")
        self.desk = LoginDesk(self.logins, self.accounts, Sealer(kms, key_id), self.clock)
        self.unsealer = Unsealer(kms, key_id)
        self.name = f"desk-{uuid.uuid4().hex[:8]}"
        self.login = self.logins.claim(self.logins.create(self.name).id, "worker-1")

    def clock(self) -> datetime:
        return self.now

    def ask(self, *, pause: int = 60, tries: int = 0, complaint: str | None = None) -> Login:
        resend_at = self.now + timedelta(seconds=pause)
        self.login = self.logins.ask(
            self.login, phone=PHONE, resend_at=resend_at, tries=tries, complaint=complaint
        )
        return self.login


@pytest.fixture
def stage(cloud: Cloud) -> Stage:
    return Stage(cloud)


def test_a_code_is_kept_sealed_for_this_login_and_is_gone_once_the_worker_has_taken_it(
    stage: Stage, cloud: Cloud
) -> None:
    stage.ask()
    assert stage.logins.take_answer(stage.login) is None

    stage.desk.verify(stage.login.id, "918273")

    table, key = cloud.variable("LOGINS_TABLE"), {"id": {"S": stage.login.id}}
    stored = str(cloud.client("dynamodb").get_item(TableName=table, Key=key)["Item"])
    assert "sealed_code" in stored
    assert "918273" not in stored
    answer = stage.logins.take_answer(stage.login)
    assert answer is not None
    assert stage.unsealer.open(str(answer.sealed_code), "sms_code", stage.login.id) == "918273"
    taken = stage.desk.poll(stage.login.id)
    assert (taken.state, taken.sealed_code) == (LoginState.VERIFYING, None)
    assert taken.verification is not None


def test_a_login_that_wants_no_code_takes_none(stage: Stage) -> None:
    def refused(state: str) -> None:
        with pytest.raises(LoginConflict, match=state):
            stage.desk.verify(stage.login.id, "2222")
        with pytest.raises(LoginConflict, match=state):
            stage.desk.send_again(stage.login.id)

    refused("starting")
    stage.ask()
    stage.desk.verify(stage.login.id, "1111")
    stage.logins.take_answer(stage.login)
    refused("verifying")
    stage.now += LIFE + ANSWER_TIME
    refused("expired")
    with pytest.raises(LoginNotFound):
        stage.desk.verify("unknown", "2222")


def test_a_code_whose_question_is_over_by_the_time_it_is_written_down_is_refused(stage: Stage) -> None:
    stage.ask()
    stage.desk.verify(stage.login.id, "1111")
    stage.logins.take_answer(stage.login)

    with pytest.raises(LoginConflict):
        stage.logins.hand_over(stage.login.id, sealed_code="2222")


def test_another_sms_is_sent_once_the_platforms_pause_is_over_and_not_before(stage: Stage) -> None:
    asked = stage.ask(pause=20)

    assert asked.verification is not None
    with pytest.raises(LoginConflict, match=asked.verification["resend_at"]):
        stage.desk.send_again(stage.login.id)
    stage.now += timedelta(seconds=20)
    stage.desk.send_again(stage.login.id)

    answer = stage.logins.take_answer(stage.login)
    assert answer is not None
    assert (answer.resend, answer.sealed_code) == (True, None)
    assert stage.logins.take_answer(stage.ask(tries=1, complaint="验证码错误")) is None


def test_whoever_is_asked_for_a_code_has_five_minutes_and_a_login_ten_at_most(stage: Stage) -> None:
    created = stage.now
    stage.now += LIFE - MOMENT
    stage.logins.keep(stage.login)

    asked = stage.ask()
    assert from_rfc3339(asked.expires_at) - stage.now == pytest.approx(ANSWER_TIME, abs=MOMENT)
    stage.now += ANSWER_TIME - MOMENT
    again = stage.ask(tries=1)

    assert again.verification is not None
    assert again.expires_at == again.verification["expires_at"]
    assert from_rfc3339(again.expires_at) - created == pytest.approx(LIFE + ANSWER_TIME, abs=MOMENT)


def test_a_question_never_shortens_a_login(cloud: Cloud) -> None:
    stage = Stage(cloud)
    before = from_rfc3339(stage.login.expires_at)

    assert from_rfc3339(stage.ask().expires_at) >= before


def test_the_function_lasts_as_long_as_a_login_may_and_its_queue_as_long_as_the_function() -> None:
    resources = TEMPLATE["Resources"]
    timeout = resources["Login"]["Properties"]["Timeout"]
    queue = resources["LoginQueue"]["Properties"]

    assert timeout >= (LIFE + ANSWER_TIME).total_seconds() + 30
    assert queue["VisibilityTimeout"] >= timeout
    assert queue["MessageRetentionPeriod"] >= timeout
    assert (ROOT / "docs" / "decisions" / "045-a-login-waits-for-a-code.md").exists()


@pytest.mark.parametrize("in_force", [0, 1, 5], ids=["none", "this", "refreshed since"])
def test_a_login_whose_worker_is_lost_succeeded_if_its_session_is_in_force(stage: Stage, in_force: int) -> None:
    stage.logins.complete(stage.login, 1)
    if in_force:
        stage.accounts.log_in(stage.name, Profile("7001", "小明", None), session_version=in_force)
    stage.now += WORKER_SILENCE - MOMENT
    assert not stage.desk.poll(stage.login.id).state.terminal

    stage.now += 2 * MOMENT
    ended = stage.desk.poll(stage.login.id)

    code = (ended.error or {}).get("code")
    expected = (LoginState.SUCCESS, None) if in_force else (LoginState.EXPIRED, "login.worker_lost")
    assert (ended.state, code) == expected
    with pytest.raises(LoginConflict):
        stage.logins.keep(stage.login)


def test_a_worker_that_comes_back_in_the_moment_of_the_verdict_keeps_its_login(stage: Stage) -> None:
    stage.now += WORKER_SILENCE + MOMENT
    seen = stage.logins.get(stage.login.id)
    why = seen.lapse(stage.now)
    stage.logins.keep(stage.login)

    assert stage.logins.settle(seen, LoginState.EXPIRED, why).state is LoginState.STARTING


def test_a_login_that_is_about_to_succeed_is_neither_canceled_nor_superseded(stage: Stage) -> None:
    stage.logins.complete(stage.login, 1)

    with pytest.raises(LoginConflict, match="about to succeed"):
        stage.desk.cancel(stage.login.id)
    stage.logins.create(stage.name)

    assert stage.logins.end(stage.login, LoginState.SUCCESS).state is LoginState.SUCCESS


def test_what_only_a_login_under_way_needs_is_gone_with_its_end(stage: Stage) -> None:
    stage.logins.show_qr(stage.login, "cG5n", expires_at=stage.now)
    stage.ask()
    stage.desk.verify(stage.login.id, "1111")

    ended = stage.desk.cancel(stage.login.id)

    assert (ended.qr_png, ended.verification, ended.sealed_code) == (None, None, None)
