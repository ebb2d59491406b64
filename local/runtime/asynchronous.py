"""Asynchronous invocations: nobody waits for the result, Lambda tries again by itself."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from local.runtime.errors import FunctionClosed, InvocationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local.runtime.function import LocalFunction

logger = logging.getLogger(__name__)

# Lambda tries twice more unless it is told otherwise, after one and then two minutes.
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
RETRY_DELAYS_SECONDS: Final = (60.0, 120.0)


class AsynchronousInvoker:
    """Invokes functions in threads of its own. A failing invocation is logged and tried again as often as the
    function's configuration says, at most twice.
    """

    def __init__(self, retry_delays: Sequence[float] = RETRY_DELAYS_SECONDS) -> None:
        self._retry_delays = tuple(retry_delays)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._running: set[threading.Thread] = set()

    def invoke(
        self,
        function: LocalFunction,
        event: Any,
        *,
        request_id: str | None = None,
        done: Callable[[], object] = lambda: None,
    ) -> None:
        """Returns at once. `done` is called when the invocation has succeeded or is given up."""
        thread = threading.Thread(
            target=self._run,
            args=(function, event, request_id, done),
            name=f"{function.spec.name}-async",
            daemon=True,
        )
        with self._lock:
            self._running.add(thread)
        thread.start()

    def stop(self, grace: float = 10) -> None:
        """No further tries; waits `grace` seconds for what is running."""
        self._stopping.set()
        with self._lock:
            running = list(self._running)
        for thread in running:
            thread.join(grace)

    def _run(
        self, function: LocalFunction, event: Any, request_id: str | None, done: Callable[[], object]
    ) -> None:
        try:
            self._try(function, event, request_id)
        except Exception:
            logger.exception("%s could not be invoked", function.spec.name)
        finally:
            with self._lock:
                self._running.discard(threading.current_thread())
            done()

    def _try(self, function: LocalFunction, event: Any, request_id: str | None) -> None:
        delays = self._retry_delays[: function.spec.retries]
        for delay in (*delays, None):
            try:
                function.invoke(event, request_id=request_id)
            except FunctionClosed:
                return
            except InvocationError as error:
                logger.warning("%s failed: %s: %s", function.spec.name, error.error_type, error)
            else:
                return
            if delay is None:
                logger.error("%s failed %d times and is given up", function.spec.name, len(delays) + 1)
            elif self._stopping.wait(delay):
                return
