"""What the command writes: answers to stdout, for people or as JSON; everything else to stderr."""

from __future__ import annotations

import io
import json
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from publisher.client import Document
    from publisher.errors import ClientError


class Output:
    """`as_json`: stdout gets one JSON document and nothing else."""

    def __init__(self, *, as_json: bool) -> None:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # A terminal may know few characters.
        self.as_json = as_json
        self.out = Console(highlight=False, soft_wrap=True)
        self.err = Console(stderr=True, highlight=False)

    def answer(self, document: Document, show: Callable[[], object]) -> None:
        """The command's result."""
        if self.as_json:
            text = json.dumps(document, ensure_ascii=not _is_utf8(self.out), indent=2)
            self.out.file.write(text + "\n")
        else:
            show()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str) -> None:
        """For a terminal a table; for a pipe a line a row, with tabs between and no heading."""
        lines = [[shown(cell) for cell in row] for row in rows]
        if not self.out.is_terminal:
            self.out.file.write("".join("\t".join(line) + "\n" for line in lines))
        elif not lines:
            self.say(empty)
        else:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            for column in columns:
                table.add_column(column, overflow="fold")
            for line in lines:
                table.add_row(*map(Text, line))
            self.out.print(table, soft_wrap=False)

    def fields(self, rows: Iterable[tuple[str, Any]]) -> None:
        """A name and a value a line. What has no value is left out."""
        given = [(name, shown(value)) for name, value in rows if value not in (None, [], {}, "")]
        width = max((len(name) for name, _ in given), default=0)
        for name, value in given:
            line = Text(f"{name:<{width}}  ", style="dim")
            self.out.print(line + Text(value, style="not dim"))

    def more(self, page: Document) -> None:
        """Where a list has not ended, how to go on."""
        if page.get("next_cursor") and not self.as_json:
            self.say(f"There are more: --all, or --cursor {page['next_cursor']}", "dim")

    def block(self, name: str, text: str) -> None:
        """Text of several lines under its name."""
        self.out.print(Text(name, style="dim"))
        for line in text.splitlines():
            self.out.print(Text(shown(line)))

    def line(self, text: str) -> None:
        self.out.print(Text(shown(text)))

    def say(self, text: str, style: str = "") -> None:
        """To whoever watches; never part of the answer."""
        self.err.print(Text(shown(text), style=style), soft_wrap=True)

    def failure(self, error: ClientError) -> None:
        """Cause, next step, request id."""
        self.say(error.cause, "bold red")
        for field in error.to_dict().get("errors") or []:
            if len(error.to_dict()["errors"]) > 1:
                self.say(f"  {field['pointer'] or 'the body'}: {field['detail']}")
        if error.next_step:
            self.say(f"Next: {error.next_step}")
        if error.request_id:
            self.say(f"request id: {error.request_id}", "dim")
        if self.as_json:
            self.answer({"error": error.to_dict()}, lambda: None)


def shown(value: Any) -> str:
    """A value as text that changes nothing but the place where it stands: control characters, which a title
    from elsewhere may have, are written out.
    """
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(shown, value))
        case dict():
            return ", ".join(f"{shown(key)}: {shown(inner)}" for key, inner in value.items())
    return "".join(
        character if unicodedata.category(character) not in _CONTROLS else _escaped(character)
        for character in str(value)
    )


# Controls, and formats such as those that turn the direction of writing; half a surrogate pair, too.
_CONTROLS = ("Cc", "Cf", "Cs")


def _escaped(character: str) -> str:
    # A joiner holds an emoji together.
    return character if character == "\u200d" else character.encode("unicode_escape").decode("ascii")


def _is_utf8(console: Console) -> bool:
    return console.encoding.replace("-", "").lower() == "utf8"
