"""What goes in and out over HTTP. The OpenAPI document is made from these models and nothing else."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    ValidationInfo,
    field_validator,
    model_validator,
)

from chalicelib.accounts.identity import DESKTOPS, USER_AGENT, proxy_url
from chalicelib.accounts.logins import StatusOfLogin
from chalicelib.clock import SHANGHAI, utc_now
from chalicelib.media import ACCEPTED
from chalicelib.publishing.schedule import parse_schedule_time
from chalicelib.publishing.states import Action, State, Status
from chalicelib.settings import settings
from chalicelib.uploads.desk import is_upload

# The limits of Douyin's own form (post page, captured 2026-09).
MAX_TITLE = 30
MAX_DESCRIPTION = 1000
MAX_TAGS = 5
# Country, province, city.
MAX_PLACE_LEVELS = 3
# The site's older declarations take no date of a shooting before this one.
EARLIEST_SHOOTING = date(2020, 1, 1)

_ACCOUNT_NAME = re.compile(r"[\w.-]{1,64}")
_CONTENT_TYPES = tuple(media_type for types in ACCEPTED.values() for media_type in types)
_TAG = re.compile(r"[^\s#@\x00-\x1f\x7f-\x9f]{1,30}")
_PLACE = re.compile(r"[^\s/]{1,30}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# What a client can check; the rest of it is looked up when the media are fetched.
_MEDIA_URL = (
    r"^(https?://([^\s\x00-\x1f\x7f/?#@:\[\]\\]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?#]\S*)?|upload://\S+)$"
)
_SCHEDULE_TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}"
    r"|[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2}))$"
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# With its area: the browser knows no others, and a machine's own files (localtime, posix/…) are none.
_AREA = re.compile(r"UTC|[A-Z][A-Za-z]+(/[A-Z][A-Za-z0-9_+-]*){1,2}")


TASK = "0d8f7c9e-6a43-4b0e-9c52-7c1f3f6a2b11"
LOGIN = "5f0c2a44-93b3-4f5f-8a52-2f6f4d9f0f4e"
UPLOAD = "b7a1c3d5-2f64-4e0a-8b1d-93c5e7f10a42"
WORK = "7412345678901234567"
ARTICLE = "7251993249718480001"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
# The smallest PNG there is, in place of a QR code.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP6DwABBQECz6AuzQAAAABJRU5ErkJggg=="

Timestamp = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-22T10:57:38.000Z"])
]


def whole(value: Any) -> Any:
    """JSON has one kind of number: 3.0 is as good an integer as 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain_text(value: str) -> str:
    """No control characters: no form takes them, and none is seen."""
    if _CONTROL.search(value):
        raise ValueError("must not hold control characters; remove them")
    return value


class RequestModel(BaseModel):
    """Strict: no coercion, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class AnswerModel(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


def checked_account_name(value: str) -> str:
    """The name. ValueError, in words that follow the field's name, where it cannot be one."""
    # "login" stands in the place of a name in /api/v1/accounts/login.
    if not _ACCOUNT_NAME.fullmatch(value) or value in {".", "..", "login"}:
        raise ValueError(
            "must be 1 to 64 letters (of any script), digits, '.', '_' or '-', and not the word 'login'"
        )
    return value


def _media_url(value: str) -> str:
    if is_upload(value):
        return value
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable or not re.fullmatch(_MEDIA_URL, value):
        raise ValueError("must be an absolute http(s) URL, or the media_url of an upload")
    return value


def _content_type(value: str) -> str:
    if value not in _CONTENT_TYPES:
        raise ValueError(f"must be one of {', '.join(_CONTENT_TYPES)}")
    return value


