"""Snapshots of the services' state on disk, replaced as one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING, Final

from local.processes import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

logger = logging.getLogger(__name__)

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
_DEFER_LIMIT_SECONDS = 60.0
# Turns of the event loop that a request takes from its arrival to its answer, about.
_GATHERING_TURNS = 12


class StateUnreadable(Exception):
    """What is on disk cannot be understood. Starting empty would overwrite it, so nothing starts."""


class SnapshotStore:
    """A folder with one file a service, and a manifest `{"format": 1, "files": {service: file name}}`.

    A write puts the changed services into new files and then replaces the manifest: that rename is the moment
    at which all of them become the state. A process killed before it leaves the former state, whole; the files
    that no manifest names are removed at the next start. Survives the death of processes, not a power cut of
    the machine: nothing is fsynced (see docs/decisions/011).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, str] = {}
        self._generation = 0

    def load(self) -> dict[str, bytes]:
        """The last complete snapshot of each service; empty where there is none yet. Raises StateUnreadable."""
        self._folder.mkdir(parents=True, exist_ok=True)
        manifest = self._folder / MANIFEST
        try:
            content = json.loads(manifest.read_bytes())
            if content["format"] != FORMAT:
                raise StateUnreadable(
                    f"{manifest} has format {content['format']}; this version reads {FORMAT}."
                )
            self._files = dict(content["files"])
            snapshots = {service: (self._folder / name).read_bytes() for service, name in self._files.items()}
        except FileNotFoundError as error:
            if error.filename != str(manifest):
                raise StateUnreadable(f"{manifest} names a file that is missing: {error.filename}") from error
            snapshots = {}
        except (ValueError, KeyError, TypeError) as error:
            raise StateUnreadable(f"{manifest} cannot be read: {error!r}") from error
        self._generation = max((int(name.split(".")[-2]) for name in self._files.values()), default=0)
        self._remove_strays()
        return snapshots

    def write(self, changed: Mapping[str, bytes]) -> None:
        """Makes `changed` part of the state, all or nothing. Raises OSError."""
        self._generation += 1
        files = dict(self._files)
        for service, snapshot in changed.items():
            files[service] = f"{service}.{self._generation}.json"
            (self._folder / files[service]).write_bytes(snapshot)
        replace_file(self._folder / MANIFEST, json.dumps({"format": FORMAT, "files": files}).encode())
        outdated = set(self._files.values()) - set(files.values())
        self._files = files
        for name in outdated:
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()

    def _remove_strays(self) -> None:
        known = {MANIFEST, *self._files.values()}
        for path in self._folder.iterdir():
            if path.is_file() and path.name not in known:
                path.unlink()


class Committer:
    """Group commit: each waiting change is served by one snapshot that began after the change.

    `snapshot(services)` gives the present state of the named services (None: of all) and runs on the event
    loop, so it sees whole changes only. `busy()` tells that a change of many steps is under way (a stack being
    deployed); snapshots wait until it is over, so that a kill finds either all of its steps or none.
    """

    def __init__(
        self,
        store: SnapshotStore,
        snapshot: Callable[[frozenset[str] | None], Mapping[str, bytes]],
        busy: Callable[[], bool],
    ) -> None:
        self._store = store
        self._snapshot = snapshot
        self._busy = busy
        self._saved: dict[str, bytes] = {}
        self._touched: set[str] = set()
        self._touched_all = False
        self._waiting: list[asyncio.Future[None]] = []
        self._wanted = asyncio.Event()
        self._endless = False

    async def commit(self, services: frozenset[str] | None) -> None:
        """Returns once the present state of `services` (None: of all) is on disk. Raises what the save did."""
        if services is None:
            self._touched_all = True
        else:
            self._touched |= services
        saved = asyncio.get_running_loop().create_future()
        self._waiting.append(saved)
        self._wanted.set()
        await saved

    async def run(self) -> None:
        """Serves commits until cancelled."""
        while True:
            await self._wanted.wait()
            await self._gather()
            await self._until_quiet()
            self._wanted.clear()
            services = None if self._touched_all else frozenset(self._touched)
            waiting, self._waiting = self._waiting, []
            self._touched, self._touched_all = set(), False
            try:
                await self._save(services)
            except Exception as error:
                logger.exception("The state could not be saved")
                for saved in waiting:
                    if not saved.done():
                        saved.set_exception(error)
            else:
                for saved in waiting:
                    if not saved.done():
                        saved.set_result(None)

    async def _save(self, services: frozenset[str] | None) -> None:
        taken = self._snapshot(services)
        changed = {name: state for name, state in taken.items() if self._saved.get(name) != state}
        if changed:
            await asyncio.to_thread(self._store.write, changed)
            self._saved |= changed

    async def _gather(self) -> None:
        """Lets requests that have arrived already join this commit. Costs microseconds when there are none."""
        for _ in range(_GATHERING_TURNS):
            await asyncio.sleep(0)

    async def _until_quiet(self) -> None:
        deadline = time.monotonic() + (0 if self._endless else _DEFER_LIMIT_SECONDS)
        while self._busy():
            if time.monotonic() > deadline:
                if not self._endless:
                    logger.warning("A change of many steps does not end; the state is saved half-way")
                self._endless = True
                return
            await asyncio.sleep(0.005)
        self._endless = False
