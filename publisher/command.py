"""How a command of `publisher` is declared: what every one of them has, in one place."""

import inspect
import os
from collections.abc import Callable
from functools import cached_property
from typing import Annotated, Any

import typer

from publisher.client import Client
from publisher.errors import ClientError, Misconfigured
from publisher.output import Output
from publisher.settings import config_file, load

_JSON = inspect.Parameter(
    "as_json",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--json", help="Write the answer to stdout as one JSON document.")],
)


class Run:
    """One run of a command: where it writes to, and the API."""

    def __init__(self, out: Output) -> None:
        self.out = out

    @cached_property
    def client(self) -> Client:
        return Client(load(os.environ, config_file()))

    def confirm(self, question: str, *, yes: bool) -> None:
        """Returns only if the person agrees."""
        if yes:
            return
        if not self.out.err.is_terminal:
            raise Misconfigured(f"{question} Nobody can be asked here.", "Give --yes to agree in advance.")
        typer.confirm(question, abort=True, err=True)


def group(parent: typer.Typer, name: str, about: str) -> typer.Typer:
    """A command that only has commands."""
    commands = typer.Typer(no_args_is_help=True, help=about)
    parent.add_typer(commands, name=name)
    return commands


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declares a command. The function gets a Run first, then what its signature asks typer for; its docstring
    is the help. Every command takes --json, and shows an error of the tree as cause, next step and request id.
    """

    def declare(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function)
        _, *parameters = signature.parameters.values()

        def invoke(*, as_json: bool, **arguments: Any) -> None:
            run = Run(Output(as_json=as_json))
            try:
                function(run, **arguments)
            except ClientError as error:
                run.out.failure(error)
                raise typer.Exit(error.exit_status) from None

        invoke.__doc__ = function.__doc__
        # typer reads it. By keyword, so that their order does not matter.
        invoke.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters] + [_JSON]
        )
        app.command(name)(invoke)
        return function

    return declare
