"""Copies of the articles' media: which there are to be, where they lie, and how they go.

    <prefix>media/utm_source=<u>/group_id=<id>/<kind>-<identity>.<ending>
    <prefix>media/utm_source=<u>/group_id=<id>/manifest.json

A row of the log is written before its media are fetched and never after, so a copy is recorded in the article's
manifest, and counted in its index entry (docs/decisions/090).
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

from chalicelib.articles.records import read_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.articles.store import Store
    from chalicelib.media import Kind
    from chalicelib.settings import MirrorMode


@dataclass(frozen=True, slots=True)
class Medium:
    """One picture or video that an article names. `identity` stays the same while its signed URL changes;
    width, height (pixels) and definition are as the service gives them.
    """

    kind: Kind
    identity: str
    url: str
    width: int | None = None
    height: int | None = None
    definition: str | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """What became of one medium: copied to `key`, or failed. `source` is its URL without the query,
    `observed_at` that of the row that named it. Instants are RFC 3339 in UTC.
    """

    kind: Kind
    identity: str
    source: str
    status: Literal["copied", "failed"]
    observed_at: str
    width: int | None = None
    height: int | None = None
    definition: str | None = None
    key: str | None = None
    media_type: str | None = None
    size: int | None = None
    sha256: str | None = None
    copied_at: str | None = None
    error_code: str | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        return read_record(cls, value)


def media_of(article: dict[str, Any], mode: MirrorMode, max_bytes: int) -> list[Medium]:
    """The media to copy: `covers` are all of them; `videos` are these, too, and of the video the one with the
    largest picture whose file is within `max_bytes`.

    Nothing that the service may send is worth failing for: what is no medium is passed over.
    """
    if mode == "none":
        return []
    found = {medium.identity: medium for medium in _covers(article.get("CoverImages"))}
    if mode == "videos":
        videos = [medium for size, medium in _videos(article.get("Video")) if size <= max_bytes]
        best = max(videos, key=lambda medium: (medium.width or 0) * (medium.height or 0), default=None)
        if best is not None:
            found[best.identity] = best
    return list(found.values())


def copy_key(store: Store, channel: str, group_id: str, medium: Medium, ending: str) -> str:
    """Where the copy lies; `ending` with its dot."""
    return f"{_folder(store, channel, group_id)}{medium.kind}-{medium.identity}{ending}"


def load_manifest(store: Store, channel: str, group_id: str) -> list[Copy]:
    """The article's copies as recorded; none where there is no manifest."""
    found = store.get_json(manifest_key(store, channel, group_id))
    return [] if found is None else [Copy.from_dict(value) for value in found[0]["media"]]


def save_manifest(store: Store, channel: str, group_id: str, copies: list[Copy]) -> None:
    media = [copy.to_dict() for copy in copies]
    manifest = {"version": 1, "channel": channel, "group_id": group_id, "media": media}
    store.put_json(manifest_key(store, channel, group_id), manifest)


def withdraw_media(store: Store, channel: str, group_id: str) -> int:
    """Deletes every copy of the article's media, and its manifest; how many objects there were."""
    keys = list(store.keys(_folder(store, channel, group_id)))
    for key in keys:
        store.delete(key)
    return len(keys)


def _folder(store: Store, channel: str, group_id: str) -> str:
    return f"{store.prefix}media/utm_source={quote(channel, safe='')}/group_id={quote(group_id, safe='')}/"


def manifest_key(store: Store, channel: str, group_id: str) -> str:
    return f"{_folder(store, channel, group_id)}manifest.json"


def _covers(images: object) -> Iterator[Medium]:
    for image in images if isinstance(images, list) else ():
        url = image.get("Url") if isinstance(image, dict) else None
        if isinstance(url, str) and url:
            # Of a picture's URL the path says which it is; the query is its signature.
            identity = _identity(url.partition("?")[0])
            yield Medium("image", identity, url, _number(image.get("Width")), _number(image.get("Height")))


def _videos(video: object) -> Iterator[tuple[int, Medium]]:
    """With the size in bytes that the service gives; 0 where it gives none."""
    infos = video.get("VideoPlayInfos") if isinstance(video, dict) else None
    for info in infos if isinstance(infos, list) else ():
        url = info.get("VideoUrl") if isinstance(info, dict) else None
        if isinstance(url, str) and url:
            # All videos have the same path; which it is stands in the query, encrypted, anew for each answer.
            described = [info.get(name) for name in ("Definition", "Size", "Width", "Height")]
            definition = info.get("Definition")
            yield (
                _number(info.get("Size")) or 0,
                Medium(
                    "video",
                    _identity(repr(described)),
                    url,
                    _number(info.get("Width")),
                    _number(info.get("Height")),
                    definition if isinstance(definition, str) else None,
                ),
            )


def _identity(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None
