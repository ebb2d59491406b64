from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.articles.support import Lake, Upstream, make_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from chalicelib.articles.index import ArticleIndex
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
def index(cloud: Cloud, dynamodb: DynamoDBClient) -> ArticleIndex:
    """The index in a table of its own, made as the shipped one is."""
    return make_index(dynamodb, shipped=cloud.variable("ARTICLES_TABLE"))


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
