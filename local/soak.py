"""`make soak`: submissions by many clients while AWS throttles, fails, loses answers and drops connections.

Each submission has an Idempotency-Key, and its client sends it until it is answered; some are sent by two
clients at once, and now and then the API is killed. Afterwards the tables and the queue themselves tell: one
task for each key, and its message sent.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import requests
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from chalicelib.accounts.store import AccountStore, Profile
from chalicelib.publishing.dispatch import Dispatcher
from chalicelib.publishing.store import TaskStore
from local.api import api_process
from local.emulator import client_environment, make_client, running_emulator
from local.faults import Fault, FaultProxy
from local.processes import free_port
from local.stack import deploy
from local.template import API_HANDLER, functions, load_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_ROOT = Path(__file__).resolve().parent.parent
_ACCOUNTS = 16
# Every so many-th submission is sent by two clients at once.
_TWICE_EVERY = 8
# How often the API is killed.
_DEATHS = 3
_GIVE_UP_SECONDS = 600
_REQUEST_SECONDS = 120


@dataclass(slots=True)
class Outcome:
    """What was seen. `answers` are the ids that each submission was told, `titles` the tasks there are."""

    answers: dict[int, set[str]] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    replayed: int = 0
    titles: Counter[str] = field(default_factory=Counter)
    task_ids: set[str] = field(default_factory=set)
    sent: Counter[str] = field(default_factory=Counter)
    left_to_the_sweeper: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    calls: int = 0
    seconds: float = 0.0

    def complaints(self, count: int) -> list[str]:
        """What was lost or doubled."""
        told = {task_id for ids in self.answers.values() for task_id in ids}
        checks = {
            "a submission was not answered": len(self.answers) == count,
            "a key was answered with several tasks": all(len(ids) == 1 for ids in self.answers.values()),
            "two keys were answered with one task": len(told) == count,
            "a submission has no task": set(self.titles) == {_title(number) for number in range(count)},
            "a submission has several tasks": all(found == 1 for found in self.titles.values()),
            "an answer names another task": told == self.task_ids,
            "a task was not sent to the workers": set(self.sent) == self.task_ids,
        }
        return [complaint for complaint, holds in checks.items() if not holds]


def soak(
    count: int, *, seed: int, clients: int, folder: Path, step: Callable[[], object] = lambda: None
) -> Outcome:
    """Runs it. Needs nothing but an empty folder; `step` is called, in any thread, when a submission was
    answered for the first time."""
    template = load_template(_ROOT / ".chalice" / "resources.yml")
    config = json.loads((_ROOT / ".chalice" / "config.json").read_text())
    parameters = {"BrowserImageUri": "none"}
    from app import app  # noqa: PLC0415 - routes are needed here only

    with running_emulator(folder / "aws", keep_nothing=True) as endpoint:
        outputs = deploy(endpoint, "soak", template, parameters)
        specs = {
            spec.name: spec for spec in functions(template, config, app, outputs=outputs, parameters=parameters)
        }
        variables = specs[API_HANDLER].environment
        accounts = AccountStore(make_client("dynamodb", endpoint), variables["ACCOUNTS_TABLE"])
        for number in range(_ACCOUNTS):
            accounts.log_in(_account(number), Profile(str(number), "soak", None), session_version=1)
        outcome = Outcome()
        with FaultProxy(endpoint, seed) as proxy:
            with _running_api(
                folder, {**variables, **client_environment(proxy.endpoint), "API_KEYS": "optional"}
            ) as api:
                began = time.monotonic()
                deaths = {count * part // (_DEATHS + 1) for part in range(1, _DEATHS + 1)}

                def stepped(answered: int) -> None:
                    step()
                    if answered in deaths:
                        api.die()

                _Clients(api.origin, seed, outcome, stepped).run(count, clients)
                outcome.seconds = time.monotonic() - began
            outcome.calls = proxy.calls.total()
            for (_, fault), met in proxy.met.items():
                outcome.faults[fault] += met
        _look(endpoint, variables, outcome)
    return outcome


class _Api:
    """The API on a port of its own, which it has again after it has died."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        port = free_port()
        self._process = partial(api_process, folder, variables, port)
        self._running = self._process()
        self.origin = self._running.start()

    def die(self) -> None:
        """Kills the API in the middle of what it does, and starts it again."""
        self._running.kill()
        self._running = self._process()
        self._running.start()

    def stop(self) -> None:
        self._running.stop()


@contextmanager
def _running_api(folder: Path, variables: Mapping[str, str]) -> Iterator[_Api]:
    api = _Api(folder, variables)
    try:
        yield api
    finally:
        api.stop()


