"""Media that were uploaded to us: from the private bucket to disk, checked once more on the way."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError
from urllib3.exceptions import HTTPError

from chalicelib.errors import MediaDamaged, MediaUnreachable
from chalicelib.fetching import CHUNK
from container.media_file import Limits, MediaFile, keep

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.media import Kind
    from chalicelib.uploads.desk import UploadDesk


def fetch_upload(
    desk: UploadDesk, media_url: str, kind: Kind, task_id: str, directory: Path, limits: Limits
) -> MediaFile:
    """Copies the upload that `media_url` names into `directory`, for this task. Blocks; run it in a thread.

    Raises UploadMissing, UploadUsed, and what `keep` raises of the file itself; MediaDamaged where its hash is
    not the one that was announced. Nothing is left on disk then.
    """
    stored = desk.take(media_url, kind, task_id)
    with contextlib.closing(stored.body) as body:
        try:
            media = keep(
                iter(lambda: body.read(CHUNK), b""),
                stored.size,
                kind,
                directory,
                limits,
                source=media_url,
                file_name=stored.file_name,
            )
        except (BotoCoreError, HTTPError, OSError) as error:
            raise MediaUnreachable(f"{media_url} could not be read: {type(error).__name__}.") from error
    if media.sha256 != stored.sha256:
        media.path.unlink()
        raise MediaDamaged(f"{media_url} has another SHA-256 than the one that was announced.")
    return media
