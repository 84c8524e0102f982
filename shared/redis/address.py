"""Address, credentials and TLS settings of Redis, from a URL or the configuration. Pure except for the CA file."""

import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from longshore.shared.config import Config, Redis, require_shared_redis
from longshore.shared.config.text_types import parse_host_port
from longshore.shared.errors import BadRequest, Refused

SENTINEL_PORT = 26379


class UnsuitableRedis(Refused):
    """Redis server that longshore cannot use, or that refuses longshore; the message says what to change."""

    reason = "unsuitable_redis"


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Sentinels that know the master's address."""

    hosts: tuple[tuple[str, int], ...]
    master_name: str
    username: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Address of one Redis server. `sentinels` win over `unix_path`, which wins over host and port.

    The TLS settings apply to the sentinels as well.
    """

    host: str = "localhost"
    port: int = 6379
    unix_path: str = ""
    db: int = 0
    username: str = ""
    password: str = ""
    tls: bool = False
    tls_insecure: bool = False
    ca_file: Path | None = None
    ping_s: float = 5.0      # a dead connection is closed within this time
    sentinels: Sentinels | None = None

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the TLS context, or None for plain TCP. Reads the CA file for each connection, as it may be renewed.

        Raises UnsuitableRedis when it cannot be read.
        """
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        except OSError as err:
            why = err.strerror or "it holds no certificate in PEM"
            raise UnsuitableRedis(f"state_persistence.redis.ca_file {self.ca_file} cannot be used: {why}") from err
        if self.tls_insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def login(username: str, password: str) -> tuple[str, ...] | None:
    """Return the AUTH command of these credentials, None for none. An ACL user may have no password."""
    if not username and not password:
        return None
    return ("AUTH", username, password) if username else ("AUTH", password)


def configured_address(config: Config) -> RedisAddress:
    """Return the address of the shared Redis of `config`. Raises ConfigError when it names none."""
    require_shared_redis(config)
    redis = config.state_persistence.redis
    url = config.redis_url()
    ca_file = Path(redis.ca_file) if redis.ca_file else None
    if url is None:
        address = RedisAddress(
            db=redis.db, username=redis.username or "", password=redis.password or "", tls=redis.uses_tls,
            tls_insecure=redis.tls_insecure, ca_file=ca_file, sentinels=_sentinels(redis),
        )
    else:
        address = parse_redis_url(url, tls_insecure=redis.tls_insecure, ca_file=ca_file)
    return replace(address, ping_s=float(redis.ping_seconds))


def _sentinels(redis: Redis) -> Sentinels:
    sentinel = redis.sentinel
    hosts = tuple(parse_host_port(text, default_port=SENTINEL_PORT) for text in sentinel.hosts)
    return Sentinels(
        hosts=hosts, master_name=sentinel.master_name, username=sentinel.username or "",
        password=sentinel.password or "",
    )


def parse_redis_url(url: str, *, tls_insecure: bool = False, ca_file: Path | None = None) -> RedisAddress:
    """Parse `redis://`, `rediss://` or `unix://` with percent-encoded credentials and `/db` or `?db=`.

    Raises BadRequest, whose message omits the URL, as it may hold a password.
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
