"""Which IP addresses are on the public internet: all that strangers' URLs and proxies may lead to."""

from __future__ import annotations

import ipaddress

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