def _title(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    if "\n" in value or "\r" in value:
        raise ValueError("must be a single line")
    return _plain_text(value)


def _tag(value: str) -> str:
    if not _TAG.fullmatch(value.removeprefix("#")):
        raise ValueError("must be 1 to 30 characters without blanks, control characters, '#' or '@'")
    return value.removeprefix("#")


def _tags(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("must not repeat a tag")
    return values


def _schedule_time(value: str) -> str:
    try:
        known = re.fullmatch(_SCHEDULE_TIME, value) and parse_schedule_time(value)
    except ValueError:
        known = None
    if not known:
        raise ValueError("must be 'YYYY-MM-DD HH:mm', or RFC 3339 with an offset")
    return value


def _place(value: str) -> str:
    if not _PLACE.fullmatch(value):
        raise ValueError("must be 1 to 30 characters without blanks or '/'")
    return value


def _shooting_date(value: str) -> str:
    try:
        day = date.fromisoformat(value) if _DATE.fullmatch(value) else None
    except ValueError:
        day = None
    if day is None:
        raise ValueError("must be a date, 'YYYY-MM-DD'")
    if not EARLIEST_SHOOTING <= day <= utc_now().astimezone(SHANGHAI).date():
        raise ValueError(f"must be from {EARLIEST_SHOOTING} to today, in Asia/Shanghai")
    return value


def _proxy_url(value: str) -> str:
    return proxy_url(value, settings.proxy_allow_loopback)


def _time_zone(value: str) -> str:
    try:
        known = bool(_AREA.fullmatch(value) and ZoneInfo(value))
    except (KeyError, OSError):
        known = False
    if not known:
        raise ValueError("must be an IANA time zone such as Asia/Shanghai")
    return value


def _user_agent(value: str) -> str:
    if not USER_AGENT.fullmatch(value):
        raise ValueError(
            "must be a desktop Chrome's: Mozilla/5.0 (PLATFORM) AppleWebKit/537.36 (KHTML, like Gecko) "
            f"Chrome/N.0.0.0 Safari/537.36, with PLATFORM one of {', '.join(DESKTOPS)}"
        )
    return value


Locale = Literal["zh-CN", "zh-SG", "zh-HK", "zh-MO", "zh-TW"]

AccountName = Annotated[
    str,
    AfterValidator(checked_account_name),
    Field(
        description="Your own name for the account: 1 to 64 letters of any script, digits, '.', '_' or '-'.",
        examples=["default_user"],
        # The schema's alphabet cannot say "letters of any script": it leaves out what ASCII has beside them.
        json_schema_extra={
            "minLength": 1,
            "maxLength": 64,
            "pattern": r"^(?!(login|\.|\.\.)$)[^\s!-,/:-@\[-\^`{-\x7f]+$",
        },
    ),
]

Tag = Annotated[
    str,
    AfterValidator(_tag),
    Field(json_schema_extra={"pattern": r"^#?[^\s#@\x00-\x1f\x7f-\x9f]{1,30}$"}),
]

ClaimType = Literal[
    "内容由AI生成",
    "取材网络",
    "自行拍摄",
    "内容为个人观点或见解",
    "内容为转载信息",
    "内容含营销推广信息",
    "虚构演绎，仅供娱乐",
    "无需添加自主声明",
]
_OWN_FOOTAGE: ClaimType = "自行拍摄"


class PublishRequest(RequestModel):
    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"properties": {"claim_place": {"type": "null"}, "claim_date": {"type": "null"}}},
                {
                    "required": ["claim_type", "claim_place", "claim_date"],
                    "properties": {
                        "claim_type": {"const": "自行拍摄"},
                        "claim_place": {"type": "array"},
                        "claim_date": {"type": "string"},
                    },
                },
            ],
            "examples": [
                {
                    "video_url": "https://media.example.com/2026/city-walk.mp4",
                    "title": "周末城市漫步：从外滩走到苏州河",
                    "description": "沿着苏州河走了十公里，记录这座城市的秋天。",
                    "tags": ["城市漫步", "记录美好生活"],
                    "cover_path": "https://media.example.com/2026/city-walk.jpg",
                    "claim_type": "内容由AI生成",
                    "account_name": "default_user",
                    "manual_review": False,
                }
            ],
        }
    )

    video_url: Annotated[
        str,
        Field(
            max_length=4096,
            description="An https URL on a public address, or the media_url of an upload.",
            examples=["https://media.example.com/2026/city-walk.mp4"],
            json_schema_extra={"pattern": _MEDIA_URL},
        ),
        AfterValidator(_media_url),
    ]
    title: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_TITLE,
            description="One line; an emoji counts as one character.",
            json_schema_extra={"pattern": r"^[^\x00-\x08\n-\x1f\x7f-\x9f]*$"},
            examples=["周末城市漫步：从外滩走到苏州河"],
        ),
        AfterValidator(_title),
    ]
    description: Annotated[
        str,
        Field(
            default="",
            max_length=MAX_DESCRIPTION,
            description="What stands under the work. Topics are better given as tags.",
            examples=["沿着苏州河走了十公里，记录这座城市的秋天。"],
            json_schema_extra={"pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"},
        ),
        AfterValidator(_plain_text),
    ]
    tags: Annotated[
        list[Tag],
        Field(
            default_factory=list,
            max_length=MAX_TAGS,
            description="Topics, with or without the leading '#'.",
            examples=[["城市漫步", "记录美好生活"]],
        ),
        AfterValidator(_tags),
    ]
    cover_path: Annotated[
        Annotated[
            str,
            Field(max_length=4096, json_schema_extra={"pattern": _MEDIA_URL}),
            AfterValidator(_media_url),
        ]
        | None,
        Field(
            default=None,
            description="The same for a cover picture. Without it the first recommended frame is the cover.",
            examples=["https://media.example.com/2026/city-walk.jpg"],
        ),
    ]
    claim_type: Annotated[
        ClaimType | None,
        Field(
            default=None,
            description="The creator's declaration. 取材网络 and 自行拍摄 are mapped to today's dialog.",
            examples=["内容由AI生成"],
        ),
    ]
    claim_place: Annotated[
        Annotated[
            list[Annotated[str, AfterValidator(_place)]], Field(min_length=1, max_length=MAX_PLACE_LEVELS)
        ]
        | None,
        Field(
            default=None,
            description=(
                "With claim_type 自行拍摄 only: where the work was shot, one name a level, as Douyin's list "
                "shows them. Needed where the site still shows an account its older declarations."
            ),
            examples=[["中国大陆", "北京市", "朝阳区"]],
        ),
    ]
    claim_date: Annotated[
        Annotated[str, AfterValidator(_shooting_date), Field(json_schema_extra={"format": "date"})] | None,
        Field(
            default=None,
            validate_default=True,
            description=(
                f"With claim_place: the day of the shooting, YYYY-MM-DD, from {EARLIEST_SHOOTING} to today in "
                "Asia/Shanghai."
            ),
            examples=["2026-10-01"],
        ),
    ]
    schedule_time: Annotated[
        Annotated[
            str,
            AfterValidator(_schedule_time),
            Field(json_schema_extra={"pattern": _SCHEDULE_TIME}),
        ]
        | None,
        Field(
            default=None,
            description=(
                "'YYYY-MM-DD HH:mm' in Asia/Shanghai or the account's time_zone, or RFC 3339 with an offset. "
                "Between 2 hours and 14 days ahead Douyin keeps the time itself; nearer or farther, the task "
                "is held until then."
            ),
            examples=["2026-12-24 18:00"],
        ),
    ]
    account_name: AccountName
    manual_review: Annotated[
        bool,
        Field(
            default=False,
            description="Fill the form, then wait for POST /api/v1/tasks/{task_id}/approve or /reject.",
        ),
    ]
    allow_duplicate: Annotated[
        bool,
        Field(
            default=False,
            description="Take the work although the account was given the same video with the same title "
            "within 24 hours.",
            examples=[False],
        ),
    ]

    @field_validator("claim_place", "claim_date")
    @classmethod
    def _of_own_footage(cls, value: Any, info: ValidationInfo) -> Any:
        """Where a field before this one is wrong itself, that is said alone."""
        if value is not None and info.data.get("claim_type", _OWN_FOOTAGE) != _OWN_FOOTAGE:
            raise ValueError(f"goes with claim_type {_OWN_FOOTAGE} only; remove it, or give that claim_type")
        return value

    @field_validator("claim_date")
    @classmethod
    def _with_a_place(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "claim_place" in info.data and (value is None) is not (info.data["claim_place"] is None):
            raise ValueError("goes together with claim_place; give both, or neither")
        return value


class ErrorInfo(AnswerModel):
    code: str = Field(description="Stable; docs/errors has them all.", examples=["media.unreachable"])
    title: str = Field(
        description="The same for every failure of this code.", examples=["The media could not be fetched"]
    )
    detail: str = Field(
        description="What happened this time.", examples=["media.example.com did not answer within 10 s."]
    )
    next_step: str = Field(
        description="What you can do.",
        examples=["Check that the URL answers from the internet without a login, then submit again."],
    )
    retryable: bool = Field(description="Whether the same may succeed later.", examples=[True])
    step: str | None = Field(
        default=None, description="The step in which it happened.", examples=["fetch_video"]
    )


class TimelineEntry(AnswerModel):
    name: str = Field(description="The step.", examples=["fill"])
    started_at: Timestamp = Field(description="When it began.")
    duration_ms: int = Field(description="How long it took.", examples=[2940])
    outcome: Literal["ok", "failed"] = Field(description="How it ended.")
    notes: list[str] = Field(
        default=[], description="What is worth knowing of it.", examples=[["the title was read back as asked"]]
    )
    screenshot: str | None = Field(
        default=None,
        description="The name of the step's picture in GET /api/v1/tasks/{task_id}/evidence.",
        examples=["fill.jpg"],
    )
    request_id: str | None = Field(
        default=None, description="Of the request that did it, where one did.", examples=["req-7f3a"]
    )


class Progress(AnswerModel):
    step: str = Field(description="What is going on.", examples=["wait_uploaded"])
    percent: int | None = Field(default=None, description="Of the upload.", examples=[64])


class Held(AnswerModel):
    """Why a task does not run yet, and until when."""

    until: Timestamp = Field(description="When it is tried again.")
    why: str = Field(
        description="Which limit of the account holds it.",
        examples=["3 works appear on 2026-11-22 already; daily_cap is 3"],
    )


class Verification(AnswerModel):
    """The platform wants the code that it has sent by SMS to this phone."""

    phone: str | None = Field(
        description="Masked; null where the platform does not show it.", examples=["138****5678"]
    )
    asked_at: Timestamp = Field(description="When the platform asked.")
    expires_at: Timestamp = Field(description="Until when the code is waited for.")
    tries: int = Field(description="How many codes the platform has not taken.", examples=[0])


class PriceListAnswer(AnswerModel):
    architecture: str = Field(description="Of the function's processor.", examples=["x86_64"])
    usd_per_gb_second: float = Field(description="A gigabyte of memory for a second.", examples=[0.0000166667])
    usd_per_million_requests: float = Field(description="A million invocations.", examples=[0.2])
    region: str = Field(description="Where these prices hold.", examples=["us-east-1"])
    as_of: str = Field(description="The day they were read.", examples=["2026-10-01"])
    source: str = Field(
        description="Where they were read.", examples=["https://aws.amazon.com/lambda/pricing/"]
    )
    note: str = Field(
        description="What they leave out.",
        examples=["without requests to DynamoDB, SQS and S3, and without network traffic"],
    )


class CostAnswer(AnswerModel):
    gb_seconds: float = Field(
        description="Measured: the workers' time by their memory, over all attempts.", examples=[12.4]
    )
    usd: float = Field(
        description="An estimate from list prices; price_list says what it leaves out.", examples=[0.000207]
    )
    price_list: PriceListAnswer = Field(description="The prices of the estimate.")


class TaskAnswer(AnswerModel):
    """`id`, `status`, `result` and `error_msg` are the contract's; the rest tells more."""

    id: str = Field(description="The task.", examples=[TASK])
    status: Status = Field(description="The contract's word for state.", examples=["success"])
    result: dict[str, Any] | None = Field(
        description="The work, once it is published: item_id and url.",
        examples=[{"item_id": WORK, "url": f"https://www.douyin.com/video/{WORK}"}],
    )
    error_msg: str | None = Field(description="error.detail.", examples=[None])
    state: State = Field(description="Where the task stands (docs/task.md).", examples=["published"])
    account_name: str = Field(description="The account that publishes.", examples=["default_user"])
    title: str = Field(description="The work's title.", examples=["周末城市漫步：从外滩走到苏州河"])
    created_at: Timestamp = Field(description="When it was submitted.")
    updated_at: Timestamp = Field(description="When it last changed.")
    publish_at: Timestamp | None = Field(description="The instant that schedule_time means, in UTC.")
    applied: dict[str, Any] = Field(
        description="The fields that the account's preferences decided.", examples=[{"visibility": "public"}]
    )
    progress: Progress | None = Field(description="While a worker has it.", examples=[None])
    timeline: list[TimelineEntry] = Field(description="What was done, in order.")
    error: ErrorInfo | None = Field(description="Why it failed.", examples=[None])
    allowed: list[Action] = Field(
        description="What can be done to the task now: the last part of POST /api/v1/tasks/{task_id}/…",
        examples=[[]],
    )
    attempts: int = Field(description="How often a worker has taken the task up.", examples=[1])
    cost: CostAnswer | None = Field(description="null until a worker has ended its work on the task.")
    held: Held | None = Field(
        description="Where the task waits for its account's daily cap or spacing.", examples=[None]
    )
    verification: Verification | None = Field(
        description="Where the task is `needs_verification`.", examples=[None]
    )
    request_id: str | None = Field(
        description="Of the request that submitted the task or decided about it last; logs and events have it.",
        examples=["req-7f3a"],
    )


class VerificationRequest(RequestModel):
    code: Annotated[str, Field(pattern=r"^[0-9]{4,8}$", description="The code.", examples=["123456"])]


class ResolveRequest(RequestModel):
    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"properties": {"live": {"const": True}}}, {"properties": {"item_id": {"type": "null"}}}]
        }
    )

    live: Annotated[bool, Field(description="Whether the work is on the platform.", examples=[True])]
    item_id: Annotated[
        Annotated[str, Field(pattern=r"^[0-9]{1,32}$")] | None,
        Field(default=None, description="The work's id, where it is live.", examples=["7412345678901234567"]),
    ]

    @model_validator(mode="after")
    def _an_id_is_of_a_live_work(self) -> ResolveRequest:
        if self.item_id is not None and not self.live:
            raise ValueError("item_id goes with live: true only")
        return self


