"""What every test may use: a clean environment, and the emulated AWS with the shipped template on it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from app import app
from local.api import api_process
from local.chromium import find_chromium
from local.emulator import client_environment, make_client, running_emulator
from local.stack import deploy
from local.template import API_HANDLER, FunctionSpec, functions, load_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = load_template(ROOT / ".chalice" / "resources.yml")


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """No credentials, proxies or settings of whoever runs the tests reach the code under test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("AWS_", "VOLC_", "DOUYIN_")) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def chromium_path() -> str:
    path = find_chromium()
    if path is None:
        pytest.fail("no Chromium was found: run make test, which installs one, or set CHROMIUM_PATH")
    return path


@pytest.fixture(scope="session")
def headed_chromium_path() -> str:
    """A browser with a window, where there is a screen to show it on."""
    path = find_chromium(headed=True)
    if path is None or shutil.which("Xvfb") is None:
        pytest.skip("no browser with a window, or no Xvfb: make test installs both where it may use apt-get")
    return path


@dataclass(frozen=True)
class Cloud:
    """The emulated AWS with the data resources of the shipped template."""

    endpoint: str
    functions: dict[str, FunctionSpec]

    def client(self, service: str) -> Any:
        return make_client(service, self.endpoint)

    @contextlib.contextmanager
    def table_like(self, variable: str) -> Iterator[str]:
        """The name of a new table with the keys and indexes of a shipped one. It goes at the end: the emulator
        writes all that it holds with every change.
        """
        dynamodb, name = self.client("dynamodb"), f"t{uuid.uuid4().hex[:8]}"
        shipped = dynamodb.describe_table(TableName=self.variable(variable))["Table"]
        indexes = [
            {key: index[key] for key in ("IndexName", "KeySchema", "Projection")}
            for index in shipped.get("GlobalSecondaryIndexes", ())
        ]
        dynamodb.create_table(
            TableName=name,
            KeySchema=shipped["KeySchema"],
            AttributeDefinitions=shipped["AttributeDefinitions"],
            BillingMode="PAY_PER_REQUEST",
            **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
        )
        yield name
        dynamodb.delete_table(TableName=name)

    def variable(self, name: str) -> str:
        """The value that the functions get for an environment variable, e.g. TASKS_TABLE."""
        return next(spec.environment[name] for spec in self.functions.values() if name in spec.environment)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    parameters = {"BrowserImageUri": "none", "VolcUtmSources": "test_channel"}
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    with running_emulator(tmp_path_factory.mktemp("aws")) as endpoint:
        outputs = deploy(endpoint, "publisher", TEMPLATE, parameters)
        specs = functions(TEMPLATE, config, app, outputs=outputs, parameters=parameters)
        yield Cloud(endpoint, {spec.name: spec for spec in specs})


@pytest.fixture
def new_table(cloud: Cloud) -> Iterator[Callable[[str], str]]:
    """Makes tables as `Cloud.table_like` does, for the time of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda variable: stack.enter_context(cloud.table_like(variable))


class Api:
    """The API over a real socket."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.session = requests.Session()
        self.session.trust_env = False

    def __call__(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return self.session.request(method, self.origin + path, timeout=30, **arguments)

    def get(self, path: str, **arguments: Any) -> requests.Response:
        return self("GET", path, **arguments)

    def post(self, path: str, body: Any = None, **arguments: Any) -> requests.Response:
        return self("POST", path, json=body, **arguments)

    def delete(self, path: str, **arguments: Any) -> requests.Response:
        return self("DELETE", path, **arguments)


@contextlib.contextmanager
def running_api(folder: Path, variables: dict[str, str]) -> Iterator[Api]:
    """The API alone, with these variables: no worker takes what it puts on the queues. Logs to `api.log`.
    It takes requests without a key, unless API_KEYS says otherwise.
    """
    process = api_process(folder, {"API_KEYS": "optional", **variables})
    client = Api(process.start())
    try:
        yield client
    finally:
        client.session.close()
        process.stop()


@pytest.fixture(scope="session")
def api(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    variables = {**client_environment(cloud.endpoint), **cloud.functions[API_HANDLER].environment}
    with running_api(tmp_path_factory.mktemp("api"), variables) as client:
        yield client
