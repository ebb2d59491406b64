"""Getting an account's session looked at: by a message to the browser functions, which alone can open it.

The message goes to the publish queue, in the account's own group: a check never runs beside a publish with the
same session. The account is its own outbox, as a task is: `due_at` stands in a sparse index for its next check,
and for the events that it owes.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.accounts.store import AccountState, message_group
from chalicelib.clock import Clock, from_rfc3339, to_rfc3339, utc_now
from chalicelib.errors import PublisherError
from chalicelib.events import emit
from chalicelib.trace import carried

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from chalicelib.accounts.store import Account, AccountStore

logger = logging.getLogger(__name__)

# A sweep sends no more than this: after an outage, checks that are overdue must not stand in the way of
# publishes.
CHECKS_A_SWEEP: Final = 5


@dataclass(frozen=True, slots=True)
class CheckDesk:
    accounts: AccountStore
    sqs: SQSClient
    queue_url: str
    clock: Clock = utc_now

    def ask(self, account: Account) -> None:
        """Asks for a check. Until somebody has looked at the session, asking again changes nothing."""
        group = message_group(account.name)
        self.sqs.send_message(
            QueueUrl=self.queue_url,
            MessageBody=json.dumps({"check": account.name, "asked_at": to_rfc3339(self.clock()), **carried()}),
            MessageGroupId=group,
            MessageDeduplicationId=f"check-{group}-{account.looked_at}",
        )

    def bury(self, name: str) -> None:
        """Deals with a check whose message came to the dead-letter queue: nobody knows more than before."""
        account = self.accounts.find(name)
        if account is not None:
            self.accounts.doubt(account, "No worker could carry the check out.")

    def sweep(self, herald: Herald) -> int:
        """Asks for the checks that are due, and sends the events that are owed; returns how many checks.

        An account that cannot be handled is logged and left for the next sweep: it must not hide the others.
        """
        asked, now = 0, self.clock()
        for name in self.accounts.due(now):
            try:
                account = herald.announce(name)
                if account is None or account.due_at is None or from_rfc3339(account.due_at) > now:
                    continue  # The index lags behind the table.
                if account.state is not AccountState.EXPIRED:
                    if asked >= CHECKS_A_SWEEP:
                        continue
                    self.ask(account)
                    asked += 1
                self.accounts.done(account)
            except (PublisherError, ClientError, BotoCoreError):
                logger.exception("an account could not be swept", extra={"account": name})
        return asked


@dataclass(frozen=True, slots=True)
class Herald:
    """Sends the events that accounts owe. `eventbridge` is a boto3 client, `bus` the name of an event bus."""

    accounts: AccountStore
    eventbridge: Any
    bus: str

    def announce(self, name: str) -> Account | None:
        """Sends what the account owes, and returns it as it was before; None where there is none.

        EventNotTaken, ClientError and BotoCoreError leave all of it owed.
        """
        account = self.accounts.find(name)
        if account is not None and account.owed:
            emit(self.eventbridge, self.bus, account.owed)
            self.accounts.settle(account)
        return account
