"""What a task has left behind to look at."""

from __future__ import annotations

from chalicelib.api import wiring
from chalicelib.api.edge import PathParameter, Routes
from chalicelib.api.models import EvidenceAnswer, EvidenceList
from chalicelib.clock import to_rfc3339, utc_now
from chalicelib.errors import TaskNotFound
from chalicelib.evidence import URL_LIFE, useful_first

routes = Routes(__name__, "tasks")


@routes.operation(
    "GET",
    "/api/v1/tasks/{task_id}/evidence",
    answer=EvidenceList,
    errors=(TaskNotFound,),
    parameters=(PathParameter("task_id", "The id of a task.", "0d8f7c9e-6a43-4b0e-9c52-7c1f3f6a2b11"),),
)
def list_evidence(task_id: str) -> EvidenceList:
    """Look at a task's pictures, the most useful first.

    The form as it was about to be submitted, and each step that failed. QR codes and phone numbers are blacked
    out. A url works for 5 minutes. Pictures are kept for 30 days, and go with their account.
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
