"""Pins what pyproject.toml asks for: one file of hashed requirements a group, all in the same versions."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The widest group first: the others take its versions.
_WIDEST = ("dev", "requirements-dev.txt")
_OTHERS = (
    ("local", "requirements-local.txt"),
    ("api", "requirements.txt"),
    ("container", "container/requirements.txt"),
)


def main() -> None:
    _compile(*_WIDEST, constraints=None)
    pinned = [
        line.rstrip(" \\").partition(" ;")[0]
        for line in (ROOT / _WIDEST[1]).read_text().splitlines()
        if "==" in line.partition(";")[0] and not line.startswith(" ")
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(pinned))
        constraints.flush()
        for group, path in _OTHERS:
            _compile(group, path, constraints=constraints.name)


def _compile(group: str, path: str, *, constraints: str | None) -> None:
    command = [sys.executable, "-m", "uv", "pip", "compile", "--group", group]
    command += ["--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--quiet", "--upgrade", "--output-file", path]
    if constraints:
        command += ["--constraints", constraints]
    subprocess.run(command, check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
