"""The newest row of each article, gathered from a log of any length in little memory: they lie on disk."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.articles.changelog import Op, Row


@dataclass(frozen=True, slots=True)
class Newest:
    """An article's newest row without its content.

    `object` is the key it was read from, `content_in` that of the last object seen with its content.
    """

    group_id: str
    observed_at: str
    seq: int
    pos: int
    op: Op
    content_sha256: str | None
    object: str
    content_in: str | None

    @property
    def version(self) -> tuple[str, int, int]:
        return self.observed_at, self.seq, self.pos


class NewestRows:
    """Use as a context manager: leaving it removes what is on disk. For one thread."""

    def __init__(self) -> None:
        # The empty name is a temporary file that SQLite makes and removes (its documentation, "In-Memory
        # Databases"); nothing in it needs to survive.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(
            """
            CREATE TABLE newest (
                group_id TEXT PRIMARY KEY, observed_at TEXT, seq INTEGER, pos INTEGER, op TEXT,
                content_sha256 TEXT, object TEXT, content_in TEXT
            ) WITHOUT ROWID
            """
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, key: str, row: Row) -> None:
        """Takes a row of the object `key` in, in any order."""
        content_in = key if row.article is not None else None
        self._database.execute(
            """
            INSERT INTO newest VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (group_id) DO UPDATE SET content_in = coalesce(excluded.content_in, content_in)
            """,
            (
                row.group_id,
                row.observed_at,
                row.seq,
                row.pos,
                row.op,
                row.content_sha256,
                key,
                content_in,
            ),
        )
        self._database.execute(
            """
            UPDATE newest SET observed_at = ?2, seq = ?3, pos = ?4, op = ?5, content_sha256 = ?6, object = ?7
            WHERE group_id = ?1 AND (observed_at, seq, pos) < (?2, ?3, ?4)
            """,
            (row.group_id, row.observed_at, row.seq, row.pos, row.op, row.content_sha256, key),
        )

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM newest").fetchone()[0])

    def __iter__(self) -> Iterator[Newest]:
        """All of them, in the order of their ids."""
        return (Newest(*row) for row in self._database.execute("SELECT * FROM newest ORDER BY group_id"))

    def get(self, group_id: str) -> Newest | None:
        row = self._database.execute("SELECT * FROM newest WHERE group_id = ?", (group_id,)).fetchone()
        return None if row is None else Newest(*row)
