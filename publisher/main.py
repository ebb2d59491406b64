"""The command `publisher`."""

from typing import Annotated

import typer

from publisher import __version__
from publisher.commands import accounts, articles, configure, keys, login, mcp, publish, sync, tasks, webhooks

app = typer.Typer(
    name="publisher",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Publish to Douyin, and read the synced content, through the API of a Social Publisher.",
    epilog="PUBLISHER_URL (http://localhost:8989) and PUBLISHER_API_KEY say which system; "
    "`publisher configure` keeps them. Exit status: 0 done, 1 failed or refused, 2 wrong usage, 3 no answer, "
    "4 a person is needed, 5 outcome unknown, 6 not finished in time.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"publisher {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


for _part in (login, publish, tasks, accounts, articles, sync, keys, webhooks, configure, mcp):
    _part.add_to(app)
