"""API keys as they go in and out over HTTP."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from chalicelib.api.models import AnswerModel, Instant, RequestModel, Timestamp, whole
from chalicelib.keys.scopes import Scope

KEY_ID = "5f0c2a4493b34f5f"

# JSON has no words for these: its texts are taken for them.
_Expiry = Annotated[
    Instant | None,
    Field(
        default=None, strict=False, description="RFC 3339, with an offset. null is for ever.", examples=[None]
    ),
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
        BeforeValidator(whole),
    ]
    expires_at: Annotated[
        Instant | None,
        Field(
            default=None,
            strict=False,
            description="RFC 3339, with an offset. Left out, the successor ends when the old key would have.",
            examples=[None],
        ),
    ]


class KeyAnswer(AnswerModel):
    id: str = Field(description="The part of the key between sp_live_ and its secret.", examples=[KEY_ID])
    name: str = Field(description="For people.", examples=["nightly publisher"])
    scopes: list[str] = Field(description="What it may do.", examples=[["publish:write", "tasks:read"]])
    live: bool = Field(description="Whether it is taken now.", examples=[True])
    created_at: Timestamp = Field(description="When it was made.")
    created_by: str = Field(
        description="The id of the key that made it; `command line` for a first one.", examples=["command line"]
    )
    expires_at: Timestamp | None = Field(description="When it ends; null is never.")
    last_used_at: Timestamp | None = Field(description="Right to an hour.")
    revoked_at: Timestamp | None = Field(description="When it was revoked.", examples=[None])
    predecessor: str | None = Field(description="The key whose place it takes.", examples=[None])
    successor: str | None = Field(description="The key that takes its place.", examples=[None])


class NewKeyAnswer(KeyAnswer):
    """`key` is shown this once: nobody can tell it again."""

    key: str = Field(description="The key itself.", examples=[f"sp_live_{KEY_ID}_…"])


class KeyList(AnswerModel):
    data: list[KeyAnswer] = Field(description="The newest first.")
