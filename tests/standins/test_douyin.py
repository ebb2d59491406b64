"""The stand-in of Douyin's creator site in a real browser: the happy path, and the traps of the real site."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from .support import COVER, VIDEO, XIAOMAN, PostPage, Standin

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system

SHANGHAI = timezone(timedelta(hours=8))
SHOWN_QR = "#animate_qrcode_container img[aria-label='二维码']"


def unix(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=SHANGHAI).timestamp())


def scan(page: Page, douyin: Standin, user: str = XIAOMAN) -> str:
    """Scan what the page shows and confirm it."""
    picture = page.locator(SHOWN_QR).get_attribute("src")
    token: str = douyin.post("/phone/api/scan", qr_png_base64=picture)["token"]
    douyin.post("/phone/api/confirm", token=token, user=user)
    return token


# The happy path


def test_a_work_is_published_from_the_qr_code_to_the_works_list(stranger: Page, douyin: Standin) -> None:
    douyin.scenario(pace=30, popovers="on")
    post = PostPage(stranger, douyin.url)
    stranger.goto(f"{douyin.url}/creator-micro/home")
    expect(stranger).to_have_url(re.compile(r"/\?redirect_url=.*creator-micro%2Fhome"))
    expect(stranger.get_by_placeholder("请输入验证码")).to_be_visible()
    picture = stranger.locator(SHOWN_QR).get_attribute("src")
    token = douyin.post("/phone/api/scan", qr_png_base64=picture)["token"]
    expect(stranger.get_by_text("请在手机上确认登录")).to_be_visible()
    douyin.post("/phone/api/confirm", token=token, user=XIAOMAN)
    expect(stranger).to_have_url(f"{douyin.url}/creator-micro/home")
    expect(stranger.get_by_text("小满同学").first).to_be_visible()
    cookies = {cookie["name"] for cookie in stranger.context.cookies()}
    assert {"sessionid", "sessionid_ss", "sid_tt", "sid_guard", "uid_tt"} <= cookies

    stranger.get_by_role("button", name="高清发布").click()
    stranger.get_by_text("我知道了").click()
    stranger.locator("div[class^='container'] input[type=file]").set_input_files(VIDEO)
    expect(stranger.locator('[class^="long-card"] div:has-text("重新上传")')).to_be_attached()
    expect(stranger).to_have_url(re.compile("/creator-micro/content/post/video"))
    stranger.get_by_text("我知道了").click()

    post.title.fill("城市漫步")
    post.editor.click()
    stranger.keyboard.type("看看黄昏")
    for count, topic in enumerate(("旅行", "城市漫步"), start=1):
        post.add_topic(topic)
        expect(post.chips).to_have_count(count)
    post.set_cover()
    post.declare("内容由AI生成")
    stranger.get_by_text("不允许", exact=True).click()
    stranger.get_by_text("仅自己可见", exact=True).click()

    post.schedule()
    wanted = datetime.now(SHANGHAI) + timedelta(days=5)
    post.time.click()
    day = stranger.locator(f".semi-datepicker-day[title='{wanted:%Y-%m-%d}']")
    expect(stranger.locator(".semi-datepicker-month")).to_be_visible()
    if day.count() == 0:
        stranger.get_by_label("Next month").click()
    day.click()
    stranger.locator(".semi-datepicker-switch-time").click()
    stranger.locator(".undefined-list-hour li").filter(has_text="09").click()
    stranger.locator(".undefined-list-minute li").filter(has_text="45").click()
    expect(stranger.locator(".undefined-list-hour .semi-scrolllist-item-sel")).to_have_text("09时")
    stranger.locator(".semi-popover").get_by_role("button", name="确定").click()
    expect(post.time).to_have_value(f"{wanted:%Y-%m-%d} 09:45")
    post.publish()
    expect(post.toast.last).to_have_text("发布成功")
    card = stranger.locator("[class^=video-card-]").first
    expect(card).to_contain_text("审核中")
    expect(card).to_contain_text(f"定时发布 {wanted:%Y年%m月%d日} 09:45")

    [work] = douyin.works
    assert re.fullmatch(r"\d{19}", work["item_id"])
    assert work["title"] == "城市漫步"
    assert work["description"].split() == ["看看黄昏", "#旅行", "#城市漫步"]
    assert work["topics"] == ["旅行", "城市漫步"]
    assert work["cover"]["sha256"] == hashlib.sha256(COVER.read_bytes()).hexdigest()
    assert list(work["cover"]["slots"]) == ["竖封面3:4"]
    assert (work["cover"]["width"], work["cover"]["height"]) == (1080, 1440)
    assert work["declaration"]["choice"] == "内容由AI生成"
    assert work["timing"] == unix(f"{wanted:%Y-%m-%d} 09:45")
    assert (work["visibility"], work["save_permission"]) == ("仅自己可见", "不允许")
    assert work["video"] == {
        "sha256": hashlib.sha256(VIDEO.read_bytes()).hexdigest(),
        "size": VIDEO.stat().st_size,
        "duration_ms": 6000,
        "filename": "demo.mp4",
    }
    assert work["user"] == XIAOMAN


# Logging in


def test_an_expired_code_is_covered_and_a_click_brings_a_new_one(stranger: Page, douyin: Standin) -> None:
    douyin.scenario(qr_life=1)
    stranger.goto(douyin.url)
    first = stranger.locator(SHOWN_QR).get_attribute("src")
    expect(stranger.get_by_text("二维码失效")).to_be_visible()
    douyin.scenario(qr_life=60)
    stranger.get_by_text("二维码失效").click()
    expect(stranger.get_by_text("二维码失效")).to_be_hidden()
    assert stranger.locator(SHOWN_QR).get_attribute("src") != first
    scan(stranger, douyin)
    expect(stranger).to_have_url(f"{douyin.url}/creator-micro/home")


def test_risk_control_refuses_the_scan(stranger: Page, douyin: Standin) -> None:
    douyin.scenario(qr_refused="risk")
    stranger.goto(douyin.url)
    picture = stranger.locator(SHOWN_QR).get_attribute("src")
    assert douyin.post("/phone/api/scan", qr_png_base64=picture) == {"error": "该二维码异常"}
    expect(stranger.get_by_text("该二维码异常")).to_be_visible()


def test_a_code_drawn_as_svg_is_known_by_its_screenshot(stranger: Page, douyin: Standin) -> None:
    douyin.scenario(qr="svg")
    stranger.goto(douyin.url)
    expect(stranger.locator("#animate_qrcode_container svg").first).to_be_visible()
    expect(stranger.locator("#animate_qrcode_container img")).to_have_count(0)
    picture = base64.b64encode(stranger.locator("#animate_qrcode_container").screenshot()).decode()
    assert douyin.post("/phone/api/scan", qr_png_base64=picture)["status"] == "scanned"
    expect(stranger.get_by_text("扫码成功")).to_be_visible()


def test_a_logged_out_visit_may_show_the_login_panel_in_place(stranger: Page, douyin: Standin) -> None:
    douyin.scenario(logged_out="stay")
    stranger.goto(f"{douyin.url}/creator-micro/content/upload")
    expect(stranger.get_by_text("扫码登录")).to_be_visible()
    assert stranger.url == f"{douyin.url}/creator-micro/content/upload"
    scan(stranger, douyin)
    expect(stranger).to_have_url(f"{douyin.url}/creator-micro/home")


def test_a_person_can_log_in_with_the_phone_page(stranger: Page, douyin: Standin) -> None:
    stranger.goto(douyin.url)
    expect(stranger.locator(SHOWN_QR)).to_be_visible()
    phone = stranger.context.new_page()
    phone.goto(f"{douyin.url}/phone?token={douyin.get('/phone/api/qr')[0]['token']}")
    phone.get_by_role("button", name="城市漫步者").click()
    phone.get_by_role("button", name="确认登录").click()
    expect(phone.get_by_text("已确认登录")).to_be_visible()
    expect(stranger.get_by_text("城市漫步者").first).to_be_visible()


def test_a_login_may_ask_for_an_sms_code(stranger: Page, douyin: Standin) -> None:
    douyin.scenario(second_verification="login")
    stranger.goto(douyin.url)
    scan(stranger, douyin)
    challenge = stranger.locator("#uc-second-verify")
    expect(challenge).to_contain_text("为保障账号安全，请先完成身份验证，以确保为本人操作")
    assert douyin.get("/phone/api/sms") == []
    challenge.get_by_text("接收短信验证码", exact=True).click()
    challenge.get_by_text("获取验证码").click()
    expect(challenge).to_contain_text(re.compile(r"\d+s 后重新发送"))
    [message] = douyin.get("/phone/api/sms")
    challenge.get_by_placeholder("请输入验证码").fill(message["code"])
    challenge.get_by_text("验证", exact=True).click()
    expect(stranger).to_have_url(f"{douyin.url}/creator-micro/home")


# Uploading


def test_the_form_comes_only_after_the_upload(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(upload="hold")
    post.choose_video()
    expect(post.page.get_by_text(re.compile(r"上传中 \d+%"))).to_be_visible()
    assert post.title.count() == 0
    douyin.scenario(upload="ok")
    expect(post.title).to_be_visible()


def test_an_early_form_can_be_sent_while_the_video_uploads(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(form="early", upload="hold")
    post.complete()
    expect(post.page.get_by_text(re.compile(r"上传中 \d+%"))).to_be_visible()
    post.publish_button.click()
    expect(post.page.get_by_text("正在发布")).to_be_visible()
    douyin.scenario(upload="ok")
    post.page.wait_for_url("**/creator-micro/content/manage?enter_from=publish")
    assert len(douyin.works) == 1


def test_a_failed_upload_offers_a_retry(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(upload="fail_once")
    post.choose_video()
    failure = post.page.locator("div.progress-div")
    expect(failure.get_by_text("上传失败")).to_be_visible()
    failure.locator('[class^="upload-btn-input"]').set_input_files(VIDEO)
    post.title.fill("第二次")
    expect(post.toast).to_have_text("上传成功")
    expect(post.title).to_have_value("第二次")


def test_a_file_that_is_no_mp4_fails(post: PostPage, tmp_path: Path) -> None:
    fake = tmp_path / "fake.mp4"
    fake.write_bytes(b"not a film" * 100)
    post.choose_video(fake)
    expect(post.page.get_by_text("上传失败")).to_be_visible()


def test_a_login_that_dies_during_the_upload_leads_to_the_login_page(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(session_dies="during_upload")
    post.choose_video()
    expect(post.page.locator(SHOWN_QR)).to_be_visible()
    assert "redirect_url=" in post.page.url


def test_an_unfinished_video_is_offered_again(post: PostPage) -> None:
    post.open()
    post.page.get_by_role("button", name="暂存离开").click()
    expect(post.page).to_have_url(re.compile(r"/content/upload\?enter_from=publish"))
    expect(post.page.get_by_text("你还有上次未发布的视频，是否继续编辑？")).to_be_visible()
    post.page.get_by_text("继续编辑", exact=True).click()
    expect(post.title).to_have_value("")
    post.page.get_by_role("button", name="暂存离开").click()
    post.page.get_by_text("放弃", exact=True).click()
    expect(post.page.get_by_text("你还有上次未发布的视频")).to_be_hidden()


def test_the_older_post_page_has_its_own_address(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(post_page="v1")
    post.open()
    expect(post.page).to_have_url(re.compile(r"/creator-micro/content/publish\?enter_from=publish_page"))


def test_a_popover_takes_every_click_until_it_is_closed(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(popovers="on")
    post.page.goto(f"{douyin.url}/creator-micro/content/upload")
    expect(post.page.locator(".shepherd-element")).to_be_visible()
    topmost = "() => document.elementFromPoint(700, 500).closest('.shepherd-modal-overlay-container') !== null"
    assert post.page.evaluate(topmost)
    with post.page.expect_response("**/site/seen"):
        post.page.get_by_text("我知道了").click()
    post.page.reload()
    expect(post.page.get_by_text("点击上传 或直接将视频文件拖入此区域")).to_be_visible()
    assert not post.page.evaluate(topmost)


# The form


def test_a_title_is_clipped_at_thirty_characters(post: PostPage) -> None:
    post.open().title.fill("长" * 40)
    expect(post.title).to_have_value("长" * 30)
    expect(post.page.get_by_text("30/30")).to_be_visible()


def test_a_description_may_start_with_the_file_name(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(description="filename")
    expect(post.open().editor).to_have_text("demo")


def test_a_topic_ended_by_a_space_is_no_chip_and_leaves_a_layer_until_escape(
    post: PostPage, douyin: Standin
) -> None:
    post.complete().editor.click()
    post.page.keyboard.type("#旅行")
    expect(post.suggestions.first).to_be_visible()
    post.page.keyboard.type(" ")
    expect(post.suggestions).to_have_count(0)
    expect(post.chips).to_have_count(0)
    blocked = "() => document.elementFromPoint(700, 300).className === 'publish-mention-wrapper'"
    assert post.page.evaluate(blocked)
    post.page.keyboard.press("Escape")
    assert not post.page.evaluate(blocked)
    post.publish()
    assert douyin.works[0]["topics"] == []
    assert douyin.works[0]["description"].strip() == "#旅行"


def test_a_sixth_topic_is_refused(post: PostPage) -> None:
    post.open().editor.click()
    for count, name in enumerate(("一", "二", "三", "四", "五"), start=1):
        post.add_topic(name)
        expect(post.chips).to_have_count(count)
    post.add_topic("六")
    expect(post.toast.last).to_have_text("最多添加5个话题")
    expect(post.chips).to_have_count(5)


def test_the_first_file_inputs_of_the_cover_dialog_set_no_cover(post: PostPage) -> None:
    post.open().declare("内容由AI生成")
    dialog = post.cover_dialog()
    inputs = dialog.locator("input[type=file]")
    expect(inputs).to_have_count(4)
    inputs.first.set_input_files(COVER)
    expect(dialog.get_by_text("已添加参考图")).to_be_visible()
    dialog.get_by_role("button", name="完成", exact=True).click()
    dialog.wait_for(state="detached")
    post.publish_button.click()
    expect(post.toast.last).to_have_text("请设置封面后再发布")


def test_a_cover_can_be_set_for_each_shape(post: PostPage, douyin: Standin) -> None:
    post.open().declare("无需添加自主声明")
    dialog = post.cover_dialog()
    right = dialog.locator(".semi-upload").filter(has_text="点击上传文件或拖拽文件到这里")
    right.locator("input.semi-upload-hidden-input").set_input_files(COVER)
    done = dialog.get_by_role("button", name="完成", exact=True)
    expect(done).to_be_disabled()
    expect(done).to_be_enabled()
    dialog.get_by_role("button", name="设置横封面").click()
    expect(dialog.locator("[class*=active-]")).to_have_text("设置横封面")
    right.locator("input.semi-upload-hidden-input").set_input_files(COVER)
    expect(done).to_be_disabled()
    done.click()
    dialog.wait_for(state="detached")
    post.publish()
    assert sorted(douyin.works[0]["cover"]["slots"]) == ["横封面4:3", "竖封面3:4"]


def test_one_cover_of_two_may_need_a_second_confirmation(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(cover_confirm="on")
    post.open()
    dialog = post.cover_dialog()
    dialog.locator("input[type=file]").nth(2).set_input_files(COVER)
    dialog.locator("img").wait_for()
    dialog.get_by_role("button", name="完成", exact=True).click()
    post.page.get_by_role("button", name="仍然完成").click()
    dialog.wait_for(state="detached")
    expect(post.page.get_by_text("编辑封面")).to_have_count(1)


def test_a_work_without_a_declaration_is_held_back(post: PostPage, douyin: Standin) -> None:
    post.open().set_cover()
    post.publish_button.click()
    modal = post.page.get_by_role("dialog").filter(has_text="未添加自主声明")
    expect(modal.get_by_role("button", name="直接发布")).to_be_disabled()
    modal.get_by_role("button", name="添加声明").click()
    expect(post.page.get_by_text("请选择声明类型（单选）")).to_be_visible()
    confirm = post.page.get_by_role("button", name="确定", exact=True)
    expect(confirm).to_be_disabled()
    post.page.locator("label.semi-radio").filter(has_text="内容为转载信息").click()
    expect(confirm).to_be_enabled()
    post.page.locator("label.semi-radio").filter(has_text="取材站外").click()
    confirm.click()
    expect(post.page.locator("[class^=selectText]")).to_have_text("内容为转载信息")
    post.publish()
    declaration = douyin.works[0]["declaration"]
    assert (declaration["choice"], declaration["sub_choice"]) == ("内容为转载信息", "取材站外")


def test_the_older_declaration_wants_a_place_and_a_date(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(declaration="old")
    post.open().set_cover()
    post.page.get_by_text("添加声明", exact=True).click()
    post.page.locator("label.semi-radio").filter(has_text="内容自行拍摄").click()
    confirm = post.page.get_by_role("button", name="确定", exact=True)
    post.page.locator(".semi-cascader-selection").click()
    for name in ("中国大陆", "上海市", "徐汇区"):
        post.page.locator(".semi-cascader-option").get_by_text(name, exact=True).click()
    expect(confirm).to_be_disabled()
    post.page.get_by_placeholder("设置拍摄日期").fill("2026-05-01")
    confirm.click()
    expect(post.page.get_by_role("dialog")).to_have_count(0)
    post.publish()
    assert douyin.works[0]["declaration"] == {
        "choice": "内容自行拍摄",
        "sub_choice": None,
        "place": ["中国大陆", "上海市", "徐汇区"],
        "date": "2026-05-01",
    }


def test_a_cleared_time_fills_itself_and_enter_keeps_the_offer(post: PostPage) -> None:
    post.open().schedule()
    offered = post.time.input_value()
    ahead = unix(offered) - datetime.now(SHANGHAI).timestamp()
    assert 7100 < ahead < 7290
    post.time.fill("")
    expect(post.time).to_have_value(re.compile(r"\d{4}-"))
    wanted = f"{datetime.now(SHANGHAI) + timedelta(days=3):%Y-%m-%d} 08:30"
    post.time.fill(wanted)
    post.page.keyboard.press("Enter")
    assert abs(unix(post.time.input_value()) - unix(offered)) <= 60


def test_a_typed_time_counts_once_the_panel_confirms_it(post: PostPage, douyin: Standin) -> None:
    post.complete().schedule()
    wanted = datetime.now(SHANGHAI) + timedelta(days=3)
    post.time.click()
    post.time.fill(f"{wanted:%Y-%m-%d} 08:30")
    expect(post.page.locator(".semi-datepicker-switch-date")).to_have_text(f"{wanted:%Y-%m-%d}")
    post.page.locator(".semi-popover").get_by_role("button", name="确定").click()
    expect(post.time).to_have_value(f"{wanted:%Y-%m-%d} 08:30")
    post.publish()
    assert douyin.works[0]["timing"] == unix(f"{wanted:%Y-%m-%d} 08:30")


def test_class_suffixes_can_change_while_prefixes_stay(post: PostPage, douyin: Standin) -> None:
    post.open()
    captured = post.publish_button.get_attribute("class")
    douyin.scenario(hashes="random")
    post.open()
    changed = post.publish_button.get_attribute("class")
    assert captured is not None
    assert changed is not None
    assert captured.split()[0] == "button-dhlUZE"
    assert re.match(r"button-\w{6} primary-\w{6} ", changed)
    assert not set(captured.split()) & set(changed.split())


# Publishing


def test_publishing_may_ask_for_an_sms_code_and_then_for_another_click(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(second_verification="publish")
    post.complete().publish_button.click()
    challenge = post.page.locator("#uc-second-verify")
    challenge.get_by_text("接收短信验证码", exact=True).click()
    challenge.get_by_text("获取验证码").click()
    expect(challenge).to_contain_text("后重新发送")
    [message] = douyin.get("/phone/api/sms")
    code = challenge.get_by_placeholder("请输入验证码")
    code.fill("000000" if message["code"] != "000000" else "111111")
    challenge.get_by_text("验证", exact=True).click()
    expect(challenge.locator(".uc-ui-verify_error")).to_have_text("验证码错误，请重新输入")
    code.fill(message["code"])
    challenge.get_by_text("验证", exact=True).click()
    expect(challenge).to_have_count(0)
    assert douyin.works == []
    post.publish()
    assert len(douyin.works) == 1


def test_a_busy_server_is_a_toast_and_the_form_stays(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(publish="busy_once")
    post.complete().publish_button.click()
    expect(post.toast.last).to_have_text("服务器开小差了，请稍后再试")
    assert douyin.works == []
    post.publish()
    assert len(douyin.works) == 1


def test_an_answer_may_be_lost_although_the_work_exists(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(publish="lost")
    post.complete()
    with post.page.expect_request("**/create_v2/"):
        post.publish_button.click()
    expect(post.page.get_by_text("正在发布")).to_be_visible()
    post.page.goto(f"{douyin.url}/creator-micro/content/manage")
    expect(post.page.locator("[class^=info-title-text-]")).to_have_text("黄昏散步")
    assert len(douyin.works) == 1


def test_a_double_click_publishes_twice(post: PostPage, douyin: Standin) -> None:
    post.complete().publish_button.dblclick()
    post.page.wait_for_url("**/creator-micro/content/manage?enter_from=publish")
    expect(post.page.locator("[class^=info-title-text-]")).to_have_count(2)
    assert len(douyin.works) == 2
