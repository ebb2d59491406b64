"""Has the sync's function run now, instead of at its next tick."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.articles.runs import new_run_id
from chalicelib.clock import Clock, to_rfc3339, utc_now
from chalicelib.errors import CloudFailed
from chalicelib.trace import carried

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

    from chalicelib.articles.index import ArticleIndex


class RunStarter:
    def __init__(self, lambda_: LambdaClient, function_name: str, *, clock: Clock = utc_now) -> None:
        self._lambda = lambda_
        self._function_name = function_name
        self._clock = clock

    def start_shared(self, index: ArticleIndex) -> str:
        """Has everything that is due looked at: starts a run over every channel, unless one is on its way that
        has not begun. The id of that run. Call it after what is to be looked at was marked. Raises CloudFailed.
        """
        now = self._clock()
        run_id = new_run_id(now)
        coming = index.ask_for_run(run_id, now)
        if coming != run_id:
            return coming
        try:
            return self.start(run_id=run_id)
        except CloudFailed:
            index.run_is_off(run_id)
            raise

    def start(self, *, run_id: str | None = None, **detail: Any) -> str:
        """Sends the function an event with this detail; the id that its runs will have. What is None is left
        out.

        The function runs once at a time: while it does, Lambda keeps the event, for ten minutes at most. Raises
        CloudFailed.
        """
        now = self._clock()
        run_id = run_id or new_run_id(now)
        told = {"run_id": run_id, **carried(), **detail}
        told = {name: value for name, value in told.items() if value is not None}
        event = _scheduled_event(to_rfc3339(now), told)
        try:
            self._lambda.invoke(
                FunctionName=self._function_name, InvocationType="Event", Payload=json.dumps(event).encode()
            )
        except (ClientError, BotoCoreError) as error:
            raise CloudFailed(f"The sync's function could not be started: {error}") from error
        return run_id


def _scheduled_event(time: str, detail: dict[str, Any]) -> dict[str, Any]:
    """An event as EventBridge sends it (EventBridge user guide, event structure)."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Sync requested",
        "source": "social-publisher.api",
        "account": "",
        "time": time,
        "region": "",
        "resources": [],
        "detail": detail,
    }