class PublishAnswer(AnswerModel):
    id: str = Field(description="The task to poll: GET /api/v1/tasks/{task_id}.", examples=[TASK])
    status: Status = Field(description="pending.", examples=["pending"])
    state: State = Field(description="Where the task stands (docs/task.md).", examples=["queued"])
    publish_at: Timestamp | None = Field(
        description="The instant that schedule_time means, in UTC.", examples=["2026-12-24T10:00:00.000Z"]
    )


class UploadRequest(RequestModel):
    file_name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=255,
            description="As you call the file.",
            examples=["city-walk.mp4"],
            json_schema_extra={"pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"},
        ),
        AfterValidator(_plain_text),
    ]
    content_type: Annotated[
        str,
        Field(
            description="Its media type.",
            examples=["video/mp4"],
            json_schema_extra={"enum": list(_CONTENT_TYPES)},
        ),
        AfterValidator(_content_type),
    ]
    size: Annotated[int, Field(ge=1, description="In bytes.", examples=[5242880]), BeforeValidator(whole)]
    sha256: Annotated[
        str,
        Field(
            pattern=r"^[0-9a-fA-F]{64}$",
            description="Of the whole file, hexadecimal.",
            examples=[SHA256],
        ),
    ]


class UploadAnswer(AnswerModel):
    upload_id: str = Field(description="The upload.", examples=[UPLOAD])
    url: str = Field(
        description="Where the file goes. It is a secret: whoever has it may upload.",
        examples=[f"https://bucket.s3.us-east-1.amazonaws.com/uploads/{UPLOAD}?X-Amz-Signature=…"],
    )
    method: Literal["PUT"] = Field(description="How the file is sent.")
    headers: dict[str, str] = Field(
        description="Send exactly these; they are signed.",
        examples=[{"Content-Type": "video/mp4", "Content-Length": "5242880", "If-None-Match": "*"}],
    )
    expires_at: Timestamp = Field(description="Until when the url takes a file.")
    media_url: str = Field(
        description="Stands as video_url or cover_path of one task.", examples=[f"upload://{UPLOAD}"]
    )


