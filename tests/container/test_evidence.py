"""The timeline: what a step leaves behind, and as what an error leaves it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from chalicelib.errors import (
    BrowserFailed,
    FormMismatch,
    PageChanged,
    PageTimeout,
    PlatformUnreachable,
    PublisherError,
)
from container.evidence import Timeline, note

if TYPE_CHECKING:
    from collections.abc import Callable

_NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class _Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    async def __call__(self, entry: dict[str, Any]) -> None:
        self.entries.append(entry)

    @property
    def names(self) -> list[str]:
        return [entry["name"] for entry in self.entries]


@pytest.fixture
def kept() -> _Kept:
    return _Kept()


@pytest.fixture
def timeline(kept: _Kept) -> Timeline:
    return Timeline(kept, clock=lambda: _NOON)


def test_a_step_leaves_one_entry(kept: _Kept, timeline: Timeline) -> None:
    async def work() -> None:
        async with timeline.step("upload") as step:
            step.note("said")
            note("said by somebody deeper down")
            step.note("said")
            step.screenshot = "pictures/1.jpg"

    asyncio.run(work())
    (entry,) = kept.entries
    assert entry.pop("duration_ms") in range(1000)
    assert entry == {
        "name": "upload",
        "started_at": "2026-11-21T12:00:00.000Z",
        "outcome": "ok",
        "notes": ["said", "said by somebody deeper down"],
        "screenshot": "pictures/1.jpg",
    }


def test_steps_nest_and_run_side_by_side(kept: _Kept, timeline: Timeline) -> None:
    first_is_open, second_is_done = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with timeline.step("first"):
            first_is_open.set()
            await second_is_done.wait()
            note("of the first")

    async def second() -> None:
        await first_is_open.wait()
        async with timeline.step("second"), timeline.step("inner"):
            note("of the inner")
        second_is_done.set()

    async def both() -> None:
        await asyncio.gather(first(), second())

    asyncio.run(both())
    assert [(entry["name"], entry["notes"]) for entry in kept.entries] == [
        ("inner", ["of the inner"]),
        ("second", []),
        ("first", ["of the first"]),
    ]


def test_an_error_names_the_innermost_step(kept: _Kept, timeline: Timeline) -> None:
    async def work() -> None:
        async with timeline.step("fill"), timeline.step("title"):
            raise FormMismatch("no", field="title")

    with pytest.raises(FormMismatch) as caught:
        asyncio.run(work())
    assert caught.value.context == {"field": "title", "step": "title"}
    assert [entry["outcome"] for entry in kept.entries] == ["failed", "failed"]


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (PlaywrightTimeout("Timeout 10000ms exceeded.\nCall log: …"), PageTimeout),
        (TimeoutError(), PageTimeout),
        (PlaywrightError("Page.goto: net::ERR_CONNECTION_REFUSED at http://x/"), PlatformUnreachable),
        (PlaywrightError("Page.evaluate: Target crashed"), BrowserFailed),
        (PlaywrightError("Target page, context or browser has been closed"), BrowserFailed),
        (PlaywrightError("Element is not an <input>"), PageChanged),
    ],
)
def test_foreign_errors_leave_as_ours(
    timeline: Timeline, error: Exception, becomes: type[PublisherError]
) -> None:
    async def work() -> None:
        async with timeline.step("cover"):
            raise error

    with pytest.raises(becomes) as caught:
        asyncio.run(work())
    assert caught.value.context["step"] == "cover"
    assert "'cover'" in caught.value.detail
    assert "Call log" not in caught.value.detail


def test_a_programming_error_leaves_as_it_is(timeline: Timeline) -> None:
    async def work() -> None:
        async with timeline.step("cover"):
            raise KeyError("slot")

    with pytest.raises(KeyError):
        asyncio.run(work())


def test_evidence_that_cannot_be_kept_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def refuse(_: Any) -> None:
        raise OSError("the store is down")

    async def work() -> None:
        timeline = Timeline(refuse, camera=refuse)
        async with timeline.step("submit") as step:
            await step.photograph()

    asyncio.run(work())
    assert "could not be kept" in caplog.text
    assert "could not be photographed" in caplog.text


def test_a_step_that_fails_is_photographed_once(kept: _Kept) -> None:
    asked: list[str] = []

    async def camera(name: str) -> str:
        asked.append(name)
        return f"{name}.jpg"

    async def work(act: Callable[[Any], None]) -> None:
        async with Timeline(kept, camera=camera).step("submit") as step:
            await step.photograph()
            act(step)

    def fail(_: Any) -> None:
        raise FormMismatch

    with pytest.raises(FormMismatch):
        asyncio.run(work(fail))
    assert (asked, kept.entries[0]["screenshot"]) == (["submit"], "submit.jpg")


def test_each_percentage_is_told_once(kept: _Kept) -> None:
    heard: list[tuple[str, int]] = []

    async def listen(name: str, percent: int) -> None:
        heard.append((name, percent))

    async def work() -> None:
        async with Timeline(kept, on_progress=listen).step("upload") as step:
            for percent in (0, 0, 40, 40, 100):
                await step.progress(percent)

    asyncio.run(work())
    assert heard == [("upload", 0), ("upload", 40), ("upload", 100)]
