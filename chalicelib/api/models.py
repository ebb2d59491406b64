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
_TAG = re.compile(r"[^\s#@]{1,30}")
_PLACE = re.compile(r"[^\s/]{1,30}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# With its area: the browser knows no others, and a machine's own files (localtime, posix/…) are none.
_AREA = re.compile(r"UTC|[A-Z][A-Za-z]+(/[A-Z][A-Za-z0-9_+-]*){1,2}")


class RequestModel(BaseModel):
    """Strict: no coercion, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AnswerModel(BaseModel):
    model_config = ConfigDict(frozen=True)


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
    if not usable or any(character.isspace() for character in value):
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
    return value


def _tag(value: str) -> str:
    if not _TAG.fullmatch(value.removeprefix("#")):
        raise ValueError("must be 1 to 30 characters without blanks, '#' or '@'")
    return value.removeprefix("#")


def _tags(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("must not repeat a tag")
    return values


def _schedule_time(value: str) -> str:
    try:
        parse_schedule_time(value)
    except ValueError:
        raise ValueError("must be 'YYYY-MM-DD HH:mm', or RFC 3339 with an offset") from None
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
        json_schema_extra={"minLength": 1, "maxLength": 64},
    ),
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
    video_url: Annotated[
        str,
        Field(
            max_length=4096,
            description="An https URL on a public address, or the media_url of an upload.",
            examples=["https://example.com/video.mp4"],
        ),
        AfterValidator(_media_url),
    ]
    title: Annotated[
        str,
        Field(min_length=1, max_length=MAX_TITLE, examples=["Video Title"]),
        AfterValidator(_title),
    ]
    description: Annotated[
        str, Field(default="", max_length=MAX_DESCRIPTION, examples=["Video Description #tag"])
    ]
    tags: Annotated[
        list[Annotated[str, AfterValidator(_tag)]],
        Field(
            default_factory=list,
            max_length=MAX_TAGS,
            description="Topics, with or without the leading '#'.",
            examples=[["tag1", "tag2"]],
        ),
        AfterValidator(_tags),
    ]
    cover_path: Annotated[
        Annotated[str, Field(max_length=4096), AfterValidator(_media_url)] | None,
        Field(
            default=None,
            description="The same for a cover picture. Without it the first recommended frame is the cover.",
            examples=["https://example.com/cover.png"],
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
        Annotated[str, AfterValidator(_shooting_date)] | None,
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
        Annotated[str, AfterValidator(_schedule_time)] | None,
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
    code: str
    title: str
    detail: str
    next_step: str
    retryable: bool
    step: str | None = None


class TimelineEntry(AnswerModel):
    name: str
    started_at: str
    duration_ms: int
    outcome: Literal["ok", "failed"]
    notes: list[str] = []
    screenshot: str | None = Field(
        default=None, description="The name of the step's picture in GET /api/v1/tasks/{task_id}/evidence."
    )
    request_id: str | None = Field(default=None, description="Of the request that did it, where one did.")


class Progress(AnswerModel):
    step: str
    percent: int | None = None


class Held(AnswerModel):
    """Why a task does not run yet, and until when."""

    until: str
    why: str


class Verification(AnswerModel):
    """The platform wants the code that it has sent by SMS to this phone."""

    phone: str | None = Field(description="Masked; null where the platform does not show it.")
    asked_at: str
    expires_at: str
    tries: int = Field(description="How many codes the platform has not taken.")


class PriceListAnswer(AnswerModel):
    architecture: str
    usd_per_gb_second: float
    usd_per_million_requests: float
    region: str
    as_of: str
    source: str
    note: str


class CostAnswer(AnswerModel):
    gb_seconds: float = Field(description="Measured: the workers' time by their memory, over all attempts.")
    usd: float = Field(description="An estimate from list prices; price_list says what it leaves out.")
    price_list: PriceListAnswer


class TaskAnswer(AnswerModel):
    """`id`, `status`, `result` and `error_msg` are the contract's; the rest tells more."""

    id: str
    status: Status
    result: dict[str, Any] | None
    error_msg: str | None
    state: State
    account_name: str
    title: str
    created_at: str
    updated_at: str
    publish_at: str | None = Field(description="The instant that schedule_time means, in UTC.")
    applied: dict[str, Any] = Field(description="The fields that the account's preferences decided.")
    progress: Progress | None
    timeline: list[TimelineEntry]
    error: ErrorInfo | None
    allowed: list[Action] = Field(
        description="What can be done to the task now: the last part of POST /api/v1/tasks/{task_id}/…"
    )
    attempts: int = Field(description="How often a worker has taken the task up.")
    cost: CostAnswer | None = Field(description="null until a worker has ended its work on the task.")
    held: Held | None = Field(description="Where the task waits for its account's daily cap or spacing.")
    verification: Verification | None = Field(description="Where the task is `needs_verification`.")
    request_id: str | None = Field(
        description="Of the request that submitted the task or decided about it last; logs and events have it."
    )


class VerificationRequest(RequestModel):
    code: Annotated[str, Field(pattern=r"^[0-9]{4,8}$", description="The code.", examples=["123456"])]


class ResolveRequest(RequestModel):
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
    id: str
    status: Status
    state: State
    publish_at: str | None


class UploadRequest(RequestModel):
    file_name: Annotated[str, Field(min_length=1, max_length=255, examples=["video.mp4"])]
    content_type: Annotated[
        str,
        Field(examples=["video/mp4"], json_schema_extra={"enum": list(_CONTENT_TYPES)}),
        AfterValidator(_content_type),
    ]
    size: Annotated[int, Field(ge=1, description="In bytes.", examples=[5242880])]
    sha256: Annotated[
        str,
        Field(
            pattern=r"^[0-9a-fA-F]{64}$",
            description="Of the whole file, hexadecimal.",
            examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
        ),
    ]


class UploadAnswer(AnswerModel):
    upload_id: str
    url: str = Field(description="Where the file goes. It is a secret: whoever has it may upload.")
    method: Literal["PUT"]
    headers: dict[str, str] = Field(description="Send exactly these; they are signed.")
    expires_at: str
    media_url: str = Field(description="Stands as video_url or cover_path of one task.")


class EvidenceAnswer(AnswerModel):
    name: str
    step: str
    taken_at: str
    url: str = Field(description="A JPEG; works for 5 minutes, for anybody who has it.")


class EvidenceList(AnswerModel):
    data: list[EvidenceAnswer]
    expires_at: str = Field(description="When the urls end.")


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
        default=None, description="1 to 255 printable ASCII characters without blanks and ':'.", repr=False
    )
    password: Annotated[str, Field(pattern=r"^[!-~]{1,255}$")] | None = Field(
        default=None, description="1 to 255 printable ASCII characters without blanks.", repr=False
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

    default_tags: (
        Annotated[list[Annotated[str, AfterValidator(_tag)]], Field(max_length=MAX_TAGS), AfterValidator(_tags)]
        | None
    ) = None
    default_claim_type: ClaimType | None = None
    manual_review: bool | None = None
    visibility: Literal["public", "friends", "private"] | None = None
    allow_save: bool | None = Field(default=None, description="Whether others may save the video (保存权限).")
    daily_cap: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="At most so many works appear on one day, in the account's time_zone.",
    )
    min_spacing_minutes: int | None = Field(
        default=None, ge=1, le=10080, description="At least so long between two works that appear."
    )
    time_zone: Annotated[str, AfterValidator(_time_zone)] | None = Field(
        default=None,
        description="An IANA name, Asia/Shanghai by default: of a schedule_time without an offset, of the days "
        "of daily_cap, and of the browser.",
        examples=["Asia/Shanghai"],
    )
    proxy: ProxyPreference | None = None
    user_agent: Annotated[str, Field(max_length=512), AfterValidator(_user_agent)] | None = Field(
        default=None,
        description="Of a desktop Chrome on Windows, macOS or Linux, as Chrome itself writes it. Its version "
        "gives way to the browser's own.",
    )
    locale: Locale | None = Field(
        default=None, description="zh-CN by default. The pages are read by their Chinese texts."
    )


