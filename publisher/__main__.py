"""`python -m publisher`: the command where it is not installed."""

from __future__ import annotations

from publisher.main import app

if __name__ == "__main__":
    app(prog_name="publisher")
