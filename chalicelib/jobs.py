"""What EventBridge invokes. A job runs alone in its own function: on Lambda `app.py` is not imported for it."""

from __future__ import annotations

from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from chalice.app import Blueprint

from chalicelib import aws
from chalicelib.clock import utc_now
from chalicelib.logs import invocation
from chalicelib.settings import settings
from chalicelib.trace import bound

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import CloudWatchEvent

    from chalicelib.articles.client import ContentClient

jobs = Blueprint(__name__)


def _logged(job: Callable[[CloudWatchEvent], dict[str, Any]]) -> Callable[[CloudWatchEvent], dict[str, Any]]:
    """The job with its log lines as they are meant to be, whatever it raises included."""

    @wraps(job)
    def logged(event: CloudWatchEvent) -> dict[str, Any]:
        with invocation(event.context):
            return job(event)

    return logged


@jobs.schedule("rate(1 minute)", name="sweep")
@_logged
def sweep(_event: CloudWatchEvent) -> dict[str, Any]:
    """Sends what was left in the outbox, ends lapsed leases, starts what is due, ends dead letters."""
    from chalicelib.accounts.checks import CheckDesk, Herald
    from chalicelib.accounts.logins import LoginStore
    from chalicelib.accounts.store import AccountStore
    from chalicelib.publishing.dead_letters import drain
    from chalicelib.publishing.dispatch import Dispatcher
    from chalicelib.publishing.store import TaskStore
    from chalicelib.webhooks.outboxes import outbox

    sqs = aws.sqs()
    tasks = TaskStore(aws.dynamodb(), settings.tasks_table, outbox=outbox("task"))
    dispatcher = Dispatcher(tasks, sqs, settings.publish_queue_url)
    accounts = AccountStore(
        aws.dynamodb(), settings.accounts_table, check_every=settings.check_every, outbox=outbox("account")
    )
    checks = CheckDesk(accounts, sqs, settings.publish_queue_url)
    logins = LoginStore(aws.dynamodb(), settings.logins_table, outbox=outbox("login"))
    publish_burials = {"task_id": dispatcher.bury, "check": checks.bury}
    return {
        "handled": dispatcher.sweep(),
        "checks": checks.sweep(Herald(accounts, aws.events(), settings.event_bus)),
        "dead_publishes": drain(sqs, settings.publish_dead_letter_queue_url, publish_burials),
        "dead_logins": drain(sqs, settings.login_dead_letter_queue_url, {"login_id": logins.bury}),
    }


@jobs.schedule("rate(5 minutes)", name="scan")
@_logged
def scan(event: CloudWatchEvent) -> dict[str, Any]:
    """Takes a turn of the content sync, over every channel, as far as the time allows.

    The detail of the event may carry what `Order` holds, and a `run_id`: the API gave it to its caller.
    """
    from chalicelib.articles.index import ArticleIndex
    from chalicelib.articles.runs import new_run_id
    from chalicelib.articles.sync import Order, Sync
    from chalicelib.webhooks.outboxes import teller

    sync = Sync(
        _content_client,
        aws.s3(),
        settings.content_bucket,
        ArticleIndex(aws.dynamodb(), settings.articles_table),
        aws.events(),
        settings.event_bus,
        tell=teller(),
    )
    run_id = event.detail.get("run_id") or new_run_id(utc_now())
    context: Any = event.context
    with bound(request_id=event.detail.get("request_id"), run_id=run_id):
        outcomes = sync.turn(
            settings.volc_channels,
            Order.from_detail(event.detail),
            run_id=run_id,
            deadline=lambda: context.get_remaining_time_in_millis() / 1000,
        )
    return {"run_id": run_id, "channels": outcomes}


@jobs.schedule("rate(5 minutes)", name="mirror")
@_logged
def mirror(event: CloudWatchEvent) -> dict[str, Any]:
    """Copies the media of the channels that want it, as far as the time allows."""
    from chalicelib.articles.index import ArticleIndex
    from chalicelib.articles.mirror import run_mirrors
    from chalicelib.articles.store import Store

    context: Any = event.context
    outcomes = run_mirrors(
        {channel: settings.volc_mirror(channel) for channel in settings.volc_channels},
        Store(aws.s3(), settings.content_bucket),
        ArticleIndex(aws.dynamodb(), settings.articles_table),
        deadline=lambda: context.get_remaining_time_in_millis() / 1000,
        max_bytes=settings.mirror_max_bytes,
        allow_loopback=settings.media_allow_loopback,
    )
    return {"channels": outcomes}


@cache
def _content_client() -> ContentClient:
    """One a process: the account's pace, its connection, its keys and the time of the service go on with it."""
    from chalicelib.articles.client import ContentClient
    from chalicelib.articles.credentials import SecretCache, read_credentials

    keys = SecretCache(lambda: read_credentials(settings, secretsmanager=aws.secretsmanager, ssm=aws.ssm))
    return ContentClient(settings.volc_endpoint, keys.current(), settings.volc_region, renew=keys.renewed)
