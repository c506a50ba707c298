"""Names and addresses: which are this machine, and which a `Host` header may have."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")
_IPV6_SITE = 64
"""Bits of an IPv6 address that belong to one network: its machines choose the others freely."""


@lru_cache(1_024)
def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to an address: `localhost`, 127.0.0.0/8 or ::1.

    Other names are not, whatever they resolve to now.
    """
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return host.lower() == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


@lru_cache(1_024)
def host_name(header: bytes) -> str | None:
    """Return the name in a `Host` header, in lower case and without the port; None if it has none."""
    found = _HOST.fullmatch(header)
    return found[1].decode().lower().strip("[]") if found else None


@lru_cache(4_096)
def network_of(client: str) -> str:
    """Return what a rate limit counts as one client: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(ip_network((int(address), _IPV6_SITE), strict=False))
    return client
