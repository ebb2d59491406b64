"""One package for all tests of this folder: making it takes pip as long as everything else together."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from deploy.package import ROOT, Package, package

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """A package whose compiled modules are for this machine, so that its functions run here."""
    architecture = "arm64" if os.uname().machine == "aarch64" else "x86_64"
    return package("dev", tmp_path_factory.mktemp("package") / "dev", architecture=architecture)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what is packaged, to be changed."""
    copy = tmp_path / "project"
    copy.mkdir()
    for name in ("app.py", "requirements.txt"):
        shutil.copy2(ROOT / name, copy / name)
    for name in ("chalicelib", ".chalice"):
        shutil.copytree(ROOT / name, copy / name)
    return copy
