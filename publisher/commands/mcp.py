"""`publisher mcp`."""

import typer

from publisher.command import Run, command
from publisher.errors import Misconfigured


def add_to(app: typer.Typer) -> None:
    command(app, "mcp")(serve)


def serve(run: Run) -> None:
    """Serve the same API to agents, as an MCP server on stdin and stdout.

    An agent's host starts it; docs/cli.md says how to set that up.
    """
    try:
        from publisher.agents import build_server  # noqa: PLC0415 - needs the extra, which nobody else does
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise Misconfigured(
            "The MCP server needs the package mcp, which is not installed.",
            "Install it: pip install 'social-publisher[mcp]', or pip install '.[mcp]' in the repository.",
        ) from None
    build_server(run.client).run()
