"""Where screenshots are kept: the private bucket, under the account, so that they go when it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.accounts.store import storage_prefix

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class EvidenceStore:
    s3: S3Client
    bucket: str

    def put(self, account_name: str, task_id: str, name: str, picture: bytes, media_type: str) -> str:
        """Stores a picture and returns its key."""
        key = f"{storage_prefix('evidence', account_name)}{task_id}/{name}"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=picture, ContentType=media_type)
        return key
