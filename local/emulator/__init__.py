"""Emulated AWS: ministack as a child process, made so that what it has answered survives `kill -9`."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from local.processes import ChildProcess, clean_environment, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import boto3

REGION: Final = "us-east-1"
# Any access key of 12 digits is an account of its own in the emulator.
ACCOUNT: Final = "000000000000"
# The emulator takes every request as it comes, except for presigned URLs: those it verifies, by this secret,
# which is its own default.
SECRET: Final = "test"
# Queue URLs inside the state carry this address, not the port of the day: the state outlives a change of port.
# Answers carry the address that the caller used; outputs of stacks do not, `local.stack` translates them.
CANONICAL_ORIGIN: Final = "http://localhost:4566"


def emulator_process(
    data_dir: Path, port: int, *, auth: bool = False, keep_nothing: bool = False
) -> ChildProcess:
    """The emulator with its state and log under `data_dir`, not started yet. With `auth` it enforces IAM."""
    argv = [sys.executable, "-m", "local.emulator", "--port", str(port), "--data", str(data_dir)]
    argv += ["--auth"] if auth else []
    argv += ["--keep-nothing"] if keep_nothing else []
    return ChildProcess(
        "emulator",
        [*argv, "--exit-on-stdin-eof"],
        env=clean_environment(data_dir / "tmp"),
        log_path=data_dir / "emulator.log",
    )


@contextmanager
def running_emulator(
    data_dir: Path, port: int | None = None, *, auth: bool = False, keep_nothing: bool = False
) -> Iterator[str]:
    """Runs the emulator for as long as the block lasts and gives its endpoint, `http://127.0.0.1:PORT`."""
    chosen = free_port() if port is None else port
    process = emulator_process(data_dir, chosen, auth=auth, keep_nothing=keep_nothing)
    endpoint = process.start()
    try:
        yield endpoint
    finally:
        process.stop()


def make_client(
    service: str, endpoint: str, *, account: str = ACCOUNT, region: str = REGION, attempts: int = 3
) -> Any:
    """A boto3 client of the emulator for this process, whatever its own environment and files say.

    `attempts` is how often a request is tried in all where the emulator does not answer or is at fault.
    """
    from botocore.config import Config  # noqa: PLC0415

    # No proxies: one of the environment's knows nothing of this machine's loopback.
    config = Config(proxies={}, retries={"mode": "standard", "total_max_attempts": attempts})
    with _SESSION_LOCK:
        return _session(account, region).client(  # type: ignore[call-overload]
            service, endpoint_url=endpoint, config=config
        )


# Making a client is not thread-safe, and a session that is kept spares each one the reading of its models.
_SESSION_LOCK: Final = threading.Lock()


@cache
def _session(account: str, region: str) -> boto3.Session:
    import boto3  # noqa: PLC0415  # the emulator's own process imports this package and needs no boto3

    return boto3.Session(aws_access_key_id=account, aws_secret_access_key=SECRET, region_name=region)


def client_environment(endpoint: str, *, account: str = ACCOUNT, region: str = REGION) -> dict[str, str]:
    """The variables that point boto3 (in any process) at the emulator, as the given 12-digit account."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": account,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
