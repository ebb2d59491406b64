"""The whole system, started as `make run` starts it, once for the folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from local.options import Options
from local.processes import free_port
from local.system import System
from tests.conftest import Api
from tests.container.proxies import SocksProxy, proxy_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.container.proxies import ProxyServer


@pytest.fixture(scope="session")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a worker is ordered to die (container/points.py)."""
    return tmp_path_factory.mktemp("orders")


@pytest.fixture(scope="session")
def proxy() -> Iterator[ProxyServer]:
    """A proxy on loopback that accounts may use."""
    with proxy_server(SocksProxy) as server:
        yield server


@pytest.fixture(scope="session")
def system(
    tmp_path_factory: pytest.TempPathFactory, chromium_path: str, orders: Path, proxy: ProxyServer
) -> Iterator[System]:
    assert Path(chromium_path).exists()
    options = Options(
        port=free_port(),
        data=tmp_path_factory.mktemp("system"),
        allow_proxies=(proxy.host,),
        mirror="videos",
    )
    with System(options, function_environment={"CHAOS_DIR": str(orders)}) as running:
        yield running


@pytest.fixture(scope="session")
def client(system: System) -> Iterator[Api]:
    api = Api(system.origin)
    yield api
    api.session.close()


class Phone:
    """The person with the phone, through the stand-in's own interface."""

    def __init__(self, douyin_origin: str) -> None:
        self.origin = douyin_origin

    def scan(self, qr_code_base64: str) -> str:
        token: str = self._post("scan", {"qr_png_base64": qr_code_base64})["token"]
        return token

    def confirm(self, token: str, user: str) -> None:
        self._post("confirm", {"token": token, "user": user})

    def refuse(self, token: str) -> None:
        self._post("refuse", {"token": token})

    def sms(self, user: str) -> str:
        """The code that came last."""
        answer = requests.get(f"{self.origin}/phone/api/sms", params={"user": user}, timeout=10)
        return str(answer.json()[0]["code"])

    def users(self) -> list[dict[str, Any]]:
        users: list[dict[str, Any]] = requests.get(f"{self.origin}/phone/api/users", timeout=10).json()
        return users

    def works(self) -> list[dict[str, Any]]:
        works: list[dict[str, Any]] = requests.get(f"{self.origin}/admin/works", timeout=10).json()
        return works

    def log_out_everywhere(self, user: str) -> None:
        requests.post(f"{self.origin}/admin/logout", json={"user": user}, timeout=10).raise_for_status()

    def _post(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = requests.post(f"{self.origin}/phone/api/{verb}", json=body, timeout=10)
        answer.raise_for_status()
        content: dict[str, Any] = answer.json()
        return content


@pytest.fixture
def scenario(system: System) -> Iterator[Callable[..., None]]:
    """Sets switches of the Douyin stand-in, for everybody or one `user`; all are put back afterwards."""
    address = f"{system.douyin_origin}/admin/scenario"

    def put(**switches: str | int) -> None:
        requests.post(address, json=switches, timeout=30).raise_for_status()

    yield put
    requests.delete(address, timeout=30).raise_for_status()


@pytest.fixture(scope="session")
def phone(system: System) -> Phone:
    return Phone(system.douyin_origin)
