"""Publishing and the works list: ``create_v2`` checks every field again, whatever the page let through."""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import clock, declarations, passport
from .site import Session, Site, json_object, logged_out, session_of, site_of, until_gone
from .store import Row

_TITLE_MAX, _TEXT_MAX, _TOPICS_MAX = 30, 1000, 5
_SOONEST, _LATEST = 2 * 3600, 14 * 24 * 3600
# The form offers now + 2 h; filling the rest of it must not make that offer invalid.
_SLACK = 300
VISIBILITY = {0: "公开", 1: "仅自己可见", 2: "好友可见"}


_CHALLENGES = {
    "sms": (2046, "请先完成身份验证"),
    "face": (2046, "请先完成身份验证"),
    "captcha": (2154, "请完成安全验证"),
}
# Words of refusals that creators report (2025-2026); the codes are made up.
_REJECTIONS = {
    "violation": (4021, "内容违规，不可发布"),
    "review": (4022, "审核不通过，请修改后重新发布"),
    "forbidden": (4023, "操作失败，该账号暂不可发布作品"),
    "failed": (4024, "发布失败，请检查作品后重新提交"),
    "duplicate": (4025, "提交失败，请勿重复发布相同作品"),
}


class InvalidWorkError(ValueError):
    """A work the site does not take; the text is what the toast shows, the code its status_code."""

    def __init__(self, message: str, code: int = 4001) -> None:
        super().__init__(message)
        self.code = code


async def create_v2(request: Request) -> Response:
    """Publish: ``{"status_code": 0, "item_id": "<19 digits>"}``, or a status_msg. Twice sent is twice done."""
    site = site_of(request)
    site.store.count("create_v2_requests")
    session = session_of(request)
    if session is None:
        return logged_out()
    uid = session.user.uid
    if site.scenario.spend("session_dies", "at_publish", uid):
        site.end(session)
        return logged_out()
    challenge = passport.publish_challenge(site, session)
    if challenge is not None:
        site.refuse(request, f"challenge: {challenge['kind']}", uid)
        code, words = _CHALLENGES[challenge["kind"]]
        if site.scenario.value("challenge_words", uid) == "none":
            words = ""
        return JSONResponse({"status_code": code, "status_msg": words, "data": challenge})
    try:
        _moderate(site, session)
        body = await json_object(request)
        record, video_id = _checked(site, session, body)
    except ValueError as error:
        site.refuse(request, str(error), uid)
        code = error.code if isinstance(error, InvalidWorkError) else 4001
        return JSONResponse({"status_code": code, "status_msg": str(error)})
    item_id = _accept(site, session, record, video_id, body)
    if site.scenario.value("publish", uid) == "lost":
        await until_gone(request, site)
        return Response(status_code=499)
    await asyncio.sleep(site.scenario.delay("publish", uid))
    answer: dict[str, Any] = {"status_code": 0, "status_msg": "", "item_id": item_id}
    if site.scenario.value("item_id", uid) == "number":
        answer["item_id"] = int(item_id)
    return JSONResponse(answer)


async def work_list(request: Request) -> Response:
    """``janus/…/work_list``: this account's works, newest first, under ``aweme_list`` and ``items``."""
    site = site_of(request)
    session = session_of(request)
    if session is None:
        return logged_out()
    try:
        count = max(1, min(50, int(request.query_params.get("count", "12"))))
        cursor = int(request.query_params.get("max_cursor", "0"))
    except ValueError:
        return JSONResponse({"status_code": 5, "status_msg": "参数错误"})
    visible = clock.now() - site.scenario.number("works_lag", session.user.uid)
    rows = site.store.rows(
        "SELECT number, record FROM works WHERE user = ? AND received_at <= ? ORDER BY number DESC",
        (session.user.uid, visible),
    )
    page = [row for row in rows if cursor == 0 or row["number"] < cursor]
    works = [_listed(site, json.loads(row["record"])) for row in page[:count]]
    return JSONResponse(
        {
            "status_code": 0,
            "aweme_list": works,
            "items": works,
            "total": len(rows),
            "has_more": len(page) > count,
            "max_cursor": page[:count][-1]["number"] if works else 0,
        }
    )


