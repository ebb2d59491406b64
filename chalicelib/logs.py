"""Log lines: one JSON object an event, with nothing in it that is not meant to be there.

    {"at", "level", "logger", "message", …the fields of FIELDS that are known…, "error"?}

A message of ours is a fixed text; whatever differs from time to time goes as `extra`, and is on the list.
Of others' records, whose texts may hold anything, only the place is told. Of an exception its type, its place
in the code and, where it has one, the code of our tree or of AWS are told: neither its text nor any value.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from chalicelib.clock import to_rfc3339
from chalicelib.errors import PublisherError
from chalicelib.settings import settings
from chalicelib.trace import bound, known

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

FIELDS: Final = (
    # whose it is
    *("request_id", "invocation", "task_id", "login_id", "run_id", "key_id", "message_id", "webhook_id"),
    *("account", "channel", "group_id", "other_run"),
    # what happens
    *("method", "route", "status", "state", "step", "outcome", "what", "kind", "scan", "action", "host"),
    *("code", "object", "alarm", "complete_until", "gap_from", "gap_to", "miss_reason", "caught_up"),
    # how much of it
    *(
        "duration_ms",
        "attempt",
        "attempts",
        "behind_s",
        "bytes",
        "count",
        "rows",
        "pages",
        "objects",
        "retries",
    ),
    *("copied", "failed", "waiting"),
)

_OURS: Final = ("app", "chalicelib", "container")
# An id, a name, a number, a path: no sentence, no URL with a query.
_WORD: Final = re.compile(r"[\w.:/={}+@-]{1,200}")
_WITHHELD: Final = "(withheld)"
_MAX_CHAIN: Final = 5
_MAX_FRAMES: Final = 30


class InvocationFailed(Exception):
    """Stands for what a function has raised: its text would get into the log past all of this."""


def described(record: logging.LogRecord) -> dict[str, Any]:
    """What may be told of a record, as JSON values."""
    line: dict[str, Any] = {
        "at": to_rfc3339(datetime.fromtimestamp(record.created, UTC)),
        "level": record.levelname,
        "logger": record.name,
        "message": _message(record),
    }
    for name in FIELDS:
        value = getattr(record, name, known().get(name))
        if value is not None:
            line[name] = _shown(value)
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        line["error"] = _chain(error)
    return line


class Formatter(logging.Formatter):
    """A line of JSON; `pretty`, the same for people."""

    def __init__(self, *, pretty: bool = False) -> None:
        super().__init__()
        self._pretty = pretty

    def format(self, record: logging.LogRecord) -> str:
        line = described(record)
        if not self._pretty:
            return json.dumps(line, ensure_ascii=False)
        errors = line.pop("error", ())
        head = f"{line.pop('at')} {line.pop('level'):<7} {line.pop('logger')}: {line.pop('message')}"
        parts = [head + "".join(f"  {name}={value}" for name, value in line.items())]
        for error in errors:
            told = "".join(
                f"  {name}={value}" for name, value in error.items() if name not in ("type", "frames")
            )
            parts += [f"    {error['type']}{told}", *(f"        {frame}" for frame in error["frames"])]
        return "\n".join(parts)


def configure(*, pretty: bool = False) -> None:
    """Has everything that this process logs go to stdout as told above, and nowhere else."""
    handler = _Stdout()
    handler.setFormatter(Formatter(pretty=pretty))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)


@contextmanager
def invocation(context: Any) -> Iterator[None]:
    """Goes around an invocation of a function, whose `context` is Lambda's: its log lines have its id.

    What is raised inside is logged, and goes on to Lambda without its text, as InvocationFailed.
    """
    set_up()
    with bound(invocation=getattr(context, "aws_request_id", None)):
        try:
            yield
        except Exception as error:
            logger.exception("the invocation failed")
            raise InvocationFailed(type(error).__name__) from None


@cache
def set_up() -> None:
    """Configures the log where this process is a function's: Lambda's runtime has its own ideas."""
    ours = any(isinstance(handler, _Stdout) for handler in logging.root.handlers)
    if settings.on_lambda and not ours:
        configure()


class _Stdout(logging.StreamHandler[Any]):
    """Whatever sys.stdout is by then."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stdout

    @stream.setter
    def stream(self, _: Any) -> None:
        raise TypeError("the stream is stdout")


def _message(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] in _OURS and not record.args:
        return str(record.msg)
    return f"{record.module}.{record.funcName}:{record.lineno}"


def _shown(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_shown(member) for member in value[:20]]
    return str(value) if _WORD.fullmatch(str(value)) else _WITHHELD


def _chain(error: BaseException) -> list[dict[str, Any]]:
    """The error, and what led to it."""
    found: list[dict[str, Any]] = []
    following: BaseException | None = error
    while following is not None and len(found) < _MAX_CHAIN:
        found.append({"type": type(following).__qualname__, **_codes(following), "frames": _frames(following)})
        if isinstance(following, BaseExceptionGroup):
            following = following.exceptions[0]
        else:
            suppressed = following.__suppress_context__
            following = following.__cause__ or (None if suppressed else following.__context__)
    return found


def _codes(error: BaseException) -> dict[str, Any]:
    if isinstance(error, PublisherError):
        return {"code": error.code}
    answer = getattr(error, "response", None)  # Of botocore's ClientError.
    if isinstance(answer, dict) and hasattr(error, "operation_name"):
        code = answer.get("Error", {}).get("Code", "")
        return {"code": _shown(code), "operation": _shown(error.operation_name)}
    return {}


def _frames(error: BaseException) -> list[str]:
    frames = [
        f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return frames[-_MAX_FRAMES:]
