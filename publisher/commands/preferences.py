"""The options for an account's preferences, and what they mean to the API."""

import sys
from getpass import getpass
from typing import Annotated, Any

import typer

from publisher.errors import Misconfigured
from publisher.stdin import read_line

Proxy = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="http://host:port or socks5://host:port: the account's browser uses it, or nothing."
    ),
]
Credentials = Annotated[
    bool,
    typer.Option(
        "--proxy-credentials",
        help="Ask for the proxy's username and password; without a terminal they are two lines of stdin.",
    ),
]
TimeZone = Annotated[
    str | None, typer.Option(metavar="NAME", help="An IANA name, such as Asia/Shanghai (the default).")
]
UserAgent = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Of a desktop Chrome, as Chrome itself writes it.")
]
Locale = Annotated[str | None, typer.Option(metavar="TAG", help="Of the browser, such as zh-CN (the default).")]


def browser_preferences(
    proxy: str | None,
    proxy_credentials: bool,
    time_zone: str | None,
    user_agent: str | None,
    locale: str | None,
) -> dict[str, Any]:
    """The members that were given. Raises Misconfigured."""
    given: dict[str, Any] = {"time_zone": time_zone, "user_agent": user_agent, "locale": locale}
    if proxy is not None:
        given["proxy"] = {"url": proxy, **(_credentials() if proxy_credentials else {})}
    elif proxy_credentials:
        raise Misconfigured("--proxy-credentials goes with --proxy.", "Give the proxy's URL as well.")
    return {name: value for name, value in given.items() if value is not None}


def _credentials() -> dict[str, str]:
    if not sys.stdin.isatty():
        return {"username": read_line(), "password": read_line()}
    return {
        "username": typer.prompt("Username of the proxy", err=True),
        "password": getpass("Password (nothing is shown): "),
    }
