"""What `python -m local` can be told, on the command line or by the environment."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 8989


@dataclass(frozen=True, slots=True)
class Volcengine:
    """The real content service: an endpoint with the keys of an account.

    `session_token` comes with temporary keys; `callback_secret` signs the service's notifications.
    """

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    utm_sources: str
    session_token: str = field(default="", repr=False)
    callback_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Options:
    """`douyin_origin` and `volcengine` are None where a stand-in takes their place. `mirror` as VOLC_MIRROR."""

    port: int = DEFAULT_PORT
    data: Path = ROOT / ".local"
    demo: bool = True
    serve: bool = True
    douyin_origin: str | None = None
    volcengine: Volcengine | None = None
    allow_media_from: tuple[str, ...] = ()
    allow_proxies: tuple[str, ...] = ()
    mirror: str = "none"
    headed: bool = False


def parse(arguments: list[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="The whole system on this machine. Every option may also come from the environment "
        "variable that its help names.",
    )
    environment = os.environ.get
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"of the API ({DEFAULT_PORT})")
    parser.add_argument(
        "--data", type=Path, default=ROOT / ".local", metavar="DIR", help="keeps the whole state"
    )
    parser.add_argument("--no-demo", action="store_true", help="serve only")
    parser.add_argument("--demo-only", action="store_true", help="show the main job and exit")
    parser.add_argument(
        "--douyin-origin",
        metavar="URL",
        default=environment("DOUYIN_ORIGIN"),
        help="the real creator center instead of the stand-in: https://creator.douyin.com (DOUYIN_ORIGIN)",
    )
    parser.add_argument(
        "--volc-endpoint",
        metavar="URL",
        default=environment("VOLC_ENDPOINT"),
        help="the real content service instead of the stand-in: https://mercury.volcengineapi.com "
        "(VOLC_ENDPOINT). VOLC_SESSION_TOKEN and VOLC_CALLBACK_SECRET come from the environment alone",
    )
    parser.add_argument("--volc-access-key", metavar="KEY", default=environment("VOLC_ACCESS_KEY"))
    parser.add_argument(
        "--volc-secret-key",
        metavar="KEY",
        default=environment("VOLC_SECRET_KEY"),
        help="better given by the environment, where other users of the machine do not see it",
    )
    parser.add_argument(
        "--utm-source",
        metavar="NAME[,NAME…]",
        default=environment("VOLC_UTM_SOURCES"),
        help="the channels to sync (VOLC_UTM_SOURCES)",
    )
    parser.add_argument(
        "--mirror",
        metavar="MODE",
        default=environment("VOLC_MIRROR") or "none",
        help="what of the articles' media is copied: none, covers, videos, or CHANNEL=MODE,… (VOLC_MIRROR)",
    )
    parser.add_argument(
        "--allow-media-from",
        metavar="HOST:PORT",
        action="append",
        default=[],
        help="let media come from a server on loopback; for tests on this machine only",
    )
    parser.add_argument(
        "--allow-proxy",
        metavar="HOST:PORT",
        action="append",
        default=[],
        help="let an account's proxy stand on loopback; for tests on this machine only",
    )
    parser.add_argument("--headed", action="store_true", help="browsers with windows, on virtual screens")
    given = parser.parse_args(arguments)
    if given.no_demo and given.demo_only:
        parser.error("--no-demo and --demo-only exclude each other")
    volcengine = None
    if given.volc_endpoint:
        if not (given.volc_access_key and given.volc_secret_key and given.utm_source):
            parser.error(
                "--volc-endpoint needs --volc-access-key, --volc-secret-key and --utm-source "
                "(or VOLC_ACCESS_KEY, VOLC_SECRET_KEY and VOLC_UTM_SOURCES)"
            )
        volcengine = Volcengine(
            given.volc_endpoint,
            given.volc_access_key,
            given.volc_secret_key,
            given.utm_source,
            session_token=environment("VOLC_SESSION_TOKEN", ""),
            callback_secret=environment("VOLC_CALLBACK_SECRET", ""),
        )
    return Options(
        port=given.port,
        data=given.data.resolve(),
        demo=not given.no_demo,
        serve=not given.demo_only,
        douyin_origin=given.douyin_origin,
        volcengine=volcengine,
        allow_media_from=tuple(given.allow_media_from),
        allow_proxies=tuple(given.allow_proxy),
        mirror=given.mirror,
        headed=given.headed,
    )
