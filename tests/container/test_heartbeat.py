"""Signs of life: at once, then now and then, sooner where there is news, never in a flood."""

from __future__ import annotations

import asyncio
import itertools
import time

from container.lease import PACE, RENEWAL, Heartbeat


class _Beats:
    """Times of beats, and a wait for the next of them."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()

    def __call__(self) -> None:
        self.times.append(time.monotonic())
        self._loop.call_soon_threadsafe(self._came.set)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.times) < count:
                await self._came.wait()
                self._came.clear()


def test_news_hurry_the_next_beat_and_a_flood_of_them_does_not_flood() -> None:
    async def work() -> list[float]:
        beats = _Beats()
        async with Heartbeat(beats) as heartbeat:
            await beats.until(1)
            end = time.monotonic() + 2.5 * PACE.total_seconds()
            while time.monotonic() < end:
                heartbeat.tell()
                await asyncio.sleep(0.005)
        return beats.times

    times = asyncio.run(work())
    assert len(times) in (3, 4)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(gaps) >= 0.95 * PACE.total_seconds()
    assert max(gaps) < RENEWAL.total_seconds() / 2


def test_what_is_told_during_a_beat_is_not_lost() -> None:
    async def work() -> list[float]:
        loop, beats = asyncio.get_running_loop(), _Beats()

        def beat() -> None:
            if not beats.times:
                asyncio.run_coroutine_threadsafe(tell(), loop).result(10)
            beats()

        async def tell() -> None:
            heartbeat.tell()

        heartbeat = Heartbeat(beat)
        async with heartbeat:
            await beats.until(2)
        return beats.times

    first, second, *_ = asyncio.run(work())
    assert second - first < RENEWAL.total_seconds() / 2


def test_a_heartbeat_that_is_left_ends_at_once() -> None:
    async def work() -> float:
        beats = _Beats()
        async with Heartbeat(beats):
            await beats.until(1)
            left = time.monotonic()
        return time.monotonic() - left

    assert asyncio.run(work()) < 0.5
