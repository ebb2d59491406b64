"""The stand-in of Douyin's creator site without a browser: its API, its switches, and its life as a process."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import signal
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from PIL import Image

from .support import COVER, ROOT, VIDEO, WALKER, XIAOMAN, Creator, Standin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def creator(douyin: Standin) -> Iterator[Creator]:
    with douyin.login() as creator:
        yield creator


# Publishing


def test_a_published_work_is_listed_newest_first(creator: Creator) -> None:
    item = creator.item()
    first = creator.publish(item)["item_id"]
    second = creator.publish(item | {"common": item["common"] | {"item_title": "第二个"}})["item_id"]
    works = creator.works()
    assert [work["item_id"] for work in works] == [second, first]
    assert [work["title"] for work in works] == ["第二个", "黄昏散步"]
    assert works[0]["duration"] == 6000
    assert works[0]["status"]["in_reviewing"] is True
    page = creator.get("/janus/douyin/creator/pc/work_list?status=0&count=1&max_cursor=0")
    rest = creator.get(f"/janus/douyin/creator/pc/work_list?count=1&max_cursor={page['max_cursor']}")
    assert (page["has_more"], rest["has_more"]) == (True, False)
    assert rest["aweme_list"][0]["item_id"] == first


def test_the_same_body_sent_twice_is_two_works(creator: Creator, douyin: Standin) -> None:
    item = creator.item()
    ids = {creator.publish(item)["item_id"] for _ in range(2)}
    assert {work["item_id"] for work in douyin.works} == ids
    assert len(ids) == 2
    assert douyin.get("/admin/state")["counters"]["create_v2_requests"] == 2


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("common", {"item_title": "  "}, "作品标题不能为空"),
        ("common", {"item_title": "长" * 31}, "作品标题不能超过30个字"),
        ("common", {"text": "长" * 1001}, "作品简介不能超过1000个字"),
        ("common", {"text_extra": json.dumps([{"hashtag_name": "旅行", "hashtag_id": "1"}])}, "参数错误：话题"),
        (
            "common",
            {"text_extra": json.dumps([{"hashtag_name": "旅行", "hashtag_id": "1"}] * 6)},
            "最多添加5个话题",
        ),
        ("common", {"video_id": "v0unknown"}, "视频还未上传完成，请稍后再试"),
        ("common", {"visibility_type": 7}, "参数错误：谁可以看"),
        ("common", {"download": "允许"}, "参数错误：保存权限"),
        ("common", {"timing": 1000}, "定时发布时间需在2小时后至14天内"),
        ("common", {"timing": None}, "参数错误：发布时间"),
        ("cover", {"vertical": None}, "请设置封面后再发布"),
        ("cover", {"vertical": "tos-cn-i-standin/other"}, "参数错误：封面"),
        ("declare", {"user_declare_info": None}, "请完善自主声明"),
        ("declare", {"user_declare_info": json.dumps({"choose_value": "self_shoot"})}, "参数错误：自主声明"),
    ],
)
def test_a_field_the_site_does_not_accept_is_refused(
    creator: Creator, douyin: Standin, section: str, change: dict[str, Any], message: str
) -> None:
    item = creator.item()
    answer = creator.publish(item | {section: item[section] | change})
    assert answer["status_code"] != 0
    assert answer["status_msg"] == message
    assert douyin.works == []
    assert message in douyin.reasons


@pytest.mark.parametrize(
    ("hours", "accepted"), [(1.5, False), (2.01, True), (24 * 14 - 1, True), (24 * 14 + 1, False)]
)
def test_a_schedule_must_lie_between_two_hours_and_fourteen_days(
    creator: Creator, hours: float, accepted: bool
) -> None:
    item = creator.item()
    item["common"]["timing"] = int(time.time() + hours * 3600)
    assert (creator.publish(item)["status_code"] == 0) is accepted


def test_somebody_elses_video_cannot_be_published(creator: Creator, douyin: Standin) -> None:
    item = creator.item()
    with douyin.login(WALKER) as other:
        assert other.publish(item)["status_msg"] == "视频还未上传完成，请稍后再试"


def test_an_item_id_may_be_a_number_too_long_for_javascript(creator: Creator, douyin: Standin) -> None:
    item = creator.item()
    as_text = creator.publish(item)["item_id"]
    douyin.scenario(item_id="number")
    as_number = creator.publish(item)["item_id"]
    assert isinstance(as_text, str)
    assert isinstance(as_number, int)
    assert len(as_text) == len(str(as_number)) == 19
    assert as_number > 2**53


def test_a_new_work_may_take_a_while_to_be_listed(creator: Creator, douyin: Standin) -> None:
    douyin.scenario(works_lag=3600)
    creator.publish(creator.item())
    assert creator.works() == []
    assert len(douyin.works) == 1


def test_a_rejected_work_is_not_kept_whatever_the_words(creator: Creator, douyin: Standin) -> None:
    douyin.scenario(publish="rejected")
    item = creator.item()
    words = set()
    for rejection in ("violation", "review", "forbidden", "failed", "duplicate"):
        douyin.scenario(rejection=rejection)
        words.add(creator.publish(item)["status_msg"])
    assert "内容违规，不可发布" in words
    assert len(words) == 5
    assert douyin.works == []


def test_a_stranger_can_do_nothing(douyin: Standin) -> None:
    with requests.Session() as session:
        stranger = Creator(douyin.url, session)
        assert stranger.get("/web/api/media/user/info/")["status_code"] == 8
        assert stranger.publish({})["status_code"] == 8
        assert stranger.get("/web/api/media/upload/auth/v5/")["status_code"] == 8


def test_a_session_ended_by_the_platform_is_gone(creator: Creator, douyin: Standin) -> None:
    assert creator.get("/web/api/media/user/info/")["user"]["uid"] == XIAOMAN
    assert douyin.post("/admin/logout", user=XIAOMAN) == {"ended": 1}
    assert creator.get("/web/api/media/user/info/")["status_code"] == 8


# Uploading


def test_a_large_video_arrives_whole_in_several_parts(creator: Creator, douyin: Standin) -> None:
    padding = struct.pack(">I4s", 11_000_008, b"free") + bytes(range(250)) * 44_000
    data = VIDEO.read_bytes() + padding
    assert creator.upload(data)["data"]["duration_ms"] == 6000
    [upload] = douyin.get("/admin/state")["uploads"]
    assert upload["sha256"] == hashlib.sha256(data).hexdigest()
    assert upload["size"] == len(data)


def test_a_damaged_part_and_a_missing_part_are_refused(creator: Creator, douyin: Standin) -> None:
    data = VIDEO.read_bytes()
    video_id, headers = creator.open_upload(len(data))
    place = f"/upload/v1/{video_id}?phase=transfer&part_number=1&part_offset=0"
    assert creator.send(place, data, **{**headers, "Content-CRC32": "00000000"})["code"] == 4011
    assert creator.send(place, data[:-1], **headers)["code"] == 4000
    assert creator.send(f"/upload/v1/{video_id}?phase=finish", b"", **headers)["code"] == 4012
    assert douyin.reasons[-1] == "parts are missing"


@pytest.mark.parametrize("data", [b"plain text", VIDEO.read_bytes()[:40_000], VIDEO.read_bytes()[32:]])
def test_what_is_no_mp4_is_no_video(creator: Creator, data: bytes) -> None:
    assert creator.upload(data)["code"] == 4020


def test_a_cover_must_be_a_picture(creator: Creator) -> None:
    assert creator.send("/imagex/upload", b"<svg/>")["code"] == 4020
    assert creator.send("/imagex/upload", COVER.read_bytes())["data"]["width"] == 1080


# The phone


def test_the_phone_reads_a_code_from_any_picture_of_it(douyin: Standin) -> None:
    codes = [douyin.get("/passport/web/get_qrcode/")["data"] for _ in range(2)]
    pictures = [Image.open(io.BytesIO(base64.b64decode(code["qrcode"]))).convert("RGB") for code in codes]
    photo = Image.new("RGB", (800, 500), "beige")
    photo.paste(pictures[1].resize((310, 310)), (90, 70))
    assert douyin.post("/phone/api/scan", qr_png_base64=_base64(photo))["token"] == codes[1]["token"]
    photo.paste(pictures[0].resize((310, 310)), (450, 70))
    assert "shows 2 QR codes" in douyin.post("/phone/api/scan", qr_png_base64=_base64(photo))["error"]
    blank = Image.new("RGB", (800, 500), "white")
    assert "shows 0 QR codes" in douyin.post("/phone/api/scan", qr_png_base64=_base64(blank))["error"]
    junk = base64.b64encode(b"no picture").decode()
    assert "is not a picture" in douyin.post("/phone/api/scan", qr_png_base64=junk)["error"]
    for code in codes:
        assert douyin.post("/phone/api/scan", qr_png_base64=code["qrcode"])["token"] == code["token"]
    assert [code["token"] for code in douyin.get("/phone/api/qr")] == [codes[1]["token"], codes[0]["token"]]


def test_a_confirmed_code_logs_in_one_browser_only(douyin: Standin) -> None:
    token = douyin.get("/passport/web/get_qrcode/")["data"]["token"]
    poll = f"/passport/web/check_qrconnect/?token={token}"
    assert douyin.get(poll)["data"]["status"] == "new"
    assert douyin.post("/phone/api/confirm", token=token, user=XIAOMAN)["error"] == "请先扫描二维码"
    douyin.post("/phone/api/scan", token=token)
    assert douyin.get(poll)["data"]["status"] == "scanned"
    douyin.post("/phone/api/confirm", token=token, user=XIAOMAN)
    assert douyin.get(poll)["data"]["status"] == "confirmed"
    assert douyin.get(poll)["data"]["status"] == "expired"


def test_a_refused_code_stays_refused(douyin: Standin) -> None:
    token = douyin.get("/passport/web/get_qrcode/")["data"]["token"]
    douyin.post("/phone/api/refuse", token=token)
    assert douyin.get(f"/passport/web/check_qrconnect/?token={token}")["data"] == {"status": "refused"}
    assert douyin.post("/phone/api/scan", token=token)["error"] == "二维码失效"


# The switches


def test_unknown_switches_and_values_are_refused_with_what_exists(douyin: Standin) -> None:
    assert "no switch 'colour'" in douyin.scenario(colour="red")["error"]
    assert "late|early" in douyin.scenario(form="never", qr="svg")["error"]
    assert "1..3600" in douyin.scenario(qr_life=True)["error"]
    assert douyin.get("/admin/scenario")["qr"] == "png"


def test_a_body_that_is_no_json_object_is_a_plain_400(douyin: Standin) -> None:
    for path in ("/admin/scenario", "/phone/api/scan"):
        answer = requests.post(douyin.url + path, data=b"[]", timeout=5)
        assert (answer.status_code, answer.json()) == (400, {"error": "the body is not a JSON object"})


def test_every_switch_says_what_it_does(douyin: Standin) -> None:
    switches = douyin.get("/admin/switches")
    assert switches.keys() == douyin.get("/admin/scenario").keys()
    assert all(switch["does"] for switch in switches.values())
    readme = (ROOT / "local/standins/douyin/README.md").read_text()
    assert [name for name in switches if f"`{name}`" not in readme] == []
    assert switches["post_page"] == {
        "default": "v2",
        "accepts": "v2|v1",
        "does": "address of the post page; v1 renders its form at once",
    }


def test_switches_can_differ_for_one_account(douyin: Standin) -> None:
    douyin.scenario(publish="rejected")
    assert douyin.scenario(user=WALKER, publish="slow:50")["publish"] == "slow:50"
    assert douyin.get("/admin/scenario")["publish"] == "rejected"
    assert douyin.get(f"/admin/scenario?user={WALKER}")["publish"] == "slow:50"
    with douyin.login(WALKER) as walker, douyin.login() as creator:
        assert walker.publish(walker.item())["status_code"] == 0
        assert creator.publish(creator.item())["status_code"] != 0
    answer = requests.delete(f"{douyin.url}/admin/scenario", timeout=5).json()
    assert answer["publish"] == "ok"


def test_a_one_time_switch_acts_once_each_time_it_is_set(creator: Creator, douyin: Standin) -> None:
    item = creator.item()
    for _ in range(2):
        douyin.scenario(publish="busy_once")
        assert [creator.publish(item)["status_code"] == 0 for _ in range(3)] == [False, True, True]


def test_the_demo_media_are_served(douyin: Standin) -> None:
    for path in (VIDEO, COVER):
        answer = requests.get(f"{douyin.url}/media/{path.name}", timeout=5)
        assert answer.content == path.read_bytes()


# The process


def test_everything_survives_a_kill(tmp_path: Path) -> None:
    before = Standin(tmp_path)
    before.scenario(qr="svg", publish="busy_once")
    with before.login() as creator:
        item = creator.item()
        assert creator.publish(item)["status_code"] != 0
        item_id = creator.publish(item)["item_id"]
        token = before.get("/passport/web/get_qrcode/")["data"]["token"]
        before.kill()

        after = Standin(tmp_path)
        creator.url = after.url
        assert creator.get("/web/api/media/user/info/")["user"]["uid"] == XIAOMAN
        assert [work["item_id"] for work in creator.works()] == [item_id]
        assert creator.publish(item)["status_code"] == 0, "a spent switch stays spent"
        assert after.get("/admin/scenario")["qr"] == "svg"
        assert after.post("/phone/api/scan", token=token)["status"] == "scanned"
        assert after.end() == 0


def test_it_says_once_where_it_listens_and_ends_with_its_parents_pipe(tmp_path: Path) -> None:
    standin = Standin(tmp_path)
    assert standin.ready == f"ready {standin.url}\n"
    assert standin.url.startswith("http://127.0.0.1:")
    assert standin.process.poll() is None
    assert standin.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_a_second_even_while_an_answer_is_held_back(
    tmp_path: Path, number: signal.Signals
) -> None:
    standin = Standin(tmp_path)
    standin.scenario(publish="lost")
    with standin.login() as creator:
        item = creator.item()
        outcome: list[BaseException | None] = []

        def publish() -> None:
            try:
                creator.publish(item)
                outcome.append(None)
            except (requests.RequestException, ValueError) as error:
                outcome.append(error)

        waiting = threading.Thread(target=publish)
        waiting.start()
        deadline = time.monotonic() + 60
        while not standin.works and time.monotonic() < deadline:
            pass
        began = time.monotonic()
        standin.process.send_signal(number)
        code = standin.process.wait(timeout=60)
        took = time.monotonic() - began
        waiting.join()
    standin.end()
    assert (code, len(outcome)) == (0, 1)
    assert outcome[0] is not None, "the answer must never arrive"
    assert took < 1


def _base64(picture: Image.Image) -> str:
    png = io.BytesIO()
    picture.save(png, "PNG")
    return base64.b64encode(png.getvalue()).decode()
