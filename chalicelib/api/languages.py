"""Which of our languages a reader prefers."""

from __future__ import annotations

import re
from typing import Literal

Language = Literal["en", "zh"]

# What a browser sends is far shorter; nobody's preferences are worth more.
_MAX_LENGTH = 512
_RANGE = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9]{1,8})*\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?")


def preferred_language(accept_language: str) -> Language:
    """Of an Accept-Language header (RFC 9110, 12.5.4). English where it names neither, or is malformed."""
    weights: dict[str, float] = {}
    for text in accept_language[:_MAX_LENGTH].split(","):
        if (found := _RANGE.fullmatch(text)) is not None:
            language, weight = found[1].lower(), float(found[2] or 1)
            weights[language] = max(weight, weights.get(language, 0))
    anything = weights.get("*", 0)
    chinese, english = weights.get("zh", anything), weights.get("en", anything)
    if chinese != english:
        return "zh" if chinese > english else "en"
    first = next((language for language in weights if language in {"en", "zh"}), "en")
    return "zh" if first == "zh" and chinese else "en"