class EvidenceAnswer(AnswerModel):
    name: str = Field(
        description="The picture; a timeline's `screenshot` names it.", examples=["photograph_form.jpg"]
    )
    step: str = Field(description="The step that it shows.", examples=["photograph_form"])
    taken_at: Timestamp = Field(description="When it was taken.")
    url: str = Field(
        description="A JPEG; works for 5 minutes, for anybody who has it.",
        examples=["https://bucket.s3.us-east-1.amazonaws.com/evidence/photograph_form.jpg?X-Amz-Signature=…"],
    )


class EvidenceList(AnswerModel):
    data: list[EvidenceAnswer] = Field(description="The most useful first.")
    expires_at: Timestamp = Field(description="When the urls end.")


class ProxyPreference(RequestModel):
    """The way out of the account's browser; there is no other one then. The credentials are sealed at once and
    never shown; they stay until the url changes, or both are null.
    """

    url: Annotated[
        str,
        Field(
            max_length=300,
            description="http://host:port or socks5://host:port, on a public address, without credentials.",
            examples=["socks5://proxy.example.com:1080"],
        ),
        AfterValidator(_proxy_url),
    ]
    username: Annotated[str, Field(pattern=r"^[!-9;-~]{1,255}$")] | None = Field(
        default=None,
        description="1 to 255 printable ASCII characters without blanks and ':'.",
        examples=["proxy-user"],
        repr=False,
    )
    password: Annotated[str, Field(pattern=r"^[!-~]{1,255}$")] | None = Field(
        default=None,
        description="1 to 255 printable ASCII characters without blanks.",
        examples=["proxy-password"],
        repr=False,
    )

    @model_validator(mode="after")
    def _a_name_has_a_password(self) -> ProxyPreference:
        if len({"username", "password"} & self.model_fields_set) == 1 or (
            (self.username is None) is not (self.password is None)
        ):
            raise ValueError("username and password go together: give both, or neither")
        return self


