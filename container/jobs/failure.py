"""Whatever may go wrong in a job, as one of our errors."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError
from playwright.async_api import Error as BrowserError

from chalicelib.errors import BrowserFailed, CloudFailed, InternalError, PublisherError


def failure_of(error: Exception) -> PublisherError:
    """The error itself where it is of our tree; BrowserFailed for Playwright's own, CloudFailed for boto3's,
    else InternalError.
    """
    if isinstance(error, PublisherError):
        return error
    if isinstance(error, BrowserError):
        return BrowserFailed(error.message.partition("\n")[0])
    if isinstance(error, ClientError):
        return CloudFailed(f"{error.operation_name}: {error.response.get('Error', {}).get('Code', 'no code')}.")
    if isinstance(error, BotoCoreError):
        return CloudFailed(f"{type(error).__name__} on the way to AWS.")
    return InternalError(f"{type(error).__name__} in the worker.")
