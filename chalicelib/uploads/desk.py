"""Handing out presigned uploads, and giving what was uploaded to the task that asks for it first."""

from __future__ import annotations

import base64
import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError

from chalicelib.clock import Clock, to_rfc3339, utc_now
from chalicelib.errors import (
    MediaTooLarge,
    MediaTypeRejected,
    UploadExpires,
    UploadMissing,
    UploadUsed,
)
from chalicelib.media import MAX_IMAGE_BYTES, WANTED, Kind, kind_of

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

SCHEME = "upload://"
URL_LIFE = timedelta(minutes=15)

# What S3 takes in one PUT.
_ONE_PUT_BYTES = 5 * 1024**3

_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_MEDIA_URL = re.compile(rf"{SCHEME}({_ID})")
_FILE_NAME = "file-name"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Leave to upload one file: a request of `method` to `url`, with exactly these headers."""

    id: str
    url: str
    method: str
    headers: dict[str, str]
    expires_at: str
    media_url: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A finished upload, its content not read yet."""

    file_name: str
    size: int
    sha256: str
    body: StreamingBody


def is_upload(media_url: str) -> bool:
    """Whether it is of the form that `Ticket.media_url` has, and nothing more or less."""
    return _MEDIA_URL.fullmatch(media_url) is not None


class UploadDesk:
    """`retention` is how long the bucket's lifecycle rule keeps an upload, at least."""

    def __init__(
        self,
        s3: S3Client,
        bucket: str,
        *,
        max_bytes: int,
        retention: timedelta,
        clock: Clock = utc_now,
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._max_bytes = max_bytes
        self._retention = retention
        self._clock = clock

    def open(self, file_name: str, media_type: str, size: int, sha256: str) -> Ticket:
        """Leave to upload a file of this type, size and SHA-256 (hexadecimal), once, within URL_LIFE.

        Raises MediaTypeRejected and MediaTooLarge.
        """
        kind = kind_of(media_type)
        if kind is None:
            raise MediaTypeRejected(f"{media_type!r} is neither {WANTED['video']} nor {WANTED['image']}.")
        most = MAX_IMAGE_BYTES if kind == "image" else min(self._max_bytes, _ONE_PUT_BYTES)
        if size > most:
            raise MediaTooLarge(f"{size} bytes are more than the limit of {most} ({most / 2**20:.0f} MiB).")
        upload_id = str(uuid.uuid4())
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        # Each of these becomes a signed header. If-None-Match makes a second PUT fail, even of the same file.
        url = self._s3.generate_presigned_url(
            "put_object",
            Params={
                "Bucket": self._bucket,
                "Key": _key(upload_id),
                "ContentLength": size,
                "ContentType": media_type,
                "ChecksumSHA256": checksum,
                "IfNoneMatch": "*",
                "Metadata": {_FILE_NAME: quote(file_name)},
            },
            ExpiresIn=int(URL_LIFE.total_seconds()),
        )
        return Ticket(
            id=upload_id,
            url=url,
            method="PUT",
            headers={
                "Content-Type": media_type,
                "If-None-Match": "*",
                "x-amz-checksum-sha256": checksum,
                f"x-amz-meta-{_FILE_NAME}": quote(file_name),
            },
            expires_at=to_rfc3339(self._clock() + URL_LIFE),
            media_url=f"{SCHEME}{upload_id}",
        )

    def check(self, media_url: str, kind: Kind, *, needed_at: datetime) -> str:
        """The SHA-256 (hexadecimal) of an upload that a new task may refer to: it is finished, of this kind,
        serves no other task, and is kept until then.

        Raises UploadMissing, MediaTypeRejected, UploadUsed, UploadExpires.
        """
        upload_id = _id(media_url)
        try:
            head = self._s3.head_object(Bucket=self._bucket, Key=_key(upload_id), ChecksumMode="ENABLED")
        except ClientError as error:
            raise _missing(media_url, error) from error
        _require_kind(media_url, head["ContentType"], kind)
        if self._user(upload_id) is not None:
            raise _used(media_url)
        kept_until = head["LastModified"] + self._retention
        if needed_at > kept_until:
            raise UploadExpires(
                f"{media_url} is kept until {to_rfc3339(kept_until)}, which is before its time."
            )
        return base64.b64decode(head["ChecksumSHA256"]).hex()

    def take(self, media_url: str, kind: Kind, task_id: str) -> Stored:
        """The upload's content, for the task that takes it first, and for that one again and again.

        Raises UploadMissing, MediaTypeRejected, UploadUsed.
        """
        upload_id = _id(media_url)
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=_key(upload_id), ChecksumMode="ENABLED")
        except ClientError as error:
            raise _missing(media_url, error) from error
        body = found["Body"]
        try:
            _require_kind(media_url, found["ContentType"], kind)
            self._claim(upload_id, task_id)
        except BaseException:
            body.close()
            raise
        return Stored(
            file_name=unquote(found["Metadata"].get(_FILE_NAME, "")) or "media",
            size=found["ContentLength"],
            sha256=base64.b64decode(found["ChecksumSHA256"]).hex(),
            body=body,
        )

    def _claim(self, upload_id: str, task_id: str) -> None:
        """S3's own conditional write decides between tasks that come at the same time."""
        try:
            self._s3.put_object(
                Bucket=self._bucket, Key=_user_key(upload_id), Body=task_id.encode(), IfNoneMatch="*"
            )
        except ClientError as error:
            if _code(error) not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
            if self._user(upload_id) != task_id:
                raise _used(f"{SCHEME}{upload_id}") from error

    def _user(self, upload_id: str) -> str | None:
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=_user_key(upload_id))
        except ClientError as error:
            if _code(error) not in _ABSENT:
                raise
            return None
        return found["Body"].read().decode()


# HEAD has no body to name the error, only a status.
_ABSENT = ("NoSuchKey", "404")


def _id(media_url: str) -> str:
    matched = _MEDIA_URL.fullmatch(media_url)
    if matched is None:
        raise UploadMissing(f"{media_url!r} does not name an upload.")
    return matched[1]


def _key(upload_id: str) -> str:
    return f"uploads/{upload_id}/media"


def _user_key(upload_id: str) -> str:
    return f"uploads/{upload_id}/task"


def _require_kind(media_url: str, media_type: str, kind: Kind) -> None:
    if kind_of(media_type) != kind:
        raise MediaTypeRejected(f"{media_url} is {media_type}, not {WANTED[kind]}.")


def _used(media_url: str) -> UploadUsed:
    return UploadUsed(f"{media_url} serves another task already.")


def _missing(media_url: str, error: ClientError) -> Exception:
    if _code(error) not in _ABSENT:
        return error
    return UploadMissing(f"{media_url} was never finished, or has expired.")


def _code(error: ClientError) -> Any:
    return error.response["Error"]["Code"]
