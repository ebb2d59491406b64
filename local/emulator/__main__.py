"""`python -m local.emulator --port N --data DIR [--exit-on-stdin-eof]`: emulated AWS on loopback."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from local.emulator.server import serve
from local.emulator.snapshots import StateUnreadable


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.emulator", description="Emulated AWS on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the whole state")
    parser.add_argument("--auth", action="store_true", help="verify signatures and enforce IAM policies")
    parser.add_argument("--keep-nothing", action="store_true", help="the state ends with the process")
    parser.add_argument("--exit-on-stdin-eof", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(
            serve(
                arguments.port,
                arguments.data.resolve(),
                auth=arguments.auth,
                keep_nothing=arguments.keep_nothing,
                exit_on_stdin_eof=arguments.exit_on_stdin_eof,
            )
        )
    except (OSError, StateUnreadable) as error:
        print(f"The emulator cannot start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
