"""What a job needs, put together once per execution environment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from chalicelib import aws
from chalicelib.accounts.checks import Herald
from chalicelib.accounts.imports import ImportBox
from chalicelib.accounts.logins import LoginStore
from chalicelib.accounts.store import AccountStore
from chalicelib.accounts.vault import Vault
from chalicelib.clock import Clock, utc_now
from chalicelib.evidence import EvidenceStore
from chalicelib.outbox import Outbox
from chalicelib.publishing.store import TaskStore
from chalicelib.settings import Settings, settings
from chalicelib.unsealing import Unsealer
from chalicelib.uploads.desk import UploadDesk
from chalicelib.webhooks.outboxes import outbox
from container.browser import Browser, platform_hosts

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Worker:
    settings: Settings
    browser: Browser
    accounts: AccountStore
    vault: Vault
    unsealer: Unsealer
    clock: Clock = utc_now
    outbox: Callable[[str], Outbox] = Outbox

    def tasks(self) -> TaskStore:
        return TaskStore(aws.dynamodb(), self.settings.tasks_table, self.clock, outbox=self.outbox("task"))

    def logins(self) -> LoginStore:
        return LoginStore(aws.dynamodb(), self.settings.logins_table, self.clock, outbox=self.outbox("login"))

    def imports(self) -> ImportBox:
        return ImportBox(aws.s3(), self.settings.private_bucket)

    def herald(self) -> Herald:
        return Herald(self.accounts, aws.events(), self.settings.event_bus)

    def uploads(self) -> UploadDesk:
        return UploadDesk(
            aws.s3(),
            self.settings.private_bucket,
            max_bytes=self.settings.media_max_bytes,
            retention=self.settings.upload_retention,
        )

    def evidence(self) -> EvidenceStore:
        return EvidenceStore(aws.s3(), self.settings.private_bucket)


@cache
def worker() -> Worker:
    return Worker(
        settings=settings,
        browser=Browser(
            settings.chromium_path,
            headed=settings.browser_headed,
            allowed_hosts=platform_hosts(settings.douyin_origin),
            proxy_allow_loopback=settings.proxy_allow_loopback,
        ),
        accounts=AccountStore(
            aws.dynamodb(), settings.accounts_table, check_every=settings.check_every, outbox=outbox("account")
        ),
        vault=Vault(aws.s3(), aws.kms(), settings.private_bucket, settings.session_key_id),
        unsealer=Unsealer(aws.kms(), settings.session_key_id),
        outbox=outbox,
    )
