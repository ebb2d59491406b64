"""Where the rows of a log go beside the log: to the index, as far as those who write there know it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.articles.changelog import Row


class OutOfTime(Exception):
    """Not everything was written. Whatever was can be written again."""


class RowSink(Protocol):
    """Takes rows of the object `key`. `has_time` is asked before each write; OutOfTime once it says no."""

    def put_rows(
        self, channel: str, key: str, rows: Iterable[Row], *, has_time: Callable[[], bool]
    ) -> None: ...


class RowMover(Protocol):
    """As `RowSink`, for rows that are there already and lie in `key` as well."""

    def move_rows(
        self, channel: str, key: str, rows: Iterable[Row], *, has_time: Callable[[], bool]
    ) -> None: ...
