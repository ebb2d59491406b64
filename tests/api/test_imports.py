"""What a cold start of the API pays for."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.conftest import ROOT

LOOK = """
import json, sys
from chalice.test import Client
from app import app
with Client(app) as client:
    assert client.http.get("/healthz").status_code == 200
from chalicelib import aws
made = [name for name, made in vars(aws).items() if hasattr(made, "cache_info") and made.cache_info().currsize]
print(json.dumps([sorted(sys.modules), made]))
"""


def test_a_healthz_makes_no_client_and_imports_nothing_that_only_others_need() -> None:
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOOK], cwd=ROOT, capture_output=True, text=True, check=True
    )

    modules, clients = json.loads(told.stdout)
    assert clients == []
    assert not set(modules) & {
        *("requests", "requests_hardened", "cryptography", "standardwebhooks", "playwright"),
        *("chalicelib.api.openapi", "chalicelib.api.pages", "chalicelib.api.docs_pages"),
        *("chalicelib.fetching", "chalicelib.articles.client", "chalicelib.articles.scan"),
    }
