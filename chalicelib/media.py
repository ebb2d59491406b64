"""What may be published: the kinds of media, their types, their limits. The API and the worker go by it."""

from __future__ import annotations

from typing import Literal

Kind = Literal["video", "image"]

# What the platform takes: its upload page names mp4, webm, flv, avi, mov; its cover dialog png and jpg. A WebP
# becomes a JPEG on the way. Each type with the ending that its file gets.
ACCEPTED: dict[Kind, dict[str, str]] = {
    "video": {
        "video/mp4": ".mp4",
        "video/quicktime": ".mov",
        "video/webm": ".webm",
        "video/x-matroska": ".mkv",
        "video/x-flv": ".flv",
        "video/x-msvideo": ".avi",
    },
    "image": {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"},
}

WANTED: dict[Kind, str] = {
    "video": "an MP4, MOV, WebM, MKV, FLV or AVI video",
    "image": "a PNG, JPEG or WebP image",
}

# The upload page, 2026-09: 视频时长60分钟以内，文件大小16G以内.
PLATFORM_MAX_BYTES = 16 * 1024**3
PLATFORM_MAX_SECONDS = 60 * 60

# Nothing is published of the platform's limits on pictures. These keep out what cannot be meant, and pictures
# that unpack to more memory than the browser should spend on a cover (40 million pixels are 160 MB).
MAX_IMAGE_BYTES = 20 * 1024**2
MIN_IMAGE_SIDE = 128
MAX_IMAGE_PIXELS = 40_000_000

# 8K in either orientation, and a little.
MAX_VIDEO_SIDE = 8192


def kind_of(media_type: str) -> Kind | None:
    """The kind that a media type belongs to; None where it cannot be published."""
    return next((kind for kind, types in ACCEPTED.items() if media_type in types), None)