class AccountPatch(RequestModel):
    preferences: Preferences


class Doubt(AnswerModel):
    """Looks since `checked_at` that could not tell whether the session is alive."""

    since: str
    at: str = Field(description="The last of them.")
    looks: int
    seen: str = Field(description="What the last of them saw.")


class AccountAnswer(AnswerModel):
    id: str = Field(description="The account_name.")
    name: str = Field(description="The nickname on the platform.")
    platform: Literal["douyin"]
    preferences: dict[str, Any] = Field(
        description="As they were set; of a proxy's credentials only has_credentials, whether there are any."
    )
    state: Literal["logged_in", "expired", "unknown", "needs_verification"]
    evidence: str = Field(description="What was seen that the state follows from.")
    checked_at: str = Field(description="When it was seen.")
    doubt: Doubt | None = Field(description="null where the last look could tell.")
    uid: str
    avatar_url: str | None
    logged_in_at: str


class AccountList(AnswerModel):
    data: list[AccountAnswer]


class DeletedAccount(AnswerModel):
    id: str
    deleted: Literal[True] = True


class LoginRequest(RequestModel):
    account_name: AccountName
    preferences: Annotated[
        Preferences | None,
        Field(
            default=None,
            description="Changes to the account's preferences, such as a proxy. They hold from the login's own "
            "browser on, and are the account's once the login succeeds.",
        ),
    ]


