"""What goes in and out of the routes of webhooks."""

from __future__ import annotations

from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from chalicelib.addresses import fault_of, is_public, loopback_pair
from chalicelib.api.models import AnswerModel, QueryModel, RequestModel, Timestamp, whole
from chalicelib.settings import settings
from chalicelib.webhooks.deliveries import Status
from chalicelib.webhooks.endpoints import Reason
from chalicelib.webhooks.registry import PATTERN, known

WEBHOOK = "6a1d5f3e-8c2b-4f0a-9d77-1b2c3d4e5f60"
MAX_EVENTS = 50
MAX_OVERLAP_HOURS = 24


def _url(value: str) -> str:
    """What the URL says itself; where its name leads is seen when it is called."""
    allowed = loopback_pair(value) if settings.webhook_loopback else frozenset[str]()
    if fault := fault_of(value, allowed):
        raise ValueError(f"{fault}; give an https URL on a public address")
    host = urlsplit(value).hostname or ""
    try:
        private = not allowed and not is_public(host)
    except ValueError:
        private = host == "localhost"
    if private:
        raise ValueError("is on an address that is not public; give an https URL on a public address")
    return value


def _event(value: str) -> str:
    if not (PATTERN.fullmatch(value) and known(value)):
        raise ValueError("must be '*', a group such as 'task.*', or a type such as 'task.failed'")
    return value


def _events(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("must not repeat a type")
    return values


Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        description="https, on a public address, port 443 or 80. Redirects are not followed.",
        examples=["https://example.com/hooks"],
    ),
    AfterValidator(_url),
]
Events = Annotated[
    list[Annotated[str, Field(max_length=64), AfterValidator(_event)]],
    Field(
        min_length=1,
        max_length=MAX_EVENTS,
        description="Types of events: `*` is all, `task.*` all of tasks. docs/webhooks.md lists them.",
        examples=[["task.*", "account.expired"]],
    ),
    AfterValidator(_events),
]
Description = Annotated[str, Field(max_length=200, description="For people.", examples=["编辑部的机器人"])]


class WebhookRequest(RequestModel):
    url: Url
    events: Annotated[
        Events,
        Field(
            default_factory=lambda: ["*"], validate_default=False, description="Types of events; all of them."
        ),
    ]
    description: Annotated[Description, Field(default="", description="For people.")]


class WebhookPatch(RequestModel):
    """What is given is set; the rest stays."""

    url: Annotated[Url | None, Field(default=None, description="Where the events go from now on.")]
    events: Annotated[Events | None, Field(default=None, description="Their types from now on.")]
    description: Annotated[Description | None, Field(default=None, description="For people.")]
    enabled: Annotated[
        bool | None,
        Field(default=None, description="true ends a disabling, too, whatever its reason.", examples=[True]),
    ]


class RotationRequest(RequestModel):
    overlap_hours: Annotated[
        int,
        Field(
            default=MAX_OVERLAP_HOURS,
            ge=0,
            le=MAX_OVERLAP_HOURS,
            description="How long the old secret signs, too. 0 where it is known to strangers.",
        ),
        BeforeValidator(whole),
    ]


class WebhookDisabling(AnswerModel):
    reason: str = Field(description="`gone`, `failing`.", json_schema_extra={"enum": list(get_args(Reason))})
    at: Timestamp = Field(description="When.")
    detail: str = Field(description="What was seen.", examples=["The receiver answers 410."])


class WebhookAnswer(AnswerModel):
    id: str = Field(description="The webhook.", examples=[WEBHOOK])
    url: str = Field(description="Where the events go.", examples=["https://example.com/hooks"])
    events: list[str] = Field(
        description="Their types, as they were asked for.", examples=[["task.*", "account.expired"]]
    )
    description: str = Field(description="For people.", examples=["编辑部的机器人"])
    enabled: bool = Field(description="Whether it gets what happens now.", examples=[True])
    created_at: Timestamp = Field(description="When it was made.")
    updated_at: Timestamp = Field(description="When a person last changed it.")
    disabled: WebhookDisabling | None = Field(
        description="Where it was disabled by itself: after a 410, or after days of nothing but failures.",
        examples=[None],
    )
    failing_since: Timestamp | None = Field(
        description="The first failure since the last success.", examples=[None]
    )
    failures: int = Field(description="How many failures there were since then.", examples=[0])
    last_success_at: Timestamp | None = Field(description="When it last took an event.")
    last_failure_at: Timestamp | None = Field(description="When it last did not.", examples=[None])
    old_secrets_end_at: list[str] = Field(
        description="Until when secrets from before a rotation sign, too.", examples=[[]]
    )


class WebhookWithSecret(WebhookAnswer):
    secret: str = Field(
        description="`whsec_…`, for the library that verifies. It is not shown again.", examples=["whsec_…"]
    )


class WebhookList(AnswerModel):
    data: list[WebhookAnswer] = Field(description="All of them.")


class DeletedWebhook(AnswerModel):
    id: str = Field(description="The webhook.", examples=[WEBHOOK])
    deleted: Literal[True] = Field(default=True, description="It gets nothing any more.")


class DeliveriesQuery(QueryModel):
    limit: Annotated[int, Field(default=20, ge=1, le=100, description="At most so many on a page.")]
    cursor: Annotated[
        str | None,
        Field(default=None, max_length=500, description="next_cursor of the page before."),
    ]


class DeliveryAttempt(AnswerModel):
    at: Timestamp = Field(description="When it was sent.")
    status_code: int | None = Field(description="null where there was no answer.", examples=[204])
    duration_ms: int = Field(description="How long the answer took.", examples=[87])
    error: str | None = Field(description="Why there was none.", examples=[None])
    answer: str = Field(
        description="The first bytes of the answer; what looks like a secret is left out.", examples=[""]
    )


class DeliveryAnswer(AnswerModel):
    id: str = Field(
        description="The event's id: what every try sends as `webhook-id`.", examples=["evt_0d8f7c9e6a43"]
    )
    type: str = Field(description="What has happened.", examples=["task.failed"])
    status: Status = Field(description="Whether it has arrived.")
    tries: int = Field(description="Since it was owed, or replayed.", examples=[1])
    created_at: Timestamp = Field(description="When it happened.")
    next_try_at: Timestamp | None = Field(description="When it is sent again.", examples=[None])
    attempts: list[DeliveryAttempt] = Field(description="The last tries, oldest first.")
    payload: str = Field(
        description="What is sent, as it is signed.", examples=['{"type": "task.failed", "data": {"id": "…"}}']
    )


class DeliveryList(AnswerModel):
    data: list[DeliveryAnswer] = Field(description="The newest first.")
    next_cursor: str | None = Field(
        description="Where the next page starts; null at the end of the list.", examples=[None]
    )
