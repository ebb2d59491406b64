"""The whole system on one machine: starts it in order, watches it, stops it in reverse.

Only the network's edge differs from the cloud: emulated AWS, and stand-ins for Douyin and Volcengine where the
real ones are not asked for.
"""

from __future__ import annotations

import fcntl
import json
import logging
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from app import app
from local.chromium import find_chromium
from local.emulator import emulator_process, make_client
from local.options import ROOT, Options, Volcengine
from local.processes import ChildFailed, ChildProcess, PortBook, clean_environment, port_is_free
from local.runtime.system import FunctionRuntime
from local.stack import deploy
from local.template import API_HANDLER, functions, load_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

logger = logging.getLogger(__name__)

STACK = "social-publisher"
STANDIN_CHANNEL = "local_default_content"
STANDIN_ACCESS_KEY = "local-access-key"
STANDIN_SECRET_KEY = "local-secret-key"
STANDIN_CALLBACK_SECRET = "local-callback-secret"


class CannotStart(Exception):
    """The text says why, and what the user can do."""


@dataclass
class System:
    """Use as a context manager: started inside, stopped after. `say` is told each step of the start."""

    options: Options
    say: Callable[[str], None] = lambda _: None
    # Beside what the template gives to the functions: for harnesses.
    function_environment: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""
    endpoint: str = ""
    douyin_origin: str = ""
    volcengine: Volcengine = field(default_factory=lambda: Volcengine("", "", "", ""))
    functions_endpoint: str = ""
    # What the template gives to the functions, all together: names of tables, queues, buckets and keys.
    variables: dict[str, str] = field(default_factory=dict)
    _children: list[ChildProcess] = field(default_factory=list)
    _parts: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> System:
        with self._parts:
            self._start()
            self._parts = self._parts.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def _start(self) -> None:
        options = self.options
        data = options.data
        data.mkdir(parents=True, exist_ok=True)
        self._parts.enter_context(_only_one(data))
        chromium = find_chromium(headed=options.headed)
        if chromium is None:
            raise CannotStart("No Chromium was found. Install one, or set CHROMIUM_PATH.")
        if not port_is_free(options.port):
            raise CannotStart(f"Port {options.port} is in use. Choose another one with --port.")
        ports = PortBook(data / "ports.json")

        self.say("Emulated AWS")
        self.endpoint = self._serve(emulator_process(data / "aws", ports.port("aws")))
        self._start_standins(ports)

        self.say("Tables, queues, buckets and keys, from .chalice/resources.yml")
        template = load_template(ROOT / ".chalice" / "resources.yml")
        config = json.loads((ROOT / ".chalice" / "config.json").read_text())
        parameters = {
            "BrowserImageUri": "local",
            "DouyinOrigin": self.douyin_origin,
            "BrowserMode": "headed" if options.headed else "headless",
            "VolcEndpoint": self.volcengine.endpoint,
            "VolcUtmSources": self.volcengine.utm_sources,
            "VolcMirror": options.mirror,
        }
        outputs = deploy(self.endpoint, STACK, template, parameters)
        specs = [
            replace(spec, environment={**spec.environment, **self._secrets_of(spec.name)})
            for spec in functions(template, config, app, outputs=outputs, parameters=parameters)
        ]
        api = next(spec for spec in specs if spec.name == API_HANDLER)

        loopback = {
            "PROXY_ALLOW_LOOPBACK": ",".join(options.allow_proxies),
            "WEBHOOK_LOOPBACK": "allowed",
        }
        self.say("Workers and schedules")
        runtime = FunctionRuntime(
            [spec for spec in specs if spec is not api],
            self.endpoint,
            data,
            env={
                "CHROMIUM_PATH": chromium,
                "MEDIA_ALLOW_LOOPBACK": ",".join(self._media_hosts()),
                **loopback,
                **self.function_environment,
            },
            tick_at_start=("sweep", "webhooks"),
            invoke_port=ports.port("functions"),
        )
        self._parts.enter_context(runtime)
        self.variables = {name: value for spec in specs for name, value in spec.environment.items()}
        self.functions_endpoint = runtime.invoke_endpoint

        self.say("API")
        own = {**loopback, "API_KEYS": "optional"}  # On loopback, for this machine: see local/api.py.
        environment = clean_environment(data / "tmp", {**runtime.environment, **api.environment, **own})
        self._serve(self._server("api", "local.api", options.port, environment))
        self.origin = f"http://localhost:{options.port}"

    def _start_standins(self, ports: PortBook) -> None:
        data = self.options.data
        environment = clean_environment(data / "tmp")
        if self.options.douyin_origin:
            self.douyin_origin = self.options.douyin_origin
        else:
            self.say("Stand-in for Douyin's creator center")
            extra = ["--data", str(data / "douyin")]
            self.douyin_origin = self._serve(
                self._server("douyin", "local.standins.douyin", ports.port("douyin"), environment, extra)
            )
        if self.options.volcengine:
            self.volcengine = self.options.volcengine
        else:
            self.say("Stand-in for Volcengine's content service")
            extra = ["--data", str(data / "volcengine"), "--utm-source", STANDIN_CHANNEL]
            extra += ["--access-key", STANDIN_ACCESS_KEY, "--secret-key", STANDIN_SECRET_KEY]
            port = ports.port("volcengine")
            extra += ["--callback-secret", STANDIN_CALLBACK_SECRET]
            extra += ["--media-origin", f"http://127.0.0.1:{port}"]
            endpoint = self._serve(
                self._server("volcengine", "local.standins.volcengine", port, environment, extra)
            )
            self.volcengine = Volcengine(
                endpoint,
                STANDIN_ACCESS_KEY,
                STANDIN_SECRET_KEY,
                STANDIN_CHANNEL,
                callback_secret=STANDIN_CALLBACK_SECRET,
            )

    def _secrets_of(self, function: str) -> dict[str, str]:
        """What the cloud keeps in Secrets Manager or SSM. Here the environment of the functions that need it
        has it, so that it never reaches the emulator's state on disk.
        """
        secrets = {
            "scan": {
                "VOLC_ACCESS_KEY": self.volcengine.access_key,
                "VOLC_SECRET_KEY": self.volcengine.secret_key,
                "VOLC_SESSION_TOKEN": self.volcengine.session_token,
            },
            API_HANDLER: {"VOLC_CALLBACK_SECRET": self.volcengine.callback_secret},
        }
        return secrets.get(function, {})

    def client(self, service: str) -> Any:
        """A boto3 client of the emulated AWS."""
        return make_client(service, self.endpoint)

    @property
    def content_bucket(self) -> str:
        return self.variables["CONTENT_BUCKET"]

    def check(self) -> None:
        """Raises ChildFailed where a part of the system has ended by itself."""
        for child in self._children:
            if child.poll() is not None:
                raise ChildFailed(f"{child.name} has ended by itself; see {self.options.data / 'logs'}.")

    def _server(
        self, name: str, module: str, port: int, environment: dict[str, str], extra: list[str] | None = None
    ) -> ChildProcess:
        argv = [sys.executable, "-m", module, "--port", str(port), "--exit-on-stdin-eof", *(extra or [])]
        return ChildProcess(name, argv, env=environment, log_path=self.options.data / "logs" / f"{name}.log")

    def _serve(self, child: ChildProcess) -> str:
        origin = child.start()
        self._children.append(child)
        self._parts.callback(child.stop)
        return origin

    def _media_hosts(self) -> list[str]:
        hosts = list(self.options.allow_media_from)
        if not self.options.douyin_origin:
            hosts.append(urlsplit(self.douyin_origin).netloc)
        if not self.options.volcengine:
            hosts.append(urlsplit(self.volcengine.endpoint).netloc)
        return hosts


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    """Holds a folder for one system at a time; the lock goes with the process that has it."""
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"Another system runs on {data}. Stop it, or choose another folder with --data."
            ) from None
        yield
