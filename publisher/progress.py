"""How far a file or a task is, for whoever watches stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from publisher.output import shown

if TYPE_CHECKING:
    from types import TracebackType

    from publisher.client import Document
    from publisher.output import Output

_DOING = {"checksum": "Reading", "upload": "Uploading"}


class FileProgress:
    """A bar a file and a thing done to it. Call it as files.Meter says."""

    def __init__(self, out: Output, name: str) -> None:
        self._name = name
        self._bars: dict[str, int] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            DownloadColumn(),
            TimeElapsedColumn(),
            console=out.err,
            transient=True,
        )

    def __enter__(self) -> FileProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, doing: str, done: int, total: int) -> None:
        if doing not in self._bars:
            text = f"{_DOING[doing]} {shown(self._name)}".replace("[", r"\[")
            self._bars[doing] = self._progress.add_task(text, total=total)
        self._progress.update(self._bars[doing], completed=done)  # type: ignore[arg-type]


class TaskProgress:
    """Each step that a task has behind it is a line; where it stands now is a line that changes."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._steps = 0
        self._state = ""
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TimeElapsedColumn(),
            console=out.err,
            transient=True,
        )
        self._bar = self._progress.add_task("", total=None)
        self._running = False

    def __enter__(self) -> TaskProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rest()

    def rest(self) -> None:
        """Takes the line that changes away: to ask for something, or at the end."""
        if self._running:
            self._progress.stop()
            self._running = False

    def show(self, task: Document) -> None:
        for step in task["timeline"][self._steps :]:
            mark = "✓" if step["outcome"] == "ok" else "✗"
            self._say(f"{mark} {step['name']}  {step['duration_ms'] / 1000:.2f} s")
        self._steps = len(task["timeline"])
        if task["state"] != self._state:
            self._state = task["state"]
            self._say(_sentence(task))
        if task["state"] == "needs_verification":
            self.rest()
        elif not self._running:
            self._progress.start()
            self._running = True
        at = task["progress"] or {}
        text = " · ".join(part for part in (task["state"], at.get("step")) if part)
        percent = at.get("percent")
        self._progress.update(
            self._bar, description=text, completed=percent or 0, total=None if percent is None else 100
        )

    def _say(self, text: str) -> None:
        self._out.err.print(Text(shown(text)), soft_wrap=True)


def _sentence(task: Document) -> str:
    """The state, and what a person may want to know of it."""
    held = task["held"]
    if held:
        return f"{task['state']} until {held['until']}: {held['why']}"
    if task["state"] == "scheduled" and task["publish_at"]:
        return f"scheduled for {task['publish_at']}"
    return str(task["state"])
