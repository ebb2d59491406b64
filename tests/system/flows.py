"""What a client does that knows the reference page and nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Api
    from tests.system.conftest import Phone


def until(look: Callable[[], Any], done: Callable[[Any], bool], seconds: float = 240) -> Any:
    """Looks until it is done, and returns what was seen."""
    deadline = time.monotonic() + seconds
    while not done(seen := look()):
        assert time.monotonic() < deadline, f"after {seconds} s: {seen}"
        time.sleep(0.3)
    return seen


def log_in(api: Api, phone: Phone, name: str, user: str) -> dict[str, Any]:
    answer = api.post("/api/v1/accounts/login", {"account_name": name})
    assert answer.status_code == 200, answer.text
    path = f"/api/v1/accounts/login/{answer.json()['login_id']}"
    phone.confirm(phone.scan(answer.json()["qr_code_base64"]), user)
    status: dict[str, Any] = until(lambda: api.get(path).json(), lambda seen: seen["status"] != "pending")
    return status


def submit(api: Api, **body: Any) -> str:
    answer = api.post("/api/v1/publish", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "pending"
    task_id: str = answer.json()["id"]
    return task_id


def outcome(api: Api, task_id: str, seconds: float = 240) -> dict[str, Any]:
    """The task once it is over."""
    task: dict[str, Any] = until(
        lambda: api.get(f"/api/v1/tasks/{task_id}").json(),
        lambda seen: seen["status"] in ("success", "failed"),
        seconds,
    )
    return task
