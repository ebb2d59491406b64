"""Logging in: QR codes, the cookies of a session, and the challenges: SMS, face, captcha.

``get_qrcode`` and ``check_qrconnect`` answer with the statuses measured in July 2026: ``new``, ``scanned``,
``confirmed``, ``refused``, ``expired``. A confirmed code gives its cookies to the first browser that asks.
"""

import asyncio
import base64
import io
import secrets
from typing import Any

import segno
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from . import clock
from .site import Session, Site, json_object, logged_out, origin_of, session_of, site_of
from .store import Row
from .users import USERS, User

_SESSION_LIFE = 60 * 24 * 3600
_RISK = "该二维码异常"
_MAX_WRONG = 5


async def get_qrcode(request: Request) -> Response:
    """A new code: ``{"data": {"qrcode": base64 PNG, "qrcode_svg", "token", "expire_time", …}}``."""
    site = site_of(request)
    if site.scenario.value("captcha") == "login":
        challenge = open_captcha(site, "login")
        if challenge is not None:
            return JSONResponse({"data": challenge, "error_code": 1105, "message": "error"})
    token = secrets.token_hex(17)
    target = f"{origin_of(request)}/phone?token={token}"
    code = segno.make(target, error="q")
    png = io.BytesIO()
    code.save(png, kind="png", scale=5, border=2)
    now = clock.now()
    expires = now + site.scenario.number("qr_life")
    site.store.run(
        "INSERT INTO qr (token, created, expires, status) VALUES (?, ?, ?, 'new')",
        (token, now, expires),
    )
    return JSONResponse(
        {
            "data": {
                "qrcode": base64.b64encode(png.getvalue()).decode(),
                "qrcode_svg": _drawn(code),
                "qrcode_index_url": target,
                "token": token,
                "expire_time": int(expires),
                "app_name": "creator",
            },
            "error_code": 0,
            "message": "success",
        }
    )


async def check_qrconnect(request: Request) -> Response:
    """How a code stands; sets the session's cookies when its owner has confirmed."""
    site = site_of(request)
    qr = find_qr(site, request.query_params.get("token", ""))
    if qr is None:
        return JSONResponse({"data": {"status": "expired"}, "error_code": 0, "message": "success"})
    status = qr["status"]
    data: dict[str, Any] = {"status": status}
    if status == "refused" and qr["reason"]:
        data["description"] = qr["reason"]
    if status != "confirmed":
        return JSONResponse({"data": data, "error_code": 0, "message": "success"})

    user = USERS[qr["user"]]
    if site.scenario.value("second_verification", user.uid) in {"login", "both"}:
        challenge = open_identity(site, user, f"qr:{qr['token']}")
        if challenge is not None:
            return JSONResponse({"data": challenge, "error_code": 2046, "message": "error"})
    if site.store.run("UPDATE qr SET claimed = 1 WHERE token = ? AND claimed = 0", (qr["token"],)) == 0:
        return JSONResponse({"data": {"status": "expired"}, "error_code": 0, "message": "success"})
    fronted = site.scenario.value("login_lands", user.uid) == "front"
    path = "/?is_new_connect=0&is_new_user=0" if fronted else "/creator-micro/home"
    data["redirect_url"] = f"{origin_of(request)}{path}"
    response = JSONResponse({"data": data, "error_code": 0, "message": "success"})
    _open_session(site, user, response)
    return response


async def send_code(request: Request) -> Response:
    """获取验证码: an SMS to the owner's phone; it is shown on the phone page."""
    site = site_of(request)
    ticket = _ticket(site, (await json_object(request)).get("verify_ticket"))
    if ticket is None:
        return _passport_error(4, "验证已失效，请重新操作")
    pause = site.scenario.number("sms_pause", ticket["user"])
    if clock.now() - ticket["sent_at"] < pause:
        return _passport_error(1206, "操作太频繁，请稍后再试")
    site.store.run(
        "UPDATE tickets SET code = ?, sent_at = ?, wrong = 0 WHERE ticket = ?",
        (f"{secrets.randbelow(1_000_000):06d}", clock.now(), ticket["ticket"]),
    )
    site.store.count("sms_sent")
    return JSONResponse({"data": {"retry_time": pause}, "error_code": 0, "message": "success"})


