"""docs/task.md says what the table says. `python -m tests.publishing.test_task_page --write` renews it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from chalicelib.publishing.states import MOVES, Move, State

PAGE = Path(__file__).parents[2] / "docs" / "task.md"
_MOVES = re.compile(r"(<!-- moves:.*? -->\n).*?(<!-- /moves -->)", re.DOTALL)


def moves_table() -> str:
    rows = ["| move | from | to | by | fenced | intent | why |", "|---|---|---|---|---|---|---|"]
    rows += [
        f"| {move.name} | {', '.join(f'`{state}`' for state in move.sources)} | `{move.target}` | {by(move)} "
        f"| {'yes' if move.fenced else ''} | {intent(move)} | {move.why} |"
        for move in MOVES
    ]
    return "\n".join(rows) + "\n"


def by(move: Move) -> str:
    return f"person: `/{move.action}`" if move.action else move.by


def intent(move: Move) -> str:
    wanted = {True: "must stand", False: "must not stand", None: ""}[move.intent]
    return ", ".join(filter(None, (wanted, "becomes void" if move.voids else "")))


def test_the_page_shows_every_move() -> None:
    shown = _MOVES.search(PAGE.read_text("utf-8"))

    assert shown is not None
    assert moves_table() in shown[0]


def test_the_page_shows_every_state_with_its_status() -> None:
    text = PAGE.read_text("utf-8")

    for state in State:
        assert f"| `{state}` | {state.status} |" in text


if __name__ == "__main__" and "--write" in sys.argv:
    text = PAGE.read_text("utf-8")
    PAGE.write_text(_MOVES.sub(lambda found: found[1] + moves_table() + found[2], text), "utf-8")
