"""A function as Lambda runs it: execution environments kept warm, one invocation in each at a time."""

from __future__ import annotations

import logging
import threading
import uuid
from typing import TYPE_CHECKING, Any, Final

from local.emulator import ACCOUNT, REGION
from local.processes import clean_environment
from local.runtime.environment import ExecutionEnvironment
from local.runtime.errors import FunctionClosed, FunctionThrottled, InvocationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local.template import FunctionSpec

logger = logging.getLogger(__name__)

# Lambda's limit is the account's; a laptop's is its memory.
_DEFAULT_CONCURRENCY: Final = 10
_IDLE_KEPT: Final = 2


class LocalFunction:
    """Runs a function of the template in child processes.

    The processes see `env` (where AWS is, local switches) and the function's own variables, and nothing of this
    process's environment but what a program needs to run. Their output goes to `log_dir/<name>.log`, their
    temporary files under `tmp_dir`. Safe to use from several threads.
    """

    def __init__(
        self,
        spec: FunctionSpec,
        env: Mapping[str, str],
        log_dir: Path,
        *,
        tmp_dir: Path | None = None,
        concurrency: int | None = None,
        idle_kept: int = _IDLE_KEPT,
    ) -> None:
        self.spec = spec
        self.arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{spec.name}"
        self.concurrency = concurrency or spec.reserved_concurrency or _DEFAULT_CONCURRENCY
        self._env = dict(env)
        self._log_path = log_dir / f"{spec.name}.log"
        self._tmp_dir = (log_dir.parent / "tmp" if tmp_dir is None else tmp_dir) / spec.name
        self._idle_kept = idle_kept
        self._idle: list[ExecutionEnvironment] = []
        self._busy: set[ExecutionEnvironment] = set()
        self._slots = threading.Semaphore(self.concurrency)
        self._lock = threading.Lock()
        self._closed = False
        log_dir.mkdir(parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"<LocalFunction {self.spec.name}>"

    def invoke(
        self, event: Any, *, timeout: float | None = None, wait: bool = True, request_id: str | None = None
    ) -> Any:
        """Runs the handler with `event` and returns its result (both JSON).

        `timeout` in seconds, the function's own by default. Where all the function's concurrency is in use it
        waits, or raises FunctionThrottled with `wait=False`. Raises FunctionFailed, FunctionTimedOut, and
        FunctionClosed once the function is closed.
        """
        if not self._slots.acquire(blocking=wait):
            raise FunctionThrottled(f"{self.spec.name} runs {self.concurrency} times already")
        try:
            environment = self._take()
            try:
                return environment.invoke(
                    event,
                    request_id=request_id or str(uuid.uuid4()),
                    timeout=self.spec.timeout if timeout is None else timeout,
                )
            except InvocationError:
                if self._closed:
                    raise FunctionClosed(f"{self.spec.name} was stopped while it ran") from None
                raise
            finally:
                self._give_back(environment)
        finally:
            self._slots.release()

    @property
    def running(self) -> int:
        """How many invocations are running now."""
        with self._lock:
            return len(self._busy)

    def close(self) -> None:
        """Ends every environment, kills those that are busy, and refuses further invocations."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for environment in busy:
            environment.kill()
        for environment in idle:
            environment.close()

    def _take(self) -> ExecutionEnvironment:
        with self._lock:
            if self._closed:
                raise FunctionClosed(f"{self.spec.name} is stopped")
            # The one used last: the others may cool down.
            environment = self._idle.pop() if self._idle else self._start()
            self._busy.add(environment)
            return environment

    def _give_back(self, environment: ExecutionEnvironment) -> None:
        with self._lock:
            self._busy.discard(environment)
            if environment.usable and not self._closed and len(self._idle) < self._idle_kept:
                self._idle.append(environment)
                return
        environment.close()

    def _start(self) -> ExecutionEnvironment:
        identity = uuid.uuid4().hex
        temporary = self._tmp_dir / identity
        own = {
            "AWS_LAMBDA_FUNCTION_NAME": self.spec.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.spec.memory),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.spec.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": identity,
            "SOCIAL_PUBLISHER_FUNCTION_ARN": self.arn,
        }
        return ExecutionEnvironment(
            self.spec.handler,
            env=clean_environment(temporary, {**self._env, **self.spec.environment, **own}),
            log_path=self._log_path,
            temporary=temporary,
        )
