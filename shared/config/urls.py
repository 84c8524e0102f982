"""Secrets in URLs, found and masked, and the check for URLs that are encrypted or local. Pure."""

from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote, urlsplit

MASK = "********"


def url_secrets(url: str) -> tuple[str, ...]:
    """Possible secrets in `url`, encoded and decoded: password, user name without password, query values."""
    parts = urlsplit(url)
    userinfo = parts.netloc.rpartition("@")[0]
    user, colon, password = userinfo.partition(":")
    lone = password if colon else user
    found = [lone, unquote(lone), *(value for _, value in _query(parts.query))]
    found += [raw.partition("=")[2] for raw in parts.query.split("&")]
    return tuple(dict.fromkeys(text for text in found if text))


def mask_url(url: str) -> str:
    """Replace every possible secret in `url` by asterisks."""
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    netloc = (f"{user}:{MASK}@" if colon else f"{MASK}@") + host if at else host
    query = "&".join(f"{name}={MASK}" for name, _ in _query(parts.query))
    masked = f"{parts.scheme}://{netloc}{parts.path}"
    return f"{masked}?{query}" if query else masked


def is_encrypted_or_local(url: str) -> bool:
    """True if traffic to `url` cannot be read on the network: the scheme is https or the host is loopback."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_local = ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    return parts.scheme == "https" or is_local


def _query(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)
