"""Pointed at other origins, the same system talks to them and starts no stand-in of its own."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from local.options import Options, Volcengine
from local.processes import ChildProcess, clean_environment, free_port
from local.system import System
from tests.conftest import Api
from tests.system.conftest import Phone
from tests.system.flows import log_in, outcome, submit, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.system


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a site outside of the system, and returns its origin."""
    sites = []

    def run(module: str, *extra: str) -> str:
        name = module.rpartition(".")[2]
        argv = [sys.executable, "-m", module, "--port", "0", "--data", str(tmp_path / name)]
        site = ChildProcess(
            name,
            [*argv, "--exit-on-stdin-eof", *extra],
            env=clean_environment(tmp_path / "tmp"),
            log_path=tmp_path / f"{name}.log",
        )
        sites.append(site)
        return site.start()

    yield run
    for site in sites:
        site.stop()


def test_the_given_origins_are_used(start: Callable[..., str], tmp_path: Path) -> None:
    douyin = start("local.standins.douyin")
    volcengine = start(
        "local.standins.volcengine",
        *("--access-key", "AK-real", "--secret-key", "SK-real", "--utm-source", "real_channel"),
    )
    options = Options(
        port=free_port(),
        data=tmp_path / "data",
        douyin_origin=douyin,
        volcengine=Volcengine(volcengine, "AK-real", "SK-real", "real_channel"),
        allow_media_from=(urlsplit(douyin).netloc,),
    )
    with System(options) as system:
        api, phone = Api(system.origin), Phone(douyin)
        assert set(json.loads((options.data / "ports.json").read_text())) == {"aws", "functions"}

        assert log_in(api, phone, "someone", phone.users()[0]["uid"])["status"] == "success"
        task_id = submit(api, video_url=f"{douyin}/media/demo.mp4", title="另一处", account_name="someone")
        assert outcome(api, task_id)["status"] == "success"
        assert [work["title"] for work in phone.works()] == ["另一处"]

        api.post("/api/v1/sync/run").raise_for_status()
        channel = until(
            lambda: api.get("/api/v1/sync").json()["data"][0], lambda seen: seen["state"]["caught_up_at"]
        )
        assert (channel["channel"], channel["state"]["rows"] > 0) == ("real_channel", True)
        api.session.close()
