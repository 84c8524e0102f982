"""Client address and base URL of a request; `X-Forwarded-*` is used only from trusted proxies. Pure."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from multidict import MultiMapping

from longshore.shared.config import Config, Network

_CACHED_ADDRESSES = 4096     # most requests come from a few
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  (the name of a listener on all addresses)


@lru_cache(maxsize=_CACHED_ADDRESSES)
def is_trusted(address: str, networks: tuple[Network, ...]) -> bool:
    """Return True if `address` belongs to one of `networks`."""
    if not networks:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks if network.version == parsed.version)


def client_address(peer: str, headers: MultiMapping[str], networks: tuple[Network, ...]) -> str:
    """Return the nearest address that is not a trusted proxy's: the peer's own, unless the peer is one."""
    if not is_trusted(peer, networks):
        return peer
    # HAProxy adds a line of its own to those that the client sent: the lines are one list.
    listed = ",".join(headers.getall("X-Forwarded-For", []))
    hops = [hop.strip() for hop in listed.split(",") if hop.strip()]
    for hop in reversed(hops):
        if not is_trusted(hop, networks):
            return hop if is_address(hop) else peer
    return hops[0] if hops and is_address(hops[0]) else peer


@lru_cache(maxsize=_CACHED_ADDRESSES)
def network_of(address: str) -> str:
    """Return the unit that limits count as one address: of IPv6 a /64, since a client owns all addresses in one."""
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> 64 << 64)) + "/64"


def base_url(config: Config, peer: str, headers: MultiMapping[str]) -> str:
    """Return the URL by which clients reach this gateway, without a slash at its end.

    It is the configured one, else the one that a trusted proxy forwarded, else the one of the request.
    """
    if config.core.public_base_url:
        return config.core.public_base_url.rstrip("/")
    scheme, host = "http", headers.get("Host", "")
    if is_trusted(peer, config.core.trusted_proxies):
        forwarded = headers.get("X-Forwarded-Proto", "").split(",")[0].strip()
        scheme = forwarded if forwarded in ("http", "https") else scheme
        host = headers.get("X-Forwarded-Host", "").split(",")[0].strip() or host
    if not host:
        host = f"{_WILDCARDS.get(config.core.host, config.core.host)}:{config.core.port}"
    return f"{scheme}://{host}"


@lru_cache(maxsize=_CACHED_ADDRESSES)
def is_address(text: str) -> bool:
    """Return True for an IP address of either version."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
