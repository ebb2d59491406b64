"""A task: what was asked, where it stands, what happened."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from chalicelib.publishing.states import State


@dataclass(frozen=True, slots=True)
class Submission:
    """The nine fields of the contract, as they were submitted and accepted.

    `schedule_time` is kept as written; `Task.publish_at` is the instant it means.
    """

    video_url: str
    title: str
    account_name: str
    description: str = ""
    tags: list[str] = field(default_factory=list)
    cover_path: str | None = None
    claim_type: str | None = None
    schedule_time: str | None = None
    manual_review: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One item of the tasks table. Instants are RFC 3339 text in UTC.

    `version` goes up with every write; `epoch` with every claim. `outbox` and `due_at` stand in the sparse
    index while something has to be done by a certain time. `intent` is written before the click:
    `{"at", "works": ids of the newest works then}`. `error` is `{"code", "title", "detail", "next_step",
    "retryable", "step"}`, `result` is `{"item_id", "url", "published_at" | "scheduled_for"}`.
    """

    id: str
    state: State
    submission: Submission
    created_at: str
    updated_at: str
    version: int = 1
    epoch: int = 0
    # The platform publishes at this instant (`platform_schedule`), or we do.
    publish_at: str | None = None
    platform_schedule: bool = False
    approved: bool = False
    # Claims that ended in a passing fault, and claims that never ended at all.
    attempts: int = 0
    crashes: int = 0
    checks: int = 0
    lease_until: str | None = None
    outbox: str | None = None
    due_at: str | None = None
    progress: dict[str, Any] | None = None
    timeline: list[dict[str, Any]] = field(default_factory=list)
    intent: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    def to_item(self) -> dict[str, Any]:
        item = {member.name: getattr(self, member.name) for member in fields(self)}
        item["submission"] = {
            member.name: value
            for member in fields(self.submission)
            if (value := getattr(self.submission, member.name)) is not None
        }
        return {name: value for name, value in item.items() if value is not None}

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> Task:
        return cls(**{**item, "state": State(item["state"]), "submission": Submission(**item["submission"])})
