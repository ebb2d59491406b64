"""The server's clock: unix seconds. What people read in Asia/Shanghai is written by the pages themselves."""

import time
from datetime import UTC, datetime


def now() -> float:
    """Unix seconds."""
    return time.time()


def cookie_date(unix: float) -> str:
    """``Sat, 21-Nov-2026 10:00:00 GMT``: the last part of the ``sid_guard`` cookie."""
    return datetime.fromtimestamp(unix, UTC).strftime("%a, %d-%b-%Y %H:%M:%S GMT")
