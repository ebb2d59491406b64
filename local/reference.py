"""docs/errors.md, from the tree of errors and the declared routes: `python -m local.reference [--check]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.api.catalog import answered_by, errors_by_area, group_of
from chalicelib.api.meta import operations
from chalicelib.errors import AnswerShownOnce

if TYPE_CHECKING:
    from chalicelib.api.edge import Operation
    from chalicelib.errors import PublisherError

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"

_HEAD = """# Errors

<!-- Made by `python -m local.reference` from chalicelib/errors.py and the declared routes. -->

Every failure has one of these codes: as a problem document (RFC 9457, `application/problem+json`) where a
request fails, as `error` of a task or a login that has failed. `type` of a problem document leads to the code's
place at `/docs/errors`; `title` is in Chinese where `Accept-Language` prefers it, and `Content-Language` says
so. A program looks at `code` and `retryable`, a person at `detail` and `next_step`.

*Again*: whether the same request, unchanged, may succeed later. *Answered by*: the operations that may fail
with it; where there is none, only a task or a login tells of it.
"""

_ERRORS = """## {area}

| code | status | means | again | what to do | answered by |
|---|---|---|---|---|---|"""

_AGAIN = """## What is safe to send twice

Where a connection breaks, nobody can tell whether the request has arrived. Every `GET` may be sent again. What
the others do the second time, and what they do with the same `Idempotency-Key` within 24 hours:

| route | operation | sent twice | with the same key |
|---|---|---|---|"""


def errors_page(declared: list[Operation]) -> str:
    """The text of docs/errors.md."""
    lines = [_HEAD]
    for area, errors in errors_by_area().items():
        lines += [_ERRORS.format(area=area), *(_error(error, declared) for error in errors), ""]
    lines += [_AGAIN, *(_again(operation) for operation in declared if operation.method != "GET"), ""]
    return "\n".join(lines)


def _error(error: type[PublisherError], declared: list[Operation]) -> str:
    by = answered_by(error, declared)
    where = group_of(by, declared) or ", ".join(f"`{one.name}`" for one in by)
    cells = (
        f"`{error.code}`",
        str(error.status),
        f"{error.title}<br>{error.title_zh}",
        "yes" if error.retryable else "no",
        error.next_step.replace("|", "\\|"),
        where,
    )
    return f"| {' | '.join(cells)} |"


def _again(operation: Operation) -> str:
    keyed = "takes no key"
    if operation.keyed:
        keyed = f"409 `{AnswerShownOnce.code}`" if operation.shown_once else "the first answer again"
    return f"| `{operation.method} {operation.path}` | `{operation.name}` | {operation.again} | {keyed} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where it is not current")
    page = errors_page(operations())
    if not parser.parse_args().check:
        PAGE.write_text(page, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page:
        sys.stderr.write("docs/errors.md is out of date: run python -m local.reference\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
