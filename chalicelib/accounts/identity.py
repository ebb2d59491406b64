"""How an account's browser appears to the platform: where it comes from, and what it calls itself."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from chalicelib.addresses import is_public

if TYPE_CHECKING:
    from collections.abc import Collection

# The platforms in the user agent of Chrome for the desktop, the same in each version since it was reduced
# (Chrome 107), and how Chromium names each elsewhere: (navigator.platform, Sec-CH-UA-Platform,
# Sec-CH-UA-Platform-Version).
DESKTOPS: Final = {
    "Windows NT 10.0; Win64; x64": ("Win32", "Windows", "15.0.0"),
    "Macintosh; Intel Mac OS X 10_15_7": ("MacIntel", "macOS", "15.0.0"),
    "X11; Linux x86_64": ("Linux x86_64", "Linux", ""),
}

USER_AGENT: Final = re.compile(
    rf"Mozilla/5\.0 \((?P<desktop>{'|'.join(map(re.escape, DESKTOPS))})\) AppleWebKit/537\.36 "
    r"\(KHTML, like Gecko\) Chrome/(?P<version>\d{2,4}\.\d{1,5}\.\d{1,5}\.\d{1,5}) Safari/537\.36"
)

_URL = re.compile(r"(http|socks5)://[^/?#\s]+/?")
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")


def proxy_url(url: str, allow_loopback: Collection[str] = ()) -> str:
    """The URL of a proxy in the one way in which it is stored: `http://host:port` or `socks5://host:port`.

    ValueError says what is wrong with it. `allow_loopback` lists the `host:port` pairs on loopback that are
    allowed. A name is looked up only when it is used (`container/egress.py`).
    """
    if "@" in url:
        raise ValueError("must hold no credentials: give them as username and password beside the url")
    if url.startswith("https:"):
        raise ValueError("must be http:// or socks5://: proxies that are spoken to in TLS are not supported")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not _URL.fullmatch(url) or not host or not port:
        raise ValueError("must be http://host:port or socks5://host:port, and nothing after the port")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not _HOST.fullmatch(host):
            raise ValueError(
                "must name its host by ASCII letters, digits, '-' and '.', or by address"
            ) from None
    else:
        if not is_public(host) and f"{host}:{port}" not in allow_loopback:
            raise ValueError("must be on a public address")
        host = f"[{address}]" if address.version == 6 else str(address)
    return f"{parts.scheme}://{host}:{port}"