class Preferences(RequestModel):
    """Stand in for what a task does not say. A member that is null is taken away; one that is absent stays."""

    default_tags: Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(_tags)] | None = Field(
        default=None, description="The tags of a task that has none.", examples=[["城市漫步"]]
    )
    default_claim_type: ClaimType | None = Field(
        default=None, description="The declaration of a task that has none.", examples=["内容由AI生成"]
    )
    manual_review: bool | None = Field(
        default=None, description="Whether a task waits for a review that does not say so.", examples=[False]
    )
    visibility: Literal["public", "friends", "private"] | None = Field(
        default=None, description="Who may see the works (谁可以看)."
    )
    allow_save: bool | None = Field(
        default=None, description="Whether others may save the video (保存权限).", examples=[True]
    )
    daily_cap: Annotated[int, Field(ge=1, le=1000), BeforeValidator(whole)] | None = Field(
        default=None,
        description="At most so many works appear on one day, in the account's time_zone.",
        examples=[3],
    )
    min_spacing_minutes: Annotated[int, Field(ge=1, le=10080), BeforeValidator(whole)] | None = Field(
        default=None,
        description="At least so long between two works that appear.",
        examples=[60],
    )
    time_zone: Annotated[str, AfterValidator(_time_zone)] | None = Field(
        default=None,
        description="An IANA name, Asia/Shanghai by default: of a schedule_time without an offset, of the days "
        "of daily_cap, and of the browser.",
        examples=["Asia/Shanghai"],
    )
    proxy: ProxyPreference | None = Field(
        default=None,
        description="The way out of the account's browser; there is no other one then.",
        examples=[{"url": "socks5://proxy.example.com:1080"}],
    )
    user_agent: Annotated[str, Field(max_length=512), AfterValidator(_user_agent)] | None = Field(
        default=None,
        description="Of a desktop Chrome on Windows, macOS or Linux, as Chrome itself writes it. Its version "
        "gives way to the browser's own.",
        examples=[
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
                "Chrome/140.0.0.0 Safari/537.36"
            )
        ],
    )
    locale: Locale | None = Field(
        default=None, description="zh-CN by default. The pages are read by their Chinese texts."
    )


class AccountPatch(RequestModel):
    preferences: Preferences = Field(
        description="What changes.",
        examples=[{"default_tags": ["城市漫步"], "daily_cap": 3, "visibility": "public"}],
    )


class Doubt(AnswerModel):
    """Looks since `checked_at` that could not tell whether the session is alive."""

    since: Timestamp = Field(description="The first of them.")
    at: Timestamp = Field(description="The last of them.")
    looks: int = Field(description="How many there were.", examples=[2])
    seen: str = Field(
        description="What the last of them saw.", examples=["The platform did not answer within 10 s."]
    )


class AccountAnswer(AnswerModel):
    id: str = Field(description="The account_name.", examples=["default_user"])
    name: str = Field(description="The nickname on the platform.", examples=["小满同学"])
    platform: Literal["douyin"] = Field(description="Where the account is.")
    preferences: dict[str, Any] = Field(
        description="As they were set; of a proxy's credentials only has_credentials, whether there are any.",
        examples=[{"default_tags": ["城市漫步"], "daily_cap": 3}],
    )
    state: Literal["logged_in", "expired", "unknown", "needs_verification"] = Field(
        description="What `evidence` proved at `checked_at`."
    )
    evidence: str = Field(
        description="What was seen that the state follows from.",
        examples=["The platform named the user of the session."],
    )
    checked_at: Timestamp = Field(description="When it was seen.")
    doubt: Doubt | None = Field(description="null where the last look could tell.", examples=[None])
    uid: str = Field(description="The platform's id of the account.", examples=["70010001"])
    avatar_url: str | None = Field(
        description="Its picture on the platform.", examples=["https://p3.douyinpic.com/avatar.jpeg"]
    )
    logged_in_at: Timestamp = Field(description="When it last logged in.")


class AccountList(AnswerModel):
    data: list[AccountAnswer] = Field(description="All of them.")


class DeletedAccount(AnswerModel):
    id: str = Field(description="The account_name.", examples=["default_user"])
    deleted: Literal[True] = Field(default=True, description="It is gone, with its sessions and evidence.")


class LoginRequest(RequestModel):
    account_name: AccountName
    preferences: Annotated[
        Preferences | None,
        Field(
            default=None,
            description="Changes to the account's preferences, such as a proxy. They hold from the login's own "
            "browser on, and are the account's once the login succeeds.",
            examples=[None],
        ),
    ]


class LoginAnswer(AnswerModel):
    login_id: str = Field(
        description="The login to poll: GET /api/v1/accounts/login/{login_id}.", examples=[LOGIN]
    )
    qr_code_base64: str | None = Field(
        description="The QR code: a PNG in base64. null only with status 202: it is not there yet.",
        examples=[PNG],
    )
    qr_expires_at: Timestamp | None = Field(description="When the platform takes the code no longer.")
    state: str = Field(description="Where the login stands.", examples=["qr_ready"])
    expires_at: Timestamp = Field(description="When the login ends by itself.")


class LoginVerification(AnswerModel):
    """The platform wants the code that it has sent by SMS to this phone."""

    phone: str | None = Field(
        description="Masked; null where the platform does not show it.", examples=["138****5678"]
    )
    asked_at: Timestamp = Field(description="When the platform asked.")
    expires_at: Timestamp = Field(description="Until when the code is waited for.")
    resend_at: Timestamp = Field(description="From when on another SMS can be sent.")
    tries: int = Field(description="How many codes the platform has not taken.", examples=[1])
    complaint: str | None = Field(
        description="What the platform said of the last one.", examples=["验证码错误，请重新输入"]
    )


