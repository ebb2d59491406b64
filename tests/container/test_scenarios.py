"""Every scenario of the stand-in, as the driver meets it: passed, or refused with the right error."""

from __future__ import annotations

import contextlib
import hashlib
import re
import struct
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import Error as PlaywrightError

from chalicelib.errors import (
    CaptchaRequired,
    FormMismatch,
    PageTimeout,
    PlatformBusy,
    PlatformRejected,
    PublisherError,
    SessionExpired,
)
from container.browser import open_page
from container.douyin import act, ask, locators, schedule, session, upload
from container.douyin.login import QrLogin, QrState
from container.douyin.publish import Work
from container.douyin.works import list_works
from container.evidence import Timeline
from container.profile import BrowserProfile
from local.standins.douyin.scenario import SWITCHES
from tests.container.support import COVER, VIDEO, XIAOMAN, held, open_form, prepare, publish, visit

if TYPE_CHECKING:
    from playwright.async_api import Route

    from container.browser import Browser
    from tests.container.conftest import Run
    from tests.container.support import Site, Visit

pytestmark = pytest.mark.system

_PLAIN = Work(video=VIDEO, title="城市漫步", cover=COVER, claim_type="内容由AI生成")
_FULL = Work(
    video=VIDEO,
    title="三十字以内的标题，包含 English 与数字 2026",
    description="第一行\n第二行，有 #井号 也有 @符号",
    tags=("旅行推荐官", "城市漫步"),
    cover=COVER,
    claim_type="取材网络",
    publish_at=datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=3, hours=5),
    visibility="friends",
    allow_save=False,
)

# How a work with every field gets through each of them.
_PASSED: dict[str, dict[str, str | int]] = {
    "v2": {"hashes": "random", "description": "filename"},
    "v1": {"post_page": "v1", "item_id": "number", "cover_confirm": "on"},
    "early-form": {"form": "early", "popovers": "off", "upload": "slow:200"},
    "old-declarations": {"declaration": "old", "cover_first": "horizontal", "cover": "optional"},
    "cover-asks-again": {"cover_confirm": "always", "cover_first": "vertical"},
    "cover-stays-open": {"cover_residual": "on", "cover_confirm": "always"},
    "topics-by-space": {"topics": "by_space", "draft_bar": "off"},
    "spaces": {"drift": "spaces", "cover_confirm": "always"},
    "wrappers": {"drift": "wrappers", "hashes": "random", "declaration": "old"},
    "tags": {"drift": "tags", "cover_residual": "on", "post_page": "v1"},
}
_DRIFTED = {"spaces", "wrappers", "tags"}


@pytest.mark.parametrize("name", _PASSED)
def test_a_work_with_every_field_gets_through(run: Run, browser: Browser, site: Site, name: str) -> None:
    site.scenario(**_PASSED[name])

    async def go() -> tuple[str | None, list[str]]:
        async with visit(browser, site) as visited:
            submitted = await publish(visited, _FULL)
            return submitted.item_id, visited.notes

    item_id, notes = run(go())
    (truth,) = site.works()
    old = _PASSED[name].get("declaration") == "old"
    assert _told(truth) == _told_of(_FULL, "内容取材网络" if old else "内容为转载信息")
    assert truth["item_id"] == item_id
    assert site.publish_requests() == 1
    fallbacks = [note for note in notes if "fallback" in note]
    assert bool(fallbacks) is (name in _DRIFTED), fallbacks


@pytest.mark.parametrize("time_zone", ["America/New_York", "Asia/Kathmandu"])
@pytest.mark.parametrize(
    "scenario", [{"schedule_zone": "shanghai"}, {"schedule_zone": "browser"}], ids=["shanghai", "browser"]
)
def test_a_schedule_means_the_same_instant_by_whichever_clock_the_site_writes_it(
    run: Run, browser: Browser, site: Site, scenario: dict[str, str], time_zone: str
) -> None:
    site.scenario(**scenario)
    work = replace(_PLAIN, publish_at=_FULL.publish_at)

    async def go() -> None:
        async with visit(browser, site, profile=BrowserProfile(time_zone=time_zone)) as visited:
            await publish(visited, work)

    run(go())
    assert work.publish_at is not None
    assert [truth["timing"] for truth in site.works()] == [int(work.publish_at.timestamp())]


