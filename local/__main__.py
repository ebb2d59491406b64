"""`python -m local`: the whole system on this machine, the main job once, then serving until Ctrl-C."""

from __future__ import annotations

import logging
import logging.handlers
import signal
import sys
import threading
from typing import TYPE_CHECKING

from rich.console import Console

from local.demo import run_demo, show_report
from local.options import Options, parse
from local.processes import ChildFailed
from local.stack import StackFailed
from local.system import CannotStart, System

if TYPE_CHECKING:
    from types import FrameType

_WATCH_SECONDS = 1.0


def main() -> int:
    options = parse()
    console = Console(highlight=False)
    _log_to_file(options)
    stopped = _stop_on_signals()
    try:
        with System(options, say=lambda text: console.print(f"[dim]starting[/]  {text}")) as system:
            try:
                return _run(options, system, console, stopped)
            except KeyboardInterrupt:
                console.print("\nStopping; jobs that run get a few seconds to end …")
                return 0 if options.serve else 130
    except (CannotStart, ChildFailed, StackFailed) as error:
        console.print(f"[red]{error}", markup=True)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(options: Options, system: System, console: Console, stopped: threading.Event) -> int:
    succeeded = True
    if options.demo:
        console.print()
        report = run_demo(system, console)
        console.print()
        show_report(report, console)
        succeeded = report.ok
        if not succeeded:
            console.print(f"  The logs are in {options.data / 'logs'}.")
    if not options.serve:
        return 0 if succeeded else 1
    _say_where(system, console)
    while not stopped.wait(_WATCH_SECONDS):
        system.check()
    return 0


def _say_where(system: System, console: Console) -> None:
    console.print(f"\n[bold]Serving on {system.origin}[/]  (Ctrl-C stops everything; the state stays)")
    rows = [
        ("front page", f"{system.origin}/"),
        ("API docs", f"{system.origin}/docs"),
        ("OpenAPI", f"{system.origin}/openapi.json"),
    ]
    if system.options.douyin_origin is None:
        rows.append(("creator center (stand-in)", system.douyin_origin))
        rows.append(("its phone", f"{system.douyin_origin}/phone"))
    rows.append(("state and logs", str(system.options.data)))
    for name, value in rows:
        console.print(f"  {name:<26}{value}", soft_wrap=True)


def _stop_on_signals() -> threading.Event:
    """The first signal interrupts whatever goes on; later ones change nothing: stopping takes a few seconds."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if stopped.is_set():
            return
        stopped.set()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    return stopped


def _log_to_file(options: Options) -> None:
    folder = options.data / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        folder / "local.log", maxBytes=5_000_000, backupCount=2, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


if __name__ == "__main__":
    sys.exit(main())
