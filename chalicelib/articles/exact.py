"""JSON in which every number stays the text that it came as: 1.0 is not 1, and no digit is rounded away.

Python's own types keep most numbers as they are written. The others (more digits than a double has, 1.50, 1E3,
-0, a whole number too long for an int) become a `Number`, which is their text (docs/decisions/092).
"""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_INTEGER: Final = 4_000
"""Digits. Python refuses to read more than 4,300, because it takes too long."""


class Number:
    """A JSON number that none of Python's types would write as it came."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Number({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


def loads(text: str | bytes, **options: Any) -> Any:
    """As `json.loads`, whose options it takes."""
    return json.loads(text, parse_int=_whole, parse_float=_decimal, **options)


def dumps(value: Any, *, default: Callable[[Any], Any] | None = None, **options: Any) -> str:
    """As `json.dumps`, whose options it takes, for values with `Number`s in them."""
    numbers: list[str] = []
    # json writes no raw text. Nobody who makes the value can know what stands in the numbers' places.
    mark = secrets.token_hex(16)

    def hold_place(item: Any) -> Any:
        if isinstance(item, Number):
            numbers.append(item.text)
            return mark
        if default is not None:
            return default(item)
        raise TypeError(f"{type(item).__name__} is not JSON")

    written = json.dumps(value, default=hold_place, **options)
    if not numbers:
        return written
    places = iter(numbers)
    return re.sub(f'"{mark}"', lambda _: next(places), written)


def _whole(text: str) -> int | Number:
    return Number(text) if len(text) > _LONGEST_INTEGER or text == "-0" else int(text)


def _decimal(text: str) -> float | Number:
    value = float(text)
    return value if repr(value) == text else Number(text)
