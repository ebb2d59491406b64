"""Every failure of the system, as one tree. It knows no framework: the HTTP edge turns a class into a
problem document (RFC 9457), the worker turns it into the end of a task.

    PublisherError
    ├── RequestError                    request.refused          400
    │   ├── ValidationFailed            request.invalid          422
    │   ├── MalformedRequest            request.malformed        400
    │   ├── Unauthorized                auth.required            401
    │   │   └── KeyInvalid              auth.key_invalid         401
    │   ├── NotificationRefused         sync.notification_refused 401
    │   ├── Forbidden                   auth.forbidden           403
    │   │   └── ScopeMissing            auth.scope_missing       403
    │   ├── RouteNotFound               request.route_not_found  404
    │   ├── MethodNotAllowed            request.method_not_allowed 405
    │   ├── PayloadTooLarge             request.too_large        413
    │   ├── UriTooLong                  request.uri_too_long     414
    │   ├── UnsupportedMediaType        request.unsupported_media_type 415
    │   ├── TooManyRequests             request.rate_limited     429
    │   ├── IdempotencyKeyInvalid       idempotency.key_invalid  400
    │   ├── IdempotencyKeyReused        idempotency.key_reused   422
    │   └── AnswerShownOnce             idempotency.shown_once   409
    ├── NotFound                        *.not_found              404
    │   ├── TaskNotFound · AccountNotFound · LoginNotFound · ChannelNotFound · KeyNotFound
    │   ├── ArticleNotFound · NotificationsOff
    │   ├── WebhookNotFound · DeliveryNotFound (webhook.*)
    │   └── ArticleWithdrawn            article.withdrawn        410
    ├── StateConflict                   task.state_conflict      409
    │   ├── LoginRequired               account.login_required   409
    │   ├── LoginConflict               login.state_conflict     409
    │   ├── WebhookDisabled             webhook.disabled         409
    │   ├── TooManyWebhooks             webhook.too_many         409
    │   ├── RequestInProgress (retryable) idempotency.in_progress 409
    │   ├── KeyConflict                 key.state_conflict       409
    │   └── Fenced                      task.fenced              409   another worker owns the task now
    ├── MediaError                      media.*                  422
    │   ├── MediaUnreachable (retryable)
    │   │   └── MediaNotServed
    │   ├── MediaForbidden · MediaTooLarge · MediaTypeRejected
    │   ├── MediaDamaged · MediaTooLong · MediaDimensions · MediaChanged
    │   └── UploadMissing · UploadUsed · UploadExpires
    ├── AccountError                    account.*                409
    │   ├── SessionExpired · SessionUnreadable · SealBroken · LoginSuperseded · LoginCanceled
    │   ├── SessionRefused · SessionUnusable (session.*, 422) · SessionOfAnother (session.*)
    │   ├── LoginExpired                login.expired
    │   │   └── LoginAbandoned          login.abandoned
    │   ├── ProxyUnreachable (retryable) · ProxyRefused · ProxyForbidden
    │   └── VerificationRequired
    │       └── VerificationTimeout
    ├── PlatformError                   platform.*               502
    │   ├── PlatformRejected · PlatformBusy (retryable) · PlatformUnreachable (retryable)
    │   ├── PageChanged · PageTimeout (retryable) · LoginRefused · CaptchaRequired · FormMismatch
    ├── PublishError                    publish.*                500
    │   ├── OutcomeUnknown · NotPublished · NoTimeLeft (retryable) · GaveUp · DeadLetter
    │   ├── ScheduleTooNear (retryable)
    │   ├── ReviewRejected · Canceled
    │   └── DuplicateContent            publish.duplicate_content 409
    ├── SyncError                       sync.*                   502
    │   ├── UpstreamError
    │   │   ├── UpstreamThrottled (retryable) · UpstreamUnavailable (retryable)
    │   │   └── UpstreamDenied · UpstreamMalformed
    │   └── CursorConflict (retryable) · ScanStuck
    └── InternalError                   internal.error           500
        ├── BrowserFailed (retryable)   internal.browser         500
        ├── CloudFailed (retryable)     internal.cloud           500
        ├── Unavailable (retryable)     internal.unavailable     503
        ├── LoginNotStarted (retryable) login.dead_letter        500
        ├── LoginWorkerLost (retryable) login.worker_lost        500
        ├── EventNotTaken (retryable)   internal.event           500
        ├── GatewayTimeout              internal.timeout         504
        └── ConfigurationError          internal.configuration   500
"""

