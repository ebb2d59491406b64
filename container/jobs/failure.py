"""Whatever may go wrong in a job, as one of our errors."""

from __future__ import annotations

from playwright.async_api import Error as BrowserError

from chalicelib.errors import BrowserFailed, InternalError, PublisherError


def failure_of(error: Exception) -> PublisherError:
    """The error itself where it is of our tree; BrowserFailed for Playwright's own, else InternalError."""
    if isinstance(error, PublisherError):
        return error
    if isinstance(error, BrowserError):
        return BrowserFailed(error.message.partition("\n")[0])
    return InternalError(f"{type(error).__name__} in the worker.")
