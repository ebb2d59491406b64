"""What the form takes, by the site's ground truth: words of the site's own, and each field at its limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from chalicelib.clock import SHANGHAI
from chalicelib.errors import FormMismatch, PageTimeout, PublisherError, ScheduleTooNear
from container.douyin import cover, declaration, schedule, topics
from container.douyin.declaration import Shooting
from container.douyin.publish import Work
from tests.container.support import COVER, VIDEO, open_form, prepare, publish, visit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.async_api import Route

    from container.browser import Browser
    from tests.container.conftest import Run
    from tests.container.support import Site, Visit

pytestmark = pytest.mark.system

# What the driver looks for by its text, or takes for a state of the page.
_SITES_WORDS = (
    *(
        "立即设置",
        "立即设置 横封面",
        "我知道了",
        "选择封面",
        "编辑封面",
        "竖封面3:4",
        "智能推荐封面",
        "设置竖封面",
    ),
    *("发布", "定时发布", "立即发布", "暂存离开", "完成", "确定", "取消", "放弃", "继续", "仍然完成"),
    *("上传视频", "重新上传", "上传失败", "取消上传", "正在发布", "发布设置", "2026-12-24", "08:30"),
    *("自主声明", "请选择自主声明", "添加声明", "内容由AI生成", "虚构演绎，仅供娱乐", "未添加自主声明"),
    *("允许", "不允许", "公开", "好友可见", "仅自己可见", "验证", "接收短信验证码", "扫码登录", "内容管理"),
)
_WHEN = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=3, hours=5)
_OWN_WORDS = Work(
    video=VIDEO,
    title="立即设置 我知道了 发布 完成 确定 选择封面",
    description="\n".join(_SITES_WORDS),
    tags=("立即设置", "我知道了", "发布", "选择封面", "确定"),
    cover=COVER,
    claim_type="虚构演绎，仅供娱乐",
    publish_at=_WHEN,
    visibility="private",
    allow_save=False,
)


@pytest.mark.parametrize(
    ("scenario", "nickname"),
    [
        ({}, "选择封面"),
        ({"post_page": "v1", "declaration": "old", "cover_confirm": "always"}, "添加声明"),
        ({"drift": "spaces"}, "发布"),
        ({"drift": "wrappers", "hashes": "random"}, "请选择自主声明"),
        ({"drift": "tags", "declaration": "old"}, "我知道了"),
    ],
    ids=["v2", "v1-old", "spaces", "wrappers", "tags-old"],
)
def test_a_work_and_its_creator_may_use_the_sites_own_words(
    run: Run, browser: Browser, site: Site, scenario: dict[str, str], nickname: str
) -> None:
    site.scenario(**scenario)

    async def rename(route: Route) -> None:
        response = await route.fetch()
        config = await response.json()
        config["user"]["nickname"] = nickname
        await route.fulfill(response=response, json=config)

    async def go() -> None:
        async with visit(browser, site) as visited:
            await visited.page.route("**/site/config", rename)
            await publish(visited, _OWN_WORDS)

    run(go())
    (truth,) = site.works()
    assert truth["title"] == _OWN_WORDS.title
    assert truth["description"].strip() == f"{_OWN_WORDS.description} {_chips(_OWN_WORDS.tags)}"
    assert truth["topics"] == list(_OWN_WORDS.tags)
    assert truth["cover"]["slots"].keys() == {"竖封面3:4", "横封面4:3"}
    assert truth["declaration"]["choice"] == _OWN_WORDS.claim_type
    assert truth["timing"] == int(_WHEN.timestamp())
    assert (truth["visibility"], truth["save_permission"]) == ("仅自己可见", "不允许")
    assert site.publish_requests() == 1


def test_the_sites_own_words_stand_in_the_way_of_no_recommended_cover(
    run: Run, browser: Browser, site: Site
) -> None:
    _publish(run, browser, site, replace(_OWN_WORDS, cover=None, tags=(), publish_at=None))
    (truth,) = site.works()
    assert truth["cover"]["slots"].keys() == {"竖封面3:4"}


def _publish(run: Run, browser: Browser, site: Site, work: Work, *, script: str = "") -> list[str]:
    """Publishes it, on pages in which the script runs; the notes of its timeline."""

    async def go() -> list[str]:
        async with visit(browser, site) as visited:
            await visited.page.context.add_init_script(script or ";")
            await publish(visited, work)
            return visited.notes

    notes: list[str] = run(go())
    return notes


def _chips(tags: Sequence[str]) -> str:
    return " ".join(f"#{tag}" for tag in tags)


def test_a_topic_is_waited_for_while_the_hot_ones_are_shown(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(topics="slow:2500", popovers="off")
    _publish(run, browser, site, Work(VIDEO, "慢慢来", tags=("慢话题",)))
    (truth,) = site.works()
    assert truth["topics"] == ["慢话题"]


def test_a_site_that_does_not_say_in_time_which_topics_there_are_may_be_asked_again(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.scenario(topics="slow:60000")
    monkeypatch.setattr(topics, "_SUGGESTIONS_MS", 1_000)
    error = _error_at_fill(run, browser, site, Work(VIDEO, "太慢", tags=("慢话题",)))
    assert isinstance(error, PageTimeout)
    assert error.retryable
    assert "慢话题" in error.detail


@pytest.mark.parametrize("dialog", ["new", "old"])
def test_words_in_the_description_prove_no_declaration(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch, dialog: str
) -> None:
    site.scenario(forgets="declaration", declaration=dialog)
    monkeypatch.setattr(declaration, "_MENU_MS", 2_000)
    work = Work(
        VIDEO,
        "虚构演绎，仅供娱乐",
        description="自主声明\n虚构演绎，仅供娱乐",
        cover=COVER,
        claim_type="虚构演绎，仅供娱乐",
    )

    async def go() -> FormMismatch:
        async with open_form(browser, site) as visited:
            with pytest.raises(FormMismatch) as caught:
                await visited.publication.fill(work)
            assert not await declaration.is_declared(visited.page, "虚构演绎，仅供娱乐")
            return caught.value

    assert run(go()).context["field"] == "claim_type"


_DECLARED_NEW = {
    "内容由AI生成": ("内容由AI生成", None),
    "取材网络": ("内容为转载信息", "取材站外"),
    "自行拍摄": ("无需添加自主声明", None),
    "内容为个人观点或见解": ("内容为个人观点或见解", None),
    "内容为转载信息": ("内容为转载信息", "取材站外"),
    "内容含营销推广信息": ("内容含营销推广信息", None),
    "虚构演绎，仅供娱乐": ("虚构演绎，仅供娱乐", None),
    "无需添加自主声明": ("无需添加自主声明", None),
}
_DECLARED_OLD = {
    "内容由AI生成": ("内容由AI生成", None),
    "取材网络": ("内容取材网络", "取材站外"),
    "自行拍摄": ("内容自行拍摄", None),
    "内容为转载信息": ("内容取材网络", "取材站外"),
    "虚构演绎，仅供娱乐": ("虚构演绎，仅供娱乐", None),
    "无需添加自主声明": (None, None),
}
_SHOOTING = Shooting(("中国大陆", "上海市", "徐汇区"), "2026-02-28")


@pytest.mark.parametrize(
    ("dialog", "claim_type", "declared"),
    [
        *(("new", claim_type, declared) for claim_type, declared in _DECLARED_NEW.items()),
        *(("old", claim_type, declared) for claim_type, declared in _DECLARED_OLD.items()),
    ],
)
def test_each_declaration_is_told_to_the_site(
    run: Run,
    browser: Browser,
    site: Site,
    dialog: str,
    claim_type: str,
    declared: tuple[str | None, str | None],
) -> None:
    site.scenario(declaration=dialog, popovers="off")
    shooting = _SHOOTING if claim_type == "自行拍摄" else None
    notes = _publish(run, browser, site, Work(VIDEO, "声明", claim_type=claim_type, shooting=shooting))
    (truth,) = site.works()
    said = truth["declaration"] or {"choice": None, "sub_choice": None}
    assert (said["choice"], said["sub_choice"]) == declared
    if shooting and dialog == "old":
        assert (tuple(said["place"]), said["date"]) == (shooting.place, shooting.date)
    assert any("claim_place and claim_date are not needed" in note for note in notes) is (
        shooting is not None and dialog == "new"
    )


@pytest.mark.parametrize("claim_type", sorted(set(declaration.CHOICES) - set(_DECLARED_OLD)))
def test_a_declaration_that_the_older_dialog_does_not_have_is_refused(
    run: Run, browser: Browser, site: Site, claim_type: str
) -> None:
    site.scenario(declaration="old", popovers="off")
    error = _error_at_fill(run, browser, site, Work(VIDEO, "声明", claim_type=claim_type))
    assert isinstance(error, FormMismatch)
    assert error.context["field"] == "claim_type"
    assert claim_type in error.detail


def test_every_declaration_of_the_api_is_tried() -> None:
    assert set(_DECLARED_NEW) == set(declaration.CHOICES)


@pytest.mark.parametrize(
    ("shooting", "field", "says"),
    [
        (None, "claim_type", "claim_place and claim_date"),
        (Shooting(("中国大陆", "火星"), "2026-02-28"), "claim_place", "it has 北京市, 上海市, 广东省"),
        (Shooting(("中国大陆", "上海市"), "2026-02-28"), "claim_place", "down to the last"),
        (Shooting(("新加坡",), "2019-12-31"), "claim_date", "does not take"),
    ],
    ids=["nothing-told", "unknown-place", "half-a-place", "refused-date"],
)
def test_own_footage_in_the_older_dialog_needs_a_place_and_a_date_that_it_takes(
    run: Run,
    browser: Browser,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    shooting: Shooting | None,
    field: str,
    says: str,
) -> None:
    site.scenario(declaration="old", popovers="off")
    monkeypatch.setattr(declaration, "_MENU_MS", 2_000)
    error = _error_at_fill(
        run, browser, site, Work(VIDEO, "自行拍摄", claim_type="自行拍摄", shooting=shooting)
    )
    assert isinstance(error, FormMismatch)
    assert error.context["field"] == field
    assert says in error.detail


@pytest.mark.parametrize("drift", ["spaces", "wrappers", "tags"])
def test_a_place_without_provinces_is_told_through_every_drift(
    run: Run, browser: Browser, site: Site, drift: str
) -> None:
    site.scenario(declaration="old", popovers="off", drift=drift)
    shooting = Shooting(("中国香港", "中西区"), "2020-01-01")
    _publish(run, browser, site, Work(VIDEO, "自行拍摄", claim_type="自行拍摄", shooting=shooting))
    (truth,) = site.works()
    assert (tuple(truth["declaration"]["place"]), truth["declaration"]["date"]) == (
        shooting.place,
        shooting.date,
    )


@pytest.mark.parametrize("residual", ["off", "on"])
def test_a_cover_dialog_with_one_slot_is_opened_for_each(
    run: Run, browser: Browser, site: Site, residual: str
) -> None:
    site.scenario(cover_dialog="single", cover_confirm="on", cover_residual=residual)
    notes = _publish(run, browser, site, Work(VIDEO, "两个封面", cover=COVER))
    (truth,) = site.works()
    assert truth["cover"]["slots"].keys() == {"竖封面3:4", "横封面4:3"}
    # For the first slot, while the other one was empty.
    assert notes.count("the cover dialog asked once more") == 1


def test_a_cover_that_nobody_wants_is_the_recommended_one_or_none(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.scenario(cover="optional")
    _publish(run, browser, site, Work(VIDEO, "推荐封面"))
    monkeypatch.setattr(cover, "_RECOMMENDATION_MS", 300)
    notes = _publish(run, browser, site, Work(VIDEO, "没有封面"), script=_NO_COVERS)
    recommended, none = site.works()
    assert recommended["cover"]["slots"].keys() == {"竖封面3:4"}
    assert none["cover"] is None
    assert "no cover was given, and the site recommends none" in notes


def test_a_time_is_typed_where_the_panel_shows_no_wheels(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "_READ_MS", 2_000)

    notes = _publish(run, browser, site, Work(VIDEO, "手写时间", publish_at=_WHEN), script=_NO_WHEELS)
    assert any("by_panel failed" in note for note in notes)
    assert [truth["timing"] for truth in site.works()] == [int(_WHEN.timestamp())]


@pytest.mark.parametrize(
    ("today", "publish_at"),
    [("2027-01-29T12:00", "2027-02-03T08:05"), ("2026-12-28T23:30", "2027-01-11T00:00")],
    ids=["next-month", "next-year"],
)
def test_a_time_beyond_the_end_of_the_month_is_set(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch, today: str, publish_at: str
) -> None:
    now, at = (datetime.fromisoformat(text).replace(tzinfo=SHANGHAI) for text in (today, publish_at))
    monkeypatch.setattr(schedule, "utc_now", lambda: now)
    work = Work(VIDEO, "跨月", publish_at=at)

    async def go() -> list[str]:
        async with visit(browser, site) as visited:
            await visited.page.clock.set_fixed_time(now)
            await prepare(visited, work)
            assert await schedule.read_schedule(visited.page) == publish_at.replace("T", " ")
            return visited.notes

    assert [note for note in run(go()) if note.startswith("schedule:")] == []


def test_a_time_that_has_come_too_near_leaves_the_form_alone_and_may_be_kept_by_us(
    run: Run, browser: Browser, site: Site
) -> None:
    work = Work(VIDEO, "来不及", publish_at=datetime.now(UTC) + timedelta(hours=1, minutes=59))
    error = _error_at_fill(run, browser, site, work)
    assert isinstance(error, ScheduleTooNear)
    assert error.retryable


def test_a_time_that_comes_too_near_during_the_upload_is_not_submitted(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> None:
        async with visit(browser, site) as visited:
            work = Work(VIDEO, "上传太久", publish_at=_WHEN)
            await prepare(visited, work)
            monkeypatch.setattr(schedule, "utc_now", lambda: _WHEN - timedelta(hours=1, minutes=59))
            with pytest.raises(ScheduleTooNear):
                await visited.publication.read_back(work)

    run(go())


def test_a_form_that_changes_the_schedule_by_itself_is_noticed(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(forgets="schedule", pace=10)
    work = Work(VIDEO, "改了时间", publish_at=_WHEN)

    async def go() -> FormMismatch:
        async with open_form(browser, site) as visited:
            await visited.publication.fill(work)
            await visited.page.wait_for_function(
                _SCHEDULE_IS_NOT, arg=f"{_WHEN.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
            )
            with pytest.raises(FormMismatch) as caught:
                await visited.publication.read_back(work)
            return caught.value

    assert run(go()).context["field"] == "schedule_time"


@pytest.mark.parametrize(
    ("scenario", "work", "field", "says"),
    [
        ({}, Work(VIDEO, "🎉" * 16), "title", "keeps 15 of the 16 characters"),
        ({}, Work(VIDEO, "标题", description="🎉" * 501), "description", "1002 / 1000"),
        ({}, Work(VIDEO, "标题", description="字" * 998, tags=("话题",)), "description", "/ 1000"),
        (
            {"too_long": "clipped"},
            Work(VIDEO, "标题", description="🎉" * 501),
            "description",
            "keeps 500 of the 501",
        ),
    ],
    ids=["title", "description", "description-with-topics", "description-clipped"],
)
def test_a_text_that_is_too_long_as_the_site_counts_is_refused_before_the_click(
    run: Run, browser: Browser, site: Site, scenario: dict[str, str], work: Work, field: str, says: str
) -> None:
    site.scenario(**scenario)
    error = _error_at_fill(run, browser, site, work)
    assert isinstance(error, FormMismatch)
    assert error.context["field"] == field
    assert says in error.detail
    assert site.publish_requests() == 0


_WITHOUT = """
new MutationObserver(() => {
  for (const node of document.querySelectorAll('%s')) node.remove();
}).observe(document, {subtree: true, childList: true});
"""
_NO_WHEELS = _WITHOUT % ".semi-scrolllist-item-wheel"
_NO_COVERS = _WITHOUT % '[class*="recommendCover-"]'

_SCHEDULE_IS_NOT = "(asked) => document.querySelector('[format=\"yyyy-MM-dd HH:mm\"]').value !== asked"


async def _fill_and_read(visited: Visit, work: Work) -> None:
    await visited.publication.fill(work)
    await visited.publication.read_back(work)


def _error_at_fill(run: Run, browser: Browser, site: Site, work: Work) -> PublisherError:
    """What filling the form with the work, or reading it back, ends in."""

    async def go() -> PublisherError:
        async with open_form(browser, site) as visited:
            with pytest.raises(PublisherError) as caught:
                await _fill_and_read(visited, work)
            return caught.value

    error: PublisherError = run(go())
    return error
