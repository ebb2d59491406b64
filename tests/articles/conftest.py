from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from chalicelib.articles.index import ArticleIndex
from tests.articles.support import Lake, Upstream, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from tests.conftest import Cloud


@pytest.fixture(scope="session")
def s3(cloud: Cloud) -> Iterator[S3Client]:
    """A client of an emulated S3 in a child process, spoken to over the wire."""
    client = cloud.client("s3")
    yield client
    client.close()


@pytest.fixture(scope="session")
def dynamodb(cloud: Cloud) -> Iterator[DynamoDBClient]:
    client = cloud.client("dynamodb")
    yield client
    client.close()


@pytest.fixture
def articles_table(new_table: Callable[[str], str]) -> str:
    """A table of the test's own, made as the shipped one is."""
    return new_table("ARTICLES_TABLE")


@pytest.fixture
def index(dynamodb: DynamoDBClient, articles_table: str) -> ArticleIndex:
    return ArticleIndex(dynamodb, articles_table)


@pytest.fixture
def world(
    upstream: Upstream, s3: S3Client, bucket: str, dynamodb: DynamoDBClient, articles_table: str
) -> World:
    return World(upstream, s3, bucket, dynamodb, articles_table)


@pytest.fixture
def small_world(
    tmp_path: Path, s3: S3Client, bucket: str, dynamodb: DynamoDBClient, articles_table: str
) -> Iterator[World]:
    """With as few articles as a test of many writes can do with."""
    with Upstream(tmp_path, articles=5) as upstream:
        yield World(upstream, s3, bucket, dynamodb, articles_table)


@pytest.fixture
def bucket(s3: S3Client) -> str:
    name = f"lake-{uuid4().hex}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Upstream]:
    with Upstream(tmp_path, articles=95) as running:
        yield running


@pytest.fixture
def lake(s3: S3Client, bucket: str, upstream: Upstream) -> Lake:
    return Lake(s3, bucket, upstream)