from __future__ import annotations

from typing import Any, ClassVar


class PublisherError(Exception):
    """Base of the tree.

    `code` is stable and machine-readable, `title` (and `title_zh`) the same for every occurrence, `detail` what
    happened this time, `next_step` what the reader can do. `retryable` says whether the same request,
    unchanged, may succeed later. `context` holds what goes with this time, JSON-safe: `errors`, `retry_after`
    in seconds, and whatever `members` names, which stands in the problem document.
    """

    code: ClassVar[str] = "internal.error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    title: ClassVar[str] = "Something failed on our side"
    title_zh: ClassVar[str] = "服务内部错误"
    next_step: ClassVar[str] = "Try again. If it fails again, report the request_id."
    members: ClassVar[tuple[str, ...]] = ()

    def __init__(self, detail: str = "", **context: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.context = context

    def describe(self) -> dict[str, Any]:
        """How the failure stands on a task or a login: {"code", "title", "detail", "next_step", "retryable"},
        and the step in which it happened, where known.
        """
        return {
            "code": self.code,
            "title": self.title,
            "detail": self.detail,
            "next_step": self.next_step,
            "retryable": self.retryable,
            **({"step": self.context["step"]} if "step" in self.context else {}),
        }


def errors_by_code() -> dict[str, type[PublisherError]]:
    """Every error of the tree; where two share a code, the one nearer to the root."""
    classes = [PublisherError]
    for found in classes:
        classes += [below for below in found.__subclasses__() if below.__module__ == __name__]
    return {found.code: found for found in reversed(classes)}


def restored(described: dict[str, Any]) -> PublisherError:
    """The error again that `describe` has told of."""
    return errors_by_code().get(described["code"], PublisherError)(described["detail"])


# The request


class RequestError(PublisherError):
    code = "request.refused"
    status = 400
    title = "The request cannot be carried out as it stands"
    title_zh = "请求无法处理"
    next_step = "Correct the request and send it again."


class ValidationFailed(RequestError):
    """`context["errors"]`: a list of {"pointer": JSON pointer, "detail": text}."""

    code = "request.invalid"
    status = 422
    title = "The request has invalid fields"
    title_zh = "请求参数有误"
    next_step = "Correct the fields listed in errors and send the request again."


class MalformedRequest(RequestError):
    code = "request.malformed"
    title = "The request could not be read"
    title_zh = "请求内容无法解析"
    next_step = "Send one JSON object in UTF-8."


class Unauthorized(RequestError):
    code = "auth.required"
    status = 401
    title = "An API key is needed"
    title_zh = "需要提供 API 密钥"
    next_step = "Send a valid key as `Authorization: Bearer …`."


class KeyInvalid(Unauthorized):
    code = "auth.key_invalid"
    title = "The API key is not valid"
    title_zh = "API 密钥无效"
    next_step = "Send a key that is live, whole: sp_live_<id>_<secret>."


class NotificationRefused(RequestError):
    code = "sync.notification_refused"
    status = 401
    title = "The notification's signature or time is not right"
    title_zh = "通知的签名或时间戳未通过校验"
    next_step = "Compare callback_secret with the secret of the content service's 回调配置, and the clocks."


class Forbidden(RequestError):
    code = "auth.forbidden"
    status = 403
    title = "This caller may not do that"
    title_zh = "没有操作权限"
    next_step = "Use a caller that is allowed to, or ask for the permission."


class ScopeMissing(Forbidden):
    """`context["scopes"]`: what the caller would need."""

    code = "auth.scope_missing"
    title = "The API key does not have the scope that this needs"
    title_zh = "API 密钥缺少所需权限"
    next_step = "Use a key that has the scope; a key with keys:admin can make one, if it has the scope itself."


class RouteNotFound(RequestError):
    code = "request.route_not_found"
    status = 404
    title = "There is no such route"
    title_zh = "接口不存在"
    next_step = "Look the route up in /openapi.json or /docs."


class MethodNotAllowed(RequestError):
    code = "request.method_not_allowed"
    status = 405
    title = "This route does not take that method"
    title_zh = "接口不支持该请求方法"
    next_step = "Use a method that the route declares in /openapi.json."


class PayloadTooLarge(RequestError):
    code = "request.too_large"
    status = 413
    title = "The request body is too large"
    title_zh = "请求体过大"
    next_step = "Send a smaller body; media are passed by URL."


class UriTooLong(RequestError):
    code = "request.uri_too_long"
    status = 414
    title = "The query is too long"
    title_zh = "请求查询参数过长"
    next_step = "Send fewer or shorter query parameters; a cursor goes back exactly as it came."


class UnsupportedMediaType(RequestError):
    code = "request.unsupported_media_type"
    status = 415
    title = "The request body has a media type that this route does not take"
    title_zh = "不支持的请求体类型"
    next_step = "Send JSON with `Content-Type: application/json`."


class TooManyRequests(RequestError):
    code = "request.rate_limited"
    status = 429
    retryable = True
    title = "Too many requests"
    title_zh = "请求过于频繁"
    next_step = "Wait as long as Retry-After says, then send the request again."


class IdempotencyKeyInvalid(RequestError):
    code = "idempotency.key_invalid"
    title = "The Idempotency-Key cannot be used"
    title_zh = "Idempotency-Key 格式有误"
    next_step = (
        "Send 1 to 255 printable ASCII characters, such as a UUID, and the same ones with each repetition."
    )


class IdempotencyKeyReused(RequestError):
    code = "idempotency.key_reused"
    status = 422
    title = "The Idempotency-Key was used for another request"
    title_zh = "Idempotency-Key 已用于其他请求"
    next_step = "Send the request with a new Idempotency-Key, or repeat the first one exactly."


class AnswerShownOnce(RequestError):
    """What the request made exists; its answer held a secret, and secrets are shown once."""

    code = "idempotency.shown_once"
    status = 409
    title = "The request was carried out, and its answer is not shown again"
    title_zh = "请求已执行，其结果不再重复显示"
    next_step = "If the first answer was lost, delete or rotate what was made, and send a new Idempotency-Key."


class NotFound(PublisherError):
    code = "not_found"
    status = 404
    title = "There is no such thing"
    title_zh = "资源不存在"
    next_step = "Check the identifier."


class TaskNotFound(NotFound):
    code = "task.not_found"
    title = "There is no such task"
    title_zh = "任务不存在"
    next_step = "Check the id that POST /api/v1/publish answered with."


class AccountNotFound(NotFound):
    code = "account.not_found"
    title = "There is no such account"
    title_zh = "账号不存在"
    next_step = "List the accounts with GET /api/v1/accounts, or log one in with POST /api/v1/accounts/login."


class LoginNotFound(NotFound):
    code = "login.not_found"
    title = "There is no such login"
    title_zh = "登录记录不存在"
    next_step = "Start a new one with POST /api/v1/accounts/login."


class ChannelNotFound(NotFound):
    code = "sync.channel_not_found"
    title = "There is no such channel"
    title_zh = "内容渠道不存在"
    next_step = "Use one of the channels that GET /api/v1/sync lists."


class KeyNotFound(NotFound):
    code = "key.not_found"
    title = "There is no such key"
    title_zh = "API 密钥不存在"
    next_step = "List the keys with GET /api/v1/keys."


class ArticleNotFound(NotFound):
    code = "article.not_found"
    title = "There is no such article"
    title_zh = "内容不存在"
    next_step = "List the articles with GET /api/v1/articles, or ask for it with POST /api/v1/articles/refresh."


class ArticleWithdrawn(NotFound):
    code = "article.withdrawn"
    status = 410
    title = "The article has been withdrawn"
    title_zh = "内容已下架"
    next_step = "Remove whatever copies you have made of it: it was taken down everywhere, for compliance."


class NotificationsOff(NotFound):
    code = "sync.notifications_off"
    title = "No notifications are taken here"
    title_zh = "未启用内容变更通知"
    next_step = "Put the secret of the content service's 回调配置 where VOLC_CALLBACK_CREDENTIALS points."


class WebhookNotFound(NotFound):
    code = "webhook.not_found"
    title = "There is no such webhook"
    title_zh = "Webhook 不存在"
    next_step = "Look the webhooks up with GET /api/v1/webhooks."


class DeliveryNotFound(NotFound):
    code = "webhook.delivery_not_found"
    title = "There is no such delivery"
    title_zh = "推送记录不存在"
    next_step = "Look them up with GET /api/v1/webhooks/{webhook_id}/deliveries; they are kept for 30 days."


class StateConflict(PublisherError):
    code = "task.state_conflict"
    status = 409
    title = "The task is in a state that does not allow this"
    title_zh = "任务当前状态不允许此操作"
    next_step = "Look at the task's state and at what it allows."


class LoginRequired(StateConflict):
    code = "account.login_required"
    title = "The account is logged out"
    title_zh = "账号未登录"
    next_step = "Log it in with POST /api/v1/accounts/login, then send the request again."


class WebhookDisabled(StateConflict):
    code = "webhook.disabled"
    title = "The webhook is disabled"
    title_zh = "Webhook 已停用"
    next_step = "Enable it with PATCH /api/v1/webhooks/{webhook_id} first."


class TooManyWebhooks(StateConflict):
    code = "webhook.too_many"
    title = "There are as many webhooks as there can be"
    title_zh = "Webhook 数量已达上限"
    next_step = "Delete one that is not needed, or let one endpoint take more types of events."


class LoginConflict(StateConflict):
    code = "login.state_conflict"
    title = "The login is in a state that does not allow this"
    title_zh = "登录流程当前状态不允许此操作"
    next_step = "Look at the login with GET /api/v1/accounts/login/{login_id}."


class RequestInProgress(StateConflict):
    code = "idempotency.in_progress"
    retryable = True
    title = "A request with this Idempotency-Key is being carried out"
    title_zh = "使用该 Idempotency-Key 的请求正在处理中"
    next_step = "Wait as long as Retry-After says, then send the same request again."


class KeyConflict(StateConflict):
    code = "key.state_conflict"
    title = "The key is in a state that does not allow this"
    title_zh = "API 密钥当前状态不允许此操作"
    next_step = "Look at the key with GET /api/v1/keys/{key_id}."


class Fenced(StateConflict):
    """A worker tried to change a task that another worker has claimed since: it must stop at once."""

    code = "task.fenced"
    title = "Another worker owns the task now"
    title_zh = "任务已由其他执行进程接管"
    next_step = "Nothing: the other worker carries on."


# Media


class MediaError(PublisherError):
    code = "media.invalid"
    status = 422
    title = "The media cannot be used"
    title_zh = "媒体文件无法使用"
    next_step = "Correct the media and submit a new task."


class MediaUnreachable(MediaError):
    code = "media.unreachable"
    retryable = True
    title = "The media could not be fetched"
    title_zh = "媒体文件下载失败"
    next_step = "Check that the URL answers from the internet without a login, then submit again."


class MediaNotServed(MediaUnreachable):
    """The media's server refuses it (HTTP 4xx): asking again changes nothing."""

    code = "media.not_served"
    retryable = False
    title = "The media's server refuses to serve it"
    title_zh = "媒体服务器拒绝提供文件"
    next_step = "Check that the URL answers with the file itself, from the internet and without a login."


class MediaForbidden(MediaError):
    code = "media.forbidden_address"
    title = "The media's address is not allowed"
    title_zh = "不允许使用该媒体地址"
    next_step = "Use an https URL on a public address."


class MediaTooLarge(MediaError):
    code = "media.too_large"
    title = "The media is too large"
    title_zh = "媒体文件过大"
    next_step = "Use a smaller file."


class MediaTypeRejected(MediaError):
    code = "media.type"
    title = "The media is not of a type that can be published"
    title_zh = "不支持的媒体格式"
    next_step = "Use an MP4, MOV or WebM video, and a PNG, JPEG or WebP cover."


class MediaDamaged(MediaError):
    code = "media.damaged"
    title = "The media file is damaged or incomplete"
    title_zh = "媒体文件损坏或不完整"
    next_step = "Play or open the file yourself, export it again, and submit a new task."


class MediaChanged(MediaError):
    code = "media.changed"
    title = "The media is not the one that was reviewed"
    title_zh = "媒体文件与审核时不一致"
    next_step = "Submit a new task, and review what it shows; an upload of POST /api/v1/uploads cannot change."


class MediaTooLong(MediaError):
    code = "media.duration"
    title = "The video is too long"
    title_zh = "视频时长超出限制"
    next_step = "Cut the video to the limit in the detail and submit a new task."


class MediaDimensions(MediaError):
    code = "media.dimensions"
    title = "The media has too many pixels, or too few"
    title_zh = "画面尺寸超出允许范围"
    next_step = "Scale the media to the limit in the detail and submit a new task."


class UploadMissing(MediaError):
    """Never asked for, not finished, or expired: nothing is kept of any of them that would tell them apart."""

    code = "media.upload_missing"
    title = "There is no finished upload of this name"
    title_zh = "找不到已完成的上传"
    next_step = "PUT the file to the url that POST /api/v1/uploads answers with, then use its media_url."


class UploadUsed(MediaError):
    code = "media.upload_used"
    title = "The upload belongs to another task"
    title_zh = "该上传已被其他任务使用"
    next_step = "Upload the file again: each upload serves one task."


class UploadExpires(MediaError):
    code = "media.upload_expires"
    title = "The upload will be gone when the task needs it"
    title_zh = "上传的文件会在任务执行前过期"
    next_step = "Give an earlier schedule_time, submit the task later, or pass the media by a URL of your own."


# Accounts


class AccountError(PublisherError):
    code = "account.error"
    status = 409
    title = "The account cannot be used"
    title_zh = "账号无法使用"
    next_step = "Log the account in again."


class SessionExpired(AccountError):
    """Raised on proof only: the platform itself said that the session is over."""

    code = "account.session_expired"
    title = "The account's session has expired"
    title_zh = "账号登录态已失效"
    next_step = "Log the account in again with POST /api/v1/accounts/login, then submit the task again."


class SessionUnreadable(AccountError):
    code = "account.session_unreadable"
    title = "The account's stored session cannot be opened"
    title_zh = "账号保存的登录态无法读取"
    next_step = "Log the account in again with POST /api/v1/accounts/login."


class SessionRefused(AccountError):
    """An imported session: the platform itself said that nobody is logged in with it."""

    code = "session.refused"
    status = 422
    title = "The platform does not take the imported session as a login"
    title_zh = "平台不认可导入的登录态"
    next_step = "Log in once more in the browser that the session comes from, and import it afresh."


class SessionUnusable(AccountError):
    code = "session.unusable"
    status = 422
    title = "The browser cannot take the imported session"
    title_zh = "浏览器无法使用导入的登录态"
    next_step = "Send it as Playwright's context.storage_state() writes it; `python -m local.session` does."


class SessionOfAnother(AccountError):
    code = "session.other_account"
    title = "The imported session belongs to another account of the platform"
    title_zh = "导入的登录态属于其他账号"
    next_step = "Import it under another account_name, or delete the account first if it is to change hands."


class SealBroken(AccountError):
    code = "account.seal_broken"
    title = "A secret that was handed over cannot be opened"
    title_zh = "提交的加密信息无法解密"
    next_step = "Give it again: the code, the proxy or the session that was handed over."


class ProxyUnreachable(AccountError):
    code = "account.proxy_unreachable"
    retryable = True
    title = "The account's proxy cannot be reached, or cannot reach the platform"
    title_zh = "账号代理无法连接"
    next_step = (
        "Nothing was sent past the proxy. Check that it runs, and the account's preference `proxy` "
        "(PATCH /api/v1/accounts/{account_name}), then try again."
    )


class ProxyRefused(AccountError):
    code = "account.proxy_refused"
    title = "The account's proxy refuses us"
    title_zh = "账号代理拒绝连接"
    next_step = (
        "Nothing was sent past the proxy. Set the account's preference `proxy` with a username and password "
        "that it takes (PATCH /api/v1/accounts/{account_name}), and see that it may lead to Douyin; try again."
    )


class ProxyForbidden(AccountError):
    code = "account.proxy_forbidden_address"
    title = "The address of the account's proxy is not allowed"
    title_zh = "不允许使用该代理地址"
    next_step = "Set the account's preference `proxy` to a proxy on a public address."


class LoginSuperseded(AccountError):
    code = "login.superseded"
    title = "A newer login of the same account has taken this one's place"
    title_zh = "本次登录已被同一账号的新登录取代"
    next_step = "Go on with the newer login."


class LoginCanceled(AccountError):
    code = "login.canceled"
    title = "The login was canceled"
    title_zh = "登录已取消"
    next_step = "Start a new one with POST /api/v1/accounts/login."


class LoginExpired(AccountError):
    code = "login.expired"
    title = "The login's time was over before it was finished"
    title_zh = "登录超时"
    next_step = "Start a new one with POST /api/v1/accounts/login, and scan, confirm and verify while it lasts."


class LoginAbandoned(LoginExpired):
    code = "login.abandoned"
    title = "Nobody asked after the login any more"
    title_zh = "长时间未查询，登录已结束"
    next_step = (
        "Start a new one with POST /api/v1/accounts/login, and poll it with GET "
        "/api/v1/accounts/login/{login_id} every few seconds until it has ended."
    )


class VerificationRequired(AccountError):
    code = "account.verification_required"
    title = "The platform wants the account's owner to verify the identity"
    title_zh = "平台要求账号本人验证身份"
    next_step = "Do it once in the creator center in your own browser, then try again."


class VerificationTimeout(VerificationRequired):
    code = "account.verification_timeout"
    title = "Nobody gave the code that the platform had sent by SMS"
    title_zh = "未在规定时间内提供短信验证码"
    next_step = (
        "Nothing was published. Retry the task with POST /api/v1/tasks/{task_id}/retry, and give the next code "
        "in time with POST /api/v1/tasks/{task_id}/verification."
    )


# The platform


class PlatformError(PublisherError):
    code = "platform.error"
    status = 502
    title = "The platform did not do what was asked"
    title_zh = "平台未能完成操作"
    next_step = "Look at the task's timeline and evidence."


class PlatformRejected(PlatformError):
    code = "platform.rejected"
    title = "The platform refused the work"
    title_zh = "作品被平台拒绝"
    next_step = "Change what the platform objects to and submit a new task."


class PlatformBusy(PlatformError):
    code = "platform.busy"
    retryable = True
    title = "The platform is busy"
    title_zh = "平台繁忙"
    next_step = "Submit the task again later."


class PlatformUnreachable(PlatformError):
    code = "platform.unreachable"
    retryable = True
    title = "The platform could not be reached"
    title_zh = "无法连接平台"
    next_step = "Check the network and DOUYIN_ORIGIN, then submit the task again."


class PageChanged(PlatformError):
    """Something that the page must show is not there: the site was redesigned or shows an unknown dialog."""

    code = "platform.page_changed"
    title = "The platform's page does not look as expected"
    title_zh = "平台页面与预期不符"
    next_step = "Look at the screenshot in the evidence; the locators may need an update."


class PageTimeout(PlatformError):
    """`context["step"]` names the step that starved."""

    code = "platform.timeout"
    retryable = True
    title = "The platform's page took too long"
    title_zh = "平台页面响应超时"
    next_step = "Submit the task again; if the same step starves each time, report it."


class LoginRefused(PlatformError):
    code = "platform.login_refused"
    title = "The platform refused the login"
    title_zh = "平台拒绝登录"
    next_step = (
        "Do not scan again at once. Log in from a network that the account is used from (its proxy), or with a "
        "headed browser (BROWSER_MODE=headed), or import the session of your own browser with "
        "PUT /api/v1/accounts/{account_name}/session."
    )


class CaptchaRequired(PlatformError):
    code = "platform.captcha_required"
    title = "The platform asks for a captcha"
    title_zh = "平台要求完成安全验证"
    next_step = "Log the account in again; if it persists, use it in your own browser for a while."


class FormMismatch(PlatformError):
    """A field read back from the form differs from what was asked. `context["field"]` names it."""

    code = "platform.form_mismatch"
    title = "The platform's form did not take a field as asked"
    title_zh = "平台表单内容与提交的不一致"
    next_step = "Nothing was published. Change the field, or report it if it is within the limits."


# Publishing


class PublishError(PublisherError):
    code = "publish.error"
    title = "The work was not published"
    title_zh = "作品发布失败"
    next_step = "Look at the task's timeline and evidence."


class OutcomeUnknown(PublishError):
    code = "publish.outcome_unknown"
    title = "It is not known yet whether the work was published"
    title_zh = "发布结果待确认"
    next_step = (
        "Wait: the creator's works list is being checked. Do not submit the work again. If you have looked "
        "yourself, say so with POST /api/v1/tasks/{task_id}/resolve."
    )


class NotPublished(PublishError):
    code = "publish.not_published"
    title = "The work was submitted but never appeared in the creator's works list"
    title_zh = "已提交，但作品列表中没有该作品"
    next_step = (
        "Look at the creator center, and say what you saw with POST /api/v1/tasks/{task_id}/resolve. If the "
        "work is not there, the task can be retried then."
    )


class NoTimeLeft(PublishError):
    code = "publish.no_time_left"
    retryable = True
    title = "Too little of the worker's time was left to publish safely"
    title_zh = "剩余执行时间不足，已停止发布"
    next_step = "Submit the task again; a smaller file uploads sooner."


class ScheduleTooNear(PublishError):
    """The next run holds the task, and publishes at the time itself."""

    code = "publish.schedule_too_near"
    retryable = True
    title = "The time has come too near for the platform's own schedule"
    title_zh = "定时时间过近，平台无法定时发布"
    next_step = "Submit the task again: the time will be kept by us."


class GaveUp(PublishError):
    code = "publish.gave_up"
    title = "The task failed too often before anything was submitted"
    title_zh = "多次尝试失败，任务已终止"
    next_step = "Look at the last error in the timeline, mend its cause, and retry the task."


class DeadLetter(PublishError):
    code = "publish.dead_letter"
    title = "No worker could take the task up"
    title_zh = "没有执行进程能够处理该任务"
    next_step = "Nothing was published. Look at the publish function's log, then retry the task."


class Canceled(PublishError):
    code = "publish.canceled"
    title = "A person canceled the task"
    title_zh = "任务已取消"
    next_step = "Nothing was published. Submit a new task if it should be published after all."


class ReviewRejected(PublishError):
    code = "publish.review_rejected"
    title = "A person rejected the task in review"
    title_zh = "人工审核未通过"
    next_step = "Nothing was published. Submit a new task with the changes."


class DuplicateContent(PublishError):
    """`context["existing_task_id"]` names the task that publishes it, or has."""

    code = "publish.duplicate_content"
    status = 409
    title = "The account is given the same work a second time"
    title_zh = "同一账号重复提交了相同作品"
    next_step = "Look at existing_task_id. If it should be published twice, send allow_duplicate: true."
    members = ("existing_task_id",)


# Sync


class SyncError(PublisherError):
    code = "sync.error"
    status = 502
    title = "The content sync failed"
    title_zh = "内容同步失败"
    next_step = "Look at the last run in GET /api/v1/sync."


class UpstreamError(SyncError):
    code = "sync.upstream"
    title = "The content service answered with an error"
    title_zh = "内容服务返回错误"
    next_step = "Look the upstream code up in the content service's documentation."


class UpstreamUnavailable(UpstreamError):
    """No answer, or one that says the fault is temporary and on the other side."""

    code = "sync.unavailable"
    retryable = True
    title = "The content service cannot be reached or is failing"
    title_zh = "内容服务暂不可用"
    next_step = "Nothing: the next run goes on from the cursor. Check VOLC_ENDPOINT if it persists."


class UpstreamMalformed(UpstreamError):
    """An answer that is not what the reference describes: no JSON, no Result, an article without GroupId."""

    code = "sync.malformed"
    title = "The content service's answer cannot be understood"
    title_zh = "内容服务的响应无法解析"
    next_step = "Report the upstream request id to the content service if the next runs fail the same way."


class UpstreamThrottled(UpstreamError):
    code = "sync.throttled"
    retryable = True
    title = "The content service throttles the requests"
    title_zh = "内容服务触发限流"
    next_step = "Nothing: the next run goes on from the cursor."


class UpstreamDenied(UpstreamError):
    code = "sync.denied"
    title = "The content service refuses the credentials"
    title_zh = "内容服务鉴权失败"
    next_step = "Check VOLC_ACCESS_KEY, VOLC_SECRET_KEY, the clock, and the sub-user's TorchlightApiFullAccess."


class CursorConflict(SyncError):
    code = "sync.conflict"
    status = 409
    retryable = True
    title = "Another run has moved this channel's cursor"
    title_zh = "同步游标已被其他任务更新"
    next_step = "Nothing: the other run's data stand."


class ScanStuck(SyncError):
    code = "sync.stuck"
    title = "The content service returned articles without moving the cursor"
    title_zh = "同步游标没有前进"
    next_step = "Report the upstream request id to the content service."


# Ourselves


class InternalError(PublisherError):
    pass


class BrowserFailed(InternalError):
    """The browser did not start, crashed or hung: nothing the platform or the caller did."""

    code = "internal.browser"
    retryable = True
    title = "The browser failed"
    title_zh = "浏览器运行异常"
    next_step = "Nothing: it is tried again with a fresh browser."


class CloudFailed(InternalError):
    code = "internal.cloud"
    retryable = True
    title = "A service of the cloud did not do its part"
    title_zh = "云服务调用失败"
    next_step = "Try again. If it fails again, compare the function's rights with the service that is named."


class Unavailable(InternalError):
    """A service of the cloud did not answer, or was too busy. Whether the request took effect is not known."""

    code = "internal.unavailable"
    status = 503
    retryable = True
    title = "A service that we need does not answer just now"
    title_zh = "依赖的服务暂时不可用"
    next_step = "Send the same request again after Retry-After, with the same Idempotency-Key if it had one."


class LoginNotStarted(InternalError):
    code = "login.dead_letter"
    retryable = True
    title = "No worker could take the login up"
    title_zh = "没有执行进程能够处理该登录"
    next_step = "Start a new login. If it fails again, look at the login function's log."


class LoginWorkerLost(InternalError):
    code = "login.worker_lost"
    retryable = True
    title = "The worker that carried the login out is gone"
    title_zh = "处理登录的进程已中断"
    next_step = "Start a new login. If it happens again, look at the login function's log."


class EventNotTaken(InternalError):
    code = "internal.event"
    retryable = True
    title = "An event could not be put on the event bus"
    title_zh = "事件投递失败"
    next_step = "Nothing: it is sent again within minutes. Check EVENT_BUS if it persists."


class GatewayTimeout(InternalError):
    """Told by API Gateway itself, from the template: the function had not answered by then."""

    code = "internal.timeout"
    status = 504
    title = "The answer took too long"
    title_zh = "请求处理超时"
    next_step = "Look whether it took effect before you send it again."


class ConfigurationError(InternalError):
    code = "internal.configuration"
    title = "The system is configured wrongly"
    title_zh = "系统配置有误"
    next_step = "Set what the detail names."
