"""What `pip install` of this repository brings."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from typing import TYPE_CHECKING

import pytest

from publisher import __version__
from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the files that a clone has, offline."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file() and not (ROOT / name).is_symlink():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def test_it_is_the_command_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "publisher").rglob("*.py")}
    assert {name for name in names if ".dist-info/" not in name} == modules | {"publisher/py.typed"}


def test_it_brings_the_entry_point_and_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        headers = archive.read(metadata).decode().partition("\n\n")[0].splitlines()
        entries = archive.read(metadata.replace("METADATA", "entry_points.txt")).decode()
    assert entries.split() == ["[console_scripts]", "publisher", "=", "publisher.main:app"]
    assert f"Version: {__version__}" in headers
    needs = {line.partition(": ")[2] for line in headers if line.startswith("Requires-Dist")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {need for need in needs if "extra ==" not in need} == set(project["dependencies"])


def test_it_runs_from_where_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "import sys, publisher.main; print(publisher.__file__); publisher.main.app()"
    ran = subprocess.run(
        [sys.executable, "-c", code, "--version"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert ran.stdout.splitlines() == [str(tmp_path / "publisher/__init__.py"), f"publisher {__version__}"]
