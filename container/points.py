"""A test hook: named points of the jobs at which a harness can have the process die.

With CHAOS_POINT unset, as it is everywhere but under such a harness, `reach` does nothing. With the name of a
point in it, the process kills itself there with SIGKILL: no handler runs, nothing is cleaned up, as when Lambda
runs out of memory or a host is lost.
"""

from __future__ import annotations

import os
import signal

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
    "after_click",  # the platform's answer to the click is here, and not written down yet
    "after_proof",
    "session_refreshed",
)
RECONCILE_POINTS = ("reconcile_claimed", "list_read", "before_settle")
POINTS = PUBLISH_POINTS + RECONCILE_POINTS


def reach(point: str) -> None:
    if point not in POINTS:
        raise ValueError(f"there is no point {point!r}")
    if settings.chaos_point == point:
        os.kill(os.getpid(), signal.SIGKILL)
