"""What a key may be allowed to do."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    PUBLISH_WRITE = "publish:write"
    TASKS_READ = "tasks:read"
    ACCOUNTS_READ = "accounts:read"
    ACCOUNTS_WRITE = "accounts:write"
    ACCOUNTS_LOGIN = "accounts:login"
    ARTICLES_READ = "articles:read"
    SYNC_READ = "sync:read"
    SYNC_WRITE = "sync:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    KEYS_ADMIN = "keys:admin"

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


# The scope of a route that takes no key: it serves nothing of anybody, or checks a signature of its own.
PUBLIC: Final = None

_MEANINGS: Final = {
    Scope.PUBLISH_WRITE: "submit works, upload their media, and decide about tasks",
    Scope.TASKS_READ: "see tasks and their evidence",
    Scope.ACCOUNTS_READ: "see accounts",
    Scope.ACCOUNTS_WRITE: "change, check and delete accounts",
    Scope.ACCOUNTS_LOGIN: "log accounts in, by QR code or with a session",
    Scope.ARTICLES_READ: "read the synced articles",
    Scope.SYNC_READ: "see how the content sync stands",
    Scope.SYNC_WRITE: "run the content sync and have articles looked at",
    Scope.WEBHOOKS_READ: "see webhooks and their deliveries",
    Scope.WEBHOOKS_WRITE: "make, change, test and delete webhooks",
    Scope.KEYS_ADMIN: "make, see, rotate and revoke keys",
}
