"""Schemathesis against the API over real sockets: whatever it sends, the answer is one that the document has.

The same cases at every run. `make fuzz` draws others, and more of them: FUZZ_EXAMPLES a phase and operation,
from FUZZ_SEED.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chalicelib.accounts.logins import LoginStore
from chalicelib.accounts.store import AccountStore
from chalicelib.keys.scopes import Scope
from chalicelib.keys.store import KeyStore
from chalicelib.publishing.store import TaskStore
from local.emulator import client_environment
from local.template import API_HANDLER
from tests.api.workers import Workers
from tests.conftest import ROOT, running_api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.api.conftest import Functions, Shelf
    from tests.conftest import Api, Cloud

pytestmark = [pytest.mark.system, pytest.mark.timeout(int(os.environ.get("FUZZ_TIMEOUT", "600")))]

CONFIG = Path(__file__).with_name("schemathesis.toml")
HOOKS = "tests.api.schemathesis_hooks"
# Much of what a sequence asks for does not change while one waits.
AT_ONCE = "\n[parameters]\nwait = 0\n"
DRAWN = ["--seed", os.environ.get("FUZZ_SEED", "1"), "--generation-database", "none"]
AMOUNT = ["--max-examples", os.environ["FUZZ_EXAMPLES"]] if "FUZZ_EXAMPLES" in os.environ else []
# Those of the document's examples.
CHANNEL, ARTICLE = "local_default_content", "7251993249718480001"
# From a login to what becomes of a task, along the document's links.
FLOW = (
    *("start_login", "get_login", "verify_login", "cancel_login", "publish", "get_task", "list_evidence"),
    *("approve_task", "reject_task", "cancel_task", "retry_task", "resolve_task", "verify_task"),
    *("get_account", "patch_account", "check_account", "delete_account"),
)


@pytest.fixture
def live_api(
    cloud: Cloud,
    new_table: Callable[[str], str],
    functions: Functions,
    shelf: Shelf,
    tmp_path: Path,
) -> Iterator[Api]:
    """The API with tables of its own, workers behind its queues, and an article to read."""
    tables = {name: new_table(name) for name in ("ACCOUNTS_TABLE", "TASKS_TABLE")}
    variables = {
        **client_environment(cloud.endpoint),
        **cloud.functions[API_HANDLER].environment,
        **tables,
        "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{functions.server_address[1]}",
        "VOLC_UTM_SOURCES": CHANNEL,
        "VOLC_CALLBACK_SECRET": "secret-of-the-callback",
        "API_KEYS": "required",
        "RATE_LIMIT_READS": "1000000",
        "RATE_LIMIT_WRITES": "1000000",
    }
    dynamodb = cloud.client("dynamodb")
    workers = Workers(
        cloud.client("sqs"),
        {name: cloud.variable(name) for name in ("LOGIN_QUEUE_URL", "PUBLISH_QUEUE_URL")},
        AccountStore(dynamodb, tables["ACCOUNTS_TABLE"]),
        LoginStore(dynamodb, cloud.variable("LOGINS_TABLE")),
        TaskStore(dynamodb, tables["TASKS_TABLE"]),
    )
    shelf.put((ARTICLE, "upsert", {"GroupId": ARTICLE, "Title": "苏州河十公里"}), channel=CHANNEL)
    with workers.at_work(), running_api(tmp_path, variables) as api:
        yield api


@pytest.fixture
def key(cloud: Cloud) -> str:
    """A key that may do everything."""
    store = KeyStore(cloud.client("dynamodb"), cloud.variable("KEYS_TABLE"))
    return store.create("schemathesis", Scope, expires_at=None, created_by="a test").token


def run(api: Api, key: str, folder: Path, phases: list[str], *options: str, config: str = "") -> None:
    written = folder / "schemathesis.toml"
    auth = f'\n[auth.openapi.apiKey]\nbearer = "{key}"\n'
    written.write_text(CONFIG.read_text(encoding="utf-8") + auth + config, encoding="utf-8")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(written), "--no-color", "run"),
        *(f"{api.origin}/openapi.json", "--url", api.origin, "--phases", ",".join(phases)),
        *DRAWN,
        *AMOUNT,
        *options,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": HOOKS}
    found = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    print(found.stdout)

    assert found.returncode == 0, found.stdout + found.stderr
    for phase in phases:
        assert re.search(rf"✅\s+{phase}", found.stdout, re.IGNORECASE), f"{phase} did not run"


def test_no_request_gets_an_answer_that_the_document_does_not_have(
    live_api: Api, key: str, tmp_path: Path
) -> None:
    run(live_api, key, tmp_path, ["examples", "coverage", "fuzzing"], "--workers", "4")


def test_no_sequence_of_requests_does(live_api: Api, key: str, tmp_path: Path) -> None:
    chosen = [f"--include-operation-id={name}" for name in FLOW]
    run(live_api, key, tmp_path, ["stateful"], *chosen, config=AT_ONCE)