class LoginAnswer(AnswerModel):
    login_id: str
    qr_code_base64: str | None = Field(
        description="The QR code: a PNG in base64. null only with status 202: it is not there yet."
    )
    qr_expires_at: str | None
    state: str
    expires_at: str


class LoginVerification(AnswerModel):
    """The platform wants the code that it has sent by SMS to this phone."""

    phone: str | None = Field(description="Masked; null where the platform does not show it.")
    asked_at: str
    expires_at: str
    resend_at: str = Field(description="From when on another SMS can be sent.")
    tries: int = Field(description="How many codes the platform has not taken.")
    complaint: str | None = Field(description="What the platform said of the last one.")


class LoginVerificationRequest(RequestModel):
    code: Annotated[
        Annotated[str, Field(pattern=r"^[0-9]{4,8}$")] | None,
        Field(default=None, description="The code.", examples=["123456"]),
    ]
    resend: Annotated[Literal[True] | None, Field(default=None, description="Have the SMS sent again instead.")]

    @model_validator(mode="after")
    def _one_of_them(self) -> LoginVerificationRequest:
        if (self.code is None) is (self.resend is None):
            raise ValueError("give either code, or resend: true")
        return self


class LoginStatus(AnswerModel):
    """`status` and `msg` are the contract's; `qr_code_base64` is the current code, refreshed while you poll."""

    status: StatusOfLogin
    msg: str
    state: str
    account_name: str
    qr_code_base64: str | None
    qr_expires_at: str | None
    expires_at: str
    verification: LoginVerification | None = Field(
        description="Where the login is `verification_required`, or `verifying` what was given."
    )
    error: ErrorInfo | None


class SessionAnswer(AnswerModel):
    login_id: str = Field(description="Poll GET /api/v1/accounts/login/{login_id} while it is pending.")
    status: StatusOfLogin
    msg: str
    state: str
    account: AccountAnswer | None = Field(description="null only with status 202: it is not accepted yet.")
    left_out: list[str] = Field(description="Hosts other than the platform's: their cookies were dropped.")
    expires_at: str


class QueryModel(BaseModel):
    """A query's parameters: texts, taken for what they say. No unknown ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Channel = Annotated[str, Field(max_length=200, description="One of the channels (UtmSource).")]
GroupId = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
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
    account_name: Annotated[str | None, Field(default=None, max_length=64)]
    status: Annotated[Status | None, Field(default=None, description="The contract's word.")]
    state: Annotated[State | None, Field(default=None)]
    created_from: Annotated[
        Instant | None, Field(default=None, description="RFC 3339, with an offset (`+` is `%2B` in a URL).")
    ]
    created_to: Annotated[Instant | None, Field(default=None, description="Not included.")]
    limit: Annotated[int, Field(default=50, ge=1, le=100)]
    cursor: Annotated[
        str | None,
        Field(default=None, max_length=1000, description="next_cursor of the page before, same filters."),
    ]


class TaskSummary(AnswerModel):
    """What a list shows of a task; GET /api/v1/tasks/{task_id} has the rest."""

    id: str
    status: Status
    state: State
    account_name: str
    title: str
    created_at: str
    publish_at: str | None
    result: dict[str, Any] | None
    error: ErrorInfo | None


class TaskPage(AnswerModel):
    data: list[TaskSummary]
    next_cursor: str | None


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
    limit: Annotated[int, Field(default=50, ge=1, le=100)]
    cursor: Annotated[
        str | None,
        Field(default=None, max_length=1000, description="next_cursor of the page before, same filters."),
    ]


class ArticleQuery(QueryModel):
    channel: Annotated[Channel | None, Field(default=None)]
    versions: Annotated[
        bool, Field(default=False, description="With what was read of it before, from at most 5 objects.")
    ]


class ArticleSummary(AnswerModel):
    group_id: str
    channel: str
    state: Literal["available", "unavailable"]
    type: str | None = Field(description="The service's ArticleType.")
    title: str | None
    category: str | None = Field(description="The first one.")
    categories: list[str] = Field(description="Of every level.")
    published_at: str | None
    first_seen_at: str | None
    observed_at: str | None = Field(description="When what is shown was read.")
    content_sha256: str | None = Field(description="Changes only when the content does.")
    next_check_at: str | None = Field(description="null where it is due at once.")
    refresh_requested_at: str | None = Field(description="null where nobody waits for a look at it.")
    object: str = Field(description="The object of the change log that holds it.")
    seq: int
    pos: int


class ArticleList(AnswerModel):
    data: list[ArticleSummary]
    next_cursor: str | None


class ArticleVersion(AnswerModel):
    observed_at: str
    seq: int
    pos: int
    content_sha256: str
    article: dict[str, Any]


class ArticleMedium(AnswerModel):
    kind: Literal["image", "video"]
    status: Literal["copied", "failed"]
    object: str | None = Field(description="Where the copy lies.")
    media_type: str | None
    size: int | None = Field(description="In bytes.")
    sha256: str | None
    width: int | None
    height: int | None
    definition: str | None
    source: str = Field(description="The service's URL, without its signature.")
    copied_at: str | None
    error_code: str | None
    error: str | None


class ArticleAnswer(ArticleSummary):
    article: dict[str, Any] | None = Field(description="The service's JSON, untouched. null while unavailable.")
    media: list[ArticleMedium] = Field(description="Copies in the bucket, where the channel has them made.")
    versions: list[ArticleVersion] | None = Field(description="Newest first; null unless asked for.")


class RefreshRequest(RequestModel):
    group_ids: Annotated[list[GroupId], Field(min_length=1, max_length=100, examples=[["7251993249718480001"]])]
    channel: Annotated[Channel | None, Field(default=None)]


class RefreshStarted(AnswerModel):
    run_id: str | None = Field(
        description="The run that looks, which requests of the same moment share. null where it could not be "
        "started: the next tick looks."
    )
    group_ids: list[str]
    unknown: list[str] = Field(description="Those never synced so far.")


class SyncRunRequest(RequestModel):
    channel: Annotated[Channel | None, Field(default=None, description="This channel alone.")]
    backfill: Annotated[
        Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")] | None,
        Field(
            default=None, description="The name of a second scan of the last 14 days; the same name goes on."
        ),
    ]
    group_ids: Annotated[
        Annotated[list[GroupId], Field(min_length=1, max_length=1000)] | None,
        Field(default=None, description="Ask for these articles, however old."),
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
        description="null where the run could not be started: the next tick takes up what was ordered."
    )


class Notification(RootModel[Any]):
    """Any JSON that names articles by their GroupId."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"GroupIds": ["7251993249718480001"]}]})


