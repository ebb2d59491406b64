"""Everything the stand-in remembers: one SQLite file and a folder of blobs.

Each statement commits by itself in write-ahead mode, so whatever an answer said survives ``kill -9``.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS qr (
    token TEXT PRIMARY KEY, created REAL NOT NULL, expires REAL NOT NULL, status TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '', user TEXT NOT NULL DEFAULT '',
    claimed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS sessions (
    sessionid TEXT PRIMARY KEY, user TEXT NOT NULL, created REAL NOT NULL, alive INTEGER NOT NULL DEFAULT 1,
    publish_verified INTEGER NOT NULL DEFAULT 0, seen TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS tickets (
    ticket TEXT PRIMARY KEY, user TEXT NOT NULL, subject TEXT NOT NULL, code TEXT NOT NULL DEFAULT '',
    sent_at REAL NOT NULL DEFAULT 0, wrong INTEGER NOT NULL DEFAULT 0, passed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS uploads (
    video_id TEXT PRIMARY KEY, user TEXT NOT NULL, filename TEXT NOT NULL, size INTEGER NOT NULL,
    created REAL NOT NULL, status TEXT NOT NULL DEFAULT 'open', sha256 TEXT NOT NULL DEFAULT '',
    duration_ms INTEGER NOT NULL DEFAULT 0, discarded INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS parts (
    video_id TEXT NOT NULL, number INTEGER NOT NULL, offset INTEGER NOT NULL, size INTEGER NOT NULL,
    crc32 TEXT NOT NULL, PRIMARY KEY (video_id, number)
);
CREATE TABLE IF NOT EXISTS covers (
    uri TEXT PRIMARY KEY, user TEXT NOT NULL, sha256 TEXT NOT NULL, width INTEGER NOT NULL,
    height INTEGER NOT NULL, content_type TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS works (
    number INTEGER PRIMARY KEY AUTOINCREMENT, item_id TEXT NOT NULL UNIQUE, user TEXT NOT NULL,
    video_id TEXT NOT NULL, received_at REAL NOT NULL, record TEXT NOT NULL, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS scenario (
    user TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, spent INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user, name)
);
CREATE TABLE IF NOT EXISTS refusals (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, user TEXT NOT NULL, request TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
_TABLES = (
    "qr",
    "sessions",
    "tickets",
    "uploads",
    "parts",
    "covers",
    "works",
    "scenario",
    "refusals",
    "counters",
)

Row = dict[str, Any]


class Store:
    """The database and the blob folder under one directory."""

    def __init__(self, directory: Path) -> None:
        self._blobs = directory / "blobs"
        self._blobs.mkdir(parents=True, exist_ok=True)
        # Autocommit: one statement, one transaction. All routes run on the event loop, so one connection does.
        self._db = sqlite3.connect(directory / "douyin.sqlite3", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query, by column name."""
        cursor = self._db.execute(sql, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def row(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, if there is one."""
        found = self.rows(sql, values)
        return found[0] if found else None

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Change something; the number of rows changed."""
        return self._db.execute(sql, values).rowcount

    def count(self, name: str) -> None:
        """Add one to a counter of the ground truth."""
        self.run(
            "INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1", (name,)
        )

    def blob(self, name: str) -> Path:
        """Where a file of this name lives; names are made by the server, never by a client."""
        return self._blobs / name

    def reset(self) -> None:
        """Forget everything."""
        for table in _TABLES:
            self.run(f"DELETE FROM {table}")  # noqa: S608 - fixed names
        for path in self._blobs.iterdir():
            path.unlink(missing_ok=True)

    def close(self) -> None:
        self._db.close()
