"""Cached boto3 clients, made on first use.

Only clients, never resources: a resource costs a quarter more cold start. Endpoint, region and credentials
come from boto3's own variables, so the same code speaks to AWS and to an emulator.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's name

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

_CONFIG = Config(
    connect_timeout=3,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 4},
    tcp_keepalive=True,
)


@cache
def dynamodb() -> DynamoDBClient:
    return boto3.client("dynamodb", config=_CONFIG)


@cache
def sqs() -> SQSClient:
    return boto3.client("sqs", config=_CONFIG)


@cache
def s3() -> S3Client:
    # For presigned URLs: left to itself, botocore signs those by the old scheme, which covers no headers.
    return boto3.client("s3", config=_CONFIG.merge(Config(signature_version="s3v4")))


@cache
def kms() -> KMSClient:
    return boto3.client("kms", config=_CONFIG)


@cache
def events() -> Any:
    """EventBridge; for one call of it, its types are not worth a dependency. So with the next three."""
    return boto3.client("events", config=_CONFIG)


@cache
def secretsmanager() -> Any:
    return boto3.client("secretsmanager", config=_CONFIG)


@cache
def ssm() -> Any:
    return boto3.client("ssm", config=_CONFIG)


@cache
def cloudformation() -> Any:
    return boto3.client("cloudformation", config=_CONFIG)


@cache
def lambda_() -> LambdaClient:
    return boto3.client("lambda", config=_CONFIG)


@cache
def bell() -> LambdaClient:
    """For calls that are not worth waiting for: somebody else makes up for those that fail."""
    hurried = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 1})
    return boto3.client("lambda", config=_CONFIG.merge(hurried))


# What the services call it when they are too busy (botocore/retries/standard.py has the list).
_BUSY = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)


def passing(error: Exception) -> bool:
    """Whether a call failed for a reason that passes: no answer, too busy, or a fault of the service's own."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or error.response["Error"]["Code"] in _BUSY
    return isinstance(error, (ConnectionError, HTTPClientError))
