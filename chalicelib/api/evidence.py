"""What a task has left behind to look at."""

from __future__ import annotations

from chalicelib.api import wiring
from chalicelib.api.edge import Routes
from chalicelib.api.models import EvidenceAnswer, EvidenceList
from chalicelib.api.tasks import TASK_ID
from chalicelib.clock import to_rfc3339, utc_now
from chalicelib.errors import TaskNotFound
from chalicelib.evidence import URL_LIFE, useful_first
from chalicelib.keys.scopes import Scope

routes = Routes(__name__, "tasks")


@routes.operation(
    "GET",
    "/api/v1/tasks/{task_id}/evidence",
    scope=Scope.TASKS_READ,
    answer=EvidenceList,
    errors=(TaskNotFound,),
    parameters=(TASK_ID,),
)
def list_evidence(task_id: str) -> EvidenceList:
    """Look at a task's pictures, the most useful first.

    The form as it was about to be submitted, and each step that failed. QR codes and phone numbers are blacked
    out. A url works for 5 minutes. Pictures are kept for the days that the deployment says, 30 by default, and
    go with their account.
    """
    task, store = wiring.task_store().get(task_id), wiring.evidence_store()
    kept = store.pictures(task.submission.account_name, task.id)
    failed_step = task.error.get("step") if task.error else None
    return EvidenceList(
        data=[
            EvidenceAnswer(
                name=picture.name,
                step=picture.step,
                taken_at=to_rfc3339(picture.taken_at),
                url=store.url(picture),
            )
            for picture in useful_first(kept, failed_step)
        ],
        expires_at=to_rfc3339(utc_now() + URL_LIFE),
    )
