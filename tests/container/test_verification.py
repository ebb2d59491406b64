"""身份验证 on the way to a publish: the code comes from outside, and the form is sent again on proof only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import (
    CaptchaRequired,
    NoTimeLeft,
    OutcomeUnknown,
    PublisherError,
    VerificationRequired,
)
from container.douyin import act, verification
from container.douyin.publish import Work
from tests.container.support import COVER, VIDEO, held, prepare, publish, visit

if TYPE_CHECKING:
    from container.browser import Browser
    from container.douyin.publish import Submitted
    from tests.container.conftest import Run
    from tests.container.support import Site, Visit

pytestmark = pytest.mark.system

_WORK = Work(video=VIDEO, title="身份验证", cover=COVER, claim_type="内容由AI生成")
_PHONE = "183******91"


_SEND = "() => fetch('/web/api/media/aweme/create_v2/', {method: 'POST', body: '{}'}).then(() => {})"


class NobodyAnsweredError(VerificationRequired):
    pass


class Phone:
    """Whoever holds the phone: gives some wrong codes first, and knows how often it was asked, and of what."""

    def __init__(self, site: Site, *, wrong: int = 0) -> None:
        self._site = site
        self._wrong = wrong
        self.asked: list[str | None] = []

    async def next_code(self, phone: str | None) -> str:
        self.asked.append(phone)
        code = self._site.sms()
        return code if len(self.asked) > self._wrong else f"{(int(code) + 1) % 1_000_000:06d}"


class Intent:
    """What is written before each click."""

    def __init__(self, site: Site, *, refused_from: int = 99) -> None:
        self._site = site
        self._refused_from = refused_from
        self.requests: list[int] = []

    async def write(self) -> None:
        self.requests.append(self._site.publish_requests())
        if len(self.requests) >= self._refused_from:
            raise NoTimeLeft


@pytest.mark.parametrize("wrong", [0, 1], ids=["right-at-once", "corrected"])
def test_a_code_lets_the_refused_click_be_made_again_with_an_intent_of_its_own(
    run: Run, browser: Browser, site: Site, wrong: int
) -> None:
    site.scenario(second_verification="publish")
    phone, intent = Phone(site, wrong=wrong), Intent(site)

    async def go() -> tuple[Submitted, Visit]:
        async with visit(browser, site, next_code=phone.next_code) as visited:
            await prepare(visited, _WORK)
            return await visited.publication.submit(intent.write), visited

    submitted, visited = run(go())
    (truth,) = site.works()
    assert truth["item_id"] == submitted.item_id
    assert phone.asked == [_PHONE] * (1 + wrong)
    assert intent.requests == [0, 1]
    assert site.publish_requests() == 2
    assert site.get("/admin/state")["counters"]["sms_sent"] == 1
    assert visited.entry("verification")["outcome"] == "ok"
    assert ("the code was not taken: 验证码错误，请重新输入" in visited.notes) is bool(wrong)
    assert not any(site_code in str(visited.entries) for site_code in phone_codes(site))


@pytest.mark.parametrize("after", ["form", "resend"])
def test_a_challenge_that_its_answer_does_not_name_is_known_by_its_panel(
    run: Run, browser: Browser, site: Site, after: str
) -> None:
    site.scenario(second_verification="publish", challenge_words="none", after_verification=after)
    phone = Phone(site)

    async def go() -> Submitted:
        async with visit(browser, site, next_code=phone.next_code) as visited:
            return await publish(visited, _WORK)

    submitted = run(go())
    assert [work["item_id"] for work in site.works()] == [submitted.item_id]
    assert phone.asked == [_PHONE]
    assert site.publish_requests() == 2


@pytest.mark.parametrize("after", ["form", "resend"])
def test_a_challenge_before_anything_was_sent_is_passed_like_any_other(
    run: Run, browser: Browser, site: Site, after: str
) -> None:
    site.scenario(second_verification="publish", challenge_at="click", after_verification=after)
    phone, intent = Phone(site), Intent(site)

    async def go() -> Submitted:
        async with visit(browser, site, next_code=phone.next_code) as visited:
            await prepare(visited, _WORK)
            return await visited.publication.submit(intent.write)

    submitted = run(go())
    assert [work["item_id"] for work in site.works()] == [submitted.item_id]
    assert phone.asked == [_PHONE]
    assert site.publish_requests() == 1
    assert after == "resend" or intent.requests == [0, 0]


def phone_codes(site: Site) -> list[str]:
    """Codes that are still good: none, once they were used."""
    return [message["code"] for message in site.get("/phone/api/sms")]


def test_a_page_that_sends_the_work_by_itself_after_the_code_is_not_clicked_again(
    run: Run, browser: Browser, site: Site
) -> None:
    session, intent = site.log_in(), Intent(site)
    site.scenario(second_verification="both", after_verification="resend")

    async def go() -> Submitted:
        async with visit(browser, site, session=session, next_code=Phone(site).next_code) as visited:
            await prepare(visited, _WORK)
            return await visited.publication.submit(intent.write)

    submitted = run(go())
    assert [work["item_id"] for work in site.works()] == [submitted.item_id]
    assert intent.requests == [0]


def test_a_second_click_needs_its_intent(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(second_verification="publish")
    intent = Intent(site, refused_from=2)

    async def go() -> None:
        async with visit(browser, site, next_code=Phone(site).next_code) as visited:
            await prepare(visited, _WORK)
            with pytest.raises(NoTimeLeft):
                await visited.publication.submit(intent.write)

    run(go())
    assert (site.works(), site.publish_requests()) == ([], 1)


def test_an_intent_that_fails_when_the_page_has_sent_the_work_proves_nothing(
    run: Run, browser: Browser, site: Site
) -> None:
    site.scenario(second_verification="publish")

    async def go() -> None:
        async with visit(browser, site, next_code=Phone(site).next_code) as visited:
            intents: list[str] = []

            async def intend() -> None:
                intents.append("intent")
                if len(intents) == 2:
                    await visited.page.evaluate(_SEND)
                    raise NoTimeLeft

            await prepare(visited, _WORK)
            with pytest.raises(OutcomeUnknown, match="once more than it was answered"):
                await visited.publication.submit(intend)

    run(go())


def test_nobody_gives_a_code(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(second_verification="publish")

    async def nobody(_: str | None) -> str:
        raise NobodyAnsweredError

    async def go() -> None:
        async with visit(browser, site, next_code=nobody) as visited:
            await prepare(visited, _WORK)
            with pytest.raises(NobodyAnsweredError):
                await visited.publication.submit(Intent(site).write)
            assert visited.entry("verification")["outcome"] == "failed"

    run(go())
    assert (site.works(), site.publish_requests()) == ([], 1)


def test_a_code_may_be_asked_for_before_the_upload(run: Run, browser: Browser, site: Site) -> None:
    site.scenario(second_verification="enter")
    phone = Phone(site)

    async def go() -> None:
        async with visit(browser, site, next_code=phone.next_code) as visited:
            await prepare(visited, _WORK)

    run(go())
    assert phone.asked == [_PHONE]


def test_too_many_wrong_codes_need_another_sms_and_its_pause_is_respected(
    run: Run, browser: Browser, site: Site
) -> None:
    site.scenario(second_verification="enter", sms_pause=2)
    # The sixth is refused whatever it is; the same complaint again is known for one after a while only.
    phone = Phone(site, wrong=6)

    async def go() -> Visit:
        async with visit(browser, site, next_code=phone.next_code) as visited:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(verification, "EFFECT_MS", 300)
                await visited.publication.open_upload()
            return visited

    notes = run(go()).notes
    assert len(phone.asked) == 7
    assert "the code was not taken: 错误次数过多，请重新获取验证码" in notes
    assert site.get("/admin/state")["counters"]["sms_sent"] == 2
    assert "操作太频繁" not in str(site.get("/admin/state")["refused"])


def test_a_panel_that_is_not_understood_proves_that_nothing_was_published(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.scenario(second_verification="publish")
    monkeypatch.setattr(verification, "ACTION_MS", 500)

    async def go() -> None:
        async with visit(browser, site, next_code=Phone(site).next_code) as visited:
            await prepare(visited, _WORK)
            async with held(visited.page, "**/send_code/**"):
                with pytest.raises(VerificationRequired, match="did not say that it sent an SMS"):
                    await visited.publication.submit(Intent(site).write)

    run(go())
    assert site.works() == []


def test_a_code_of_which_nobody_hears_again_leaves_the_outcome_unknown(
    run: Run, browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.scenario(second_verification="publish")
    monkeypatch.setattr(verification, "_VERDICT_MS", 500)

    async def go() -> None:
        async with visit(browser, site, next_code=Phone(site).next_code) as visited:
            await prepare(visited, _WORK)
            async with held(visited.page, "**/validate_code/**"):
                with pytest.raises(OutcomeUnknown, match="After a code was given"):
                    await visited.publication.submit(Intent(site).write)

    run(go())


@pytest.mark.parametrize(
    ("scenario", "expected", "step"),
    [
        ({"captcha": "enter"}, CaptchaRequired, "open_upload"),
        ({"captcha": "publish"}, CaptchaRequired, "submit"),
        ({"second_verification": "enter", "verification": "face"}, VerificationRequired, "open_upload"),
        ({"second_verification": "publish", "verification": "face"}, VerificationRequired, "submit"),
    ],
    ids=["captcha-at-the-door", "captcha-at-the-click", "face-at-the-door", "face-at-the-click"],
)
def test_what_no_code_can_answer_ends_with_a_picture_and_what_to_do(
    run: Run,
    browser: Browser,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    scenario: dict[str, str],
    expected: type[Exception],
    step: str,
) -> None:
    site.scenario(**scenario)
    monkeypatch.setattr(act, "EFFECT_MS", 400)
    pictures: list[str] = []

    async def photograph(name: str) -> str:
        pictures.append(name)
        return f"{name}.jpg"

    async def go() -> PublisherError:
        async with visit(browser, site, next_code=Phone(site).next_code) as visited:
            visited.timeline.camera = photograph
            with pytest.raises(PublisherError) as caught:
                await publish(visited, _WORK)
            return caught.value

    error: PublisherError = run(go())
    assert type(error) is expected
    assert "browser" in error.next_step
    assert step in pictures
    assert ("face" in error.detail) is ("verification" in scenario)
    assert site.works() == []
    assert phone_codes(site) == []