async def suggest_topics(request: Request) -> Response:
    """Topics for what was typed after ``#``: the word itself, then neighbours; for no word the hot ones."""
    session = session_of(request)
    if session is None:
        return logged_out()
    scenario, uid = site_of(request).scenario, session.user.uid
    keyword = request.query_params.get("keyword", "").strip()
    names = [keyword, *(keyword + tail for tail in ("日常", "教程", "分享", "挑战"))] if keyword else list(_HOT)
    if keyword and scenario.value("topics", uid) in {"missing", "by_space"}:
        names = names[1:]
    await asyncio.sleep(scenario.delay("topics", uid) if keyword else 0)
    return JSONResponse(
        {
            "status_code": 0,
            "sug_list": [
                {"cha_name": name, "cid": topic_id(name), "view_count": _views(name)} for name in names
            ],
        }
    )


async def make_topic(request: Request) -> Response:
    """The topic that a word becomes without having been suggested."""
    if session_of(request) is None:
        return logged_out()
    name = request.query_params.get("name", "").strip()
    return JSONResponse({"status_code": 0, "topic": {"cha_name": name, "cid": topic_id(name)}})


_HOT = ("日常vlog", "记录美好生活", "美食教程", "城市漫步", "旅行推荐官")


def topic_id(name: str) -> str:
    """The id the suggestion list gives a topic; create_v2 knows a chip from a made-up one by it."""
    return str(1_500_000_000_000_000 + int(hashlib.sha256(name.encode()).hexdigest()[:12], 16))


def _views(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest()[:6], 16) * 3


def _moderate(site: Site, session: Session) -> None:
    """What the scenario makes of every work, valid or not."""
    if site.scenario.spend("publish", "busy_once", session.user.uid):
        raise InvalidWorkError("服务器开小差了，请稍后再试", 10006)
    if site.scenario.value("publish", session.user.uid) == "rejected":
        code, words = _REJECTIONS[str(site.scenario.value("rejection", session.user.uid))]
        raise InvalidWorkError(words, code)


def _accept(
    site: Site, session: Session, record: dict[str, Any], video_id: str, body: Mapping[str, Any]
) -> str:
    """Keep the work, whether or not its video was published before; its item_id."""
    item_id, now = _new_item_id(), clock.now()
    record |= {"user": session.user.uid, "item_id": item_id, "received_at": now}
    site.store.run(
        "INSERT INTO works (item_id, user, video_id, received_at, record, body) VALUES (?, ?, ?, ?, ?, ?)",
        (
            item_id,
            session.user.uid,
            video_id,
            now,
            json.dumps(record, ensure_ascii=False),
            json.dumps(body, ensure_ascii=False),
        ),
    )
    return item_id