def test_a_schedule_whose_time_zone_cannot_be_told_is_not_set(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "_START_SKEW", -timedelta(seconds=1))

    async def go() -> None:
        async with visit(browser, site, profile=BrowserProfile(time_zone="Europe/Berlin")) as visited:
            await publish(visited, replace(_PLAIN, publish_at=_FULL.publish_at))

    with pytest.raises(FormMismatch, match="time zone") as failed:
        run(go())
    assert failed.value.context["field"] == "schedule_time"
    assert site.publish_requests() == 0


def _told(truth: dict[str, Any]) -> dict[str, Any]:
    """What the site knows of a work, as far as it was asked for."""
    return {
        "title": truth["title"],
        "description": truth["description"].strip(),
        "topics": truth["topics"],
        "covers": {slot: cover["sha256"] for slot, cover in truth["cover"]["slots"].items()},
        "declaration": (truth["declaration"]["choice"], truth["declaration"]["sub_choice"]),
        "timing": truth["timing"],
        "visibility": truth["visibility"],
        "save_permission": truth["save_permission"],
        "video": truth["video"]["sha256"],
    }


def _told_of(work: Work, declaration: str) -> dict[str, Any]:
    assert work.publish_at is not None
    return {
        "title": work.title,
        "description": f"{work.description} " + " ".join(f"#{tag}" for tag in work.tags),
        "topics": list(work.tags),
        "covers": dict.fromkeys(("竖封面3:4", "横封面4:3"), _sha256(COVER)),
        "declaration": (declaration, "取材站外"),
        "timing": int(work.publish_at.timestamp()),
        "visibility": "好友可见",
        "save_permission": "不允许",
        "video": _sha256(VIDEO),
    }


