"""`publisher login`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from publisher.command import Run, command
from publisher.commands.preferences import (
    Credentials,
    Locale,
    Proxy,
    TimeZone,
    UserAgent,
    browser_preferences,
)
from publisher.errors import Exit
from publisher.logging_in import CodePrompt, log_in
from publisher.screen import LoginScreen
from publisher.stdin import Lines


def add_to(app: typer.Typer) -> None:
    command(app, "login")(login)


def login(
    run: Run,
    name: Annotated[str, typer.Argument(help="Your own name for the account, new or known.", metavar="NAME")],
    qr_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the QR code's picture (PNG) there while it lives."),
    ] = None,
    proxy: Proxy = None,
    *,
    light: Annotated[
        bool, typer.Option("--light", help="Without colours: the terminal has a light background.")
    ] = False,
    proxy_credentials: Credentials = False,
    time_zone: TimeZone = None,
    user_agent: UserAgent = None,
    locale: Locale = None,
) -> None:
    """Log a Douyin account in: scan the QR code with the Douyin app.

    The code is drawn here and refreshed when it changes. Where Douyin wants a code by SMS, you are asked for
    it. Ctrl-C cancels the login.
    """
    preferences = browser_preferences(proxy, proxy_credentials, time_zone, user_agent, locale)
    screen = LoginScreen(run.out.err, qr_file, dark_terminal=not (light or _says_light()))
    ended = log_in(run.client, name, preferences, screen, CodePrompt(Lines(), run.out.say))
    run.out.answer(
        {key: value for key, value in ended.items() if key != "qr_code_base64"},
        lambda: run.out.line(f"{name}: {ended['msg']}"),
    )
    if ended["status"] != "success":
        if ended["error"]:
            run.out.say(f"Next: {ended['error']['next_step']}")
        raise typer.Exit(Exit.FAILED)


def _says_light() -> bool:
    """COLORFGBG, as several terminals set it: "0;15" is black on white."""
    background = os.environ.get("COLORFGBG", "").rpartition(";")[2]
    return background in ("7", "15") and sys.stderr.isatty()
