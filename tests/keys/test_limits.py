"""A key's budget: one for all functions that run at the same time, told in every answer."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from chalicelib.keys.limits import WINDOW_SECONDS, RateLimiter
from chalicelib.keys.scopes import Scope
from chalicelib.keys.store import KeyStore
from local.emulator import client_environment
from local.template import API_HANDLER
from tests.conftest import running_api

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests

    from tests.conftest import Cloud

pytestmark = pytest.mark.system

NOW = datetime(2026, 11, 21, 12, 0, 20, tzinfo=UTC)


@pytest.fixture
def limiter(cloud: Cloud, new_table: Callable[[str], str]) -> Callable[..., RateLimiter]:
    """Makes the limiters of functions that run side by side."""
    table = new_table("LIMITS_TABLE")

    def make(reads: int, writes: int = 1, *, now: datetime = NOW, table: str = table) -> RateLimiter:
        quotas = {"reads": reads, "writes": writes}
        return RateLimiter(cloud.client("dynamodb"), table, quotas, clock=lambda: now)  # type: ignore[arg-type]

    return make


def test_functions_side_by_side_let_exactly_the_budget_through(limiter: Callable[..., RateLimiter]) -> None:
    functions = [limiter(reads=50) for _ in range(4)]
    together = threading.Barrier(16)

    def hammer(number: int) -> list[bool]:
        together.wait()
        return [functions[number % 4].count("a", "reads").exceeded for _ in range(10)]

    with ThreadPoolExecutor(16) as pool:
        refused = [answer for answers in pool.map(hammer, range(16)) for answer in answers]

    assert (len(refused), refused.count(False)) == (160, 50)


def test_budgets_keys_and_minutes_have_nothing_to_do_with_each_other(
    limiter: Callable[..., RateLimiter],
) -> None:
    one = limiter(reads=1, writes=1)
    assert [one.count("a", "reads").exceeded for _ in range(3)] == [False, True, True]
    assert not one.count("a", "writes").exceeded
    assert not one.count("b", "reads").exceeded
    one.clock = lambda: NOW + timedelta(seconds=WINDOW_SECONDS)
    assert not one.count("a", "reads").exceeded


def test_what_is_left_and_until_when_is_told(limiter: Callable[..., RateLimiter]) -> None:
    one = limiter(reads=2)
    told = [one.count("a", "reads").headers for _ in range(3)]

    assert [entry["RateLimit"] for entry in told] == [f'"reads";r={left};t=40' for left in (1, 0, 0)]
    assert {entry["RateLimit-Policy"] for entry in told} == {'"reads";q=2;w=60'}


def test_a_counter_that_fails_refuses_nobody_and_one_that_is_used_up_is_not_asked_again(
    limiter: Callable[..., RateLimiter],
) -> None:
    broken = limiter(reads=1, table="there-is-no-such-table")
    usage = broken.count("a", "reads")
    assert (usage.exceeded, usage.headers) == (False, {"RateLimit-Policy": '"reads";q=1;w=60'})

    one = limiter(reads=1)
    assert [one.count("a", "reads").exceeded for _ in range(2)] == [False, True]
    one.table = "there-is-no-such-table"
    assert one.count("a", "reads").exceeded


def test_two_servers_share_a_keys_budget(cloud: Cloud, tmp_path: Path) -> None:
    store = KeyStore(cloud.client("dynamodb"), cloud.variable("KEYS_TABLE"))
    token = store.create("busy", [Scope.ACCOUNTS_READ], expires_at=None, created_by="a test").token
    variables = {
        **client_environment(cloud.endpoint),
        **cloud.functions[API_HANDLER].environment,
        "API_KEYS": "required",
        "RATE_LIMIT_READS": "20",
        "RATE_LIMIT_WRITES": "1",
    }
    headers = {"Authorization": f"Bearer {token}"}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with running_api(tmp_path / "one", variables) as one, running_api(tmp_path / "two", variables) as two:
        first = time.time() // WINDOW_SECONDS

        def ask(number: int) -> requests.Response:
            return (one, two)[number % 2].get("/api/v1/accounts", headers=headers)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(64)))
        minutes = time.time() // WINDOW_SECONDS - first + 1
        written = [two.post("/api/v1/keys", headers=headers) for _ in range(int(2 * minutes))]

    passed = [answer for answer in answers if answer.status_code == 200]
    assert 20 <= len(passed) <= 20 * minutes
    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    for answer in refused:
        assert answer.status_code == 429
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (answer.json()["code"], answer.json()["retryable"]) == ("request.rate_limited", True)
        left = re.fullmatch(r'"reads";r=0;t=(\d+)', answer.headers["RateLimit"])
        assert left is not None
        assert answer.headers["Retry-After"] == left[1]
        assert 1 <= int(left[1]) <= WINDOW_SECONDS
    for answer in answers:
        assert answer.headers["RateLimit-Policy"] == '"reads";q=20;w=60'
    assert written[0].headers["RateLimit-Policy"] == '"writes";q=1;w=60'
    assert {answer.status_code for answer in written} <= {403, 429}
