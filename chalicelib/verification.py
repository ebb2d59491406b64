"""The code that the platform sends by SMS: how long it is waited for, and what is shown of the phone."""

from __future__ import annotations

import re
from datetime import timedelta

# The platform's own codes live this long.
ANSWER_TIME = timedelta(minutes=5)


def masked(phone: str | None) -> str | None:
    """`138******12`, whatever the page shows of the number; None where it shows none."""
    digits = re.sub(r"[^\d*]", "", phone or "")
    if not digits:
        return None
    return f"{digits[:3]}{'*' * max(len(digits) - 5, 1)}{digits[-2:]}" if len(digits) > 5 else "*" * len(digits)
