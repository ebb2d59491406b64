"""How many requests a key may send, counted in DynamoDB: for all functions that run at the same time together.

A window is a minute by the clock. A counter lives a little longer, then DynamoDB's TTL deletes it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.clock import Clock, utc_now
from chalicelib.dynamodb import Table, Update

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

logger = logging.getLogger(__name__)

Budget = Literal["reads", "writes"]

WINDOW_SECONDS: Final = 60
_KEPT_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class Usage:
    """`count` is how many requests the window has seen, this one included; None where nobody could tell.
    `reset` is how many seconds the window lasts.
    """

    budget: Budget
    quota: int
    count: int | None
    reset: int

    @property
    def exceeded(self) -> bool:
        return self.count is not None and self.count > self.quota

    @property
    def headers(self) -> dict[str, str]:
        """RateLimit and RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers-10."""
        found = {"RateLimit-Policy": f'"{self.budget}";q={self.quota};w={WINDOW_SECONDS}'}
        if self.count is not None:
            left = max(0, self.quota - self.count)
            found["RateLimit"] = f'"{self.budget}";r={left};t={self.reset}'
        return found


@dataclass(slots=True)
class RateLimiter:
    """Keep one a process: it remembers which windows are used up, and refuses by itself until they are over.
    So whoever hammers costs no more writes, and cannot bring the counter to its knees.
    """

    client: DynamoDBClient
    table: str
    quotas: Mapping[Budget, int]
    clock: Clock = utc_now
    _used_up: dict[tuple[str, Budget], int] = field(default_factory=dict)

    def count(self, key_id: str, budget: Budget) -> Usage:
        """Counts a request. Where DynamoDB does not, the request is let through: the limits protect the
        system from its own callers, and a counter that fails must not take the API with it.
        """
        now = self.clock().timestamp()
        window = int(now // WINDOW_SECONDS)
        reset = max(1, round((window + 1) * WINDOW_SECONDS - now))
        quota = self.quotas[budget]
        if self._used_up.get((key_id, budget)) == window:
            return Usage(budget, quota, quota + 1, reset)
        update = Update().add("requests", 1).set(ttl=(window + 1) * WINDOW_SECONDS + _KEPT_SECONDS)
        try:
            item = Table(self.client, self.table, "id").update(f"{key_id}#{budget}#{window}", update)
        except (ClientError, BotoCoreError):
            logger.warning("a request could not be counted", extra={"key_id": key_id}, exc_info=True)
            return Usage(budget, quota, None, reset)
        usage = Usage(budget, quota, item["requests"], reset)
        if usage.exceeded:
            self._used_up[key_id, budget] = window
        return usage
