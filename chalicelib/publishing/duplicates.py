"""The same work for the same account, submitted twice: a double click, or a caller that lost an answer.

What is watched is account, video and title, for 24 hours. The watch is written in the task's own transaction,
so of any number of submissions at the same moment one is accepted.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from chalicelib.clock import Clock, from_rfc3339, to_rfc3339, utc_now
from chalicelib.dynamodb import Table, Update
from chalicelib.errors import DuplicateContent
from chalicelib.publishing.states import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.dynamodb import Write
    from chalicelib.publishing.store import TaskStore
    from chalicelib.publishing.task import Submission

WINDOW = timedelta(hours=24)

# As many tasks of one work are remembered. Only who asks for duplicates gets beyond one.
_MOST = 20

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

# Query parameters that sign a URL, by who reads them: another signature leads to the same file. Names in lower
# case. Long names speak for themselves; short ones count only beside the one that is the signature.
_SIGNING = re.compile(
    r"x-(amz|goog|oss|tos|obs|cos)-.*|q-(sign-algorithm|ak|sign-time|key-time|header-list|url-param-list|signature)"
    r"|(aws|oss|google)?access(key)?id|signature|policy|key-pair-id|hash-algorithm|security-token"
    r"|x-(expires|signature|orig-authkey|orig-expires|orig-sign)|auth_key|wssecret|wstime|expires"
)
_BESIDE: Mapping[str, re.Pattern[str]] = {
    # Azure's shared access signatures, Qiniu, Tencent's VOD and COS.
    "sig": re.compile("s[vstrpe]|spr|sip|srt|sig|ske|skoid|sks|skt|sktid|skv|sdd"),
    "token": re.compile("e|token"),
    "sign": re.compile("sign|t|us|rlimit|exper"),
}


def content_id(submission: Submission, checksum: str | None) -> str:
    """What is the same for the same work: account, video and title. `checksum` is the video's own, where it is
    known; otherwise its URL tells.
    """
    video = f"sha256:{checksum}" if checksum else url_identity(submission.video_url)
    title = unicodedata.normalize("NFC", submission.title).strip()
    told = json.dumps([submission.account_name, video, title])
    return f"content#{hashlib.sha256(told.encode()).hexdigest()}"


def url_identity(url: str) -> str:
    """What is the same of every URL of one file: without the signature that lets somebody in for a while.

    A signature in the path, or of a scheme that is not known here, makes another URL of it.
    """
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2].lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, ":"))
    pairs = [pair for pair in parts.query.split("&") if pair]
    names = {_name(pair) for pair in pairs}
    signing = [_SIGNING, *(others for signature, others in _BESIDE.items() if signature in names)]
    kept = [pair for pair in pairs if not any(pattern.fullmatch(_name(pair)) for pattern in signing)]
    query = f"?{'&'.join(kept)}" if kept else ""
    return f"{place}{parts.path or '/'}{query}"


def _name(pair: str) -> str:
    return unquote(pair.partition("=")[0]).lower()


@dataclass(frozen=True, slots=True)
class ContentGuard:
    """The watches in the requests table: ids of the tasks for one work, the newest last."""

    table: Table
    tasks: TaskStore
    clock: Clock = utc_now

    def watch(self, content: str, task_id: str, *, allow_duplicate: bool) -> Write:
        """What to write together with a new task for the content. Its condition fails where another task for it
        has come in the meantime. Raises DuplicateContent.
        """
        now = self.clock()
        found = self.table.get(content) or {}
        known = found.get("task_ids", []) if found.get("expires_at", "") > to_rfc3339(now) else []
        if not allow_duplicate:
            known = [other for other in known if self._counts(other)]
            if known:
                raise DuplicateContent(
                    f"Task {known[-1]} is for the same account, video and title, and less than 24 hours old.",
                    existing_task_id=known[-1],
                )
        until = now + WINDOW
        update = Update().set(
            task_ids=[*known[1 - _MOST :], task_id],
            expires_at=to_rfc3339(until),
            ttl=int(until.timestamp()),
        )
        if "version" in found:
            update.when("version", "=", found["version"])
        else:
            update.when_absent("version")
        return self.table.updating(content, update.add("version", 1))

    def _counts(self, task_id: str) -> bool:
        """Whether a task has published its work, may have, or is about to."""
        task = self.tasks.find(task_id)
        if task is None or from_rfc3339(task.created_at) + WINDOW <= self.clock():
            return False
        return task.intent is not None or task.state not in (State.FAILED, State.CANCELED)
