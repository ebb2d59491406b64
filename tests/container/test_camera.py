"""Pictures as evidence, looked at pixel by pixel: nothing that gives access or names a person is on them."""

from __future__ import annotations

import base64
import io
import time
from typing import TYPE_CHECKING, Any

import pytest
import segno

from chalicelib.errors import VerificationRequired
from container.browser import open_page
from container.camera import MAX_BYTES, photograph
from container.douyin.publish import Work
from tests.container.support import COVER, VIDEO, open_form, publish, visit

if TYPE_CHECKING:
    from playwright.async_api import Page

    from container.browser import Browser
    from tests.container.conftest import Run
    from tests.container.support import Site

pytestmark = [pytest.mark.system]


async def _pixels(page: Page, picture: bytes) -> dict[str, Any]:
    """Size of a picture, and how many of its pixels are reddish and greenish."""
    return dict(
        await page.evaluate(
            """async (jpeg) => {
              const blob = await (await fetch('data:image/jpeg;base64,' + jpeg)).blob();
              const image = await createImageBitmap(blob);
              const canvas = new OffscreenCanvas(image.width, image.height);
              const context = canvas.getContext('2d');
              context.drawImage(image, 0, 0);
              const data = context.getImageData(0, 0, image.width, image.height).data;
              let red = 0, green = 0;
              for (let i = 0; i < data.length; i += 4) {
                if (data[i] > 120 && data[i + 1] < 90 && data[i + 2] < 90) red++;
                if (data[i + 1] > 110 && data[i] < 90 && data[i + 2] < 90) green++;
              }
              return {width: image.width, height: image.height, red, green};
            }""",
            base64.b64encode(picture).decode(),
        )
    )


async def _look(browser: Browser, site: Site, body: str, script: str = "") -> tuple[bytes, dict[str, Any]]:
    """The picture of a page with this body, and its pixels. What must not be seen is red, all else green."""
    async with browser.context() as context:
        page = await open_page(context)
        await page.goto(f"{site.origin}/healthz")
        await page.set_content(
            "<style>body { margin: 0; background: #fff; font: 700 40px sans-serif; color: rgb(0, 160, 0) }"
            ".secret, .secret * { color: red; background: red } input.secret { border: 0 }"
            f"</style><p>创作者中心 内容管理</p>{body}"
        )
        if script:
            await page.evaluate(script)
        picture = await photograph(page)
        return picture, await _pixels(page, picture) if picture else {}


# The code in red, the words beside it in green; what else the site shows in red is hidden.
_RED_CODE = """
.uc-ui-verify_qrcode svg, .uc-ui-verify_qrcode svg * { background: red; fill: red; stroke: red }
.second-verify-text { background: rgb(0, 160, 0) }
body > :not(#uc-second-verify) { visibility: hidden }
"""


def _qr() -> str:
    """A QR code in red, as an image that nothing names."""
    drawn = io.BytesIO()
    segno.make("https://example.com/login?token=secret").save(
        drawn, kind="png", scale=8, dark="red", light="red"
    )
    return f"data:image/png;base64,{base64.b64encode(drawn.getvalue()).decode()}"


@pytest.mark.parametrize(
    "secret",
    [
        "<p class=secret>13812345678</p>",
        "<p class=secret>138****5678</p>",
        "<p class=secret>183******91</p>",
        "<p class=secret>+86 138-1234-5678</p>",
        "<p class=secret>(+86) 138 1234 5678</p>",
        "<p class=secret><span>138</span><b>****</b><span>5678</span></p>",
        "<div class=secret>短信已发送至 <i>138</i>1234<i>5678</i>，请查收</div>",
        f"<div>{'长' * 300}<span class=secret>13812345678</span></div>",
        "<input class=secret value=13812345678>",
        "<input class=secret type=tel value=1>",
        "<input class=secret type=password value=x>",
        "<input class=secret placeholder=请输入验证码 value=123456>",
        "<textarea class=secret>13812345678</textarea>",
        f"<div><img src='{_qr()}'><p>打开抖音扫一扫</p></div>",
        f"<div><p>请使用手机扫码</p><div><div><img src='{_qr()}'></div></div></div>",
        "<div class=animate_qrcode_container-x1 style='background:red;width:200px;height:200px'></div>",
        "<iframe style='width:300px;height:300px' srcdoc='<body style=background:red>138'></iframe>",
    ],
)
def test_no_secret_is_on_a_picture_and_all_else_is(run: Run, browser: Browser, site: Site, secret: str) -> None:
    _, with_secret = run(_look(browser, site, f"{secret}<p>这一行留下</p>"))
    _, without = run(_look(browser, site, "<p>这一行留下</p>"))

    assert with_secret["red"] == 0
    assert without["green"] > 1000
    assert with_secret["green"] >= 0.9 * without["green"]


def test_the_pixels_would_tell_a_secret_that_shows(run: Run, browser: Browser, site: Site) -> None:
    _, seen = run(_look(browser, site, "<p class=secret>no number</p>"))
    assert seen["red"] > 10_000


