"""No web page drives a local run: neither one of another origin, nor one behind a name rebound to loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from tests.conftest import Api

pytestmark = pytest.mark.system

FROM_A_PAGE = {"Sec-Fetch-Mode": "no-cors"}


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/v1/accounts"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.nip.io"},
        {"Host": "192.0.2.1"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site", **FROM_A_PAGE},
        {"Sec-Fetch-Site": "same-site", **FROM_A_PAGE},
    ],
    ids=str,
)
def test_what_a_foreign_page_sends_is_refused(api: Api, path: str, headers: dict[str, str]) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = api(method, path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden")
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_page_of_the_system_itself_a_link_and_a_program_are_served(api: Api) -> None:
    port = urlsplit(api.origin).port
    for headers in (
        {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"},
        {"Host": f"[::1]:{port}", "Origin": f"http://[::1]:{port}"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {},
    ):
        assert api.get("/api/v1/accounts", headers=headers).status_code == 200