class LoginVerificationRequest(RequestModel):
    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["code"], "properties": {"code": {"type": "string"}}},
                {"required": ["resend"], "properties": {"resend": {"const": True}}},
            ]
        }
    )

    code: Annotated[
        Annotated[str, Field(pattern=r"^[0-9]{4,8}$")] | None,
        Field(default=None, description="The code.", examples=["123456"]),
    ]
    resend: Annotated[
        Literal[True] | None,
        Field(default=None, description="Have the SMS sent again instead.", examples=[None]),
    ]

    @model_validator(mode="after")
    def _one_of_them(self) -> LoginVerificationRequest:
        if (self.code is None) is (self.resend is None):
            raise ValueError("give either code, or resend: true")
        return self


class LoginStatus(AnswerModel):
    """`status` and `msg` are the contract's; `qr_code_base64` is the current code, refreshed while you poll."""

    status: StatusOfLogin = Field(description="The contract's word for state.", examples=["pending"])
    msg: str = Field(
        description="What goes on, or why it failed, in a sentence.",
        examples=["Scan the QR code with the Douyin app"],
    )
    state: str = Field(description="Where the login stands.", examples=["qr_ready"])
    account_name: str = Field(description="The account that logs in.", examples=["default_user"])
    qr_code_base64: str | None = Field(
        description="The current QR code: a PNG in base64, while there is one to scan.", examples=[PNG]
    )
    qr_expires_at: Timestamp | None = Field(description="When the platform takes that code no longer.")
    expires_at: Timestamp = Field(description="When the login ends by itself.")
    verification: LoginVerification | None = Field(
        description="Where the login is `verification_required`, or `verifying` what was given.",
        examples=[None],
    )
    error: ErrorInfo | None = Field(description="Why it failed.", examples=[None])


class SessionAnswer(AnswerModel):
    login_id: str = Field(
        description="Poll GET /api/v1/accounts/login/{login_id} while it is pending.", examples=[LOGIN]
    )
    status: StatusOfLogin = Field(description="success: the session is in force.", examples=["success"])
    msg: str = Field(description="What goes on, in a sentence.", examples=["Login successful"])
    state: str = Field(description="Where the login stands.", examples=["success"])
    account: AccountAnswer | None = Field(description="null only with status 202: it is not accepted yet.")
    left_out: list[str] = Field(
        description="Hosts other than the platform's: their cookies were dropped.", examples=[["example.com"]]
    )
    expires_at: Timestamp = Field(description="When the login ends by itself.")


