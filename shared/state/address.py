"""Where Redis is and how to get in, as parsed from one URL and the TLS settings. Pure."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from shared.errors import BadRequest


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """One Redis server. `unix_path` wins over host and port."""

    host: str = "localhost"
    port: int = 6379
    unix_path: str = ""
    db: int = 0
    username: str = ""
    password: str = ""
    tls: bool = False
    tls_insecure: bool = False
    ca_file: Path | None = None

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS settings of a connection, or None for plain TCP. Reads the CA file."""
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        if self.tls_insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def parse_redis_url(url: str, *, tls_insecure: bool = False, ca_file: Path | None = None) -> RedisAddress:
    """`redis://`, `rediss://` or `unix://` with percent-encoded credentials and `/db` or `?db=`.

    Raises BadRequest without repeating the URL, which may hold a password.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    try:
        port = parts.port or 6379
        db_text = query["db"][0] if "db" in query else parts.path.strip("/") if parts.scheme != "unix" else ""
        db = int(db_text or 0)
    except ValueError:
        raise BadRequest("the Redis URL has a port or database that is not a number") from None
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme == "unix":
        return RedisAddress(unix_path=unquote(parts.path), db=db, username=username, password=password)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise BadRequest("the Redis URL must look like redis://host:6379/0, rediss://… or unix:///path/redis.sock")
    return RedisAddress(
        host=parts.hostname, port=port, db=db, tls=parts.scheme == "rediss" or tls_insecure,
        username=username, password=password, tls_insecure=tls_insecure, ca_file=ca_file,
    )
