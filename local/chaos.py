"""`make chaos`: kills the publish worker at every named point of its job, in every scenario that matters.

Each experiment is one task of an account of its own. The worker's process dies by SIGKILL at the ordered point;
then the system goes on as it would. At the end the stand-in's own records say how many works there are, and
the task must tell the same: published with one work, failed with none, or honestly unknown with none.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from rich.console import Console
from rich.table import Table

from chalicelib.accounts.store import AccountStore, Profile
from chalicelib.accounts.vault import Vault
from chalicelib.clock import to_rfc3339, utc_now
from container.points import POINTS, RECONCILE_POINTS
from local.emulator import make_client
from local.options import Options
from local.processes import free_port
from local.system import System

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Switches of the stand-in. A lost answer is waited for, so that scenario takes the longest.
SCENARIOS: dict[str, dict[str, Any]] = {
    "all is well": {},
    "slow answer": {"publish": "slow:4000"},
    "answer lost": {"publish": "lost"},
    "busy once": {"publish": "busy_once"},
    "rejected": {"publish": "rejected"},
    "list lags 20 s": {"works_lag": 20},
    "SMS code": {"second_verification": "publish", "sms_pause": 1},
}

_BATCH_SECONDS = 1200
_SWEEP_SECONDS = 3
# An uncertain task whose work is not there is looked for during 20 minutes. Two looks show that it is honest.
_LOOKS = 2


@dataclass(slots=True)
class Experiment:
    scenario: str
    point: str
    account: str = field(default_factory=lambda: f"chaos-{uuid.uuid4().hex[:8]}")
    task_id: str = ""
    died: bool = False
    state: str = ""
    works: int = 0
    codes: set[str] = field(default_factory=set)
    # A second task of the account, which waits behind the first in its message group.
    next_id: str = ""
    next_ran: bool = False

    @property
    def orders(self) -> tuple[str, ...]:
        """Where the worker dies. A reconciler has work only after a publish that died behind its click."""
        return ("after_click", self.point) if self.point in RECONCILE_POINTS else (self.point,)

    @property
    def title(self) -> str:
        return self.account

    @property
    def followed(self) -> bool:
        """Whether a second task shows that the death does not hold the account up for long."""
        return self.point == "claimed"

    @property
    def truthful(self) -> bool:
        if self.followed and not self.next_ran:
            return False
        match self.state:
            case "published":
                return self.works == 1
            case "failed" | "outcome_unknown":
                return self.works == 0
            case _:
                return False

    def __str__(self) -> str:
        return f"{self.state.removeprefix('outcome_')} {self.works}{'' if self.died else ' *'}"


def run(
    plan: Mapping[str, Sequence[str]], data: Path, console: Console, *, looks: int = _LOOKS
) -> list[Experiment]:
    """Carries the plan out, each scenario's points, as many at a time as the system publishes; judged then.

    An outcome that is unknown with no work there rests after so many `looks`.
    """
    orders = data / "orders"
    orders.mkdir(parents=True)
    experiments = [Experiment(scenario, point) for scenario, points in plan.items() for point in points]
    options = Options(port=free_port(), data=data / "state")
    with System(options, function_environment={"CHAOS_DIR": str(orders)}) as system:
        harness = _Harness(system, orders, make_client("lambda", system.functions_endpoint))
        for scenario in plan:
            batch = [experiment for experiment in experiments if experiment.scenario == scenario]
            console.print(f"{scenario}: killing the worker at {len(batch)} points …")
            harness.set_scenario(SCENARIOS[scenario])
            for number, experiment in enumerate(batch):
                if number == 0 or "second_verification" in SCENARIOS[scenario]:
                    session = harness.log_in()  # A session is asked for a code once.
                harness.submit(experiment, session)
            harness.wait(batch, looks)
    return experiments


@dataclass(slots=True)
class _Harness:
    system: System
    orders: Path
    functions: Any
    http: requests.Session = field(default_factory=requests.Session)

    def log_in(self) -> dict[str, Any]:
        """Logs one account in by its QR code, and returns its session: experiments' accounts share it."""
        phone = f"{self.system.douyin_origin}/phone/api"
        login = self._api("POST", "/api/v1/accounts/login", {"account_name": "chaos"})
        user = self._call("GET", f"{phone}/users")[0]["uid"]
        token = self._call("POST", f"{phone}/scan", {"qr_png_base64": login["qr_code_base64"]})["token"]
        self._call("POST", f"{phone}/confirm", {"token": token, "user": user})
        while self._api("GET", f"/api/v1/accounts/login/{login['login_id']}")["status"] == "pending":
            time.sleep(0.3)
        account = self._accounts().get("chaos")
        return self._vault().open("chaos", account.session_version)

    def set_scenario(self, switches: dict[str, Any]) -> None:
        origin = self.system.douyin_origin
        self._call("DELETE", f"{origin}/admin/scenario")
        self._call("POST", f"{origin}/admin/scenario", switches)

    def submit(self, experiment: Experiment, session: dict[str, Any]) -> None:
        self._vault().seal(experiment.account, 1, session)
        self._accounts().log_in(experiment.account, Profile("chaos", "chaos", None), session_version=1)
        for point in experiment.orders:
            (self.orders / f"{experiment.account}.{point}").touch()
        body = {
            "video_url": f"{self.system.douyin_origin}/media/demo.mp4",
            "title": experiment.title,
            "account_name": experiment.account,
        }
        experiment.task_id = self._api("POST", "/api/v1/publish", body)["id"]
        if experiment.followed:
            body["title"] = f"{experiment.title} next"
            experiment.next_id = self._api("POST", "/api/v1/publish", body)["id"]

    def wait(self, batch: list[Experiment], wanted_looks: int) -> None:
        """Until every task of the batch rests. Sweeps more often than the schedule does."""
        deadline = time.monotonic() + _BATCH_SECONDS
        resting: dict[str, dict[str, Any]] = {}
        while len(resting) < len(batch):
            if time.monotonic() > deadline:
                break  # What does not rest is judged as it stands.
            self._sweep()
            works = self._works()
            for experiment in batch:
                task = self._api("GET", f"/api/v1/tasks/{experiment.task_id}")
                experiment.state = task["state"]
                if "verification" in task["allowed"]:
                    self._answer(experiment)
                experiment.works = works[experiment.title]
                looks = sum(entry["name"] == "look_at_works" for entry in task["timeline"])
                absent = task["state"] == "outcome_unknown" and looks >= wanted_looks and not experiment.works
                if experiment.followed:
                    following = self._api("GET", f"/api/v1/tasks/{experiment.next_id}")
                    experiment.next_ran = following["attempts"] > 0
                    if not experiment.next_ran:
                        continue
                if task["status"] in ("success", "failed") or absent:
                    resting[experiment.task_id] = task
            time.sleep(_SWEEP_SECONDS)
        works = self._works()
        for experiment in batch:
            experiment.works = works[experiment.title]
            experiment.died = not (self.orders / f"{experiment.account}.{experiment.point}").exists()

    def _answer(self, experiment: Experiment) -> None:
        """Gives the newest code that the task was not given yet: whose it is its message does not say."""
        sent = self._call("GET", f"{self.system.douyin_origin}/phone/api/sms")
        code = next((message["code"] for message in sent if message["code"] not in experiment.codes), None)
        if code is not None:
            experiment.codes.add(code)
            path = f"{self.system.origin}/api/v1/tasks/{experiment.task_id}/verification"
            # Refused where the task went on in between.
            self.http.post(path, json={"code": code}, timeout=60)

    def _works(self) -> Counter[str]:
        """How many works the platform has, by title."""
        works = self._call("GET", f"{self.system.douyin_origin}/admin/works")
        return Counter(work["title"] for work in works)

    def _sweep(self) -> None:
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "",
            "time": to_rfc3339(utc_now()),
            "region": "",
            "resources": [],
            "detail": {},
        }
        self.functions.invoke(FunctionName="sweep", Payload=json.dumps(event).encode())

    def _accounts(self) -> AccountStore:
        return AccountStore(self.system.client("dynamodb"), self.system.variables["ACCOUNTS_TABLE"])

    def _vault(self) -> Vault:
        variables = self.system.variables
        return Vault(
            self.system.client("s3"),
            self.system.client("kms"),
            variables["PRIVATE_BUCKET"],
            variables["SESSION_KEY_ID"],
        )

    def _api(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer: dict[str, Any] = self._call(method, self.system.origin + path, body)
        return answer

    def _call(self, method: str, url: str, body: Any = None) -> Any:
        answer = self.http.request(method, url, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()


def table(experiments: list[Experiment]) -> Table:
    """Points against scenarios."""
    scenarios = list(dict.fromkeys(experiment.scenario for experiment in experiments))
    cells = {(experiment.point, experiment.scenario): experiment for experiment in experiments}
    made = Table(
        "killed at",
        *scenarios,
        title="What a killed worker leaves behind: the task's state, and the works that there are",
        caption="* the job did not come by this point. An unknown outcome is looked for during 20 minutes.",
    )
    for point in dict.fromkeys(experiment.point for experiment in experiments):
        row = [cells.get((point, scenario)) for scenario in scenarios]
        made.add_row(point, *(f"{'' if cell.truthful else '[red]✗ '}{cell}" if cell else "" for cell in row))
    return made


def main() -> int:
    console = Console()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        experiments = run(dict.fromkeys(SCENARIOS, POINTS), Path(folder), console)
    console.print(table(experiments))
    wrong = [experiment for experiment in experiments if not experiment.truthful]
    console.print(f"{len(experiments)} experiments, {len(wrong)} in which the task does not tell the truth")
    died_at = {experiment.point for experiment in experiments if experiment.died}
    spared = set(POINTS) - died_at
    if spared:
        console.print(f"Nobody died at {', '.join(sorted(spared))}: these points prove nothing.")
    return 1 if wrong or spared else 0


if __name__ == "__main__":
    sys.exit(main())
