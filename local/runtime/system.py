"""All functions of the system at work: event sources, schedules and Lambda's Invoke, from a list of specs."""

from __future__ import annotations

import logging
import shutil
import time
from typing import TYPE_CHECKING, Any, Final

from local.emulator import client_environment, make_client
from local.runtime.asynchronous import AsynchronousInvoker
from local.runtime.event_source import SqsEventSource
from local.runtime.function import LocalFunction
from local.runtime.invoke_api import InvokeApi
from local.runtime.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from local.template import FunctionSpec

logger = logging.getLogger(__name__)

_STOP_SECONDS: Final = 10.0


class FunctionRuntime:
    """Runs the functions of `specs` against the emulator at `endpoint`.

    `env` holds the local switches that every function sees beside its own variables (where the stand-ins are,
    which browser). Logs go to `data_dir/logs/<function>.log`. Schedules named in `tick_at_start` tick at once.
    Construct, `start()`, use, `stop()`; a context manager does both. Threads do the work; the caller's is free.
    """

    def __init__(
        self,
        specs: Sequence[FunctionSpec],
        endpoint: str,
        data_dir: Path,
        *,
        env: Mapping[str, str] | None = None,
        tick_at_start: Collection[str] = (),
        invoke_port: int = 0,
    ) -> None:
        self._invoker = AsynchronousInvoker()
        self.functions: dict[str, LocalFunction] = {}
        self._invoke_api = InvokeApi(self.functions, self._invoker, port=invoke_port)
        self.environment = {
            **client_environment(endpoint),
            "AWS_ENDPOINT_URL_LAMBDA": self._invoke_api.endpoint,
            **(env or {}),
        }

        def make_sqs() -> Any:
            return make_client("sqs", endpoint)

        # What the functions of a run that was killed have left behind.
        temporary = data_dir / "tmp" / "functions"
        shutil.rmtree(temporary, ignore_errors=True)
        self._sources = []
        self._schedules = []
        for spec in specs:
            limit = spec.event_source.maximum_concurrency if spec.event_source else None
            function = LocalFunction(
                spec, self.environment, data_dir / "logs", tmp_dir=temporary, idle_kept=limit or 1
            )
            self.functions[spec.name] = function
            if spec.event_source is not None:
                self._sources.append(SqsEventSource(function, spec.event_source, make_sqs))
            if spec.schedule is not None:
                at_start = spec.name in tick_at_start
                self._schedules.append(Schedule(function, spec.schedule, self._invoker, tick_at_start=at_start))

    @property
    def invoke_endpoint(self) -> str:
        """For AWS_ENDPOINT_URL_LAMBDA."""
        return self._invoke_api.endpoint

    def start(self) -> None:
        self._invoke_api.start()
        for source in self._sources:
            source.start()
        for schedule in self._schedules:
            schedule.start()

    def stop(self, grace: float = _STOP_SECONDS) -> None:
        """Takes nothing new on at once, gives what runs `grace` seconds in all, then kills it."""
        deadline = time.monotonic() + grace
        for source in self._sources:
            source.request_stop()
        for schedule in self._schedules:
            schedule.stop()
        self._invoke_api.stop()
        for source in self._sources:
            source.stop(max(0, deadline - time.monotonic()))
        self._invoker.stop(max(0, deadline - time.monotonic()))
        for function in self.functions.values():
            function.close()
        for source in self._sources:
            source.join(_STOP_SECONDS)

    def __enter__(self) -> FunctionRuntime:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
