"""A browser's session as Playwright's `context.storage_state()` writes it (1.65), as far as it may be imported.

What Playwright also knows and we do not take (virtual WebAuthn keys, private files) is refused as unknown.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from chalicelib.api.models import Preferences, RequestModel

# A session of the creator center takes some tens of kilobytes.
MAX_SESSION_BYTES = 256 * 1024


def _origin(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.path
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be an origin such as https://creator.douyin.com")
    return value


def _plain(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise ValueError("must be plain JSON, without NaN or an infinite number") from None
    return value


class _StorageModel(RequestModel):
    model_config = ConfigDict(alias_generator=to_camel, allow_inf_nan=False)


class Cookie(_StorageModel):
    # A browser that refuses one cookie (RFC 6265) refuses the whole session.
    name: Annotated[str, Field(pattern=r"^[^\x00-\x20\x7f;=]+$", examples=["sessionid"])]
    value: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f;]*$", examples=["8f14e45fceea167a5a36dedd4bea2543"])]
    domain: Annotated[str, Field(pattern=r"^\.?[A-Za-z0-9._\[\]:-]+$", examples=[".douyin.com"])]
    path: Annotated[str, Field(pattern=r"^/", examples=["/"])]
    expires: float = Field(default=-1, description="Seconds since 1970; -1: it ends with the browser.")
    http_only: bool = False
    secure: bool = False
    same_site: Literal["Strict", "Lax", "None"] = "Lax"
    partition_key: str | None = None
    cross_site_ancestor: bool | None = Field(default=None, alias="_crHasCrossSiteAncestor")


class StorageEntry(_StorageModel):
    name: str
    value: str


class StorageIndex(_StorageModel):
    name: str
    key_path: str | None = None
    key_path_array: list[str] | None = None
    multi_entry: bool
    unique: bool


class ObjectStore(_StorageModel):
    name: str
    auto_increment: bool
    key_path: str | None = None
    key_path_array: list[str] | None = None
    records: list[
        dict[Literal["key", "keyEncoded", "value", "valueEncoded"], Annotated[Any, AfterValidator(_plain)]]
    ]
    indexes: list[StorageIndex]


class Database(_StorageModel):
    name: str
    version: Annotated[int, Field(ge=1)]
    stores: list[ObjectStore]


class OriginStorage(_StorageModel):
    origin: Annotated[str, AfterValidator(_origin), Field(examples=["https://creator.douyin.com"])]
    local_storage: list[StorageEntry] = Field(default_factory=list)
    indexed_db: list[Database] = Field(default_factory=list, alias="indexedDB")


class StorageState(_StorageModel):
    cookies: list[Cookie]
    origins: list[OriginStorage] = Field(default_factory=list)

    def as_playwright(self) -> dict[str, Any]:
        """The document that Playwright reads, with the members that were given."""
        return {"origins": [], **self.model_dump(by_alias=True, exclude_unset=True)}


class SessionImport(RequestModel):
    storage_state: StorageState
    preferences: Annotated[
        Preferences | None,
        Field(default=None, description="As with a QR login: they hold from the first look at the session on."),
    ]
