"""`publisher tasks …`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from publisher.command import Run, command, group
from publisher.commands.paging import All, Cursor, Limit, wanted
from publisher.commands.showing import TaskId, Timeout, Wait, show_task, watch
from publisher.errors import Misconfigured
from publisher.files import fetch
from publisher.stdin import read_line


def add_to(app: typer.Typer) -> None:
    tasks = group(app, "tasks", "Look at tasks, and decide about them.")
    command(tasks, "list")(list_tasks)
    command(tasks, "show")(show)
    command(tasks, "cancel")(cancel)
    command(tasks, "retry")(retry)
    command(tasks, "approve")(approve)
    command(tasks, "reject")(reject)
    command(tasks, "resolve")(resolve)
    command(tasks, "code")(code)
    command(tasks, "evidence")(evidence)


def list_tasks(
    run: Run,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="Of this account alone.")] = None,
    status: Annotated[
        str | None, typer.Option(metavar="STATUS", help="pending, running, success or failed.")
    ] = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="Finer: awaiting_review, outcome_unknown, …")
    ] = None,
    created_from: Annotated[
        str | None, typer.Option(metavar="TIME", help="RFC 3339, such as 2026-11-20T00:00:00+08:00.")
    ] = None,
    created_to: Annotated[str | None, typer.Option(metavar="TIME", help="RFC 3339, not included.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    *,
    everything: All = False,
) -> None:
    """List tasks, newest first."""
    filters = {
        "account_name": account,
        "status": status,
        "state": state,
        "created_from": created_from,
        "created_to": created_to,
        "cursor": cursor,
    }
    page = run.client.tasks(filters, wanted(limit, everything))
    run.out.answer(
        page,
        lambda: run.out.table(
            ["id", "state", "account", "title", "created", "publish at"],
            [
                [task[name] for name in ("id", "state", "account_name", "title", "created_at", "publish_at")]
                for task in page["data"]
            ],
            "No tasks.",
        ),
    )
    run.out.more(page)


def show(run: Run, task_id: TaskId, *, wait: Wait = False, timeout: Timeout = None) -> None:
    """Show a task: how it stands, what went wrong, what can be done."""
    if wait:
        watch(run, task_id, timeout)
        return
    task = run.client.task(task_id)
    show_task(run, task)
    if not run.out.as_json and task["timeline"]:
        run.out.table(
            ["step", "began", "took", "outcome", "notes"],
            [
                [
                    step["name"],
                    step["started_at"],
                    f"{step['duration_ms'] / 1000:.2f} s",
                    step["outcome"],
                    step["notes"],
                ]
                for step in task["timeline"]
            ],
            "",
        )


def cancel(run: Run, task_id: TaskId) -> None:
    """Cancel a task that has not been submitted to Douyin."""
    show_task(run, run.client.act(task_id, "cancel"))


def retry(run: Run, task_id: TaskId, *, wait: Wait = False, timeout: Timeout = None) -> None:
    """Run a failed task again, where nothing was submitted."""
    _act(run, task_id, "retry", wait=wait, timeout=timeout)


def approve(run: Run, task_id: TaskId, *, wait: Wait = False, timeout: Timeout = None) -> None:
    """Publish a task that waits for its review."""
    _act(run, task_id, "approve", wait=wait, timeout=timeout)


def reject(run: Run, task_id: TaskId) -> None:
    """End a task that waits for its review, with nothing published."""
    show_task(run, run.client.act(task_id, "reject"))


def resolve(
    run: Run,
    task_id: TaskId,
    live: Annotated[
        bool | None, typer.Option("--live/--not-live", help="What you saw in the creator center.")
    ] = None,
    item_id: Annotated[str | None, typer.Option(metavar="ID", help="The work's id, where it is live.")] = None,
) -> None:
    """Say whether a submitted work is live, where nobody else could tell.

    Look in the creator center first. A task that is not live may be retried from then on.
    """
    if live is None:
        raise Misconfigured("It is not said whether the work is live.", "Give --live or --not-live.")
    show_task(run, run.client.resolve(task_id, live=live, item_id=item_id))


def code(
    run: Run,
    task_id: TaskId,
    code: Annotated[
        str | None, typer.Argument(metavar="CODE", help="The code; asked for where it is not given.")
    ] = None,
) -> None:
    """Give the code that Douyin has sent by SMS, while a task waits for it."""
    if code is None:
        code = typer.prompt("Code", err=True) if sys.stdin.isatty() else read_line()
    show_task(run, run.client.give_task_code(task_id, str(code)))


def evidence(
    run: Run,
    task_id: TaskId,
    save: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Fetch the pictures into this folder.")
    ] = None,
) -> None:
    """List a task's pictures: the form before it was submitted, and steps that failed.

    Their addresses work for 5 minutes, for anybody who has them.
    """
    found = run.client.evidence(task_id)
    if save is not None:
        for picture in found["data"]:
            picture["file"] = str(_keep(save, picture["name"], fetch(picture["url"])))
    place = "url" if save is None else "file"
    run.out.answer(
        found,
        lambda: run.out.table(
            ["step", "taken", place],
            [[picture["step"], picture["taken_at"], picture[place]] for picture in found["data"]],
            "No pictures.",
        ),
    )


def _act(run: Run, task_id: str, action: str, *, wait: bool, timeout: int | None) -> None:
    task = run.client.act(task_id, action)
    if wait:
        watch(run, task_id, timeout)
    else:
        show_task(run, task)


def _keep(folder: Path, name: str, content: bytes) -> Path:
    """Under the last part of the name: it comes from elsewhere, and leads nowhere."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{Path(name).name or 'picture'}"
        path = path if path.suffix else path.with_suffix(".jpg")
        path.write_bytes(content)
    except OSError as error:
        raise Misconfigured(f"{folder} cannot be written: {error.strerror}.", "Give another --save.") from None
    return path
