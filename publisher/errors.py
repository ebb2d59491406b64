"""What can go wrong for a client, as one tree, and the statuses with which the command ends.

ClientError
├── Misconfigured   the settings cannot be used
├── UnusableFile    the file to upload cannot be used
├── Refused         the API, or the storage that takes uploads, answered that it will not
├── Unreachable     no answer that can be used
└── NeedsPerson     something that only a person can give is missing
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, ClassVar


class Exit(IntEnum):
    """The command's exit statuses; docs/cli.md has them for the reader."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NEEDS_PERSON = 4
    OUTCOME_UNKNOWN = 5
    NOT_FINISHED = 6
    INTERRUPTED = 130


class ClientError(Exception):
    """`cause` says what happened, `next_step` what the reader can do, `request_id` names the request."""

    exit_status: ClassVar[Exit] = Exit.FAILED
    code: ClassVar[str] = "client.error"

    def __init__(self, cause: str, next_step: str, *, request_id: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.next_step = next_step
        self.request_id = request_id

    def to_dict(self) -> dict[str, Any]:
        """In the words of the API's problem documents."""
        return {
            "code": self.code,
            "detail": self.cause,
            "next_step": self.next_step,
            "request_id": self.request_id,
        }


class Misconfigured(ClientError):
    exit_status = Exit.USAGE
    code = "client.misconfigured"


class UnusableFile(ClientError):
    exit_status = Exit.USAGE
    code = "client.unusable_file"


class Unreachable(ClientError):
    """`repeat_after`: seconds after which the same request may succeed; None where it will not."""

    exit_status = Exit.UNREACHABLE
    code = "client.unreachable"

    def __init__(
        self,
        cause: str,
        next_step: str,
        *,
        request_id: str | None = None,
        repeat_after: float | None = None,
    ) -> None:
        super().__init__(cause, next_step, request_id=request_id)
        self.repeat_after = repeat_after


class NeedsPerson(ClientError):
    exit_status = Exit.NEEDS_PERSON
    code = "client.needs_person"


class Refused(ClientError):
    """`problem` is the answer's problem document (RFC 9457); `repeat_after` as of Unreachable."""

    def __init__(self, problem: dict[str, Any], *, repeat_after: float | None = None) -> None:
        self.problem = problem
        self.repeat_after = repeat_after
        super().__init__(
            str(problem.get("detail") or problem.get("title") or "The request was refused."),
            str(problem.get("next_step") or ""),
            request_id=problem.get("request_id"),
        )

    @property
    def status(self) -> int:
        return int(self.problem.get("status", 0))

    def to_dict(self) -> dict[str, Any]:
        return self.problem
