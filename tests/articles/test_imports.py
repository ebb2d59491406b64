from __future__ import annotations

import subprocess
import sys

import pytest

from local.processes import clean_environment


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        ("reader", {"requests", "boto3", "botocore", "pydantic", "chalice"}),
        ("scan", {"requests", "boto3", "botocore", "pydantic", "chalice"}),
        ("client", {"boto3", "botocore", "pydantic", "chalice", "volcengine", "volcenginesdkcore"}),
    ],
)
def test_importing_the_sync_stays_cheap(
    module: str, spared: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    code = f"import sys, chalicelib.articles.{module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(tmp_path_factory.mktemp("imports")),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert not spared & set(loaded)
