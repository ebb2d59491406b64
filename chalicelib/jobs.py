"""What EventBridge invokes. A job runs alone in its own function: on Lambda `app.py` is not imported for it."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from chalice.app import Blueprint

from chalicelib import aws
from chalicelib.clock import utc_now
from chalicelib.errors import PublisherError
from chalicelib.settings import settings

if TYPE_CHECKING:
    from chalice.app import CloudWatchEvent

    from chalicelib.articles.client import ContentClient

jobs = Blueprint(__name__)

logger = logging.getLogger(__name__)


@jobs.schedule("rate(1 minute)", name="sweep")
def sweep(_event: CloudWatchEvent) -> dict[str, Any]:
    """Sends what was left in the outbox, ends lapsed leases, starts what is due, ends dead letters."""
    from chalicelib.accounts.checks import CheckDesk, Herald
    from chalicelib.accounts.logins import LoginStore
    from chalicelib.accounts.store import AccountStore
    from chalicelib.publishing.dead_letters import drain
    from chalicelib.publishing.dispatch import Dispatcher
    from chalicelib.publishing.store import TaskStore

    sqs = aws.sqs()
    dispatcher = Dispatcher(TaskStore(aws.dynamodb(), settings.tasks_table), sqs, settings.publish_queue_url)
    accounts = AccountStore(aws.dynamodb(), settings.accounts_table, check_every=settings.check_every)
    checks = CheckDesk(accounts, sqs, settings.publish_queue_url)
    logins = LoginStore(aws.dynamodb(), settings.logins_table)
    publish_burials = {"task_id": dispatcher.bury, "check": checks.bury}
    return {
        "handled": dispatcher.sweep(),
        "checks": checks.sweep(Herald(accounts, aws.events(), settings.event_bus)),
        "dead_publishes": drain(sqs, settings.publish_dead_letter_queue_url, publish_burials),
        "dead_logins": drain(sqs, settings.login_dead_letter_queue_url, {"login_id": logins.bury}),
    }


@jobs.schedule("rate(5 minutes)", name="scan")
def scan(event: CloudWatchEvent) -> dict[str, Any]:
    """Carries every channel from its cursor to the end of the scan, or as far as the time allows.

    A channel that fails does not keep the others from their turn; the failure is in its run record. The detail
    of the event may carry a `run_id`: `POST /api/v1/sync/run` gave it to its caller.
    """
    from chalicelib.articles.runs import new_run_id
    from chalicelib.articles.scan import run_scan

    client = _content_client()
    run_id = event.detail.get("run_id") or new_run_id(utc_now())
    context: Any = event.context
    outcomes: dict[str, str] = {}
    for channel in settings.volc_channels:
        try:
            summary = run_scan(
                channel,
                client,
                aws.s3(),
                settings.content_bucket,
                run_id=run_id,
                deadline=lambda: context.get_remaining_time_in_millis() / 1000,
            )
            outcomes[channel] = summary.status
        except PublisherError as error:
            logger.exception("the sync of %s failed", channel)
            outcomes[channel] = error.code
    return {"run_id": run_id, "channels": outcomes}


@cache
def _content_client() -> ContentClient:
    """One a process: the account's pace, its connection, its keys and the time of the service go on with it."""
    from chalicelib.articles.client import ContentClient
    from chalicelib.articles.credentials import SecretCache, read_secret

    secrets = SecretCache(lambda: read_secret(settings, secretsmanager=aws.secretsmanager, ssm=aws.ssm))
    return ContentClient(
        settings.volc_endpoint,
        secrets.current().credentials,
        settings.volc_region,
        renew=lambda: secrets.renewed().credentials,
    )