class QueryModel(BaseModel):
    """A query's parameters: texts, taken for what they say. No unknown ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


Channel = Annotated[
    str,
    Field(max_length=200, description="One of the channels (UtmSource).", examples=["local_default_content"]),
]
GroupId = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$", examples=[ARTICLE])]
# Far from the ends of what a clock can say: an offset must not lead beyond them.
Instant = Annotated[
    AwareDatetime, Field(ge=datetime(1970, 1, 2, tzinfo=UTC), lt=datetime(9999, 1, 1, tzinfo=UTC))
]


class WaitQuery(QueryModel):
    wait: Annotated[
        int,
        Field(
            default=0,
            ge=0,
            le=20,
            description="Seconds to wait for a change: against If-None-Match, or else against now.",
        ),
    ]


class TasksQuery(QueryModel):
    account_name: Annotated[str | None, Field(default=None, max_length=64, description="Of this account.")]
    status: Annotated[Status | None, Field(default=None, description="The contract's word.")]
    state: Annotated[State | None, Field(default=None, description="In this state (docs/task.md).")]
    created_from: Annotated[
        Instant | None, Field(default=None, description="RFC 3339, with an offset (`+` is `%2B` in a URL).")
    ]
    created_to: Annotated[Instant | None, Field(default=None, description="Not included.")]
    limit: Annotated[int, Field(default=50, ge=1, le=100, description="At most so many on a page.")]
    cursor: Annotated[
        str | None,
        Field(default=None, max_length=1000, description="next_cursor of the page before, same filters."),
    ]


class TaskSummary(AnswerModel):
    """What a list shows of a task; GET /api/v1/tasks/{task_id} has the rest."""

    id: str = Field(description="The task.", examples=[TASK])
    status: Status = Field(description="The contract's word for state.", examples=["success"])
    state: State = Field(description="Where the task stands (docs/task.md).", examples=["published"])
    account_name: str = Field(description="The account that publishes.", examples=["default_user"])
    title: str = Field(description="The work's title.", examples=["周末城市漫步：从外滩走到苏州河"])
    created_at: Timestamp = Field(description="When it was submitted.")
    publish_at: Timestamp | None = Field(description="The instant that schedule_time means, in UTC.")
    result: dict[str, Any] | None = Field(
        description="The work, once it is published: item_id and url.",
        examples=[{"item_id": WORK, "url": f"https://www.douyin.com/video/{WORK}"}],
    )
    error: ErrorInfo | None = Field(description="Why it failed.", examples=[None])


class TaskPage(AnswerModel):
    data: list[TaskSummary] = Field(description="The newest first.")
    next_cursor: str | None = Field(
        description="Where the next page starts; null at the end of the list.", examples=[None]
    )


class ArticlesQuery(QueryModel):
    channel: Annotated[
        Channel | None, Field(default=None, description="A channel; needed where there are several.")
    ]
    type: Annotated[
        str | None,
        Field(
            default=None,
            max_length=100,
            description="The service's ArticleType: article, feed_video, short_video, or what it may add.",
        ),
    ]
    category: Annotated[
        str | None, Field(default=None, max_length=500, description="A category of any level, by its name.")
    ]
    published_from: Annotated[
        Instant | None, Field(default=None, description="RFC 3339, with an offset (`+` is `%2B` in a URL).")
    ]
    published_to: Annotated[Instant | None, Field(default=None, description="Not included.")]
    limit: Annotated[int, Field(default=50, ge=1, le=100, description="At most so many on a page.")]
    cursor: Annotated[
        str | None,
        Field(default=None, max_length=1000, description="next_cursor of the page before, same filters."),
    ]


class ArticleQuery(QueryModel):
    channel: Annotated[
        Channel | None, Field(default=None, description="A channel; without it, the first one that has it.")
    ]
    versions: Annotated[
        bool, Field(default=False, description="With what was read of it before, from at most 5 objects.")
    ]


class ArticleSummary(AnswerModel):
    group_id: str = Field(description="The service's GroupId.", examples=[ARTICLE])
    channel: str = Field(
        description="The channel that it came by (UtmSource).", examples=["local_default_content"]
    )
    state: Literal["available", "unavailable"] = Field(description="Whether the service has it now.")
    type: str | None = Field(description="The service's ArticleType.", examples=["article"])
    title: str | None = Field(description="Its title.", examples=["苏州河十公里：一座城市的秋天"])
    category: str | None = Field(description="The first one.", examples=["旅游"])
    categories: list[str] = Field(description="Of every level.", examples=[["旅游", "国内游"]])
    published_at: Timestamp | None = Field(description="When its author published it.")
    first_seen_at: Timestamp | None = Field(description="When it was first read.")
    observed_at: Timestamp | None = Field(description="When what is shown was read.")
    content_sha256: str | None = Field(description="Changes only when the content does.", examples=[SHA256])
    next_check_at: Timestamp | None = Field(description="null where it is due at once.")
    refresh_requested_at: Timestamp | None = Field(
        description="null where nobody waits for a look at it.", examples=[None]
    )
    object: str = Field(
        description="The object of the change log that holds it.",
        examples=["s3://content/articles/utm_source=local_default_content/dt=2026-11-21/000000000001.jsonl.gz"],
    )
    seq: int = Field(description="The number of that object.", examples=[1])
    pos: int = Field(description="Its line in there, from 0.", examples=[17])


class ArticleList(AnswerModel):
    data: list[ArticleSummary] = Field(description="The newest published first.")
    next_cursor: str | None = Field(
        description="Where the next page starts; null at the end of the list.", examples=[None]
    )


class ArticleVersion(AnswerModel):
    observed_at: Timestamp = Field(description="When it was read.")
    seq: int = Field(description="The object of the change log that holds it.", examples=[1])
    pos: int = Field(description="Its line in there, from 0.", examples=[17])
    content_sha256: str = Field(description="Of the content as it was.", examples=[SHA256])
    article: dict[str, Any] = Field(
        description="The service's JSON as it was.",
        examples=[{"GroupId": ARTICLE, "Title": "苏州河十公里：一座城市的秋天"}],
    )


class ArticleMedium(AnswerModel):
    kind: Literal["image", "video"] = Field(description="What it is.")
    status: Literal["copied", "failed"] = Field(description="Whether there is a copy.")
    object: str | None = Field(
        description="Where the copy lies.", examples=["s3://content/media/7251993249718480001/cover.jpg"]
    )
    media_type: str | None = Field(description="What the file is.", examples=["image/jpeg"])
    size: int | None = Field(description="In bytes.", examples=[48213])
    sha256: str | None = Field(description="Of the file.", examples=[SHA256])
    width: int | None = Field(description="In pixels.", examples=[1080])
    height: int | None = Field(description="In pixels.", examples=[1440])
    definition: str | None = Field(description="The service's word for a video's quality.", examples=[None])
    source: str = Field(
        description="The service's URL, without its signature.",
        examples=["https://p3.example-cdn.com/cover.jpg"],
    )
    copied_at: Timestamp | None = Field(description="When it was copied.")
    error_code: str | None = Field(description="Why there is no copy.", examples=[None])
    error: str | None = Field(description="The same in words.", examples=[None])


class ArticleAnswer(ArticleSummary):
    article: dict[str, Any] | None = Field(
        description="The service's JSON, untouched. null while unavailable.",
        examples=[{"GroupId": ARTICLE, "Title": "苏州河十公里：一座城市的秋天"}],
    )
    media: list[ArticleMedium] = Field(description="Copies in the bucket, where the channel has them made.")
    versions: list[ArticleVersion] | None = Field(
        description="Newest first; null unless asked for.", examples=[None]
    )


class RefreshRequest(RequestModel):
    group_ids: Annotated[
        list[GroupId],
        Field(min_length=1, max_length=100, description="The articles to look at.", examples=[[ARTICLE]]),
    ]
    channel: Annotated[Channel | None, Field(default=None, description="This channel alone.", examples=[None])]


class RefreshStarted(AnswerModel):
    run_id: str | None = Field(
        description="The run that looks, which requests of the same moment share. null where it could not be "
        "started: the next tick looks.",
        examples=[TASK],
    )
    group_ids: list[str] = Field(description="What is looked at.", examples=[[ARTICLE]])
    unknown: list[str] = Field(description="Those never synced so far.", examples=[[]])


class SyncRunRequest(RequestModel):
    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"properties": {"backfill": {"type": "null"}}},
                {"properties": {"group_ids": {"type": "null"}}},
            ]
        }
    )

    channel: Annotated[Channel | None, Field(default=None, description="This channel alone.", examples=[None])]
    backfill: Annotated[
        Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")] | None,
        Field(
            default=None,
            description="The name of a second scan of the last 14 days; the same name goes on.",
            examples=["november"],
            json_schema_extra={"not": {"const": "live"}},
        ),
    ]
    group_ids: Annotated[
        Annotated[list[GroupId], Field(min_length=1, max_length=1000)] | None,
        Field(default=None, description="Ask for these articles, however old.", examples=[None]),
    ]

    @model_validator(mode="after")
    def _one_of_them(self) -> SyncRunRequest:
        if self.backfill == "live":
            raise ValueError("backfill: live is the name of the scan that the schedule runs; take another")
        if self.backfill is not None and self.group_ids is not None:
            raise ValueError("give either backfill or group_ids")
        return self


class SyncRunStarted(AnswerModel):
    run_id: str | None = Field(
        description="null where the run could not be started: the next tick takes up what was ordered.",
        examples=[TASK],
    )


class Notification(RootModel[Any]):
    """Any JSON that names articles by their GroupId."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"GroupIds": [ARTICLE]}]})


