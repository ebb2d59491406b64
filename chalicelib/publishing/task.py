"""A task: what was asked, where it stands, what happened."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from chalicelib.clock import to_rfc3339
from chalicelib.cost import cost_of
from chalicelib.publishing.states import Action, State, actions
from chalicelib.trace import carried

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.cost import Cost

# A timeline longer than this is a task that loops; the item must stay far below DynamoDB's 400 KB.
MAX_TIMELINE = 200


@dataclass(frozen=True, slots=True)
class Submission:
    """The nine fields of the contract, as they were submitted and accepted, or as the account prefers them;
    what only the account's preferences decide; and, for claim_type 自行拍摄, where (one name a level) and when
    (YYYY-MM-DD) the work was shot: both or neither.

    `schedule_time` is kept as written; `Task.publish_at` is the instant it means. `visibility` is one of
    public, friends and private; `allow_save` None leaves the choice to the site's default.
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
    visibility: str = "public"
    allow_save: bool | None = None
    claim_place: list[str] | None = None
    claim_date: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One item of the tasks table. Instants are RFC 3339 text in UTC.

    `version` goes up with every write; `epoch` with every claim. `outbox` and `due_at` stand in the sparse
    index while something has to be done by a certain time. `intent` is written before the click:
    `{"at", "works": ids of the newest works then, "duration_ms" of the video where it is known}`, and gets
    `"renewed_at"` where a code was taken after the click. `error` is `{"code", "title", "detail", "next_step",
    "retryable", "step"}`, `result` is `{"item_id", "url", "published_at" | "scheduled_for" | "found_at"}`.
    `held` is `{"until", "why"}` of a task that waits for its account's turn. `verification` is
    `{"phone" (masked), "asked_at", "expires_at", "tries"}`; `sealed_code` is the code that a person gave, until
    the worker has taken it.
    """

    id: str
    state: State
    submission: Submission
    created_at: str
    updated_at: str
    version: int = 1
    epoch: int = 0
    # Of the request that submitted the task, or had it run again, or decided about it last.
    request_id: str | None = None
    # The platform publishes at this instant (`platform_schedule`), or we do.
    publish_at: str | None = None
    platform_schedule: bool = False
    # The fields that the account's preferences decided, because the caller did not give them.
    applied: dict[str, Any] = field(default_factory=dict)
    approved: bool = False
    # SHA-256 of the video and the cover that the rehearsal filled in.
    reviewed_media: list[str] | None = None
    # Claims that ended in a passing fault, and claims that never ended at all.
    attempts: int = 0
    crashes: int = 0
    # Looks at the works list that were had, and looks that failed; messages that nobody could handle.
    checks: int = 0
    failed_checks: int = 0
    dead_letters: int = 0
    # What its invocations used: milliseconds, milliseconds times megabytes, how many they were, and on what.
    billed_ms: int = 0
    billed_mb_ms: int = 0
    invocations: int = 0
    machine: str | None = None
    lease_until: str | None = None
    outbox: str | None = None
    due_at: str | None = None
    progress: dict[str, Any] | None = None
    timeline: list[dict[str, Any]] = field(default_factory=list)
    held: dict[str, Any] | None = None
    verification: dict[str, Any] | None = None
    sealed_code: str | None = field(default=None, repr=False)
    intent: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    @property
    def has_room(self) -> bool:
        """The timeline takes another entry."""
        return len(self.timeline) < MAX_TIMELINE

    def entry(self, name: str, now: datetime, *notes: str) -> dict[str, Any] | None:
        """An entry of the timeline for something that happened in a moment; None where it is full."""
        if not self.has_room:
            return None
        moment = {"name": name, "started_at": to_rfc3339(now), "duration_ms": 0, "outcome": "ok"}
        return {**moment, **carried(), "notes": list(notes)}

    @property
    def actions(self) -> tuple[Action, ...]:
        """What a person can do to the task now."""
        return actions(self.state, intended=self.intent is not None)

    @property
    def cost(self) -> Cost | None:
        return cost_of(mb_ms=self.billed_mb_ms, invocations=self.invocations, machine=self.machine)

    @property
    def rehearsal(self) -> bool:
        """The next run stops before the click, for a person to look at the form."""
        return self.submission.manual_review and not self.approved

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
        """The task of an item; what a newer version wrote beside it is left alone."""
        known = {member.name: item[member.name] for member in fields(cls) if member.name in item}
        submission = {
            member.name: item["submission"][member.name]
            for member in fields(Submission)
            if member.name in item["submission"]
        }
        return cls(**{**known, "state": State(item["state"]), "submission": Submission(**submission)})


def work_url(item_id: str | None) -> str | None:
    """Where a work is seen on the platform."""
    return f"https://www.douyin.com/video/{item_id}" if item_id else None
