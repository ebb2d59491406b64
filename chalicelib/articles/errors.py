"""Failures of the content service that the common tree (`chalicelib.errors`) does not tell apart.

UpstreamError
├── UpstreamUnavailable (retryable)   sync.unavailable
└── UpstreamMalformed                 sync.malformed
"""

from __future__ import annotations

from chalicelib.errors import UpstreamError


class UpstreamUnavailable(UpstreamError):
    """No answer, or one that says the fault is temporary and on the other side."""

    code = "sync.unavailable"
    retryable = True
    title = "The content service cannot be reached or is failing"
    next_step = "Nothing: the next run goes on from the cursor. Check VOLC_ENDPOINT if it persists."


class UpstreamMalformed(UpstreamError):
    """An answer that is not what the reference describes: no JSON, no Result, an article without GroupId."""

    code = "sync.malformed"
    title = "The content service's answer cannot be understood"
    next_step = "Report the upstream request id to the content service if the next runs fail the same way."
