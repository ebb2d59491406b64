"""The options of a list."""

from typing import Annotated

import typer

Limit = Annotated[int, typer.Option(min=1, metavar="N", help="How many.")]
Cursor = Annotated[
    str | None, typer.Option(metavar="CURSOR", help="Go on from there: next_cursor of the list before.")
]
All = Annotated[bool, typer.Option("--all", help="All of them, however many.")]


def wanted(limit: int, everything: bool) -> int | None:
    return None if everything else limit
