"""Submitting works and asking after them."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.api import idempotency, wiring
from chalicelib.api.cursors import decode_cursor, encode_cursor
from chalicelib.api.edge import Link, PathParameter, Routes, id_of, respond, wait_for_change
from chalicelib.api.models import (
    CostAnswer,
    ErrorInfo,
    Held,
    Progress,
    PublishAnswer,
    PublishRequest,
    ResolveRequest,
    TaskAnswer,
    TaskPage,
    TasksQuery,
    TaskSummary,
    TimelineEntry,
    Verification,
    VerificationRequest,
    WaitQuery,
)
from chalicelib.clock import from_rfc3339, utc_now
from chalicelib.errors import (
    AccountNotFound,
    DuplicateContent,
    LoginRequired,
    MediaTypeRejected,
    StateConflict,
    TaskNotFound,
    UploadExpires,
    UploadMissing,
    UploadUsed,
    ValidationFailed,
)
from chalicelib.keys.scopes import Scope
from chalicelib.publishing.states import State
from chalicelib.publishing.task import Submission, Task

if TYPE_CHECKING:
    from chalice.app import Response

    from chalicelib.dynamodb import Write
    from chalicelib.ledger import Keyed
    from chalicelib.publishing.listing import Entry

routes = Routes(__name__, "tasks")

TASK_ID = PathParameter(
    "task_id", "The id of a task.", "0d8f7c9e-6a43-4b0e-9c52-7c1f3f6a2b11", id_of(TaskNotFound)
)


_OF_A_NEW_TASK = tuple(
    Link(operation, {"task_id": "$response.body#/id"})
    for operation in (
        *("get_task", "list_evidence", "cancel_task", "retry_task", "approve_task", "reject_task"),
        *("verify_task", "resolve_task"),
    )
)
_SETTLED = "409 `task.state_conflict`, if the first has taken effect: look at the task."


@routes.operation(
    "POST",
    "/api/v1/publish",
    scope=Scope.PUBLISH_WRITE,
    request=PublishRequest,
    answer=PublishAnswer,
    errors=(
        *(ValidationFailed, AccountNotFound, LoginRequired, DuplicateContent),
        *(UploadMissing, UploadUsed, UploadExpires, MediaTypeRejected),
    ),
    again="409 `publish.duplicate_content` with the first task's id; with `allow_duplicate`, a second task.",
    headers={200: ("Location",)},
    links=_OF_A_NEW_TASK,
    key_in_transaction=True,
)
def publish(body: PublishRequest) -> Response:
    """Submit a video for publishing.

    Answers at once with a task to poll; its address stands in the Location header. The same video and title for
    the same account within 24 hours is a 409 that names the task it has, unless `allow_duplicate` is true.
    """
    keyed, desk = idempotency.current(), wiring.task_desk()

    task = desk.accept(
        Submission(**body.model_dump(exclude={"allow_duplicate"})),
        body.model_fields_set,
        allow_duplicate=body.allow_duplicate,
        record=partial(_record, keyed) if keyed else None,
    )
    desk.start(task)
    return _accepted(task)


@routes.operation("GET", "/api/v1/tasks", scope=Scope.TASKS_READ, query=TasksQuery, answer=TaskPage)
def list_tasks(query: TasksQuery) -> TaskPage:
    """List the tasks, the newest first.

    Follow `next_cursor` until it is null: with an account and a status or state, a page may be short, or even
    empty, before. A change of the last moment may not show yet.
    """
    filters = {**query.model_dump(exclude={"cursor", "limit"}), "list": "tasks"}
    signer = wiring.signer()
    entries, following = wiring.task_list().page(
        account_name=query.account_name,
        states=[
            state for state in State if query.state in (None, state) and query.status in (None, state.status)
        ],
        created_from=query.created_from,
        created_to=query.created_to,
        after=decode_cursor(query.cursor, filters, signer) if query.cursor is not None else None,
        limit=query.limit,
    )
    return TaskPage(
        data=[_summary(entry) for entry in entries],
        next_cursor=encode_cursor(following, filters, signer) if following else None,
    )


@routes.operation(
    "GET",
    "/api/v1/tasks/{task_id}",
    scope=Scope.TASKS_READ,
    query=WaitQuery,
    answer=TaskAnswer,
    errors=(TaskNotFound,),
    parameters=(TASK_ID,),
    headers={200: ("Retry-After",)},
    links=(Link("get_account", {"account_name": "$response.body#/account_name"}), *_OF_A_NEW_TASK),
)
def get_task(query: WaitQuery, task_id: str) -> Response:
    """Check the status of a task.

    While it goes on, Retry-After says when to ask again; with `wait`, the answer comes as soon as it changes.
    """
    store = wiring.task_store()
    return wait_for_change(lambda: _polled(store.get(task_id)), query.wait)


@routes.operation(
    "POST",
    "/api/v1/tasks/{task_id}/approve",
    scope=Scope.PUBLISH_WRITE,
    answer=TaskAnswer,
    errors=(TaskNotFound, StateConflict, AccountNotFound, LoginRequired),
    parameters=(TASK_ID,),
    again=_SETTLED,
)
def approve_task(task_id: str) -> TaskAnswer:
    """Publish a task that waits for its review.

    The task runs again, this time to the end.
    """
    return _task_answer(wiring.task_desk().approve(task_id))


@routes.operation(
    "POST",
    "/api/v1/tasks/{task_id}/cancel",
    scope=Scope.PUBLISH_WRITE,
    answer=TaskAnswer,
    errors=(TaskNotFound, StateConflict),
    parameters=(TASK_ID,),
    again=_SETTLED,
)
def cancel_task(task_id: str) -> TaskAnswer:
    """Cancel a task that has not been submitted to the platform.

    A worker that holds it stops before the click. Once the task is `submitting` it is too late.
    """
    return _task_answer(wiring.task_desk().cancel(task_id))


@routes.operation(
    "POST",
    "/api/v1/tasks/{task_id}/retry",
    scope=Scope.PUBLISH_WRITE,
    answer=TaskAnswer,
    errors=(TaskNotFound, StateConflict, AccountNotFound, LoginRequired),
    parameters=(TASK_ID,),
    again=_SETTLED,
)
def retry_task(task_id: str) -> TaskAnswer:
    """Run a failed task again, from the start.

    Only where nothing was submitted. Where the work was submitted and never found, say first that it is not
    live: POST /api/v1/tasks/{task_id}/resolve.
    """
    return _task_answer(wiring.task_desk().retry(task_id))


@routes.operation(
    "POST",
    "/api/v1/tasks/{task_id}/verification",
    scope=Scope.PUBLISH_WRITE,
    request=VerificationRequest,
    answer=TaskAnswer,
    errors=(ValidationFailed, TaskNotFound, StateConflict),
    parameters=(TASK_ID,),
    again="Gives the code once more; 409 `task.state_conflict`, if the worker has taken the first.",
)
def verify_task(body: VerificationRequest, task_id: str) -> TaskAnswer:
    """Give the code that the platform has sent by SMS.

    The task waits for it as `needs_verification`; `verification` shows the phone and until when. If the
    platform does not take the code, the task asks again and `tries` goes up.
    """
    return _task_answer(wiring.task_desk().verify(task_id, body.code))


@routes.operation(
    "POST",
    "/api/v1/tasks/{task_id}/resolve",
    scope=Scope.PUBLISH_WRITE,
    request=ResolveRequest,
    answer=TaskAnswer,
    errors=(ValidationFailed, TaskNotFound, StateConflict),
    parameters=(TASK_ID,),
    again=_SETTLED,
)
def resolve_task(body: ResolveRequest, task_id: str) -> TaskAnswer:
    """Say whether a submitted work is live, after looking in the creator center.

    For a task that is `outcome_unknown`, or that failed after it was submitted. A task that is not live may be
    retried from then on.
    """
    return _task_answer(wiring.task_desk().resolve(task_id, live=body.live, item_id=body.item_id))


@routes.operation(
    "POST",
    "/api/v1/tasks/{task_id}/reject",
    scope=Scope.PUBLISH_WRITE,
    answer=TaskAnswer,
    errors=(TaskNotFound, StateConflict),
    parameters=(TASK_ID,),
    again=_SETTLED,
)
def reject_task(task_id: str) -> TaskAnswer:
    """End a task that waits for its review, without publishing it."""
    return _task_answer(wiring.task_desk().reject(task_id))


def _record(keyed: Keyed, task: Task) -> Write:
    return wiring.ledger().entry(keyed, idempotency.kept(_accepted(task)), task.id)


def _accepted(task: Task) -> Response:
    answer = PublishAnswer(id=task.id, status=task.state.status, state=task.state, publish_at=task.publish_at)
    headers = {"Location": f"/api/v1/tasks/{task.id}", "Retry-After": str(_poll_after(task))}
    return respond(answer, headers=headers)


def _polled(task: Task) -> Response:
    headers = {} if task.state.terminal else {"Retry-After": str(_poll_after(task))}
    return respond(_task_answer(task), headers=headers)


def _poll_after(task: Task) -> int:
    """Seconds after which it is worth while to ask again."""
    match task.state:
        case State.SCHEDULED if task.due_at is not None:
            left = (from_rfc3339(task.due_at) - utc_now()).total_seconds()
            return int(min(max(left, 2), 60))
        case State.AWAITING_REVIEW | State.OUTCOME_UNKNOWN:
            return 10
        case _:
            return 2


def _summary(entry: Entry) -> TaskSummary:
    return TaskSummary(
        id=entry.id,
        status=entry.state.status,
        state=entry.state,
        account_name=entry.account_name,
        title=entry.title,
        created_at=entry.created_at,
        publish_at=entry.publish_at,
        result=entry.result,
        error=ErrorInfo(**entry.error) if entry.error else None,
    )


def _task_answer(task: Task) -> TaskAnswer:
    return TaskAnswer(
        id=task.id,
        status=task.state.status,
        result=task.result,
        error_msg=task.error["detail"] if task.error else None,
        state=task.state,
        account_name=task.submission.account_name,
        title=task.submission.title,
        created_at=task.created_at,
        updated_at=task.updated_at,
        publish_at=task.publish_at,
        applied=task.applied,
        progress=Progress(**task.progress) if task.progress else None,
        timeline=[
            TimelineEntry(**{name: entry[name] for name in TimelineEntry.model_fields if name in entry})
            for entry in task.timeline
        ],
        error=ErrorInfo(**task.error) if task.error else None,
        allowed=list(task.actions),
        attempts=task.epoch,
        cost=CostAnswer(**asdict(task.cost)) if task.cost else None,
        request_id=task.request_id,
        held=Held(**task.held) if task.held and task.state is State.SCHEDULED else None,
        verification=(
            Verification(**task.verification)
            if task.verification and task.state is State.NEEDS_VERIFICATION
            else None
        ),
    )