def _checked(site: Site, session: Session, body: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """(the ground truth's record of the work, its video_id)."""
    item = _object(body, "item")
    common = _object(item, "common")
    title = common.get("item_title")
    if not isinstance(title, str) or not title.strip():
        raise InvalidWorkError("作品标题不能为空")
    if len(title) > _TITLE_MAX:
        raise InvalidWorkError("作品标题不能超过30个字")
    text = common.get("text")
    if not isinstance(text, str) or len(text) > _TEXT_MAX:
        raise InvalidWorkError("作品简介不能超过1000个字")
    if common.get("visibility_type") not in VISIBILITY or isinstance(common["visibility_type"], bool):
        raise InvalidWorkError("参数错误：谁可以看")
    if common.get("download") not in {0, 1}:
        raise InvalidWorkError("参数错误：保存权限")
    video = _video(site, session, common)
    record = {
        "title": title,
        "description": text,
        "topics": _topics(common),
        "cover": _cover(site, session, item),
        "declaration": _declaration(site, session, item),
        "timing": _timing(common),
        "visibility": VISIBILITY[common["visibility_type"]],
        "save_permission": "允许" if common["download"] else "不允许",
        "sync_elsewhere": bool(common.get("sync_elsewhere")),
        "video": {name: video[name] for name in ("sha256", "size", "duration_ms", "filename")},
    }
    return record, video["video_id"]


def _video(site: Site, session: Session, common: Mapping[str, Any]) -> Row:
    video = site.store.row(
        "SELECT * FROM uploads WHERE video_id = ? AND user = ?", (common.get("video_id"), session.user.uid)
    )
    if video is None or video["status"] != "complete":
        raise InvalidWorkError("视频还未上传完成，请稍后再试")
    return video


def _topics(common: Mapping[str, Any]) -> list[str]:
    try:
        extra = json.loads(common.get("text_extra") or "[]")
        topics = [(part["hashtag_name"], str(part["hashtag_id"])) for part in extra]
    except (TypeError, KeyError, ValueError) as error:
        raise InvalidWorkError("参数错误：话题") from error
    if len(topics) > _TOPICS_MAX:
        raise InvalidWorkError("最多添加5个话题")
    if any(topic_id(name) != given for name, given in topics):
        raise InvalidWorkError("参数错误：话题")
    return [name for name, _ in topics]


def _cover(site: Site, session: Session, item: Mapping[str, Any]) -> dict[str, Any] | None:
    """``{"sha256", "width", "height", "slots": {"竖封面3:4": …, "横封面4:3": …}}``: the first slot leads."""
    given = _object(item, "cover")
    slots: dict[str, Any] = {}
    for slot, name in (("竖封面3:4", "vertical"), ("横封面4:3", "horizontal")):
        if given.get(name) is None:
            continue
        found = site.store.row(
            "SELECT sha256, width, height FROM covers WHERE uri = ? AND user = ?",
            (given[name], session.user.uid),
        )
        if found is None:
            raise InvalidWorkError("参数错误：封面")
        slots[slot] = found
    if not slots:
        if site.scenario.value("cover", session.user.uid) == "mandatory":
            raise InvalidWorkError("请设置封面后再发布")
        return None
    first: dict[str, Any] = next(iter(slots.values()))
    return {**first, "slots": slots}


def _declaration(site: Site, session: Session, item: Mapping[str, Any]) -> dict[str, Any] | None:
    said = _object(item, "declare").get("user_declare_info")
    dialog = site.scenario.value("declaration", session.user.uid)
    if said is None:
        # The old dialog was voluntary; since summer 2026 the site wants an answer.
        if dialog == "old" or site.scenario.value("declaration_skip", session.user.uid) == "allowed":
            return None
        raise InvalidWorkError("请完善自主声明")
    try:
        parsed = json.loads(said)
    except (TypeError, ValueError) as error:
        raise InvalidWorkError("参数错误：自主声明") from error
    if not isinstance(parsed, dict):
        raise InvalidWorkError("参数错误：自主声明")
    return declarations.check(parsed, dialog)


def _timing(common: Mapping[str, Any]) -> int:
    timing = common.get("timing")
    if not isinstance(timing, int) or isinstance(timing, bool):
        raise InvalidWorkError("参数错误：发布时间")
    if timing == -1:
        return timing
    ahead = timing - clock.now()
    if not _SOONEST - _SLACK <= ahead <= _LATEST + _SLACK:
        raise InvalidWorkError("定时发布时间需在2小时后至14天内")
    return timing


def _listed(site: Site, record: Mapping[str, Any]) -> dict[str, Any]:
    created = int(record["received_at"])
    timing = record["timing"]
    cover = record["cover"] and site.store.row(
        "SELECT uri FROM covers WHERE sha256 = ? AND user = ?", (record["cover"]["sha256"], record["user"])
    )
    return {
        "id": record["item_id"],
        "item_id": record["item_id"],
        "aweme_id": record["item_id"],
        "title": record["title"],
        "item_title": record["title"],
        "desc": f"{record['title']} {record['description']}".strip(),
        "description": record["description"],
        "create_time": created,
        "public_time": created if timing == -1 else timing,
        "timing": timing,
        "duration": record["video"]["duration_ms"],
        "video": {"duration": record["video"]["duration_ms"]},
        "Cover": {"url_list": [f"/imagex/{cover['uri']}"] if cover else []},
        "status": {
            "is_delete": False,
            "is_private": record["visibility"] == "仅自己可见",
            "is_prohibited": False,
            "in_reviewing": True,
        },
        "status_desc": "审核中",
        "statistics": {"play_count": 0, "digg_count": 0, "comment_count": 0, "share_count": 0},
    }


def _object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise InvalidWorkError(f"参数错误：{name}")
    return value


def _new_item_id() -> str:
    """19 digits that only grow, beyond what a JavaScript number can hold."""
    return str(7_500_000_000_000_000_000 + time.time_ns() % 400_000_000_000_000_000)


routes = [
    Route("/web/api/media/aweme/create_v2/", create_v2, methods=["POST"]),
    Route("/janus/douyin/creator/pc/work_list", work_list),
    Route("/aweme/v1/search/challengesug/", suggest_topics),
    Route("/aweme/v1/challenge/create/", make_topic),
]
