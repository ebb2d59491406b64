"""A test hook: named points of the jobs at which a harness can have the process die.

With CHAOS_DIR unset, as it is everywhere but under such a harness, `reach` does nothing. Else a file in it
named `<account>.<point>` is an order: the process removes the file and kills itself with SIGKILL at that point
of a job of that account. No handler runs, nothing is cleaned up, as when Lambda runs out of memory or a host is
lost.
"""

from __future__ import annotations

import os
import signal
from contextvars import ContextVar
from pathlib import Path

from chalicelib.settings import settings

# In the order in which a job comes by.
PUBLISH_POINTS = (
    "claimed",
    "session_open",
    "media_fetched",
    "upload_started",
    "form_filled",
    "read_back",
    "before_intent",
    "after_intent",
    "clicked",  # the button took the click; whether the work has left the page is anybody's guess
    "task_code_asked",
    "task_code_taken",
    "after_click",  # the platform's yes to the click is here, and not written down yet
    "after_refusal",  # its no is, or the fault before the click
    "after_proof",
    "session_refreshed",
)
RECONCILE_POINTS = ("reconcile_claimed", "list_read", "before_settle")
POINTS = PUBLISH_POINTS + RECONCILE_POINTS  # of a task
LOGIN_POINTS = (
    "login_claimed",
    "login_opened",
    "qr_shown",
    "qr_scanned",
    "code_asked",
    "code_taken",
    "session_sealed",
    "session_in_force",
    "before_login_end",
)

_account: ContextVar[str] = ContextVar("account", default="")


def working_for(account_name: str) -> None:
    """Says whose job it is that comes by the points from here on."""
    _account.set(account_name)


def reach(point: str) -> None:
    if point not in POINTS + LOGIN_POINTS:
        raise ValueError(f"there is no point {point!r}")
    if settings.chaos_dir is None:
        return
    order = Path(settings.chaos_dir) / f"{_account.get()}.{point}"
    try:
        order.unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
