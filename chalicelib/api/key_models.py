"""API keys as they go in and out over HTTP."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from chalicelib.api.models import AnswerModel, Instant, RequestModel
from chalicelib.keys.scopes import Scope

# JSON has no words for these: its texts are taken for them.
_Expiry = Annotated[
    Instant | None,
    Field(default=None, strict=False, description="RFC 3339, with an offset. null is for ever."),
]
_ScopeName = Annotated[Scope, Field(strict=False)]


class KeyRequest(RequestModel):
    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=100,
            pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$",
            description="For people: who uses the key, and where.",
            examples=["nightly publisher"],
        ),
    ]
    scopes: Annotated[
        list[_ScopeName],
        Field(
            min_length=1,
            max_length=len(Scope),
            description="What the key may do; no more than the key that makes it. "
            + "; ".join(f"`{scope}`: {scope.meaning}" for scope in Scope),
            examples=[["publish:write", "tasks:read"]],
        ),
    ]
    expires_at: _Expiry


class KeyRotation(RequestModel):
    overlap_hours: Annotated[
        int,
        Field(default=24, ge=0, le=168, description="How long the old key stays live beside its successor."),
    ]
    expires_at: Annotated[
        Instant | None,
        Field(
            default=None,
            strict=False,
            description="RFC 3339, with an offset. Left out, the successor ends when the old key would have.",
        ),
    ]


class KeyAnswer(AnswerModel):
    id: str
    name: str
    scopes: list[str]
    live: bool
    created_at: str
    created_by: str = Field(description="The id of the key that made it; `command line` for a first one.")
    expires_at: str | None
    last_used_at: str | None = Field(description="Right to an hour.")
    revoked_at: str | None
    predecessor: str | None = Field(description="The key whose place it takes.")
    successor: str | None = Field(description="The key that takes its place.")


class NewKeyAnswer(KeyAnswer):
    """`key` is shown this once: nobody can tell it again."""

    key: str


class KeyList(AnswerModel):
    data: list[KeyAnswer]
