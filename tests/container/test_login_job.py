"""The whole login job in this process: a real browser, the stand-in, the emulated AWS, a clock that jumps."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.accounts.login_desk import LoginDesk
from chalicelib.accounts.logins import LIFE, WORKER_SILENCE, Login, LoginState, LoginStore
from chalicelib.accounts.store import AccountStore
from chalicelib.accounts.vault import Vault
from chalicelib.clock import from_rfc3339, utc_now
from chalicelib.errors import LoginCanceled
from chalicelib.sealing import Sealer
from chalicelib.settings import Settings
from chalicelib.unsealing import Unsealer
from chalicelib.verification import ANSWER_TIME
from container.douyin import act, verification
from container.jobs import login as job
from container.lease import PACE
from container.worker import Worker
from tests.system.flows import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from container.browser import Browser
    from tests.conftest import Cloud
    from tests.container.conftest import Run
    from tests.container.support import Site

pytestmark = pytest.mark.system


class HandWorker(Worker):
    """A store of the test instead of that of the environment."""

    store: LoginStore

    def logins(self) -> LoginStore:
        return self.store


class Stage:
    """A worker on the test's own clients, and a person who watches its login. `later` moves their time on."""

    def __init__(self, cloud: Cloud, site: Site, browser: Browser, run: Run) -> None:
        self.later = timedelta()
        self.site, self._run = site, run
        dynamodb, kms = cloud.client("dynamodb"), cloud.client("kms")
        key_id, bucket = cloud.variable("SESSION_KEY_ID"), cloud.variable("PRIVATE_BUCKET")
        self.logins = LoginStore(dynamodb, cloud.variable("LOGINS_TABLE"), self.clock)
        accounts = AccountStore(dynamodb, cloud.variable("ACCOUNTS_TABLE"), self.clock)
        self.desk = LoginDesk(self.logins, accounts, Sealer(kms, key_id), self.clock)
        settings = Settings({"DOUYIN_ORIGIN": site.origin})
        vault = Vault(cloud.client("s3"), kms, bucket, key_id)
        self.worker = HandWorker(settings, browser, accounts, vault, Unsealer(kms, key_id), self.clock)
        object.__setattr__(self.worker, "store", self.logins)
        self.login = self.logins.create(f"job-{uuid.uuid4().hex[:8]}")
        self._thread = threading.Thread(target=self._work)

    def clock(self) -> datetime:
        return utc_now() + self.later

    def start(self) -> None:
        self._thread.start()

    def over(self, seconds: float = 0) -> bool:
        """Whether no worker is at it, or lets go within the time."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def let_pass(self, life: timedelta) -> None:
        """Time goes by, step by step: the person keeps asking, and the worker gives its signs of life."""
        end = self.clock() + life
        while self.clock() < end and not self.over():
            self.later += WORKER_SILENCE / 3
            self.desk.poll(self.login.id)
            self._hear_from_worker(self.clock())

    def _hear_from_worker(self, since: datetime) -> None:
        def heard(login: Login) -> bool:
            return login.state.terminal or self.over() or from_rfc3339(str(login.seen_at)) >= since

        until(lambda: self.logins.get(self.login.id), heard, 120)

    def until(self, *states: str) -> Login:
        seen: Login = until(
            lambda: self.desk.poll(self.login.id), lambda login: login.state in (*states, "failed"), 120
        )
        assert seen.state in states, seen
        return seen

    def show(self) -> str:
        return str(self.until("qr_ready").qr_png)

    def confirm(self) -> None:
        token = self.site.post("/phone/api/scan", {"qr_png_base64": self.show()})["token"]
        self.site.confirm(token)

    def wrong_code(self, tries: int) -> Login:
        """Gives a wrong code, and waits for what becomes of it."""
        self.desk.verify(self.login.id, f"{(int(self.site.sms()) + 1) % 1_000_000:06d}")
        seen: Login = until(
            lambda: self.desk.poll(self.login.id),
            lambda login: login.state.terminal or (login.verification or {}).get("tries") == tries,
            120,
        )
        return seen

    def _work(self) -> None:
        message: Any = SimpleNamespace(keep_invisible=lambda: None)
        end = time.monotonic() + 600
        self._run(
            job.run_login(self.worker, self.login.id, "test", message, deadline=lambda: end - time.monotonic())
        )


@pytest.fixture
def stage(
    cloud: Cloud, site: Site, browser: Browser, run: Run, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    monkeypatch.setattr(job, "SIGN_OF_LIFE", PACE)
    stage = Stage(cloud, site, browser, run)
    yield stage
    if not stage.over():
        stage.logins.abort(stage.login.id, LoginState.FAILED, LoginCanceled())
        assert stage.over(120)


@pytest.mark.parametrize(
    ("waits_for_code", "life", "detail"),
    [(False, LIFE, "Nobody scanned the QR code"), (True, ANSWER_TIME, "Nobody gave the code")],
    ids=["scan", "code"],
)
def test_a_login_ends_when_its_time_does_whatever_it_waits_for(
    stage: Stage, site: Site, waits_for_code: bool, life: timedelta, detail: str
) -> None:
    site.scenario(second_verification="login")
    stage.start()
    stage.show()
    if waits_for_code:
        stage.confirm()
        stage.until("verification_required")

    stage.let_pass(life)
    assert stage.over(120)

    ended = stage.logins.get(stage.login.id)
    assert (ended.state, (ended.error or {})["code"]) == (LoginState.EXPIRED, "login.expired")
    assert detail in (ended.error or {})["detail"]


def test_too_many_wrong_codes_end_the_login_with_the_cause(
    stage: Stage, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.scenario(second_verification="login", sms_pause=1)
    monkeypatch.setattr(verification, "EFFECT_MS", 300)
    monkeypatch.setattr(verification, "_CODES", 7)
    stage.start()
    stage.confirm()
    stage.until("verification_required")

    for tries in range(1, 7):
        asked = stage.wrong_code(tries)
        assert asked.state is LoginState.VERIFICATION_REQUIRED
    # The platform wants another SMS after the fifth; it was sent.
    assert site.get("/admin/state")["counters"]["sms_sent"] == 2
    ended = stage.wrong_code(7)

    assert (ended.state, (ended.error or {})["code"]) == (LoginState.FAILED, "account.verification_required")
    assert "none of 7 codes" in (ended.error or {})["detail"]


def test_a_job_is_stopped_wherever_it_stands_when_its_login_is_ended(stage: Stage, site: Site) -> None:
    site.scenario(second_verification="login", sms_pause=60)
    stage.start()
    stage.confirm()
    stage.until("verification_required")
    # Too early for the page: the worker waits for its countdown now.
    stage.logins.hand_over(stage.login.id, resend=True)
    stage.until("verifying")

    stage.desk.cancel(stage.login.id)

    assert stage.over(120)
    assert stage.logins.get(stage.login.id).state is LoginState.FAILED


def test_a_fresh_code_may_take_longer_than_a_look(
    stage: Stage, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(act, "ACTION_MS", 1_000)
    site.scenario(qr_life=1, pace=200)  # A code takes twice the pace to show.
    stage.start()
    first = stage.show()
    site.scenario(qr_life=60)

    fresh: Login = until(
        lambda: stage.desk.poll(stage.login.id),
        lambda login: login.state.terminal or login.qr_png not in (None, first),
        30,
    )

    assert fresh.state is LoginState.QR_READY


def test_a_login_that_succeeds_in_the_moment_in_which_its_time_ends_succeeds(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = stage.logins.claim(stage.login.id, "test")
    message: Any = SimpleNamespace(keep_invisible=lambda: None)
    held = job._Job(stage.worker, stage.logins, login, message, lambda: 0.0)
    stage.logins.complete(login, 1)
    monkeypatch.setattr(stage.logins, "keep", lambda _: login)  # As it was a moment before.
    stage.later += LIFE

    held.beat()

    assert stage.logins.end(login, LoginState.SUCCESS).state is LoginState.SUCCESS
