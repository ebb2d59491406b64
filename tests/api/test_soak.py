"""`make soak` in small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.faults import RATES
from local.soak import soak

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 200


@pytest.mark.system
def test_submissions_through_faults_are_neither_lost_nor_doubled(tmp_path: Path) -> None:
    outcome = soak(COUNT, seed=1, clients=16, folder=tmp_path)

    assert outcome.complaints(COUNT) == []
    assert set(outcome.faults) == set(RATES), "every kind of fault was met"
    assert outcome.statuses["ConnectionError"] > 0, "the API was killed"
    assert outcome.replayed > 0