async def validate_code(request: Request) -> Response:
    """验证: whether the code typed is the one sent."""
    site = site_of(request)
    body = await json_object(request)
    ticket = _ticket(site, body.get("verify_ticket"))
    if ticket is None:
        return _passport_error(4, "验证已失效，请重新操作")
    if not ticket["code"]:
        return _passport_error(1203, "请先获取验证码")
    if ticket["wrong"] >= _MAX_WRONG:
        return _passport_error(1204, "错误次数过多，请重新获取验证码")
    if body.get("code") != ticket["code"]:
        site.store.run("UPDATE tickets SET wrong = wrong + 1 WHERE ticket = ?", (ticket["ticket"],))
        site.refuse(request, "wrong SMS code", ticket["user"])
        return _passport_error(1202, "验证码错误，请重新输入")
    _pass(site, ticket)
    return JSONResponse({"data": {}, "error_code": 0, "message": "success"})


async def solve_captcha(request: Request) -> Response:
    """The puzzle was solved; nobody looks how."""
    site = site_of(request)
    ticket = _ticket(site, (await json_object(request)).get("verify_ticket"))
    if ticket is None or not ticket["subject"].startswith("captcha:"):
        return _passport_error(4, "验证已失效，请重新操作")
    _pass(site, ticket)
    return JSONResponse({"data": {}, "error_code": 0, "message": "success"})


async def user_info(request: Request) -> Response:
    """Who is logged in: status_code 0 and ``user``, or status_code 8."""
    site, session = site_of(request), session_of(request)
    uid = session.user.uid if session else ""
    await asyncio.sleep(site.scenario.delay("user_info", uid))
    # Browsers say by this header what a request is for; nothing else sends it.
    browser = "sec-fetch-mode" in request.headers
    match site.scenario.value("user_info", uid):
        case "error":
            return Response("Internal Server Error", status_code=500)
        case "html":
            return HTMLResponse("<!doctype html><title>抖音</title><p>页面不存在</p>")
        case "captcha":
            return JSONResponse(
                {"data": open_captcha(site, "user_info"), "error_code": 1105, "message": "error"}
            )
        case "stranger":
            return logged_out()
        case "browser_only" if not browser:
            return logged_out()
        case "http_only":
            session = None if browser else session_of(request, ended=True)
    if session is None:
        return logged_out()
    return JSONResponse({"status_code": 0, "status_msg": "", "user": profile(request, session)})


async def ask_before_publish(request: Request) -> Response:
    """What a page that asks before it sends a work has to ask for: a challenge, or ``{}``."""
    session = session_of(request)
    if session is None:
        return logged_out()
    return JSONResponse(publish_challenge(site_of(request), session) or {})


def profile(request: Request, session: Session) -> dict[str, Any]:
    """The account as the site tells it, under the name that it gave itself."""
    told = session.user.profile(origin_of(request))
    nickname = site_of(request).scenario.value("nickname", session.user.uid)
    return told | ({"nickname": nickname} if nickname else {})


def find_qr(site: Site, token: str) -> Row | None:
    """A code by its token, its status brought up to date."""
    qr = site.store.row("SELECT * FROM qr WHERE token = ?", (token,))
    if qr is not None and qr["status"] in {"new", "scanned"} and clock.now() >= qr["expires"]:
        site.store.run("UPDATE qr SET status = 'expired' WHERE token = ?", (token,))
        qr["status"] = "expired"
    return qr


def live_qrs(site: Site) -> list[Row]:
    """Codes a phone could still scan or confirm, newest first."""
    return site.store.rows(
        "SELECT token, created, expires, status, user FROM qr "
        "WHERE status IN ('new', 'scanned') AND expires > ? ORDER BY created DESC",
        (clock.now(),),
    )


def scan(site: Site, qr: Row) -> str:
    """The phone sees the code; a text says why it may not go on, empty when it may."""
    if qr["status"] not in {"new", "scanned"}:
        return "二维码失效"
    if site.scenario.value("qr_refused") == "risk":
        refuse(site, qr, _RISK)
        return _RISK
    site.store.run("UPDATE qr SET status = 'scanned' WHERE token = ? AND status = 'new'", (qr["token"],))
    return ""


def confirm(site: Site, qr: Row, user: User) -> str:
    """The phone's owner allows the login; a text says why that came too late, or too early."""
    if qr["status"] == "new":
        return "请先扫描二维码"
    sql = "UPDATE qr SET status = 'confirmed', user = ? WHERE token = ? AND status = 'scanned'"
    return "" if site.store.run(sql, (user.uid, qr["token"])) else "二维码失效"


def refuse(site: Site, qr: Row, reason: str = "") -> None:
    site.store.run(
        "UPDATE qr SET status = 'refused', reason = ? WHERE token = ? AND status IN ('new', 'scanned')",
        (reason, qr["token"]),
    )