def _sha256(path: Any) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_each_refusal_is_told_in_the_platforms_words(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(publish="rejected")
    refusals = [
        ({"rejection": "violation"}, "内容违规"),
        ({"rejection": "review"}, "审核不通过"),
        ({"rejection": "forbidden"}, "操作失败"),
        ({"rejection": "failed"}, "发布失败"),
        ({"rejection": "duplicate"}, "提交失败"),
    ]

    async def go() -> None:
        async with visit(browser, site) as visited:
            await prepare(visited, _PLAIN)
            for scenario, words in refusals:
                site.scenario(**scenario)
                with pytest.raises(PlatformRejected, match=words):
                    await visited.publication.submit(_agree)
            site.scenario(publish="busy_once")
            with pytest.raises(PlatformBusy, match="服务器开小差"):
                await visited.publication.submit(_agree)

    run(go())
    assert (site.works(), site.publish_requests()) == ([], 6)


@pytest.mark.parametrize(
    ("scenario", "steps"),
    [
        ({"session_dies": "during_upload"}, {"start_upload", "wait_form"}),
        ({"session_dies": "during_upload", "logged_out": "stay"}, {"start_upload", "wait_form"}),
        (
            {"session_dies": "during_upload", "form": "early"},
            {"start_upload", "title", "description", "cover", "wait_form"},
        ),
        ({"session_dies": "at_cover"}, {"cover", "read_back"}),
        ({"session_dies": "at_publish"}, {"submit"}),
        ({"session_dies": "at_publish", "logged_out": "stay"}, {"submit"}),
    ],
    ids=[
        *("upload-redirect", "upload-in-place", "while-filling", "cover-toast"),
        *("publish-redirect", "publish-in-place"),
    ],
)
def test_a_session_that_ends_on_the_way_is_proved(
    run: Run,
    browser: Browser,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    scenario: dict[str, str],
    steps: set[str],
) -> None:
    site.scenario(**scenario)
    monkeypatch.setattr(act, "ACTION_MS", 8_000)
    error = _error(run, browser, site, _PLAIN)
    assert isinstance(error, SessionExpired)
    assert error.context["step"] in steps
    assert site.works() == []


@pytest.mark.parametrize("logged_out", ["redirect", "stay"])
def test_a_network_that_is_slow_is_no_session_that_is_over(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch, logged_out: str
) -> None:
    """The page is there, its answers are not."""
    site.scenario(logged_out=logged_out)
    monkeypatch.setattr(upload, "_OPEN_MS", 600)

    async def go() -> None:
        async with visit(browser, site) as visited, held(visited.page, "**/site/config"):
            with pytest.raises(PageTimeout):
                await visited.publication.open_upload()

    run(go())


def test_a_login_that_shows_for_a_moment_is_no_session_that_is_over(
    run: Run, browser: Browser, site: Site
) -> None:
    site.scenario(login_flash="on")

    async def go() -> list[str]:
        async with visit(browser, site) as visited:
            await publish(visited, _PLAIN)
            return visited.notes

    assert any("a login was on show for a moment" in note for note in run(go()))
    assert len(site.works()) == 1


@pytest.mark.parametrize(
    ("answer", "flash", "expected"),
    [
        ({"status_code": 4031}, "on", None),
        ({"status_code": 4031}, "off", SessionExpired),
        (None, "off", PageTimeout),
    ],
    ids=["unreadable-and-gone-again", "unreadable-and-stays", "no-answer"],
)
def test_where_the_site_does_not_say_who_is_there_only_a_login_that_stays_is_a_proof(
    run: Run,
    browser: Browser,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, int] | None,
    flash: str,
    expected: type[PublisherError] | None,
) -> None:
    monkeypatch.setattr(ask, "_ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(session, "_SURE_SECONDS", 2.0)
    monkeypatch.setattr(upload, "_OPEN_MS", 5_000)
    site.scenario(login_flash=flash, logged_out="stay")
    stranger: dict[str, Any] = {"cookies": [], "origins": []}

    async def reply(route: Route) -> None:
        if answer is not None:
            await route.fulfill(json=answer)

    async def go() -> None:
        async with visit(browser, site, session=stranger if flash == "off" else None) as visited:
            await visited.page.route("**/user/info/", reply)
            with pytest.raises(expected) if expected else contextlib.nullcontext():
                await visited.publication.open_upload()

    run(go())


def test_a_step_that_fails_on_the_way_to_the_login_page_is_a_session_that_is_over(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is between two documents at the moment when one asks what it shows."""
    monkeypatch.setattr(act, "ACTION_MS", 500)
    site.scenario(popovers="off")

    async def go() -> None:
        async with open_form(browser, site) as visited:
            page = visited.page
            site.post("/admin/logout", {"user": XIAOMAN})
            await page.evaluate("document.body.replaceChildren()")

            async def leave(route: Route) -> None:
                await page.evaluate("void setTimeout(() => location.assign('/?redirect_url=x'))")
                with contextlib.suppress(PlaywrightError):  # Its page may be gone.
                    await route.abort()

            await page.route("**/user/info/", leave, times=1)
            with pytest.raises(SessionExpired) as caught:
                await visited.publication.fill(_PLAIN)
            assert caught.value.context["step"] == "title"

    run(go())


def test_what_the_site_has_removed_is_a_page_that_has_changed(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(act, "ACTION_MS", 6_000)
    site.scenario(drift="removed")

    async def go() -> PublisherError:
        async with open_form(browser, site) as visited:
            with pytest.raises(PublisherError) as caught:
                await visited.publication.fill(_PLAIN)
            return caught.value

    error: PublisherError = run(go())
    assert (error.code, error.retryable) == ("platform.page_changed", False)
    assert locators.SETTING.purpose in error.detail


def test_what_is_not_there_while_the_page_still_moves_is_late_not_gone(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(act, "ACTION_MS", 6_000)
    site.scenario(drift="removed")

    async def go() -> None:
        async with open_form(browser, site) as visited:
            await visited.page.evaluate("void setInterval(() => { document.title += '.' }, 100)")
            with pytest.raises(PageTimeout, match=locators.SETTING.purpose):
                await visited.publication.fill(_PLAIN)

    run(go())


@pytest.mark.parametrize("form", ["late", "early"])
def test_an_upload_that_stalls_is_canceled(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    site.scenario(upload="stall", form=form, popovers="off")
    monkeypatch.setattr(upload, "_SILENCE_SECONDS", 0.8)

    async def go() -> Visit:
        async with visit(browser, site) as visited:
            await visited.publication.open_upload()
            await visited.publication.start_upload(VIDEO)
            with pytest.raises(PageTimeout, match="stands still"):
                await _finish_upload(visited)
            assert visited.page.url.endswith(upload.UPLOAD_PATH)
            return visited

    assert "the upload stood still; it was canceled" in run(go()).notes


def test_an_upload_that_outlasts_the_worker_is_canceled(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(upload="stall", popovers="off")

    async def go() -> Visit:
        async with visit(browser, site, seconds=20.0) as visited:
            await visited.publication.open_upload()
            await visited.publication.start_upload(VIDEO)
            with pytest.raises(PageTimeout, match="did not end before the worker's time did"):
                await _finish_upload(visited)
            return visited

    assert "the upload stood still; it was canceled" in run(go()).notes


def test_an_upload_that_fails_each_time_is_given_up(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(upload="fail")
    error = _error(run, browser, site, _PLAIN)
    assert isinstance(error, PlatformBusy)
    assert "failed 3 times" in error.detail
    assert site.get("/admin/state")["counters"]["uploads_opened"] == 3


def test_the_time_of_a_late_form_is_told_in_percent(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(upload="slow:150")
    heard: list[tuple[str, int]] = []

    async def hear(step: str, percent: int) -> None:
        heard.append((step, percent))

    async def go() -> None:
        async with visit(browser, site) as visited:
            visited.timeline.on_progress = hear
            await visited.publication.open_upload()
            await visited.publication.start_upload(_large(site_folder))
            await visited.publication.wait_form()

    with tempfile.TemporaryDirectory() as folder:
        site_folder = Path(folder)
        run(go())
    assert {step for step, _ in heard} == {"wait_form"}
    percents = [percent for _, percent in heard]
    assert percents == sorted(set(percents))
    assert len(percents) >= 3


def test_a_work_that_the_list_shows_late_is_found_late(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(works_lag=3600)

    async def go() -> tuple[list[Any], list[Any]]:
        async with visit(browser, site) as visited:
            await publish(visited, _PLAIN)
            before = await list_works(visited.page, site.origin)
            site.scenario(works_lag=0)
            return before, await list_works(visited.page, site.origin)

    before, after = run(go())
    assert before == []
    assert [work.title for work in after] == [_PLAIN.title]


def test_a_captcha_stands_before_the_code_to_scan(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(captcha="login")

    async def go() -> None:
        async with browser.context() as context:
            login = QrLogin(await open_page(context), site.origin, Timeline(_forget))
            with pytest.raises(CaptchaRequired):
                await login.open()

    run(go())


@pytest.mark.parametrize("drift", ["off", "spaces", "wrappers", "tags"])
def test_a_login_that_is_left_on_the_front_page_is_led_on(
    run: Run, browser: Browser, site: Site, drift: str
) -> None:
    site.scenario(login_lands="front", drift=drift)

    async def go() -> None:
        async with browser.context() as context:
            login = QrLogin(await open_page(context), site.origin, Timeline(_forget))
            await login.open()
            event = await login.next_event(None, 10)
            site.confirm(site.scan(event.qr_png or b""), XIAOMAN)
            while event.state is not QrState.LOGGED_IN:
                known, event = event, await login.next_event(event, 10)
                assert event is not known, event.state
            assert (await login.profile()).uid == XIAOMAN

    run(go())


def test_every_value_of_every_switch_is_met_by_a_test() -> None:
    tests = Path(__file__).parents[1]
    written = "".join(
        path.read_text() for part in ("container", "system") for path in (tests / part).glob("test_*.py")
    )
    missing = [
        f"{name}={value}"
        for name, switch in SWITCHES.items()
        for value in switch.accepts.split("|")
        if value.isidentifier()
        and value != switch.default
        and not re.search(rf'{name}["\']?\s*[:=]\s*["\']{value}["\']', written)
    ]
    assert missing == []


def _large(folder: Path) -> Path:
    """A video of several parts: the demo's, and after it as much as no player looks at."""
    video = folder / "large.mp4"
    size = 21_000_000
    video.write_bytes(VIDEO.read_bytes() + struct.pack(">I4s", size, b"free") + bytes(size - 8))
    return video


def _error(run: Run, browser: Browser, site: Site, work: Work) -> PublisherError:
    """What publishing the work ends in."""

    async def go() -> PublisherError:
        async with visit(browser, site) as visited:
            with pytest.raises(PublisherError) as caught:
                await publish(visited, work)
            return caught.value

    error: PublisherError = run(go())
    return error


async def _finish_upload(visited: Visit) -> None:
    await visited.publication.wait_form()
    await visited.publication.wait_uploaded()


async def _agree() -> None:
    pass


async def _forget(_: dict[str, Any]) -> None:
    pass
