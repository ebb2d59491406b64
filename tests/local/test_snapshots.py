"""Group commit and the store under it, alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from local.emulator.snapshots import Committer, SnapshotStore, StateUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Services:
    """Two services whose state is a number; counts how often it is asked for."""

    def __init__(self) -> None:
        self.numbers = {"a": 0, "b": 0}
        self.taken: list[frozenset[str] | None] = []
        self.busy = False

    def take(self, services: frozenset[str] | None) -> Mapping[str, bytes]:
        self.taken.append(services)
        return {
            name: b"%d" % number for name, number in self.numbers.items() if not services or name in services
        }


async def committing(store: SnapshotStore, services: Services) -> tuple[Committer, asyncio.Task[None]]:
    committer = Committer(store, services.take, lambda: services.busy)
    return committer, asyncio.create_task(committer.run())


def loaded(folder: Path) -> dict[str, bytes]:
    return SnapshotStore(folder).load()


def listing(folder: Path) -> list[tuple[str, int]]:
    return sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())


def test_one_save_serves_all_who_wait_and_saves_only_what_they_touched(tmp_path: Path) -> None:
    async def scenario() -> None:
        services, store = Services(), SnapshotStore(tmp_path)
        store.load()
        committer, task = await committing(store, services)
        services.numbers.update(a=1, b=1)
        await asyncio.gather(*(committer.commit(frozenset({"a"})) for _ in range(20)))
        assert services.taken == [frozenset({"a"})]
        assert loaded(tmp_path) == {"a": b"1"}
        await committer.commit(None)
        assert loaded(tmp_path) == {"a": b"1", "b": b"1"}
        task.cancel()

    asyncio.run(scenario())


def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    async def scenario() -> None:
        services, store = Services(), SnapshotStore(tmp_path)
        store.load()
        committer, task = await committing(store, services)
        await committer.commit(None)
        before = listing(tmp_path)
        await committer.commit(None)
        assert listing(tmp_path) == before
        task.cancel()

    asyncio.run(scenario())


def test_a_change_of_many_steps_is_saved_when_it_is_over(tmp_path: Path) -> None:
    async def scenario() -> None:
        services, store = Services(), SnapshotStore(tmp_path)
        store.load()
        committer, task = await committing(store, services)
        services.busy = True
        services.numbers["a"] = 1
        waiting = asyncio.create_task(committer.commit(None))
        await asyncio.sleep(0.05)
        assert services.taken == []
        services.numbers["b"] = 1
        services.busy = False
        await waiting
        assert loaded(tmp_path) == {"a": b"1", "b": b"1"}
        task.cancel()

    asyncio.run(scenario())


def test_a_failed_save_reaches_those_who_wait_and_the_next_one_saves_all(tmp_path: Path) -> None:
    async def scenario() -> None:
        services, store = Services(), SnapshotStore(tmp_path / "state")
        store.load()
        committer, task = await committing(store, services)
        (tmp_path / "state").rename(tmp_path / "away")
        services.numbers["a"] = 1
        with pytest.raises(OSError, match="No such file"):
            await committer.commit(frozenset({"a"}))
        (tmp_path / "away").rename(tmp_path / "state")
        await committer.commit(frozenset({"a"}))
        assert loaded(tmp_path / "state") == {"a": b"1"}
        task.cancel()

    asyncio.run(scenario())


def test_what_a_cut_off_write_left_is_ignored_and_removed(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    store.load()
    store.write({"a": b"1"})
    (tmp_path / "a.2.json").write_bytes(b"half")
    (tmp_path / "manifest.json.new").write_bytes(b"{")
    assert loaded(tmp_path) == {"a": b"1"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.1.json", "manifest.json"]


def test_a_format_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"format": 2, "files": {}}')
    with pytest.raises(StateUnreadable, match="format 2"):
        loaded(tmp_path)
