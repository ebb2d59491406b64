"""What goes in and out of the routes of webhooks."""

from __future__ import annotations

from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from chalicelib.addresses import fault_of, is_public, loopback_pair
from chalicelib.api.models import AnswerModel, QueryModel, RequestModel
from chalicelib.settings import settings
from chalicelib.webhooks.deliveries import Status
from chalicelib.webhooks.endpoints import Reason
from chalicelib.webhooks.registry import PATTERN, known

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
Description = Annotated[str, Field(max_length=200, examples=["The newsroom's bot"])]


class WebhookRequest(RequestModel):
    url: Url
    events: Annotated[Events, Field(default_factory=lambda: ["*"], validate_default=False)]
    description: Annotated[Description, Field(default="")]


class WebhookPatch(RequestModel):
    """What is given is set; the rest stays."""

    url: Annotated[Url | None, Field(default=None)]
    events: Annotated[Events | None, Field(default=None)]
    description: Annotated[Description | None, Field(default=None)]
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
    ]


class WebhookDisabling(AnswerModel):
    reason: str = Field(description="`gone`, `failing`.", json_schema_extra={"enum": list(get_args(Reason))})
    at: str
    detail: str


class WebhookAnswer(AnswerModel):
    id: str
    url: str
    events: list[str]
    description: str
    enabled: bool
    created_at: str
    updated_at: str
    disabled: WebhookDisabling | None = Field(
        description="Where it was disabled by itself: after a 410, or after days of nothing but failures."
    )
    failing_since: str | None = Field(description="The first failure since the last success.")
    failures: int = Field(description="How many failures there were since then.")
    last_success_at: str | None
    last_failure_at: str | None
    old_secrets_end_at: list[str] = Field(description="Until when secrets from before a rotation sign, too.")


class WebhookWithSecret(WebhookAnswer):
    secret: str = Field(description="`whsec_…`, for the library that verifies. It is not shown again.")


class WebhookList(AnswerModel):
    data: list[WebhookAnswer]


class DeletedWebhook(AnswerModel):
    id: str
    deleted: Literal[True] = True


class DeliveriesQuery(QueryModel):
    limit: Annotated[int, Field(default=20, ge=1, le=100)]
    cursor: Annotated[
        str | None,
        Field(default=None, max_length=500, description="next_cursor of the page before."),
    ]


class DeliveryAttempt(AnswerModel):
    at: str
    status_code: int | None = Field(description="null where there was no answer.")
    duration_ms: int
    error: str | None
    answer: str = Field(description="The first bytes of the answer; what looks like a secret is left out.")


class DeliveryAnswer(AnswerModel):
    id: str = Field(description="The event's id: what every try sends as `webhook-id`.")
    type: str
    status: Status
    tries: int = Field(description="Since it was owed, or replayed.")
    created_at: str
    next_try_at: str | None
    attempts: list[DeliveryAttempt] = Field(description="The last tries, oldest first.")
    payload: str = Field(description="What is sent, as it is signed.")


class DeliveryList(AnswerModel):
    data: list[DeliveryAnswer]
    next_cursor: str | None
