"""The phone: a page where a person scans, confirms and reads SMS codes, and the same as a JSON API.

``POST /phone/api/scan`` takes ``{"token"}`` or ``{"qr_png_base64"}``; ``confirm`` takes ``{"token", "user"}``;
``refuse`` takes ``{"token"}``; ``GET /phone/api/qr`` lists live codes, newest first; ``GET /phone/api/sms`` the
messages received.
"""

import base64
import io
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import zxingcpp
from PIL import Image, UnidentifiedImageError
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from . import passport
from .site import Site, json_object, origin_of, site_of
from .store import Row
from .users import USERS

_QR_CODE = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
_PAGE = Path(__file__).parent / "static" / "phone.html"


async def page(request: Request) -> Response:  # noqa: ARG001 - the page reads its query itself
    return FileResponse(_PAGE, headers={"Cache-Control": "no-store"})


async def users(request: Request) -> Response:
    """The accounts this phone can be logged in to."""
    origin = origin_of(request)
    return JSONResponse(
        [
            {
                "uid": user.uid,
                "nickname": user.nickname,
                "unique_id": user.unique_id,
                "phone": user.phone,
                "avatar": f"{origin}/media/avatar/{user.uid}.svg",
            }
            for user in USERS.values()
        ]
    )


async def codes(request: Request) -> Response:
    """Live QR codes, newest first; ``?token=`` gives one, however it stands."""
    site = site_of(request)
    token = request.query_params.get("token")
    if token is None:
        return JSONResponse(passport.live_qrs(site))
    qr = passport.find_qr(site, token)
    if qr is None:
        return _error(404, "no such code")
    return JSONResponse(
        {name: qr[name] for name in ("token", "created", "expires", "status", "reason", "user")}
    )


async def messages(request: Request) -> Response:
    """SMS codes sent and not yet used, newest first; ``?user=`` limits them to one account."""
    rows = site_of(request).store.rows(
        "SELECT user, code, sent_at FROM tickets WHERE code != '' AND passed = 0 ORDER BY sent_at DESC"
    )
    user = request.query_params.get("user")
    return JSONResponse([row for row in rows if user in {None, row["user"]}])


async def scan(request: Request) -> Response:
    site = site_of(request)
    body = await json_object(request)
    if "qr_png_base64" in body:
        qr, refusal = _qr_of_picture(site, str(body["qr_png_base64"]))
    else:
        qr, refusal = passport.find_qr(site, str(body.get("token", ""))), _error(404, "no such code")
    if qr is None:
        return refusal
    problem = passport.scan(site, qr)
    if problem:
        site.refuse(request, problem)
        return _error(409, problem)
    return JSONResponse({"token": qr["token"], "status": "scanned"})


async def confirm(request: Request) -> Response:
    site = site_of(request)
    body = await json_object(request)
    qr = passport.find_qr(site, str(body.get("token", "")))
    user = USERS.get(str(body.get("user", "")))
    if qr is None or user is None:
        return _error(404, "no such code" if qr is None else f"no such user; there are {', '.join(USERS)}")
    problem = passport.confirm(site, qr, user)
    if problem:
        return _error(409, problem)
    return JSONResponse({"token": qr["token"], "status": "confirmed", "user": user.uid})


async def refuse(request: Request) -> Response:
    site = site_of(request)
    qr = passport.find_qr(site, str((await json_object(request)).get("token", "")))
    if qr is None:
        return _error(404, "no such code")
    passport.refuse(site, qr)
    return JSONResponse({"token": qr["token"], "status": "refused"})


def _qr_of_picture(site: Site, text: str) -> tuple[Row | None, Response]:
    """The code a picture shows, read as a phone's camera reads it."""
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(text.rpartition("base64,")[2], validate=True)))
        seen = zxingcpp.read_barcodes(picture.convert("L"), formats=_QR_CODE)
    except (ValueError, UnidentifiedImageError):
        return None, _error(400, "qr_png_base64 is not a picture in base64")
    if len(seen) != 1:
        return None, _error(422, f"the picture shows {len(seen)} QR codes, not one")
    query = parse_qs(urlsplit(seen[0].text).query)
    return passport.find_qr(site, query.get("token", [""])[0]), _error(404, "no such code")


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status_code=status)


routes = [
    Route("/phone", page),
    Route("/phone/api/users", users),
    Route("/phone/api/qr", codes),
    Route("/phone/api/sms", messages),
    Route("/phone/api/scan", scan, methods=["POST"]),
    Route("/phone/api/confirm", confirm, methods=["POST"]),
    Route("/phone/api/refuse", refuse, methods=["POST"]),
]
