"""How an invocation can end badly.

InvocationError
├── FunctionFailed       the handler raised, its module could not be imported, or its process ended
├── FunctionTimedOut     it took longer than the function may; its process group was killed
├── FunctionThrottled    as many invocations as the function may have are running already
└── FunctionClosed       the local run is being stopped
"""

from __future__ import annotations

from typing import Any


class InvocationError(Exception):
    """`payload()` is what Lambda's Invoke answers with: `{"errorType", "errorMessage"[, "stackTrace"]}`."""

    error_type = "Runtime.Unknown"

    def payload(self) -> dict[str, Any]:
        return {"errorType": self.error_type, "errorMessage": str(self)}


class FunctionFailed(InvocationError):
    def __init__(self, error_type: str, message: str, stack_trace: list[str] | None = None) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.stack_trace = stack_trace or []

    def payload(self) -> dict[str, Any]:
        return super().payload() | {"stackTrace": self.stack_trace}


class FunctionTimedOut(InvocationError):
    error_type = "Sandbox.Timedout"


class FunctionThrottled(InvocationError):
    error_type = "TooManyRequestsException"


class FunctionClosed(InvocationError):
    error_type = "Runtime.Closed"
