"""The few S3 calls that the sync makes. The client is passed in; boto3 is not imported here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from botocore.exceptions import ClientError
    from mypy_boto3_s3 import S3Client

_MISSING = ("NoSuchKey", "404", "NotFound")
# 409 is S3's answer to a conditional write that ran at the same time as another one.
_REFUSED = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")


class PreconditionFailed(Exception):
    """The object is not in the state that the write was conditional on."""


class Store:
    """A bucket, and the prefix below which everything of this lake lies ("" or "some/path/")."""

    def __init__(self, s3: S3Client, bucket: str, prefix: str = "") -> None:
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._s3 = s3
        self._bucket = bucket

    def get(self, key: str) -> tuple[bytes, str] | None:
        """The object's bytes and ETag; None if there is no such object."""
        found = self.get_with_metadata(key)
        return found[:2] if found else None

    def get_with_metadata(self, key: str) -> tuple[bytes, str, dict[str, str]] | None:
        """The object's bytes, ETag and user metadata; None if there is no such object."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=key)
        except self._s3.exceptions.ClientError as error:
            if _code(error) in _MISSING:
                return None
            raise
        return answer["Body"].read(), answer["ETag"], answer["Metadata"]

    def get_json(self, key: str) -> tuple[Any, str] | None:
        found = self.get(key)
        return None if found is None else (json.loads(found[0]), found[1])

    def metadata(self, key: str) -> dict[str, str] | None:
        """The object's user metadata; None if there is no such object."""
        try:
            return self._s3.head_object(Bucket=self._bucket, Key=key)["Metadata"]
        except self._s3.exceptions.ClientError as error:
            if _code(error) in _MISSING:
                return None
            raise

    def put_json(self, key: str, value: Mapping[str, Any]) -> None:
        self._s3.put_object(
            Bucket=self._bucket, Key=key, Body=encode_json(value), ContentType="application/json"
        )

    def put_file(self, key: str, path: Path, *, content_type: str) -> None:
        """Uploads a file, in parts where it is large."""
        self._s3.upload_file(str(path), self._bucket, key, ExtraArgs={"ContentType": content_type})

    def put_if(
        self,
        key: str,
        body: bytes,
        *,
        etag: str | None,
        content_type: Literal["application/json", "application/gzip"],
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Writes only if the object still has `etag`, or, with None, only if there is none; the new ETag.

        Raises PreconditionFailed. A repetition of a write that had succeeded unseen (boto3 repeats after a
        lost answer) fails too: the caller knows its own content again.
        """
        try:
            if etag is None:
                answer = self._s3.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentType=content_type,
                    Metadata=metadata or {},
                    IfNoneMatch="*",
                )
            else:
                answer = self._s3.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentType=content_type,
                    Metadata=metadata or {},
                    IfMatch=etag,
                )
        except self._s3.exceptions.ClientError as error:
            # An If-Match on an object that somebody removed answers that the key is missing.
            if _code(error) in _REFUSED + _MISSING:
                raise PreconditionFailed(key) from error
            raise
        return answer["ETag"]

    def delete(self, key: str) -> None:
        """Deletes the object, if there is one."""
        self._s3.delete_object(Bucket=self._bucket, Key=key)

    def keys(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """Keys below `prefix` and beyond `after`, in order."""
        return (key for key, _ in self.sizes(prefix, after=after))

    def sizes(self, prefix: str, *, after: str = "") -> Iterator[tuple[str, int]]:
        """Keys below `prefix` and beyond `after`, in order, with their sizes in bytes."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, StartAfter=after
        )
        for page in pages:
            for item in page.get("Contents", ()):
                yield item["Key"], item["Size"]


def encode_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
