"""Uploading: the video in parts, checked by CRC-32 and streamed to disk, and covers in one piece.

``auth/v5`` gives a token, ``/vod/v1/apply`` opens an upload, ``/upload/v1/{video_id}?phase=transfer`` takes a
part, ``phase=finish`` checks the whole file. The bytes are dropped once they are measured: what counts later
is the hash.
"""

import asyncio
import hashlib
import os
import secrets
import zlib
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from . import clock, images, mp4
from .site import Session, Site, logged_out, session_of, site_of, until_gone, while_held
from .store import Row

PART_SIZE = 5 * 1024 * 1024
_MAX_SIZE = 16 * 1024**3
_MAX_COVER = 20 * 1024 * 1024
_BLOCK = 1024 * 1024


class _SpoiltPartError(ValueError):
    """A part that cannot be taken; the code is the upload host's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


async def authorise(request: Request) -> Response:
    """``/web/api/media/upload/auth/v5/``: the token the upload host wants to see."""
    session = session_of(request)
    if session is None:
        return logged_out()
    return JSONResponse({"status_code": 0, "ak": "standin", "auth": _token(session)})


async def apply(request: Request) -> Response:
    """Open an upload of ``file_name`` and ``file_size``; the answer names its ``video_id`` and part size."""
    session = _authorised(request)
    if session is None:
        return logged_out()
    try:
        size = int(request.query_params.get("file_size", ""))
    except ValueError:
        size = 0
    if not 0 < size <= _MAX_SIZE:
        return _failed(request, 4000, f"file_size {size} is out of range", session)
    video_id = f"v0{secrets.token_hex(15)}"
    store = site_of(request).store
    store.run(
        "INSERT INTO uploads (video_id, user, filename, size, created) VALUES (?, ?, ?, ?, ?)",
        (video_id, session.user.uid, request.query_params.get("file_name", ""), size, clock.now()),
    )
    store.count("uploads_opened")
    return JSONResponse({"code": 2000, "data": {"video_id": video_id, "part_size": PART_SIZE}})


async def receive(request: Request) -> Response:
    """One part (``phase=transfer``), or the end of them (``phase=finish``)."""
    site = site_of(request)
    session = _authorised(request)
    if session is None:
        return logged_out()
    upload = site.store.row(
        "SELECT * FROM uploads WHERE video_id = ? AND user = ?",
        (request.path_params["video_id"], session.user.uid),
    )
    if upload is None or upload["status"] != "open":
        return _failed(request, 4004, "no such open upload", session)
    if request.query_params.get("phase") == "finish":
        return await _finish(request, upload, session)
    if site.scenario.spend("session_dies", "during_upload", session.user.uid):
        site.end(session)
        return logged_out()
    if site.scenario.value("upload", session.user.uid) == "stall":
        await until_gone(request, site)
        return Response(status_code=499)
    await while_held(site, "upload", session.user.uid)
    await asyncio.sleep(site.scenario.delay("upload", session.user.uid))
    return await _part(request, upload, session)


async def _part(request: Request, upload: Row, session: Session) -> Response:
    store = site_of(request).store
    try:
        number, offset, length = _place(request, upload)
        crc = await _write(request, store.blob(upload["video_id"]), offset, length)
    except _SpoiltPartError as error:
        return _failed(request, error.code, str(error), session)
    except ClientDisconnect:
        return Response(status_code=499)
    store.run(
        "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?)", (upload["video_id"], number, offset, length, crc)
    )
    return JSONResponse({"code": 2000, "data": {"part_number": number, "crc32": crc}})


def _place(request: Request, upload: Row) -> tuple[int, int, int]:
    """(number, offset, length) of the part announced by the query."""
    try:
        number = int(request.query_params["part_number"])
        offset = int(request.query_params["part_offset"])
    except (KeyError, ValueError) as error:
        raise _SpoiltPartError(4000, "part_number and part_offset are numbers") from error
    length = min(PART_SIZE, upload["size"] - offset)
    if number < 1 or offset != (number - 1) * PART_SIZE or length <= 0:
        raise _SpoiltPartError(4000, f"part {number} does not start at {offset}")
    return number, offset, length


async def _write(request: Request, path: Path, offset: int, length: int) -> str:
    """Stream the body to its place in the file; its CRC-32, which must be the one announced."""
    descriptor = _open_at(path)
    received = crc = 0
    try:
        async for block in request.stream():
            if received + len(block) > length:
                raise _SpoiltPartError(4000, f"the part is longer than {length} bytes")
            os.pwrite(descriptor, block, offset + received)
            received += len(block)
            crc = zlib.crc32(block, crc)
    finally:
        os.close(descriptor)
    if received != length:
        raise _SpoiltPartError(4000, f"the part has {received} bytes, not {length}")
    if f"{crc:08x}" != request.headers.get("Content-CRC32", "").lower():
        raise _SpoiltPartError(4011, "the part has another CRC-32")
    return f"{crc:08x}"


async def _finish(request: Request, upload: Row, session: Session) -> Response:
    site = site_of(request)
    path = site.store.blob(upload["video_id"])
    fails = site.scenario.value("upload", session.user.uid) == "fail"
    if fails or site.scenario.spend("upload", "fail_once", session.user.uid):
        return _reject(request, upload, session, "the scenario fails this upload")
    parts = site.store.row("SELECT SUM(size) AS size FROM parts WHERE video_id = ?", (upload["video_id"],))
    if parts is None or parts["size"] != upload["size"]:
        return _failed(request, 4012, "parts are missing", session)
    try:
        digest, duration = await asyncio.to_thread(_inspect, path)
    except mp4.NotMp4Error as error:
        return _reject(request, upload, session, f"not an MP4: {error}")
    # Douyin keeps one unfinished video an account (captured 2026-09).
    site.store.run("UPDATE uploads SET discarded = 1 WHERE user = ?", (session.user.uid,))
    site.store.run(
        "UPDATE uploads SET status = 'complete', discarded = 0, sha256 = ?, duration_ms = ? WHERE video_id = ?",
        (digest, duration, upload["video_id"]),
    )
    path.unlink(missing_ok=True)
    return JSONResponse({"code": 2000, "data": {"video_id": upload["video_id"], "duration_ms": duration}})


def _reject(request: Request, upload: Row, session: Session, reason: str) -> Response:
    """The upload is spoilt for good: the page shows 上传失败 and starts another one."""
    store = site_of(request).store
    store.run("UPDATE uploads SET status = 'failed' WHERE video_id = ?", (upload["video_id"],))
    store.blob(upload["video_id"]).unlink(missing_ok=True)
    return _failed(request, 4020, reason, session)


async def discard_draft(request: Request) -> Response:
    """放弃: forget the unfinished video."""
    session = session_of(request)
    if session is None:
        return logged_out()
    site_of(request).store.run("UPDATE uploads SET discarded = 1 WHERE user = ?", (session.user.uid,))
    return JSONResponse({"status_code": 0})


def unfinished(site: Site, session: Session) -> Row | None:
    """The upload that is complete but was never published."""
    return site.store.row(
        "SELECT video_id, filename, size, duration_ms FROM uploads WHERE user = ? AND status = 'complete' "
        "AND discarded = 0 AND video_id NOT IN (SELECT video_id FROM works) ORDER BY created DESC",
        (session.user.uid,),
    )


async def cover(request: Request) -> Response:
    """A cover: PNG or JPEG by its bytes; ``{"data": {"uri", "width", "height", "url"}}``."""
    session = session_of(request)
    if session is None:
        return logged_out()
    site = site_of(request)
    if site.scenario.spend("session_dies", "at_cover", session.user.uid):
        site.end(session)
        return logged_out()
    data = bytearray()
    async for block in request.stream():
        data += block
        if len(data) > _MAX_COVER:
            return _failed(request, 4013, "the cover is larger than 20 MB", session)
    if f"{zlib.crc32(data):08x}" != request.headers.get("Content-CRC32", "").lower():
        return _failed(request, 4011, "the cover has another CRC-32", session)
    try:
        content_type, width, height = images.measure(bytes(data))
    except images.NotAnImageError as error:
        return _failed(request, 4020, f"cover: {error}", session)
    store = site.store
    uri = f"tos-cn-i-standin/{secrets.token_hex(16)}"
    store.blob(uri.partition("/")[2]).write_bytes(data)
    store.run(
        "INSERT INTO covers VALUES (?, ?, ?, ?, ?, ?)",
        (uri, session.user.uid, hashlib.sha256(data).hexdigest(), width, height, content_type),
    )
    answer = {"uri": uri, "width": width, "height": height, "url": f"/imagex/{uri}"}
    return JSONResponse({"code": 2000, "data": answer})


async def show_cover(request: Request) -> Response:
    store = site_of(request).store
    found = store.row("SELECT * FROM covers WHERE uri = ?", (request.path_params["uri"],))
    if found is None:
        return Response(status_code=404)
    return FileResponse(store.blob(found["uri"].partition("/")[2]), media_type=found["content_type"])


def _authorised(request: Request) -> Session | None:
    session = session_of(request)
    if session is None or request.headers.get("Authorization") != _token(session):
        return None
    return session


def _token(session: Session) -> str:
    return "STANDIN " + hashlib.sha256(b"upload" + session.sessionid.encode()).hexdigest()


def _failed(request: Request, code: int, reason: str, session: Session) -> Response:
    site_of(request).refuse(request, reason, session.user.uid)
    return JSONResponse({"code": code, "message": reason})


def _open_at(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)


def _inspect(path: Path) -> tuple[str, int]:
    """(sha256, duration in ms) of a finished file, read block by block."""
    duration = mp4.duration_ms(path)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest(), duration


routes = [
    Route("/web/api/media/upload/auth/v5/", authorise),
    Route("/vod/v1/apply", apply, methods=["POST"]),
    Route("/upload/v1/{video_id}", receive, methods=["POST"]),
    Route("/web/api/media/draft/discard/", discard_draft, methods=["POST"]),
    Route("/imagex/upload", cover, methods=["POST"]),
    Route("/imagex/{uri:path}", show_cover),
]