def open_identity(site: Site, user: User, subject: str) -> dict[str, Any] | None:
    """身份验证 for a QR or a session: ``{"kind": "sms" | "face", …}``, or None once it was passed."""
    ticket = _open_ticket(site, user.uid, subject)
    if ticket is None:
        return None
    challenge = {"verify_ticket": ticket, "mobile": user.masked_phone}
    if site.scenario.value("verification", user.uid) == "face":
        code = segno.make(f"face-verification:{ticket}", error="q")
        return challenge | {"kind": "face", "verify_ways": ["face_verify"], "qrcode_svg": _drawn(code)}
    ways = ["mobile_sms_verify", "mobile_up_sms_verify", "pwd_verify"]
    return challenge | {"kind": "sms", "verify_ways": ways}


def open_captcha(site: Site, subject: str) -> dict[str, Any] | None:
    """``{"kind": "captcha", …}``, or None once it was solved."""
    ticket = _open_ticket(site, "", f"captcha:{subject}")
    return {"kind": "captcha", "verify_ticket": ticket} if ticket else None


def publish_challenge(site: Site, session: Session) -> dict[str, Any] | None:
    """What the first publish of a login asks for, where the scenario says so."""
    return _session_challenge(site, session, {"publish", "both"}, "publish")


def entry_challenge(site: Site, session: Session) -> dict[str, Any] | None:
    """What the first visit of the upload page asks for, where the scenario says so."""
    return _session_challenge(site, session, {"enter"}, "enter")


def _session_challenge(site: Site, session: Session, identity: set[str], captcha: str) -> dict[str, Any] | None:
    uid = session.user.uid
    if site.scenario.value("captcha", uid) == captcha:
        challenge = open_captcha(site, session.sessionid)
        if challenge is not None:
            return challenge
    if site.scenario.value("second_verification", uid) in identity:
        return open_identity(site, session.user, f"session:{session.sessionid}")
    return None


def _open_ticket(site: Site, uid: str, subject: str) -> str | None:
    """The ticket of a challenge; None once it was passed."""
    ticket = site.store.row("SELECT * FROM tickets WHERE subject = ?", (subject,))
    if ticket is not None:
        return None if ticket["passed"] else str(ticket["ticket"])
    name = secrets.token_hex(16)
    site.store.run("INSERT INTO tickets (ticket, user, subject) VALUES (?, ?, ?)", (name, uid, subject))
    return name


def _pass(site: Site, ticket: Row) -> None:
    site.store.run("UPDATE tickets SET passed = 1 WHERE ticket = ?", (ticket["ticket"],))
    kind, _, subject = ticket["subject"].partition(":")
    if kind == "session":
        site.store.run("UPDATE sessions SET publish_verified = 1 WHERE sessionid = ?", (subject,))


def _drawn(code: segno.QRCode) -> str:
    svg = io.BytesIO()
    code.save(svg, kind="svg", border=2, omitsize=True, xmldecl=False, svgclass=None, lineclass=None)
    return svg.getvalue().decode()


def _open_session(site: Site, user: User, response: Response) -> None:
    sessionid, now = secrets.token_hex(16), clock.now()
    site.store.run(
        "INSERT INTO sessions (sessionid, user, created) VALUES (?, ?, ?)", (sessionid, user.uid, now)
    )
    guard = f"{sessionid}%7C{int(now)}%7C{_SESSION_LIFE}%7C{clock.cookie_date(now + _SESSION_LIFE)}"
    guard = guard.replace(" ", "+").replace(",", "%2C").replace(":", "%3A")
    cookies = {"sessionid": sessionid, "sessionid_ss": sessionid, "sid_tt": sessionid, "sid_guard": guard}
    for name, value in (cookies | {"uid_tt": user.identity, "uid_tt_ss": user.identity}).items():
        response.set_cookie(name, value, max_age=_SESSION_LIFE, path="/", httponly=True, samesite="lax")


def _ticket(site: Site, ticket: object) -> Row | None:
    return site.store.row("SELECT * FROM tickets WHERE ticket = ? AND passed = 0", (str(ticket),))


def _passport_error(code: int, description: str) -> Response:
    return JSONResponse({"data": {"description": description}, "error_code": code, "message": "error"})


routes = [
    Route("/passport/web/get_qrcode/", get_qrcode),
    Route("/passport/web/check_qrconnect/", check_qrconnect),
    Route("/passport/web/send_code/", send_code, methods=["POST"]),
    Route("/passport/web/validate_code/", validate_code, methods=["POST"]),
    Route("/passport/web/solve_captcha/", solve_captcha, methods=["POST"]),
    Route("/web/api/media/user/info/", user_info),
    Route("/site/publish_challenge", ask_before_publish),
]
