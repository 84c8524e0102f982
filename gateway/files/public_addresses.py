"""Public IP addresses: the only ones that a client's URL may lead to. Pure."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# Not public, although some versions of `ipaddress` call them global, or reachable only inside a cloud.
_NOT_PUBLIC = tuple(map(IPv4Network, (
    "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "224.0.0.0/3",
    "168.63.129.16/32",      # the platform of Azure, from inside it
)))
_UNICAST = IPv6Network("2000::/3")
_IN_DISGUISE = tuple(map(IPv6Network, (
    "2001::/23",             # Teredo and other protocols' own
    "2001:db8::/32", "3fff::/20",
    "2002::/16",             # 6to4: an IPv4 address inside
)))
_NAT64 = IPv6Network("64:ff9b::/96")     # how networks without IPv4 reach it


def is_public(text: str) -> bool:
    """True if `text` is a globally routable unicast address: not private, loopback, link-local or multicast."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return _is_public_v4(address) if isinstance(address, IPv4Address) else _is_public_v6(address)


def _is_public_v4(address: IPv4Address) -> bool:
    return address.is_global and not any(address in network for network in _NOT_PUBLIC)


def _is_public_v6(address: IPv6Address) -> bool:
    if address.scope_id is not None:
        return False
    if address in _NAT64:
        return _is_public_v4(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _UNICAST and address.is_global and not any(address in network for network in _IN_DISGUISE)
