"""The one place where the API's collaborators are put together."""

from __future__ import annotations

from functools import cache

from chalicelib import aws
from chalicelib.accounts.checks import CheckDesk
from chalicelib.accounts.imports import ImportBox
from chalicelib.accounts.login_desk import LoginDesk
from chalicelib.accounts.logins import LoginStore
from chalicelib.accounts.store import AccountStore
from chalicelib.articles.credentials import SecretCache, read_callback_secret
from chalicelib.articles.index import ArticleIndex
from chalicelib.articles.starting import RunStarter
from chalicelib.articles.store import Store
from chalicelib.dynamodb import Table
from chalicelib.errors import ChannelNotFound
from chalicelib.evidence import EvidenceStore
from chalicelib.keys.limits import Budget, RateLimiter
from chalicelib.keys.store import KeyStore
from chalicelib.ledger import Ledger
from chalicelib.publishing.dispatch import Dispatcher
from chalicelib.publishing.duplicates import ContentGuard
from chalicelib.publishing.listing import TaskList
from chalicelib.publishing.store import TaskStore
from chalicelib.publishing.submission import TaskDesk
from chalicelib.sealing import Sealer
from chalicelib.settings import settings
from chalicelib.signing import Signer
from chalicelib.uploads.desk import UploadDesk
from chalicelib.webhooks.deliveries import DeliveryStore
from chalicelib.webhooks.desk import WebhookDesk
from chalicelib.webhooks.endpoints import EndpointStore
from chalicelib.webhooks.outboxes import bell, outbox


def task_store() -> TaskStore:
    return TaskStore(aws.dynamodb(), settings.tasks_table, outbox=outbox("task"))


def task_list() -> TaskList:
    return TaskList(aws.dynamodb(), settings.tasks_table)


def content_guard() -> ContentGuard:
    return ContentGuard(Table(aws.dynamodb(), settings.requests_table, "id"), task_store())


def ledger() -> Ledger:
    return Ledger(aws.dynamodb(), settings.requests_table)


@cache
def signer() -> Signer:
    """One a process: it keeps the secret that it has read."""
    return Signer(aws.dynamodb(), settings.requests_table)


def account_store() -> AccountStore:
    return AccountStore(aws.dynamodb(), settings.accounts_table, outbox=outbox("account"))


def check_desk() -> CheckDesk:
    return CheckDesk(account_store(), aws.sqs(), settings.publish_queue_url)


def login_store() -> LoginStore:
    return LoginStore(aws.dynamodb(), settings.logins_table, outbox=outbox("login"))


def import_box() -> ImportBox:
    return ImportBox(aws.s3(), settings.private_bucket)


def dispatcher() -> Dispatcher:
    return Dispatcher(task_store(), aws.sqs(), settings.publish_queue_url)


def evidence_store() -> EvidenceStore:
    return EvidenceStore(aws.s3(), settings.private_bucket)


def upload_desk() -> UploadDesk:
    return UploadDesk(
        aws.s3(),
        settings.private_bucket,
        max_bytes=settings.media_max_bytes,
        retention=settings.upload_retention,
    )


def sealer() -> Sealer:
    return Sealer(aws.kms(), settings.session_key_id)


def login_desk() -> LoginDesk:
    return LoginDesk(login_store(), account_store(), sealer())


def task_desk() -> TaskDesk:
    return TaskDesk(task_store(), account_store(), dispatcher(), upload_desk(), sealer(), content_guard())


def key_store() -> KeyStore:
    return KeyStore(aws.dynamodb(), settings.keys_table)


@cache
def rate_limiter() -> RateLimiter:
    """One a process: it remembers who has used a budget up."""
    quotas: dict[Budget, int] = {"reads": settings.rate_limit_reads, "writes": settings.rate_limit_writes}
    return RateLimiter(aws.dynamodb(), settings.limits_table, quotas)


def webhook_desk() -> WebhookDesk:
    endpoints = EndpointStore(aws.dynamodb(), settings.webhooks_table)
    deliveries = DeliveryStore(aws.dynamodb(), settings.webhooks_table)

    def ring(webhook: str, delivery: str) -> None:
        bell().ring(webhook=webhook, delivery=delivery)

    return WebhookDesk(endpoints, deliveries, sealer(), ring)


def article_index() -> ArticleIndex:
    return ArticleIndex(aws.dynamodb(), settings.articles_table)


def content_store() -> Store:
    return Store(aws.s3(), settings.content_bucket)


def run_starter() -> RunStarter:
    return RunStarter(aws.lambda_(), settings.scan_function_name)


@cache
def callback_secret() -> SecretCache[str]:
    """One a process: it keeps what it has read."""
    return SecretCache(lambda: read_callback_secret(settings, secretsmanager=aws.secretsmanager, ssm=aws.ssm))


def channels(given: str | None = None) -> list[str]:
    """The configured channels, or the one of them that is given. Raises ChannelNotFound."""
    configured = settings.volc_channels
    if not configured:
        raise ChannelNotFound("No channel is configured: set VOLC_UTM_SOURCES.")
    if given is None:
        return list(configured)
    if given not in configured:
        raise ChannelNotFound(f"{given!r} is not one of the channels: {', '.join(configured)}.")
    return [given]
