"""The site's clock: every time shown or typed on the site is Asia/Shanghai, whatever the browser's zone."""

import time
from datetime import UTC, datetime, timedelta, timezone

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")


def now() -> float:
    """Unix seconds."""
    return time.time()


def shanghai_text(unix: float) -> str:
    """``2026年11月21日 18:05``, as the works list shows it."""
    return datetime.fromtimestamp(unix, SHANGHAI).strftime("%Y年%m月%d日 %H:%M")


def cookie_date(unix: float) -> str:
    """``Sat, 21-Nov-2026 10:00:00 GMT``: the last part of the ``sid_guard`` cookie."""
    return datetime.fromtimestamp(unix, UTC).strftime("%a, %d-%b-%Y %H:%M:%S GMT")
