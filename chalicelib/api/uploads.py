"""Leave to upload media, instead of passing them by a URL of one's own."""

from __future__ import annotations

from chalicelib.api import wiring
from chalicelib.api.edge import Routes
from chalicelib.api.models import UploadAnswer, UploadRequest
from chalicelib.errors import MediaTooLarge, ValidationFailed
from chalicelib.keys.scopes import Scope

routes = Routes(__name__, "uploads")


@routes.operation(
    "POST",
    "/api/v1/uploads",
    scope=Scope.PUBLISH_WRITE,
    request=UploadRequest,
    answer=UploadAnswer,
    errors=(ValidationFailed, MediaTooLarge),
    again="Gives leave to another upload. One that is not used goes after 7 days.",
    unkeyed="it changes nothing: an answer is leave to upload, and nothing is kept of one that is not used",
)
def open_upload(body: UploadRequest) -> UploadAnswer:
    """Get leave to upload a video or a cover.

    Send the file to url within 15 minutes, by method and with exactly these headers. Then pass media_url as
    video_url or cover_path. A file of another size, type or SHA-256 is refused, and so is a second one.
    """
    ticket = wiring.upload_desk().open(body.file_name, body.content_type, body.size, body.sha256.lower())
    return UploadAnswer(
        upload_id=ticket.id,
        url=ticket.url,
        method="PUT",
        headers=ticket.headers,
        expires_at=ticket.expires_at,
        media_url=ticket.media_url,
    )