class NotificationTaken(AnswerModel):
    group_ids: list[str] = Field(description="The articles that will be looked at.")


class SyncCounts(AnswerModel):
    objects: int = Field(description="Committed to the live log so far.")
    rows: int = Field(description="In them: every observation of an article.")
    waiting: int = Field(description="Articles that are looked at next, as asked for; 100 may be more.")


class SyncBackfill(AnswerModel):
    name: str
    pending: bool = Field(description="It was ordered, and no run has begun with it.")
    caught_up: bool = Field(description="It has read the window to its end.")
    state: dict[str, Any]


class SyncMirror(AnswerModel):
    """Copies of the articles' media."""

    copied: int
    failed: int = Field(description="Attempts that failed so far.")
    bytes: int
    waiting: int = Field(description="Articles with media that are tried again.")
    caught_up: bool
    last_run_at: str | None


class SyncChannel(AnswerModel):
    channel: str
    state: dict[str, Any] = Field(description="Of the live scan, as it is stored.")
    lag_seconds: float | None = Field(
        description="How far the channel is behind: since its scan last reached its end. The same as the "
        "metric SyncLagSeconds; the alarms go by it. The service keeps 14 days."
    )
    cursor_age_seconds: float | None = Field(
        description="Since the cursor was last moved or confirmed: by the last run without an error."
    )
    counts: SyncCounts
    alarms: list[Literal["cursor_ageing", "cursor_expired"]] = Field(
        description="`cursor_ageing` from 3 days of lag, `cursor_expired` from 13: articles are about to be "
        "lost. What was lost is in `state` as `gap_from` and `gap_to`."
    )
    backfills: list[SyncBackfill]
    mirror: SyncMirror | None = Field(description="null where no media were ever copied.")
    runs: list[dict[str, Any]] = Field(description="The last ten of the past seven days, newest first.")


class SyncAnswer(AnswerModel):
    data: list[SyncChannel]


class Health(AnswerModel):
    status: Literal["ok"]


class FieldError(AnswerModel):
    pointer: str = Field(
        description="A JSON pointer (RFC 6901) into the request body, or into the query as one object."
    )
    detail: str


class Problem(AnswerModel):
    """RFC 9457. Every error of the API, whatever its status, has this shape."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None
    code: str
    retryable: bool
    next_step: str
    request_id: str
    errors: list[FieldError]
    existing_task_id: str | None = Field(
        default=None, description="Only with `publish.duplicate_content`: the task that the work has."
    )
