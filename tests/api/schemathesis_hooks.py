"""What Schemathesis does before it sends a request (tests/api/schemathesis.toml)."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import schemathesis

if TYPE_CHECKING:
    from schemathesis import Case, HookContext

HEADER = "Idempotency-Key"


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """A key of its own for each request that means to be accepted: one that was used goes with one body."""
    if case.meta is not None and case.meta.generation.mode.is_positive and case.headers.get(HEADER):
        case.headers[HEADER] = f'"{uuid.uuid4()}"'