class NotificationTaken(AnswerModel):
    group_ids: list[str] = Field(description="The articles that will be looked at.", examples=[[ARTICLE]])


class SyncCounts(AnswerModel):
    objects: int = Field(description="Committed to the live log so far.", examples=[12])
    rows: int = Field(description="In them: every observation of an article.", examples=[3480])
    waiting: int = Field(
        description="Articles that are looked at next, as asked for; 100 may be more.", examples=[0]
    )


class SyncBackfill(AnswerModel):
    name: str = Field(description="As it was asked for.", examples=["november"])
    pending: bool = Field(description="It was ordered, and no run has begun with it.", examples=[False])
    caught_up: bool = Field(description="It has read the window to its end.", examples=[True])
    state: dict[str, Any] = Field(description="As it is stored.", examples=[{"objects": 3, "rows": 812}])


class SyncMirror(AnswerModel):
    """Copies of the articles' media."""

    copied: int = Field(description="Files so far.", examples=[190])
    failed: int = Field(description="Attempts that failed so far.", examples=[2])
    bytes: int = Field(description="In those files.", examples=[81264512])
    waiting: int = Field(description="Articles with media that are tried again.", examples=[1])
    caught_up: bool = Field(description="It has looked at every article.", examples=[True])
    last_run_at: Timestamp | None = Field(description="When it last ran.")


class SyncChannel(AnswerModel):
    channel: str = Field(description="The channel (UtmSource).", examples=["local_default_content"])
    state: dict[str, Any] = Field(
        description="Of the live scan, as it is stored.", examples=[{"objects": 12, "rows": 3480}]
    )
    lag_seconds: float | None = Field(
        description="How far the channel is behind: since its scan last reached its end. The same as the "
        "metric SyncLagSeconds; the alarms go by it. The service keeps 14 days.",
        examples=[42.5],
    )
    cursor_age_seconds: float | None = Field(
        description="Since the cursor was last moved or confirmed: by the last run without an error.",
        examples=[42.5],
    )
    counts: SyncCounts = Field(description="How much there is.")
    alarms: list[Literal["cursor_ageing", "cursor_expired"]] = Field(
        description="`cursor_ageing` from 3 days of lag, `cursor_expired` from 13: articles are about to be "
        "lost. What was lost is in `state` as `gap_from` and `gap_to`.",
        examples=[[]],
    )
    backfills: list[SyncBackfill] = Field(description="Second scans of the window, by name.")
    mirror: SyncMirror | None = Field(description="null where no media were ever copied.")
    runs: list[dict[str, Any]] = Field(
        description="The last ten of the past seven days, newest first.",
        examples=[[{"run_id": TASK, "articles": 95, "pages": 5}]],
    )


class SyncAnswer(AnswerModel):
    data: list[SyncChannel] = Field(description="One entry a channel.")


class Health(AnswerModel):
    status: Literal["ok"] = Field(description="The process answers.")


class FieldError(AnswerModel):
    pointer: str = Field(
        description="A JSON pointer (RFC 6901) into the request body, or into the query as one object.",
        examples=["/title"],
    )
    detail: str = Field(
        description="What is wrong with it: the limit, and what to do.",
        examples=["must have at most 30 characters; shorten it"],
    )


class Problem(AnswerModel):
    """RFC 9457. Every error of the API, whatever its status, has this shape."""

    type: str = Field(
        description="Where this kind of failure is explained; relative to the API's host.",
        examples=["/docs/errors#request.invalid"],
    )
    title: str = Field(
        description="The same for every failure of this code; in Chinese where Accept-Language prefers it.",
        examples=["The request has invalid fields"],
    )
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(
        description="What happened this time.", examples=["/title: must have at most 30 characters; shorten it"]
    )
    instance: str | None = Field(description="The path that was asked for.", examples=["/api/v1/publish"])
    code: str = Field(description="Stable; what a program should look at.", examples=["request.invalid"])
    retryable: bool = Field(description="Whether the same request may succeed later.", examples=[False])
    next_step: str = Field(
        description="What you can do.",
        examples=["Correct the fields listed in errors and send the request again."],
    )
    request_id: str = Field(description="Also in X-Request-Id, and in our logs.", examples=["req-7f3a"])
    errors: list[FieldError] = Field(description="The fields that are wrong, where it is about fields.")
    existing_task_id: str | None = Field(
        default=None,
        description="Only with `publish.duplicate_content`: the task that the work has.",
        examples=[None],
    )
