"""What a job leaves behind for people: a timeline of its steps, with a picture of each that fails.

Evidence never changes the outcome of a job: a sink or a camera that fails is logged, and the job goes on.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from chalicelib.clock import Clock, to_rfc3339, utc_now
from chalicelib.errors import BrowserFailed, PageChanged, PageTimeout, PlatformUnreachable, PublisherError

logger = logging.getLogger(__name__)

Sink = Callable[[dict[str, Any]], Awaitable[None]]
Camera = Callable[[str], Awaitable[str | None]]
OnProgress = Callable[[str, int], Awaitable[None]]

_innermost: ContextVar[Step | None] = ContextVar("innermost_step", default=None)


class Timeline:
    """Hands `sink` one entry for each step that ends:

        {"name", "started_at" (RFC 3339, ms), "duration_ms", "outcome": "ok" | "failed", "notes": [text, …],
         "screenshot": name | None}

    `camera`, where given, is asked for a screenshot of each step that fails; it stores the picture and returns
    its name. `on_progress` hears of (step, percent). Both may be set later, when there is a page to look at.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        clock: Clock = utc_now,
        camera: Camera | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self.camera = camera
        self.on_progress = on_progress

    @contextlib.asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[Step]:
        """One step of the job. Steps may nest and run side by side.

        Playwright's errors leave a step as errors of our tree; every error of the tree gets
        `context["step"]`, the innermost step's name.
        """
        step = Step(name, self)
        token = _innermost.set(step)
        started_at, started = self._clock(), time.monotonic()
        outcome = "failed"
        try:
            yield step
            outcome = "ok"
        except PublisherError as error:
            error.context.setdefault("step", name)
            raise
        except (PlaywrightError, TimeoutError) as error:
            raise translated(error, name) from error
        finally:
            _innermost.reset(token)
            if outcome == "failed":
                await step.photograph()
            await self._emit(
                {
                    "name": name,
                    "started_at": to_rfc3339(started_at),
                    "duration_ms": round((time.monotonic() - started) * 1000),
                    "outcome": outcome,
                    "notes": list(step.notes),
                    "screenshot": step.screenshot,
                }
            )

    async def _emit(self, entry: dict[str, Any]) -> None:
        try:
            await self._sink(entry)
        except Exception:
            logger.exception("A timeline entry could not be kept.", extra={"step": entry["name"]})


async def log_step(entry: dict[str, Any]) -> None:
    """A sink for jobs whose steps nobody keeps."""
    told = {name: entry[name] for name in ("duration_ms", "outcome")}
    logger.info("a step has ended", extra={"step": entry["name"], **told})


class Step:
    """A step that is under way. `screenshot` is the name of its picture, if any."""

    def __init__(self, name: str, timeline: Timeline) -> None:
        self.name = name
        self.notes: list[str] = []
        self.screenshot: str | None = None
        self._timeline = timeline
        self._percent = -1

    def note(self, text: str) -> None:
        """Something a person should know, such as a fallback locator that was needed. Said once, kept once."""
        if text not in self.notes:
            self.notes.append(text)

    async def progress(self, percent: int) -> None:
        """Passes whole percents on, each at most once."""
        if percent == self._percent or self._timeline.on_progress is None:
            return
        self._percent = percent
        await self._timeline.on_progress(self.name, percent)

    async def photograph(self) -> None:
        """Asks the timeline's camera, where there is one, for a picture of this step."""
        if self._timeline.camera is None or self.screenshot is not None:
            return
        try:
            self.screenshot = await self._timeline.camera(self.name)
        except Exception:
            logger.exception("A step could not be photographed.", extra={"step": self.name})


def note(text: str) -> None:
    """A note on the innermost step that is under way here."""
    step = _innermost.get()
    if step is None:
        logger.info("There was something to note, and no step to note it on.")
    else:
        step.note(text)


# What Chromium and Playwright say when the browser, not the page, is at fault.
_BROWSER_GONE = ("Target crashed", "Page crashed", "has been closed", "Connection closed", "Browser closed")


def translated(error: Exception, step: str) -> PublisherError:
    """The error of our tree that stands for an error of Playwright, or for a deadline of ours."""
    message = first_line(error)
    if isinstance(error, (PlaywrightTimeout, TimeoutError)):
        return PageTimeout(f"The step {step!r} starved: {message}", step=step)
    if "net::ERR_" in message:
        return PlatformUnreachable(f"The step {step!r} met a network failure: {message}", step=step)
    if any(sign in message for sign in _BROWSER_GONE):
        return BrowserFailed(f"The browser went away in the step {step!r}: {message}", step=step)
    return PageChanged(f"The step {step!r} could not act on the page: {message}", step=step)


def first_line(error: BaseException) -> str:
    """What an error says, without the log that Playwright appends; its type where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