@pytest.mark.parametrize(
    "text", ["7412345678901234567", "2026-11-21 18:00", "0 / 1000", "10086", "作品 12 13 14"]
)
def test_numbers_that_are_no_phones_stay(run: Run, browser: Browser, site: Site, text: str) -> None:
    _, with_number = run(_look(browser, site, f"<p>{text}</p>"))
    _, without = run(_look(browser, site, ""))
    assert with_number["green"] > without["green"]


@pytest.mark.parametrize(
    "body",
    [
        '<img aria-label="二维码" src="data:image/png;base64,x" width="200" height="200">',
        '<div id="animate_qrcode_container"><svg width="200" height="200"></svg></div>',
    ],
)
def test_a_page_that_waits_for_a_scan_is_never_photographed(
    run: Run, browser: Browser, site: Site, body: str
) -> None:
    picture, _ = run(_look(browser, site, body))
    assert picture == b""


@pytest.mark.parametrize("logged_out", ["redirect", "stay"])
def test_the_stand_ins_login_is_never_photographed(
    run: Run, browser: Browser, site: Site, logged_out: str
) -> None:
    site.scenario(logged_out=logged_out)

    async def go() -> bytes:
        async with browser.context() as context:
            page = await open_page(context)
            await page.goto(f"{site.origin}/creator-micro/content/upload")
            await page.get_by_text("扫码登录").first.wait_for()
            return await photograph(page)

    assert run(go()) == b""


@pytest.mark.parametrize("at", ["enter", "publish"])
def test_a_look_at_the_face_leaves_a_picture_without_its_code(
    run: Run, browser: Browser, site: Site, at: str
) -> None:
    site.scenario(second_verification=at, verification="face")

    async def go() -> dict[str, Any]:
        async with visit(browser, site) as visited:
            pictures: list[bytes] = []

            async def keep(_: str) -> None:
                await visited.page.add_style_tag(content=_RED_CODE)
                pictures.append(await photograph(visited.page))

            visited.timeline.camera = keep
            with pytest.raises(VerificationRequired, match="face"):
                await publish(visited, Work(VIDEO, "看脸", cover=COVER, claim_type="内容由AI生成"))
            assert (await _pixels(visited.page, await visited.page.screenshot(type="jpeg")))["red"] > 5_000
            return await _pixels(visited.page, pictures[0])

    seen = run(go())
    assert seen["red"] == 0
    assert seen["green"] > 100


def test_the_whole_form_is_on_its_picture(run: Run, browser: Browser, site: Site) -> None:
    async def go() -> tuple[dict[str, Any], dict[str, Any], Any, Any, int]:
        async with open_form(browser, site) as visited:
            page = visited.page
            last = page.get_by_text("定时发布", exact=True)
            await last.evaluate("node => { node.style.background = 'rgb(0, 160, 0)' }")
            usual = page.viewport_size
            plain = await _pixels(page, await page.screenshot(type="jpeg"))
            picture = await photograph(page)
            return plain, await _pixels(page, picture), usual, page.viewport_size, len(picture)

    plain, whole, before, after, size = run(go())
    assert plain["green"] < 500, "the form fits the window: this test shows nothing"
    assert whole["green"] > 500
    assert whole["height"] > plain["height"]
    assert after == before
    assert 10_000 < size <= MAX_BYTES


def test_a_page_that_is_longer_than_any_form_is_cut_not_refused(run: Run, browser: Browser, site: Site) -> None:
    body = "<div style='overflow:auto;height:500px'><div style='height:90000px'>长</div></div>"
    picture, seen = run(_look(browser, site, body))
    assert len(picture) <= MAX_BYTES
    assert seen["height"] <= 4000


def test_a_page_whose_secrets_move_is_not_photographed(run: Run, browser: Browser, site: Site) -> None:
    script = """() => { const add = () => {
        const line = document.createElement('p'); line.textContent = '13812345678'; document.body.append(line);
        requestAnimationFrame(add) }; add() }"""
    picture, _ = run(_look(browser, site, "", script))
    assert picture == b""


def test_a_page_that_is_gone_leaves_no_picture_and_no_error(run: Run, browser: Browser, site: Site) -> None:
    async def go() -> bytes:
        async with visit(browser, site) as visited:
            await visited.page.close()
            return await photograph(visited.page)

    assert run(go()) == b""


def test_a_page_that_hangs_holds_nothing_up(run: Run, browser: Browser, site: Site) -> None:
    async def go() -> tuple[bytes, float]:
        async with visit(browser, site) as visited:
            page = visited.page
            await page.goto(f"{site.origin}/healthz")
            await page.evaluate("setTimeout(() => { for (;;) {} })")
            started = time.monotonic()
            return await photograph(page), time.monotonic() - started

    picture, seconds = run(go())
    assert picture == b""
    assert seconds < 12
