"""Publishing on the stand-in, compared with what the stand-in was told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import Error as PlaywrightError

from chalicelib.errors import (
    CaptchaRequired,
    FormMismatch,
    NoTimeLeft,
    OutcomeUnknown,
    PageTimeout,
    PlatformRejected,
    PlatformUnreachable,
    PublisherError,
    SessionExpired,
    VerificationRequired,
)
from chalicelib.sniff import sniff
from container.douyin import act
from container.douyin import publish as driver
from container.douyin.cover import empty_slots, set_cover
from container.douyin.locators import MARKS
from container.douyin.publish import Publication, Work
from container.douyin.session import ensure_logged_in
from container.douyin.sight import look
from container.douyin.works import list_works
from container.evidence import Timeline
from tests.container.support import COVER, VIDEO, open_form, prepare, publish, visit

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Request, Route

    from container.browser import Browser
    from container.douyin.publish import Submitted
    from tests.container.conftest import Run
    from tests.container.support import Site, Visit

pytestmark = pytest.mark.system

_WORK = Work(video=VIDEO, title="城市漫步", claim_type="内容由AI生成")


def _sha256(path: Any) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_was_not_asked_for_gets_the_sites_defaults(run: Run, browser: Browser, site: Site) -> None:
    async def go() -> list[str]:
        async with visit(browser, site) as visited:
            await publish(visited, Work(video=VIDEO, title="只有标题"))
            return visited.notes

    notes = run(go())
    (truth,) = site.works()
    assert (truth["description"], truth["topics"], truth["timing"]) == ("", [], -1)
    assert truth["declaration"]["choice"] == "无需添加自主声明"
    assert truth["cover"] is not None
    assert (truth["visibility"], truth["save_permission"]) == ("公开", "允许")
    assert "no cover was given: the first one that the site recommends" in notes
    assert "no claim_type was given: 无需添加自主声明" in notes


def test_the_old_dialog_wants_place_and_date_for_own_footage(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(declaration="old")
    error = _refused_at_fill(run, browser, site, Work(VIDEO, "自行拍摄", cover=COVER, claim_type="自行拍摄"))
    assert error.context["field"] == "claim_type"
    assert "place and date" in error.detail


@pytest.mark.parametrize(
    ("field", "work"),
    [
        ("title", Work(VIDEO, "长" * 31)),
        ("tags", Work(VIDEO, "六个话题", tags=tuple("一二三四五六"))),
        ("claim_type", Work(VIDEO, "无此声明", claim_type="没有的")),
    ],
    ids=["long-title", "six-topics", "unknown-declaration"],
)
def test_a_field_that_the_form_does_not_take_is_named(
    run: Run, browser: Browser, site: Site, field: str, work: Work
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(act, "EFFECT_MS", 500)
        error = _refused_at_fill(run, browser, site, work)
    assert error.context["field"] == field
    assert site.publish_requests() == 0


def test_a_topic_that_is_not_suggested_is_an_error(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(topics="missing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("container.douyin.topics._BY_BLANK_MS", 500)
        error = _refused_at_fill(run, browser, site, Work(VIDEO, "话题", tags=("没有",)))
    assert error.context == {"field": "tags", "step": "description"}
    assert "没有日常" in error.detail


@pytest.mark.parametrize("ahead", [timedelta(days=14, minutes=2), timedelta(days=16), timedelta(days=60)])
def test_a_time_that_the_site_does_not_take_yet_is_refused(
    run: Run, browser: Browser, site: Site, ahead: timedelta
) -> None:
    error = _refused_at_fill(run, browser, site, Work(VIDEO, "太晚", publish_at=datetime.now(UTC) + ahead))
    assert error.context["field"] == "schedule_time"
    assert "14 days" in error.detail
    assert site.publish_requests() == 0


@pytest.mark.parametrize("logged_out", ["redirect", "stay"])
def test_a_session_that_is_over_is_proved(run: Run, browser: Browser, site: Site, logged_out: str) -> None:
    site.scenario(logged_out=logged_out)

    async def go() -> PublisherError:
        async with visit(browser, site, session={"cookies": [], "origins": []}) as visited:
            with pytest.raises(SessionExpired) as caught:
                await visited.publication.open_upload()
            return caught.value

    error = run(go())
    assert error.context["step"] == "open_upload"
    assert ("/creator-micro/content/upload" in error.detail) is (logged_out == "redirect")


def test_a_slow_page_proves_nothing(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(pace=5000)

    async def go() -> None:
        async with visit(browser, site) as visited:
            await visited.page.goto(f"{site.origin}/creator-micro/content/upload")
            with pytest.raises(PublisherError) as caught:
                await ensure_logged_in(visited.page, timeout_ms=300)
            assert caught.value.code == "platform.timeout"

    run(go())


@pytest.mark.parametrize("drift", ["off", "wrappers", "tags"])
def test_a_creator_may_call_himself_and_write_what_the_site_says_of_obstacles(
    run: Run, browser: Browser, site: Site, drift: str
) -> None:
    words = [text for mark in MARKS for text in mark.texts]
    site.scenario(drift=drift)

    async def go() -> None:
        async with visit(browser, site) as visited:
            site.scenario(nickname=f"{words[0]}小王")
            await prepare(visited, Work(VIDEO, "安全验证", cover=COVER, description="\n".join(words)))
            page = visited.page
            known = (await look(page)).marks
            assert known >= {"form", "uploaded"}
            for text in words:
                await page.evaluate(_RENAME, text)
                assert (await look(page)).marks - {"login", "creator"} == known - {"login", "creator"}, text
            site.scenario(nickname="刷脸")
            await visited.publication.submit(_agree)

    run(go())
    assert len(site.works()) == 1


@pytest.mark.parametrize("nickname", ["人脸识别小王", "登录/注册", "未添加自主声明", "上传失败"])
def test_no_nickname_keeps_an_account_from_publishing(
    run: Run, browser: Browser, site: Site, nickname: str
) -> None:
    site.scenario(nickname=nickname)

    async def go() -> None:
        async with visit(browser, site) as visited:
            await publish(visited, _WORK)

    run(go())
    assert len(site.works()) == 1


def test_an_upload_that_fails_is_begun_again(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(upload="fail_once")

    async def go() -> list[str]:
        async with visit(browser, site) as visited:
            await publish(visited, _WORK)
            return visited.notes

    assert "the upload failed; it was begun again (retry 1)" in run(go())
    assert len(site.works()) == 1


def test_a_challenge_that_nobody_answers_is_a_refusal(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(second_verification="publish")
    error = _error(run, browser, site, _WORK)
    assert isinstance(error, VerificationRequired)
    assert "SMS code" in error.detail
    assert error.context["step"] == "submit"
    assert (site.works(), site.publish_requests()) == ([], 1)


def test_a_lost_answer_leaves_the_outcome_unknown(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(publish="lost")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "_ANSWER_SECONDS", 0.5)
        assert isinstance(_error(run, browser, site, _WORK), OutcomeUnknown)
    assert len(site.works()) == 1


def test_a_broken_connection_after_the_click_leaves_the_outcome_unknown(
    run: Run, browser: Browser, site: Site
) -> None:
    async def cut(route: Route) -> None:
        await route.abort("connectionreset")

    async def go() -> None:
        async with visit(browser, site) as visited:
            await visited.page.route("**/create_v2/**", cut)
            with pytest.raises(OutcomeUnknown, match="connection was lost"):
                await publish(visited, _WORK)

    run(go())


def test_a_page_that_goes_away_after_the_click_leaves_the_outcome_unknown(
    run: Run, browser: Browser, site: Site
) -> None:
    site.scenario(publish="slow:60000")

    async def go() -> None:
        async with visit(browser, site) as visited:

            async def close(request: Request) -> None:
                if "create_v2" in request.url:
                    await visited.page.close()

            visited.page.on("request", close)
            with pytest.raises(OutcomeUnknown):
                await publish(visited, _WORK)

    run(go())


def test_an_item_id_that_is_a_number_keeps_its_digits(run: Run, browser: Browser, site: Site) -> None:
    async def answer(route: Route) -> None:
        await route.fulfill(json={"status_code": 0, "item_id": 7412345678901234567})

    async def go() -> Submitted:
        async with visit(browser, site) as visited:
            await visited.page.route("**/create_v2/**", answer)
            return await publish(visited, _WORK)

    assert run(go()).item_id == "7412345678901234567"


@pytest.mark.parametrize("way", ["fetch", "frame", "worker", "beacon", "keepalive"])
def test_no_way_out_of_the_page_leads_past_the_gate(run: Run, browser: Browser, site: Site, way: str) -> None:
    url = f"{site.origin}/web/api/media/aweme/create_v2/"

    async def go() -> None:
        async with open_form(browser, site) as visited:
            await visited.publication.fill(_WORK)
            async with visited.page.expect_event("requestfailed", lambda request: request.url == url):
                await visited.page.evaluate(_WAYS_OUT[way], url)

    run(go())
    assert site.publish_requests() == 0


def test_an_answer_that_takes_its_time_is_waited_for(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(publish="slow:2500")

    async def go() -> Submitted:
        async with visit(browser, site) as visited:
            return await publish(visited, _WORK)

    submitted = run(go())
    assert [work["item_id"] for work in site.works()] == [submitted.item_id]


@pytest.mark.parametrize("how", ["crash", "kill"])
@pytest.mark.parametrize(
    ("moment", "request_path"),
    [("upload", "/upload/v1/"), ("fill", "/imagex/upload"), ("click", "/create_v2/")],
    ids=["while-uploading", "while-filling", "after-the-click"],
)
def test_a_browser_that_dies_is_a_safe_retry_before_the_click_and_unknown_after_it(
    run: Run, browser: Browser, site: Site, moment: str, request_path: str, how: str
) -> None:
    site.scenario(popovers="off", upload="slow:500", publish="slow:60000")

    async def go() -> PublisherError:
        async with visit(browser, site) as visited:
            devtools = await visited.page.context.new_cdp_session(visited.page)

            async def die(request: Request) -> None:
                if request_path not in request.url:
                    return
                if how == "kill":
                    browser.kill()
                else:
                    with contextlib.suppress(PlaywrightError):
                        await devtools.send("Page.crash")

            visited.page.on("request", die)
            with pytest.raises(PublisherError) as caught:
                await publish(visited, _WORK)
            return caught.value

    error: PublisherError = run(go())
    if moment == "click":
        assert isinstance(error, OutcomeUnknown)
    else:
        assert error.retryable
        assert site.publish_requests() == 0


def test_what_the_page_sends_without_a_click_does_not_leave_it(run: Run, browser: Browser, site: Site) -> None:
    async def go() -> Submitted:
        async with visit(browser, site) as visited:
            await prepare(visited, _WORK)
            assert await visited.page.evaluate(_SEND) == "TypeError: Failed to fetch"

            async def intend() -> None:
                await visited.page.evaluate(_SEND)

            submitted = await visited.publication.submit(intend)
            await visited.page.evaluate(_SEND)
            return submitted

    submitted = run(go())
    assert [work["item_id"] for work in site.works()] == [submitted.item_id]
    assert site.publish_requests() == 1


def test_a_click_lets_one_request_leave_however_often_the_page_sends_it(
    run: Run, browser: Browser, site: Site
) -> None:
    async def go() -> None:
        async with visit(browser, site) as visited:
            await visited.page.context.add_init_script(_TWICE)
            await publish(visited, _WORK)

    run(go())
    assert (len(site.works()), site.publish_requests()) == (1, 1)


@pytest.mark.parametrize(
    ("scenario", "expected", "requests"),
    [
        ({"sends_late": "toast"}, PlatformRejected, 0),
        ({"sends_late": "captcha", "captcha": "publish"}, CaptchaRequired, 1),
        ({"sends_late": "captcha", "captcha": "publish", "challenge_at": "click"}, CaptchaRequired, 0),
    ],
    ids=["toast", "captcha-in-the-answer", "captcha-before-the-request"],
)
def test_a_page_that_sends_the_work_after_it_has_refused_is_stopped(
    run: Run, browser: Browser, site: Site, scenario: dict[str, str], expected: type[Exception], requests: int
) -> None:
    """As long as it lives: until the failure has its picture."""
    site.scenario(**scenario)

    async def go() -> None:
        async with visit(browser, site) as visited:
            sent_late = asyncio.Event()

            def ended(request: Request) -> None:
                if "create_v2" in request.url:
                    sent_late.set()

            async def photograph(_: str) -> None:
                visited.page.on("requestfailed", ended)
                visited.page.on("requestfinished", ended)
                await sent_late.wait()

            await prepare(visited, _WORK)
            visited.timeline.camera = photograph
            with pytest.raises(expected):
                await visited.publication.submit(_agree)

    run(go())
    assert (site.works(), site.publish_requests()) == ([], requests)


def test_an_unfinished_video_of_an_earlier_visit_is_dropped(run: Run, browser: Browser, site: Site) -> None:
    session = site.log_in()

    async def go() -> list[str]:
        async with visit(browser, site, session=session) as first:
            await prepare(first, _WORK)
        async with visit(browser, site, session=session) as second:
            await publish(second, _WORK)
            return second.notes

    assert "an unfinished video of an earlier visit was dropped" in run(go())
    assert len(site.works()) == 1


def test_an_intent_that_cannot_be_written_stops_the_click(run: Run, browser: Browser, site: Site) -> None:
    async def refuse() -> None:
        raise NoTimeLeft

    async def go() -> None:
        async with visit(browser, site) as visited:
            with pytest.raises(NoTimeLeft):
                await publish(visited, _WORK, before_click=refuse)

    run(go())
    assert site.publish_requests() == 0


def test_the_page_is_not_bypassed_when_it_wants_a_declaration(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(declaration_skip="allowed")

    async def go() -> None:
        async with open_form(browser, site) as visited:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(driver, "declare", _declare_nothing)
                await visited.publication.fill(Work(VIDEO, "未声明", cover=COVER))
            with pytest.raises(FormMismatch, match="declaration") as caught:
                await visited.publication.submit(_agree)
            assert caught.value.context["field"] == "claim_type"

    run(go())
    assert site.publish_requests() == 0


def test_a_cover_that_the_site_wants_is_named(run: Run, browser: Browser, site: Site) -> None:
    async def go() -> None:
        async with open_form(browser, site) as visited:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("container.douyin.cover.recommend_cover", _recommend_nothing)
                await visited.publication.fill(Work(VIDEO, "无封面"))
            with pytest.raises(PlatformRejected, match="请设置封面后再发布"):
                await visited.publication.submit(_agree)

    run(go())
    assert site.publish_requests() == 0


def test_a_cover_in_a_format_that_the_site_does_not_take_is_converted(
    run: Run, browser: Browser, site: Site, tmp_path: Path
) -> None:
    (tmp_path / "image.webp").write_bytes(_WEBP)
    (tmp_path / "broken.webp").write_bytes(_WEBP[:20])

    async def go() -> None:
        async with open_form(browser, site) as visited:
            with pytest.raises(FormMismatch, match="cannot be read"):
                await set_cover(visited.page, tmp_path / "broken.webp")
            await set_cover(visited.page, tmp_path / "image.webp")
            assert await empty_slots(visited.page) == []

    run(go())
    assert sniff((tmp_path / "image.jpg").read_bytes()) == "image/jpeg"


def test_a_challenge_explains_a_step_that_starves(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(popovers="off")

    async def go() -> None:
        async with open_form(browser, site) as visited:
            await visited.page.evaluate(_CAPTCHA)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("container.douyin.act.ACTION_MS", 300)
                patch.setattr("container.douyin.declaration.ACTION_MS", 300)
                patch.setattr("container.douyin.cover.ACTION_MS", 300)
                with pytest.raises(CaptchaRequired) as caught:
                    await visited.publication.fill(Work(VIDEO, "验证码"))
            assert caught.value.context["step"] == "cover"

    run(go())


def test_a_page_that_does_not_respond_ends_with_the_workers_time(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("container.browser._CLOSE_SECONDS", 1.0)

    async def go() -> None:
        async with open_form(browser, site) as visited:
            await visited.page.evaluate("() => void setTimeout(() => { for (;;); }, 0)")
            left = iter([11.0, 10.0])  # Ten of them are kept in reserve.
            hasty = Publication(visited.page, site.origin, Timeline(_forget), lambda: next(left))
            with pytest.raises(PageTimeout) as caught:
                await hasty.fill(Work(VIDEO, "停住的页面"))
            assert caught.value.context["step"] == "title"
            with pytest.raises(NoTimeLeft):
                await hasty.fill(Work(VIDEO, "停住的页面"))

    run(go())


def test_a_form_that_was_changed_behind_our_back_is_noticed(run: Run, browser: Browser, site: Site) -> None:
    async def go() -> None:
        async with visit(browser, site) as visited:
            await prepare(visited, _WORK)
            await visited.page.get_by_placeholder("作品标题").fill("另一个标题")
            await visited.page.get_by_text("仅自己可见", exact=True).click()
            with pytest.raises(FormMismatch) as caught:
                await visited.publication.read_back(_WORK)
            assert caught.value.context["fields"] == ["title", "visibility"]

    run(go())


def test_an_unreachable_platform_is_no_fault_of_the_page(run: Run, browser: Browser, site: Site) -> None:
    async def go() -> None:
        async with visit(browser, site) as visited:
            await visited.page.route("**/*", lambda route: route.abort("connectionrefused"))
            with pytest.raises(PlatformUnreachable):
                await visited.publication.open_upload()

    run(go())


def test_the_works_list_of_a_stranger_is_a_session_that_is_over(run: Run, browser: Browser, site: Site) -> None:
    async def go() -> None:
        async with visit(browser, site, session={"cookies": [], "origins": []}) as visited:
            with pytest.raises(SessionExpired):
                await list_works(visited.page, site.origin)

    run(go())


def test_the_works_page_asks_where_we_may_not(run: Run, browser: Browser, site: Site) -> None:
    async def refuse_ours(route: Route) -> None:
        if route.request.headers["referer"].endswith("/manage"):
            await route.continue_()
        else:
            await route.fulfill(json={"status_code": 4031})

    async def go() -> None:
        async with visit(browser, site) as visited:
            await publish(visited, _WORK)
            await visited.page.goto(f"{site.origin}/creator-micro/home")
            await visited.page.context.route("**/work_list**", refuse_ours)
            works = await list_works(visited.page, site.origin)
            assert [work.title for work in works] == [_WORK.title]
            assert visited.page.url.endswith("/home")

    run(go())


# One pixel, lossless.
_WEBP = base64.b64decode("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")

# A page whose scripts send each work a second time.
_TWICE = """
const once = window.fetch;
window.fetch = (url, options) => {
  if (String(url).endsWith("/create_v2/")) void once(url + "?again", options).catch(() => {});
  return once(url, options);
};
"""

# As the header and the preview of the post page show it.
_RENAME = """
(name) => {
  [...document.querySelectorAll("header *")].at(-1).textContent = name;
  [...document.querySelectorAll('[class*="phone-preview"] *')].at(-1).textContent = `@${name}`;
}
"""

_SEND = """
() => fetch('/web/api/media/aweme/create_v2/', {method: 'POST', body: '{}'}).then(() => "sent", String)
"""

_WAYS_OUT = {
    "fetch": "(url) => void fetch(url, {method: 'POST'}).catch(() => {})",
    "keepalive": "(url) => void fetch(url, {method: 'POST', keepalive: true}).catch(() => {})",
    "beacon": "(url) => void navigator.sendBeacon(url, '{}')",
    "frame": """(url) => {
      const frame = document.createElement("iframe");
      document.body.append(frame);
      void frame.contentWindow.fetch(url, {method: "POST"}).catch(() => {});
    }""",
    "worker": """(url) => {
      const script = `fetch(${JSON.stringify(url)}, {method: "POST"})`;
      new Worker(URL.createObjectURL(new Blob([script], {type: "text/javascript"})));
    }""",
}

_CAPTCHA = """
() => {
  const layer = document.createElement("div");
  layer.id = "captcha_container";
  layer.style = "position: fixed; inset: 0; z-index: 9999; background: #fff";
  layer.textContent = "拖动滑块完成拼图";
  document.body.append(layer);
}
"""


async def _fill_and_read(visited: Visit, work: Work) -> None:
    await visited.publication.fill(work)
    await visited.publication.read_back(work)


async def _agree() -> None:
    pass


async def _forget(_: dict[str, Any]) -> None:
    pass


async def _declare_nothing(*_: Any) -> None:
    pass


async def _recommend_nothing(*_: Any) -> None:
    pass


def _error(run: Run, browser: Browser, site: Site, work: Work) -> PublisherError:
    """What publishing the work ends in."""

    async def go() -> PublisherError:
        async with visit(browser, site) as visited:
            with pytest.raises(PublisherError) as caught:
                await publish(visited, work)
            return caught.value

    error: PublisherError = run(go())
    return error


def _refused_at_fill(run: Run, browser: Browser, site: Site, work: Work) -> FormMismatch:
    async def go() -> FormMismatch:
        async with open_form(browser, site) as visited:
            with pytest.raises(FormMismatch) as caught:
                await _fill_and_read(visited, work)
            return caught.value

    error: FormMismatch = run(go())
    return error
