"""A task's media on their way to the worker's disk, side by side."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from chalicelib.uploads.desk import is_upload
from container.media import fetch_media
from container.media_file import Limits
from container.uploaded import fetch_upload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chalicelib.media import Kind
    from chalicelib.publishing.task import Task
    from container.evidence import Timeline
    from container.media_file import MediaFile
    from container.worker import Worker


async def fetch_task_media(
    worker: Worker, task: Task, timeline: Timeline, folder: Path, deadline: Callable[[], float]
) -> tuple[MediaFile, MediaFile | None]:
    """The task's video and cover. `deadline` says how many seconds are left; 0 ends what is under way."""

    async def fetch(url: str, kind: Kind, step_name: str) -> MediaFile:
        async with timeline.step(step_name) as step:
            media = await asyncio.to_thread(_fetch, worker, task.id, url, kind, folder, deadline)
            step.note(str(media))
            return media

    submission = task.submission
    video = fetch(submission.video_url, "video", "fetch_video")
    if submission.cover_path is None:
        return await video, None
    return await asyncio.gather(video, fetch(submission.cover_path, "image", "fetch_cover"))


def _fetch(
    worker: Worker, task_id: str, url: str, kind: Kind, folder: Path, deadline: Callable[[], float]
) -> MediaFile:
    settings = worker.settings
    end = time.monotonic() + settings.media_fetch_seconds
    limits = Limits(
        max_bytes=settings.media_max_bytes,
        max_seconds=settings.media_max_seconds,
        deadline=lambda: min(deadline(), end - time.monotonic()),
    )
    if is_upload(url):
        return fetch_upload(worker.uploads(), url, kind, task_id, folder, limits)
    return fetch_media(url, kind, folder, limits, allow_loopback=settings.media_allow_loopback)
