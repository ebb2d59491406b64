"""A browser's session as Playwright's `context.storage_state()` writes it (1.65), as far as it may be imported.

What Playwright also knows and we do not take (virtual WebAuthn keys, private files) is refused as unknown.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from chalicelib.api.models import Preferences, RequestModel, whole

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
    name: Annotated[
        str, Field(pattern=r"^[^\x00-\x20\x7f;=]+$", description="The cookie.", examples=["sessionid"])
    ]
    value: Annotated[
        str,
        Field(
            pattern=r"^[^\x00-\x1f\x7f;]*$",
            description="Its value.",
            examples=["8f14e45fceea167a5a36dedd4bea2543"],
        ),
    ]
    domain: Annotated[
        str,
        Field(
            pattern=r"^\.?[A-Za-z0-9._\[\]:-]+$",
            description="The host that set it; with a dot, and its subdomains.",
            examples=[".douyin.com"],
        ),
    ]
    path: Annotated[str, Field(pattern=r"^/", description="The paths that it is sent to.", examples=["/"])]
    expires: float = Field(
        default=-1, description="Seconds since 1970; -1: it ends with the browser.", examples=[1795348658.0]
    )
    http_only: bool = Field(default=False, description="Hidden from the page's scripts.", examples=[True])
    secure: bool = Field(default=False, description="Sent over TLS only.", examples=[True])
    same_site: Literal["Strict", "Lax", "None"] = Field(
        default="Lax", description="Whether it goes with requests from other sites."
    )
    partition_key: str | None = Field(default=None, description="The site that it is kept apart for.")
    cross_site_ancestor: bool | None = Field(
        default=None, alias="_crHasCrossSiteAncestor", description="Chromium's addition to partitionKey."
    )


class StorageEntry(_StorageModel):
    name: str = Field(description="The key.", examples=["theme"])
    value: str = Field(description="The value.", examples=["light"])


class StorageIndex(_StorageModel):
    name: str = Field(description="The index.")
    key_path: str | None = Field(default=None, description="The member that it is over.")
    key_path_array: list[str] | None = Field(default=None, description="The members that it is over.")
    multi_entry: bool = Field(description="An array makes an entry for each of its elements.")
    unique: bool = Field(description="No two records have the same key in it.")


class ObjectStore(_StorageModel):
    name: str = Field(description="The store.")
    auto_increment: bool = Field(description="The store numbers its records itself.")
    key_path: str | None = Field(default=None, description="The member that holds a record's key.")
    key_path_array: list[str] | None = Field(default=None, description="The members that do.")
    records: list[
        dict[Literal["key", "keyEncoded", "value", "valueEncoded"], Annotated[Any, AfterValidator(_plain)]]
    ] = Field(description="What is in it.")
    indexes: list[StorageIndex] = Field(description="Its indexes.")


class Database(_StorageModel):
    name: str = Field(description="The database.")
    version: Annotated[int, Field(ge=1, description="Its version."), BeforeValidator(whole)]
    stores: list[ObjectStore] = Field(description="Its object stores.")


class OriginStorage(_StorageModel):
    origin: Annotated[
        str,
        AfterValidator(_origin),
        Field(description="Whose storage it is.", examples=["https://creator.douyin.com"]),
    ]
    local_storage: list[StorageEntry] = Field(default_factory=list, description="Its localStorage.")
    indexed_db: list[Database] = Field(
        default_factory=list, alias="indexedDB", description="Its IndexedDB.", examples=[[]]
    )


class StorageState(_StorageModel):
    cookies: list[Cookie] = Field(description="Every cookie.")
    origins: list[OriginStorage] = Field(default_factory=list, description="Storage, an entry an origin.")

    def as_playwright(self) -> dict[str, Any]:
        """The document that Playwright reads, with the members that were given."""
        return {"origins": [], **self.model_dump(by_alias=True, exclude_unset=True)}


class SessionImport(RequestModel):
    storage_state: StorageState = Field(description="What Playwright's context.storage_state() gives.")
    preferences: Annotated[
        Preferences | None,
        Field(
            default=None,
            description="As with a QR login: they hold from the first look at the session on.",
            examples=[None],
        ),
    ]
