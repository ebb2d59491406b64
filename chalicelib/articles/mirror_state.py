"""Where a channel's mirror stands: one small JSON object, moved by conditional writes only.

<prefix>mirror/utm_source=<u>.json
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

from chalicelib.articles.records import read_record
from chalicelib.articles.store import PreconditionFailed, encode_json
from chalicelib.errors import CursorConflict

if TYPE_CHECKING:
    from chalicelib.articles.store import Store


Position = tuple[int, int, str]
WHOLE: Final = 2**31 - 1
"""A `pos` beyond that of any row."""


@dataclass(frozen=True, slots=True)
class MirrorState:
    """Where a channel's mirror stands. `positions` are by the log's name: (seq, pos) of the last row done,
    where pos is WHOLE once the object is through, and the day (YYYY-MM-DD) of that object. `finished` are the
    logs that will never have more, because they are through and so is their scan. `retries` (attempts so far,
    not before) by GroupId. `copied`, `failed` and `bytes` count since the first run; `caught_up` says that the
    last run came to the end of every log.
    """

    positions: dict[str, Position] = field(default_factory=dict)
    finished: frozenset[str] = frozenset()
    retries: dict[str, tuple[int, str]] = field(default_factory=dict)
    copied: int = 0
    failed: int = 0
    bytes: int = 0
    last_run_at: str | None = None
    caught_up: bool = False

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        state = read_record(cls, value)
        return replace(
            state,
            positions={name: (seq, pos, day) for name, (seq, pos, day) in state.positions.items()},
            finished=frozenset(state.finished),
            retries={group_id: (attempts, at) for group_id, (attempts, at) in state.retries.items()},
        )


def mirror_key(prefix: str, channel: str) -> str:
    return f"{prefix}mirror/utm_source={quote(channel, safe='')}.json"


def load_mirror(store: Store, channel: str) -> tuple[MirrorState, str | None]:
    """The state, and its ETag; a fresh one and None before the first run."""
    found = store.get_json(mirror_key(store.prefix, channel))
    return (MirrorState(), None) if found is None else (MirrorState.from_dict(found[0]), found[1])


def save_mirror(store: Store, channel: str, state: MirrorState, etag: str | None) -> str:
    """Replaces the state that has `etag` (None: none yet); the new ETag.

    Raises CursorConflict if another run has moved it meanwhile.
    """
    key = mirror_key(store.prefix, channel)
    try:
        body = encode_json({**asdict(state), "finished": sorted(state.finished)})
        return store.put_if(key, body, etag=etag, content_type="application/json")
    except PreconditionFailed as error:
        raise CursorConflict(f"Another run mirrors {channel!r}.", channel=channel) from error
