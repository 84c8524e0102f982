"""URLs: secrets inside them, found and masked, and whether what goes there can be read on its way. Pure."""

from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote, urlsplit

MASK = "********"


def url_secrets(url: str) -> tuple[str, ...]:
    """What in `url` may be a secret, as written and decoded: the password, or a lone user, and query values."""
    parts = urlsplit(url)
    userinfo = parts.netloc.rpartition("@")[0]
    user, colon, password = userinfo.partition(":")
    lone = password if colon else user
    found = [lone, unquote(lone), *(value for _, value in _query(parts.query))]
    found += [raw.partition("=")[2] for raw in parts.query.split("&")]
    return tuple(dict.fromkeys(text for text in found if text))


def mask_url(url: str) -> str:
    """`url` with every such secret masked."""
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    netloc = (f"{user}:{MASK}@" if colon else f"{MASK}@") + host if at else host
    query = "&".join(f"{name}={MASK}" for name, _ in _query(parts.query))
    masked = f"{parts.scheme}://{netloc}{parts.path}"
    return f"{masked}?{query}" if query else masked


def is_encrypted_or_local(url: str) -> bool:
    """Whether nobody between can read what goes to `url`: it is https, or stays on this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_local = ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    return parts.scheme == "https" or is_local


def _query(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)
