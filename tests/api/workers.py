"""The browser functions, played on the real queues and tables: what the API hears of when it waits for one."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.accounts.logins import LoginKind, LoginState
from chalicelib.accounts.store import Profile
from chalicelib.clock import utc_now
from chalicelib.dynamodb import ConditionFailed
from chalicelib.errors import MediaNotServed, PublisherError, SessionRefused
from chalicelib.publishing import states

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.accounts.logins import LoginStore
    from chalicelib.accounts.store import AccountStore
    from chalicelib.publishing.store import TaskStore

LEASE = timedelta(minutes=5)
# As large as a real QR code is does not matter here.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP6DwABBQECz6AuzQAAAABJRU5ErkJggg=="


class Workers:
    """Takes up whatever the API asks for, at once. Of the logins that show a code every other one asks for an
    SMS code, the others succeed; of the imported sessions every other one is refused. A task ends as failed, or
    waits for its review or for an SMS code, in turn.
    """

    def __init__(
        self,
        sqs: Any,
        queues: dict[str, str],
        accounts: AccountStore,
        logins: LoginStore,
        tasks: TaskStore,
    ) -> None:
        self.sqs = sqs
        self.queues = queues
        self.accounts = accounts
        self.logins = logins
        self.tasks = tasks
        self._turns = itertools.count()
        self._versions = itertools.count(1)
        self._stopped = threading.Event()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._serve, args=(url,)) for url in self.queues.values()]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join()

    def _serve(self, url: str) -> None:
        while not self._stopped.is_set():
            answer = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in answer.get("Messages", ()):
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                # Deleted, canceled or superseded meanwhile.
                with contextlib.suppress(PublisherError, ConditionFailed):
                    self._take(json.loads(message["Body"]))

    def _take(self, wish: dict[str, Any]) -> None:
        match wish:
            case {"login_id": login_id}:
                self._log_in(login_id)
            case {"check": name}:
                account = self.accounts.get(name)
                if next(self._turns) % 2:
                    self.accounts.doubt(account, "The platform did not answer within 10 s.")
                else:
                    self.accounts.confirm(account, "The platform named the user of the session.")
            case {"task_id": task_id}:
                self._publish(task_id)

    def _log_in(self, login_id: str) -> None:
        login = self.logins.claim(login_id, "worker")
        turn = next(self._turns)
        if login.kind is LoginKind.IMPORT and turn % 2:
            self.logins.end(login, LoginState.FAILED, SessionRefused())
            return
        if login.kind is LoginKind.QR:
            login = self.logins.show_qr(login, PNG, expires_at=utc_now() + timedelta(minutes=1))
            if turn % 2:
                self.logins.ask(login, phone="138****5678", resend_at=utc_now(), tries=0, complaint=None)
                return
        version = next(self._versions)
        login = self.logins.complete(login, version)
        profile = Profile(uid=f"uid-{login.account_name}", nickname="小满同学", avatar_url=None)
        self.accounts.log_in(
            login.account_name, profile, session_version=version, preferences=login.preferences
        )
        self.logins.end(login, LoginState.SUCCESS)

    def _publish(self, task_id: str) -> None:
        task = self.tasks.claim(task_id, lease_until=utc_now() + LEASE)
        due_at = utc_now() + LEASE
        match next(self._turns) % 3:
            case 0:
                error = MediaNotServed("The server answers 404.").describe()
                self.tasks.move(task_id, states.FAIL, epoch=task.epoch, error=error)
            case 1:
                self.tasks.move(task_id, states.REHEARSE, epoch=task.epoch)
            case _:
                self.tasks.move(
                    task_id, states.INTEND, epoch=task.epoch, due_at=due_at, intent={"at": "", "works": []}
                )
                self.tasks.move(task_id, states.DOUBT, epoch=task.epoch, due_at=due_at)
