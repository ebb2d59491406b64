"""How tasks are shown, for every command that ends with one."""

import sys
from typing import Annotated

import typer

from publisher.client import Document
from publisher.command import Run
from publisher.errors import Exit
from publisher.following import follow, parse_duration
from publisher.logging_in import CodePrompt
from publisher.progress import TaskProgress
from publisher.stdin import Lines


def _duration(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


TaskId = Annotated[str, typer.Argument(help="The id of the task.", metavar="TASK_ID")]
Wait = Annotated[
    bool, typer.Option("--wait", help="Watch the task until it is over; the exit status says how it ended.")
]
Timeout = Annotated[
    int | None,
    typer.Option(
        parser=_duration, metavar="DURATION", help="Watch for no longer than this: 90s, 30m, 2h. (--wait)"
    ),
]

_WHAT_NOW = {
    "awaiting_review": "The form is filled. Look at it with `publisher tasks evidence {id}`, then "
    "`publisher tasks approve {id}` or `reject {id}`.",
    "needs_verification": "Douyin has sent a code by SMS. Give it: `publisher tasks code {id}`.",
    "outcome_unknown": "Do not submit the work again. The works list is being looked at: "
    "`publisher tasks show {id} --wait` says what comes of it.",
}


def watch(run: Run, task_id: str, timeout: int | None) -> None:
    """Follows the task, shows it, and ends the command with the status that fits."""
    prompt = CodePrompt(Lines(), run.out.say) if sys.stdin.isatty() else None
    try:
        with TaskProgress(run.out) as progress:
            task, status = follow(
                run.client,
                task_id,
                show=progress.show,
                seconds=timeout,
                ask=None
                if prompt is None
                else lambda task: prompt.ask(
                    task["verification"], lambda code: run.client.give_task_code(task_id, code)
                ),
            )
    except KeyboardInterrupt:
        run.out.say(f"The task goes on. Look at it with `publisher tasks show {task_id}`.")
        raise typer.Exit(Exit.INTERRUPTED) from None
    show_task(run, task)
    if status is not Exit.DONE:
        raise typer.Exit(status)


def show_task(run: Run, task: Document) -> None:
    run.out.answer(task, lambda: _show(run, task))
    error = task["error"]
    if error and task["state"] in ("failed", "outcome_unknown"):
        run.out.say(error["detail"], "bold red")
        run.out.say(f"Next: {error['next_step']}")
    elif task["state"] in _WHAT_NOW:
        run.out.say(_WHAT_NOW[task["state"]].format(id=task["id"]))


def _show(run: Run, task: Document) -> None:
    result, cost = task["result"] or {}, task["cost"]
    run.out.fields(
        [
            ("id", task["id"]),
            ("state", task["state"]),
            ("account", task["account_name"]),
            ("title", task["title"]),
            ("work", result.get("url") or result.get("item_id")),
            ("created", task["created_at"]),
            ("publish at", task["publish_at"]),
            ("held", task["held"]),
            ("attempts", task["attempts"] or None),
            ("error", task["error"] and task["error"]["code"]),
            ("cost", cost and f"{cost['usd']:.6f} USD (estimate)"),
            ("allowed", task["allowed"]),
        ]
    )
