"""What a task has cost so far, from the time that its workers ran and the memory that they had."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PriceList:
    """List prices of AWS Lambda in US dollars, without the free tier."""

    architecture: str
    usd_per_gb_second: float
    usd_per_million_requests: float
    region: str = "us-east-1"
    as_of: str = "2026-11"
    source: str = "https://aws.amazon.com/lambda/pricing/"
    note: str = (
        "An estimate: the workers' time at list price. Other regions differ; AWS China has prices of its own. "
        "Cold starts, killed workers and what else a task uses (API, table, queue, storage, together about "
        "0.0002 USD) are not counted."
    )


# The one place where prices stand. Keys are what `platform.machine` calls the processors.
PRICES = {
    "x86_64": PriceList("x86_64", usd_per_gb_second=0.0000166667, usd_per_million_requests=0.20),
    "aarch64": PriceList("arm64", usd_per_gb_second=0.0000133334, usd_per_million_requests=0.20),
}


@dataclass(frozen=True, slots=True)
class Cost:
    gb_seconds: float
    usd: float
    price_list: PriceList


def cost_of(*, mb_ms: int, invocations: int, machine: str | None) -> Cost | None:
    """`mb_ms` is the sum of milliseconds times megabytes over all invocations. None where nothing has run."""
    prices = PRICES.get(machine or "")
    if not invocations or prices is None:
        return None
    gb_seconds = mb_ms / 1024 / 1000
    usd = gb_seconds * prices.usd_per_gb_second + invocations * prices.usd_per_million_requests / 1e6
    return Cost(round(gb_seconds, 3), round(usd, 9), prices)
