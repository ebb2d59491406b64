from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from local.emulator import make_client, running_emulator
from tests.articles.support import Lake, Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Client]:
    """A client of an emulated S3 in a child process, spoken to over the wire."""
    with running_emulator(tmp_path_factory.mktemp("s3")) as endpoint:
        client = make_client("s3", endpoint)
        yield client
        client.close()


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
