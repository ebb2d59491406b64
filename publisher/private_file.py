"""Files that hold what gives access."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Whole or not at all, and readable for its owner alone from the first byte on."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # It makes the file 0600.
    unfinished = path.with_name(Path(name).name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
