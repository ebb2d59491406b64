"""Which IP addresses are on the public internet: all that strangers' URLs and proxies may lead to."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection

PORTS: Final = {"http": 80, "https": 443}

_ODD = re.compile(r"[\x00-\x20\x7f\\]")

# Ranges that are not the public internet, beyond what the standard library and requests-hardened know; each
# leads, or may be made to lead, to something near us. facts: IANA's special-purpose registries, 2026.
_BARRED = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15"),
        *("224.0.0.0/4", "240.0.0.0/4"),
        *("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2002::/16", "3fff::/20"),
        *("5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
)


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet, as far as its number tells."""
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None:
            return False
        ip = ip.ipv4_mapped or ip
    return ip.is_global and not any(ip in network for network in _BARRED if network.version == ip.version)


def fault_of(url: str, allow_loopback: Collection[str] = ()) -> str | None:
    """Why a URL may not be called from here, in words that follow it; None where it may, as far as it tells
    itself: where its name leads is seen when it is looked up.

    `allow_loopback` lists the `host:port` pairs that may be called all the same, over http too.
    """
    # One reader's end of the host is another one's middle: such URLs have no honest use.
    if _ODD.search(url):
        return "has blanks, backslashes or control characters: encode them"
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return "cannot be read"
    if parts.scheme not in PORTS or not parts.hostname:
        return "is not an https URL"
    if parts.username is not None or parts.password is not None:
        return "carries credentials: use a URL without them, such as a signed one"
    if f"{parts.hostname}:{port}" in allow_loopback:
        return None
    if parts.scheme != "https":
        return "is not an https URL"
    if port not in PORTS.values():
        return f"names port {port}: only 443 and 80 are allowed"
    return None


def loopback_pair(url: str) -> frozenset[str]:
    """The URL's `host:port`, where it says itself that it is on this machine; else nothing."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme)
        near = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        near = False
    return frozenset({f"{host}:{port}"}) if near else frozenset()
