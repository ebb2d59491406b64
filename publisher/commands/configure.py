"""`publisher configure`."""

import os
import sys
from getpass import getpass
from typing import Annotated

import typer

from publisher.client import Client
from publisher.command import Run, command
from publisher.errors import Misconfigured, Refused
from publisher.settings import DEFAULT_URL, Settings, checked_key, checked_url, config_file, save
from publisher.stdin import read_line


def add_to(app: typer.Typer) -> None:
    command(app, "configure")(configure)


def configure(
    run: Run,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="The address of the API; asked for where it is not given.")
    ] = None,
    *,
    check: Annotated[bool, typer.Option(help="Try the key before it is kept.")] = True,
) -> None:
    """Keep the address of the API, and the key to it, in a file that only you can read.

    The key is asked for and not shown; in a script it is one line of stdin, empty where none is needed.
    """
    asks = sys.stdin.isatty()
    if url is None:
        url = typer.prompt("URL of the API", default=DEFAULT_URL, err=True) if asks else None
    if url is None:
        raise Misconfigured("There is nobody to ask for the URL.", "Give --url.")
    url = checked_url(url)
    key = getpass("API key (nothing is shown; empty for none): ").strip() if asks else read_line()
    settings = Settings(url=url, api_key=checked_key(key) if key else None)
    if check:
        _check(Client(settings))
    path = config_file()
    save(settings, path)
    kept = {"url": settings.url, "api_key": settings.api_key is not None, "file": str(path)}
    run.out.answer(kept, lambda: run.out.line(f"Kept in {path}."))
    for name in ("PUBLISHER_URL", "PUBLISHER_API_KEY"):
        if os.environ.get(name):
            run.out.say(f"{name} is set, and goes before the file.")


def _check(client: Client) -> None:
    """A key that may do other things than list accounts is a key."""
    try:
        client.accounts()
    except Refused as refused:
        if refused.status != 403:
            raise
