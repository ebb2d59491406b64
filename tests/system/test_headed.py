"""BROWSER_MODE=headed: the whole system with browsers that have windows, on virtual screens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chalicelib.settings import Settings
from local.options import Options
from local.processes import free_port
from local.system import System
from tests.conftest import Api
from tests.system.conftest import Phone
from tests.system.flows import log_in, outcome, submit

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system


@pytest.mark.parametrize(
    ("mode", "path"), [("", "/shell"), ("headless", "/shell"), ("headed", "/full")], ids=str
)
def test_each_mode_has_the_browser_that_can_do_it(mode: str, path: str) -> None:
    image = {"CHROMIUM_PATH": "/shell", "CHROMIUM_HEADED_PATH": "/full", "BROWSER_MODE": mode}

    assert Settings(image).chromium_path == path
    assert Settings({"CHROMIUM_PATH": "/only", "BROWSER_MODE": mode}).chromium_path == "/only"


@pytest.fixture
def headed_system(tmp_path_factory: pytest.TempPathFactory, headed_chromium_path: str) -> Iterator[System]:
    assert Path(headed_chromium_path).exists()
    options = Options(port=free_port(), data=tmp_path_factory.mktemp("headed"), headed=True)
    with System(options) as running:
        yield running


def test_an_account_logs_in_and_publishes_with_browsers_that_have_windows(headed_system: System) -> None:
    api, phone = Api(headed_system.origin), Phone(headed_system.douyin_origin)
    user = phone.users()[0]["uid"]
    assert headed_system.variables["BROWSER_MODE"] == "headed"

    assert log_in(api, phone, "有窗口", user)["status"] == "success"
    media = f"{headed_system.douyin_origin}/media/demo.mp4"
    task = outcome(api, submit(api, video_url=media, title="有窗口", account_name="有窗口"))

    api.session.close()
    assert task["status"] == "success", task
    (work,) = phone.works()
    assert (work["title"], work["user"]) == ("有窗口", user)
