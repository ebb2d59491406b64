"""`python -m local.keys COMMAND`: API keys of the system that runs on this machine (chalicelib/keys).

    python -m local.keys create --name me --scope all
    python -m local.keys --data DIR list                  where the state is not in .local

The local run takes requests without a key, too; those that bring one may do what it may do.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.keys.__main__ import main as keys
from local.emulator import client_environment
from local.options import ROOT
from local.processes import LOOPBACK
from local.system import STACK

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--data", type=Path, default=ROOT / ".local")
    own, others = parser.parse_known_args(arguments)
    try:
        port = json.loads((own.data / "ports.json").read_text())["aws"]
    except (FileNotFoundError, KeyError):
        print(f"No system has run in {own.data}: start one with `make run`.", file=sys.stderr)
        return 2
    os.environ.update(client_environment(f"http://{LOOPBACK}:{port}"))
    return keys(["--stack", STACK, *others])


if __name__ == "__main__":
    sys.exit(main())
