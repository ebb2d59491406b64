"""Bytecode for the zip, and the zip in a form that is the same each time.

Lambda's code directory is read-only and the zip's times are those of 1980, so Python would compile every
module at each cold start. Unchecked-hash bytecode (PEP 552) is taken as it is, whatever the times say. It needs
the very Python that Lambda runs; Chalice takes the runtime from the interpreter that packages.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

# Where Lambda unpacks a zip: tracebacks name the files by it.
LAMBDA_ROOT: Final = "/var/task"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_READABLE: Final = 0o100644 << 16


def add_bytecode(archive: Path, unpacked: Path) -> None:
    """Unpacks the zip into `unpacked`, compiles what is Python there, and writes the zip anew with both."""
    with zipfile.ZipFile(archive) as content:
        content.extractall(unpacked)
    # In a process of its own with a fixed hash seed: bytecode depends on what was compiled before it, and on
    # the order of sets.
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(unpacked), "-p", LAMBDA_ROOT, str(unpacked)]
    subprocess.run(command, check=True, env={"PYTHONHASHSEED": "0"}, capture_output=True)
    write_zip(unpacked, archive)


def write_zip(folder: Path, archive: Path) -> None:
    """The folder as a zip that depends on names and contents alone."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as content:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
                entry.external_attr = _READABLE
                entry.compress_type = zipfile.ZIP_DEFLATED
                content.writestr(entry, path.read_bytes())