class _Clients:
    def __init__(self, origin: str, seed: int, outcome: Outcome, step: Callable[[int], object]) -> None:
        self._url = f"{origin}/api/v1/publish"
        self._seed = seed
        self._outcome = outcome
        self._step = step
        self._lock = threading.Lock()
        self._local = threading.local()

    def run(self, count: int, clients: int) -> None:
        jobs = [number for number in range(count) for _ in range(2 if number % _TWICE_EVERY == 0 else 1)]
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(self._submit, jobs))

    def _submit(self, number: int) -> None:
        """Sends the submission until it is answered."""
        random = Random(f"{self._seed} {number}")  # noqa: S311 - it is to be repeated
        key = str(uuid.UUID(int=random.getrandbits(128), version=4))
        body = {
            "video_url": f"https://example.com/{number}.mp4",
            "title": _title(number),
            "account_name": _account(number),
        }
        deadline = time.monotonic() + _GIVE_UP_SECONDS
        while time.monotonic() < deadline:
            try:
                answer = self._session().post(
                    self._url, json=body, headers={"Idempotency-Key": f'"{key}"'}, timeout=_REQUEST_SECONDS
                )
            except requests.RequestException as error:
                self._note(type(error).__name__)
                time.sleep(random.random())
                continue
            self._note(str(answer.status_code))
            if answer.ok:
                self._answered(number, answer)
                return
            if not answer.json()["retryable"]:
                raise RuntimeError(f"submission {number} was refused: {answer.text}")
            time.sleep(float(answer.headers.get("Retry-After", 1)) * random.random())
        raise RuntimeError(f"submission {number} was not answered in {_GIVE_UP_SECONDS} s")

    def _answered(self, number: int, answer: requests.Response) -> None:
        with self._lock:
            new = number not in self._outcome.answers
            self._outcome.answers.setdefault(number, set()).add(answer.json()["id"])
            self._outcome.replayed += "Idempotent-Replayed" in answer.headers
            answered = len(self._outcome.answers)
        if new:
            self._step(answered)

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        session: requests.Session = self._local.session
        return session

    def _note(self, status: str) -> None:
        with self._lock:
            self._outcome.statuses[status] += 1


def _look(endpoint: str, variables: Mapping[str, str], outcome: Outcome) -> None:
    """What there is, read past the proxy, after a sweep as the schedule makes it."""
    dynamodb, sqs = make_client("dynamodb", endpoint), make_client("sqs", endpoint)
    store = TaskStore(dynamodb, variables["TASKS_TABLE"])
    outcome.left_to_the_sweeper = Dispatcher(store, sqs, variables["PUBLISH_QUEUE_URL"]).sweep()
    for page in dynamodb.get_paginator("scan").paginate(TableName=variables["TASKS_TABLE"]):
        for item in page["Items"]:
            outcome.task_ids.add(item["id"]["S"])
            outcome.titles[item["title"]["S"]] += 1
    queue: dict[str, Any] = {"QueueUrl": variables["PUBLISH_QUEUE_URL"]}
    while messages := sqs.receive_message(**queue, MaxNumberOfMessages=10).get("Messages"):
        outcome.sent.update(json.loads(message["Body"])["task_id"] for message in messages)
        sqs.delete_message_batch(
            **queue,
            Entries=[
                {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]}
                for place, message in enumerate(messages)
            ],
        )


def _title(number: int) -> str:
    return f"Work {number}"


def _account(number: int) -> str:
    return f"soak-{number % _ACCOUNTS}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.soak")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder, Progress(console=console) as progress:
        bar = progress.add_task("Submissions", total=arguments.count)
        outcome = soak(
            arguments.count,
            seed=arguments.seed,
            clients=arguments.clients,
            folder=Path(folder),
            step=lambda: progress.advance(bar),
        )
    _report(console, outcome)
    complaints = outcome.complaints(arguments.count)
    for complaint in complaints:
        console.print(f"[red]{complaint}[/red]")
    if not complaints:
        console.print(
            f"[green]{arguments.count} submissions, {len(outcome.task_ids)} tasks: none lost, none doubled"
        )
    return 1 if complaints else 0


def _report(console: Console, outcome: Outcome) -> None:
    table = Table("seen", "times", title=f"{outcome.seconds:.0f} s")
    rows = {
        **{f"answers to clients: {status}": times for status, times in sorted(outcome.statuses.items())},
        "answers that were the first one again": outcome.replayed,
        "calls of AWS": outcome.calls,
        **{f"faults: {fault}": times for fault, times in sorted(outcome.faults.items())},
        "tasks that were left to the sweeper": outcome.left_to_the_sweeper,
        "messages beyond one a task": outcome.sent.total() - len(outcome.sent),
    }
    for name, times in rows.items():
        table.add_row(name, str(times))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
