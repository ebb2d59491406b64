"""Pictures of a task's steps: in the private bucket, under the account, so that they go when it goes.

A picture is called `<epoch>-<step>.jpg`: the attempt and the step that it shows. The bucket's rule deletes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from chalicelib.accounts.store import storage_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_s3 import S3Client

URL_LIFE = timedelta(minutes=5)

# The step that shows the whole form, as it was about to be submitted.
FORM_STEP = "photograph_form"

_NAME = re.compile(r"(\d+)-(\w+)\.jpg")


@dataclass(frozen=True, slots=True)
class Picture:
    name: str
    epoch: int
    step: str
    taken_at: datetime
    key: str


@dataclass(frozen=True, slots=True)
class EvidenceStore:
    s3: S3Client
    bucket: str

    def put(self, account_name: str, task_id: str, epoch: int, step: str, picture: bytes) -> str:
        """Stores a JPEG and returns its name."""
        name = f"{epoch}-{step}.jpg"
        self.s3.put_object(
            Bucket=self.bucket,
            Key=_prefix(account_name, task_id) + name,
            Body=picture,
            ContentType="image/jpeg",
        )
        return name

    def pictures(self, account_name: str, task_id: str) -> list[Picture]:
        """The pictures of a task that are kept still."""
        prefix = _prefix(account_name, task_id)
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        found = []
        for page in pages:
            for entry in page.get("Contents", []):
                name = entry["Key"].removeprefix(prefix)
                if matched := _NAME.fullmatch(name):
                    epoch, step = int(matched[1]), matched[2]
                    found.append(Picture(name, epoch, step, entry["LastModified"], entry["Key"]))
        return found

    def url(self, picture: Picture) -> str:
        """Where anybody can look at the picture for URL_LIFE."""
        return self.s3.generate_presigned_url(
            "get_object",
            Params={"Bucket": self.bucket, "Key": picture.key},
            ExpiresIn=int(URL_LIFE.total_seconds()),
        )


def useful_first(pictures: Iterable[Picture], failed_step: str | None) -> list[Picture]:
    """The last attempt's first; of an attempt the step that failed, then the form, then the latest."""

    def rank(picture: Picture) -> tuple[int, bool, bool, float]:
        return (
            -picture.epoch,
            picture.step != failed_step,
            picture.step != FORM_STEP,
            -picture.taken_at.timestamp(),
        )

    return sorted(pictures, key=rank)


def _prefix(account_name: str, task_id: str) -> str:
    return f"{storage_prefix('evidence', account_name)}{task_id}/"
