"""The test hook that kills a worker does so where it is asked to, and nowhere else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from container.points import LOGIN_POINTS, POINTS, reach
from tests.conftest import ROOT

CONTAINER = Path(ROOT / "container")
JOBS = [*(CONTAINER / "jobs").glob("*.py"), CONTAINER / "douyin" / "publish.py"]


CODE = """
from container.points import reach, working_for
working_for("账号")
reach("claimed")
reach("after_intent")
"""


def run(orders: Path | None) -> int:
    environment = {**os.environ, **({"CHAOS_DIR": str(orders)} if orders else {})}
    return subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, env=environment, check=False).returncode


def test_the_process_dies_once_at_the_point_that_is_ordered_and_at_no_other(tmp_path: Path) -> None:
    assert run(None) == 0
    for name in ("账号.after_click", "another.claimed"):
        (tmp_path / name).touch()
    assert run(tmp_path) == 0

    (tmp_path / "账号.after_intent").touch()
    assert run(tmp_path) == -signal.SIGKILL
    assert run(tmp_path) == 0


def test_a_point_that_is_not_in_the_list_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no point"):
        reach("nowhere")


def test_the_jobs_come_by_every_point_of_the_list_and_by_no_other() -> None:
    named = {name for path in JOBS for name in re.findall(r'\breach\("(\w+)"\)', path.read_text("utf-8"))}

    assert named == set(POINTS + LOGIN_POINTS)
