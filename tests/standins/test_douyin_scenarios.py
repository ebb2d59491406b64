"""The rarer scenarios of Douyin's stand-in, in a real browser: challenges, odd ends, small redesigns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from .support import COVER, VIDEO, XIAOMAN, PostPage, Standin
from .test_douyin import SHOWN_QR, scan

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.system


def solve(page: Page) -> None:
    """Drag the slider of the captcha to its end."""
    slider = page.locator("#captcha_container .secsdk-captcha-drag-icon")
    slider.focus()
    slider.press("End")
    expect(page.locator("#captcha_container")).to_have_count(0)


def verify(page: Page, douyin: Standin) -> None:
    """Answer 身份验证 with the code that the phone got."""
    challenge = page.locator("#uc-second-verify")
    challenge.get_by_text("接收短信验证码", exact=True).click()
    challenge.get_by_text("获取验证码").click()
    expect(challenge).to_contain_text("后重新发送")
    challenge.get_by_placeholder("请输入验证码").fill(douyin.get("/phone/api/sms")[0]["code"])
    challenge.get_by_text("验证", exact=True).click()
    expect(challenge).to_have_count(0)


# Challenges


def test_a_captcha_may_stand_before_the_code_to_scan(stranger: Page, douyin: Standin) -> None:
    douyin.scenario(captcha="login")
    stranger.goto(douyin.url)
    expect(stranger.get_by_text("按住左边按钮拖动完成上方拼图")).to_be_visible()
    expect(stranger.locator(SHOWN_QR)).to_have_count(0)
    solve(stranger)
    scan(stranger, douyin)
    expect(stranger).to_have_url(f"{douyin.url}/creator-micro/home")


def test_a_captcha_may_stand_before_the_upload_page(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(captcha="enter")
    post.page.goto(f"{douyin.url}/creator-micro/content/upload")
    expect(post.page.locator(".captcha_verify_container")).to_be_visible()
    solve(post.page)
    expect(post.page.locator("div[class^='container'] input[type=file]")).to_be_attached()


def test_a_captcha_may_refuse_a_publish(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(captcha="publish")
    post.complete().publish_button.click()
    solve(post.page)
    assert douyin.works == []
    assert douyin.reasons == ["challenge: captcha"]
    post.publish()
    assert len(douyin.works) == 1


def test_a_code_may_be_asked_for_at_the_door_and_once_only(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(second_verification="enter")
    post.page.goto(f"{douyin.url}/creator-micro/content/upload")
    verify(post.page, douyin)
    expect(post.page.get_by_text("点击上传 或直接将视频文件拖入此区域")).to_be_visible()
    post.page.reload()
    expect(post.page.get_by_text("点击上传 或直接将视频文件拖入此区域")).to_be_visible()


def test_a_look_at_the_face_offers_no_other_way(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(second_verification="publish", verification="face")
    post.complete().publish_button.click()
    challenge = post.page.locator("#uc-second-verify")
    expect(challenge.locator("[class*=qrcode] svg")).to_be_visible()
    expect(challenge.get_by_text("接收短信验证码")).to_have_count(0)
    challenge.locator(".uc-ui-verify-new_header-close").click()
    expect(challenge).to_have_count(0)
    assert douyin.works == []


def test_a_passed_code_may_send_the_work_at_once(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(second_verification="publish", after_verification="resend")
    post.complete().publish_button.click()
    verify(post.page, douyin)
    post.page.wait_for_url("**/creator-micro/content/manage?enter_from=publish")
    assert len(douyin.works) == 1
    assert douyin.get("/admin/state")["counters"]["create_v2_requests"] == 2


def test_another_sms_can_be_had_after_the_pause(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(second_verification="enter", sms_pause=1)
    post.page.goto(f"{douyin.url}/creator-micro/content/upload")
    challenge = post.page.locator("#uc-second-verify")
    challenge.get_by_text("接收短信验证码", exact=True).click()
    challenge.get_by_text("获取验证码").click()
    challenge.get_by_text("重新发送", exact=True).click()
    expect(challenge).to_contain_text(re.compile(r"\d+s 后重新发送"))
    assert douyin.get("/admin/state")["counters"]["sms_sent"] == 2


# Sessions


def test_a_login_may_be_left_on_the_front_page(stranger: Page, douyin: Standin) -> None:
    douyin.scenario(login_lands="front")
    stranger.goto(f"{douyin.url}/creator-micro/home")
    scan(stranger, douyin)
    expect(stranger).to_have_url(f"{douyin.url}/?is_new_connect=0&is_new_user=0")
    expect(stranger.get_by_text("进入创作者中心")).to_be_visible()
    expect(stranger.get_by_text("登录")).to_have_count(0)
    stranger.goto(f"{douyin.url}/creator-micro/home")
    expect(stranger.get_by_text("小满同学").first).to_be_visible()


def test_a_login_may_end_when_the_work_is_sent(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(session_dies="at_publish")
    post.complete().publish_button.click()
    expect(post.page.locator(SHOWN_QR)).to_be_visible()
    assert "redirect_url=" in post.page.url
    assert douyin.works == []


# Uploading


def test_an_upload_that_stalls_can_be_canceled(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(upload="stall")
    post.choose_video()
    expect(post.page.get_by_text("上传中 0%")).to_be_visible()
    post.page.get_by_text("取消上传", exact=True).click()
    expect(post.page).to_have_url(f"{douyin.url}/creator-micro/content/upload")
    douyin.scenario(upload="ok")
    post.choose_video()
    expect(post.title).to_be_visible()


def test_an_upload_may_fail_again_and_again(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(upload="fail")
    post.choose_video()
    for opened in (1, 2):
        expect(post.page.get_by_text("上传失败")).to_be_visible()
        assert douyin.get("/admin/state")["counters"]["uploads_opened"] == opened
        with post.page.expect_response(re.compile("phase=finish")):
            post.page.locator('div.progress-div [class^="upload-btn-input"]').set_input_files(VIDEO)


# The form


def test_a_blank_may_make_a_topic_of_a_word_that_is_not_suggested(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(topics="by_space")
    post.complete().editor.click()
    post.page.keyboard.type("#旅行")
    expect(post.suggestions.first).to_have_text("旅行日常")
    post.page.keyboard.type(" ")
    expect(post.chips).to_have_text(["#旅行"])
    post.publish()
    assert douyin.works[0]["topics"] == ["旅行"]


def test_a_word_may_be_missing_among_the_suggestions(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(topics="missing")
    post.open().editor.click()
    post.page.keyboard.type("#旅行")
    expect(post.suggestions.first).to_have_text("旅行日常")
    post.page.keyboard.type(" ")
    expect(post.suggestions).to_have_count(0)
    expect(post.chips).to_have_count(0)


@pytest.mark.parametrize(("first", "active"), [("vertical", "设置竖封面"), ("horizontal", "设置横封面")])
def test_the_cover_dialog_may_open_at_the_other_step(
    post: PostPage, douyin: Standin, first: str, active: str
) -> None:
    douyin.scenario(cover_first=first)
    post.open()
    post.page.get_by_text("选择封面").nth(0 if first == "horizontal" else 1).click()
    expect(post.page.get_by_role("dialog").locator("[class*=active-]")).to_have_text(active)


def test_the_cover_dialog_may_ask_again_and_stay_behind(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(cover_confirm="always", cover_residual="on")
    post.open().declare("内容由AI生成")
    dialog = post.cover_dialog()
    right = dialog.locator(".semi-upload").filter(has_text="点击上传文件或拖拽文件到这里")
    right.locator("input.semi-upload-hidden-input").set_input_files(COVER)
    dialog.locator("img").wait_for()
    dialog.get_by_role("button", name="完成", exact=True).click()
    post.page.get_by_role("button", name="仍然完成").click()
    expect(post.page.get_by_text("编辑封面")).to_be_visible()
    expect(dialog).to_be_visible()
    centre = "() => document.elementFromPoint(720, 500).closest('[role=dialog]') !== null"
    assert post.page.evaluate(centre)
    dialog.get_by_label("close").click()
    expect(dialog).to_have_count(0)
    post.publish()
    assert list(douyin.works[0]["cover"]["slots"]) == ["竖封面3:4"]


# Small redesigns


def test_blanks_may_stand_within_texts_but_not_within_what_people_wrote(
    post: PostPage, douyin: Standin
) -> None:
    douyin.scenario(drift="spaces")
    post.choose_video()
    expect(post.page.get_by_role("button", name="发 布", exact=True)).to_be_visible()
    expect(post.page.get_by_role("button", name="发布", exact=True)).to_have_count(0)
    expect(post.page.get_by_text("小满同学", exact=True)).to_be_visible()


def test_elements_may_stand_around_elements(post: PostPage, douyin: Standin) -> None:
    direct = "[class^='coverControl-'] > [class^='cover-']"
    post.open()
    expect(post.page.locator(direct)).to_have_count(2)
    douyin.scenario(drift="wrappers")
    post.open()
    expect(post.page.locator("[class^='cover-']").first).to_be_visible()
    expect(post.page.locator(direct)).to_have_count(0)


def test_tags_may_change_while_everything_works(post: PostPage, douyin: Standin) -> None:
    douyin.scenario(drift="tags")
    post.open()
    expect(post.page.locator("button[type=button]").filter(has_text="发布")).to_have_count(0)
    expect(post.page.locator("label")).to_have_count(0)
    post.page.locator("[data-checked=false]").filter(has_text="仅自己可见").click()
    expect(post.page.locator("[data-checked=true]").filter(has_text="仅自己可见")).to_be_visible()
    post.page.get_by_text("请选择自主声明").click()
    confirm = post.page.get_by_role("button", name="确定", exact=True)
    expect(confirm).to_be_disabled()
    confirm.click(force=True)
    expect(confirm).to_be_visible()
    post.page.locator(".semi-radio").filter(has_text="虚构演绎").click()
    confirm.click()
    expect(confirm).to_have_count(0)
    assert douyin.get("/admin/state")["sessions"][0]["user"] == XIAOMAN
