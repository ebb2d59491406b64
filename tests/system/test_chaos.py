"""A worker that is killed leaves a task that tells the truth. `make chaos` does it at every point."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from local.chaos import Experiment, run, table

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("state", "works", "truthful"),
    [
        ("published", 1, True),
        ("published", 0, False),
        ("published", 2, False),
        ("failed", 0, True),
        ("failed", 1, False),
        ("outcome_unknown", 0, True),
        ("outcome_unknown", 1, False),
        ("running", 0, False),
    ],
)
def test_a_task_is_judged_by_the_works_that_there_are(state: str, works: int, truthful: bool) -> None:
    assert Experiment("any", "form_filled", state=state, works=works).truthful is truthful


@pytest.mark.system
def test_a_killed_worker_publishes_once_or_not_at_all_and_its_task_says_which(tmp_path: Path) -> None:
    """And the account's next task, which waits behind it, runs: a death does not hold it up for long."""
    plan = {
        "all is well": ("claimed", "form_filled", "after_intent", "clicked", "after_click", "list_read"),
        "SMS code": ("task_code_asked", "task_code_taken"),
    }

    experiments = run(plan, tmp_path, Console(file=io.StringIO()), looks=1)

    told = {experiment.point: (experiment.state, experiment.works) for experiment in experiments}
    assert all(experiment.died and experiment.truthful for experiment in experiments)
    assert table(experiments).row_count == len(told)
    assert told.pop("clicked")  # Whether the work has left the page by then is nobody's promise.
    assert told == {
        "claimed": ("published", 1),
        "form_filled": ("published", 1),
        "after_intent": ("outcome_unknown", 0),
        "after_click": ("published", 1),
        "list_read": ("published", 1),
        "task_code_asked": ("outcome_unknown", 0),
        "task_code_taken": ("outcome_unknown", 0),
    }
