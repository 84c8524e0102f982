"""Requirements on the Redis server, with messages for the operator about unsuitable ones. Pure."""

import ssl

from longshore.shared.redis.address import UnsuitableRedis

OLDEST = (6, 2)
_TEMPORARY = ("LOADING", "MASTERDOWN", "BUSY", "MISCONF", "CLUSTERDOWN", "READONLY")


def unsuitable_server(info: str) -> UnsuitableRedis | None:
    """Return the error for a server with this INFO (sections `server` and `cluster`); None for a suitable one."""
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    mode = fields.get("redis_mode") or fields.get("server_mode")
    if mode == "sentinel":
        return UnsuitableRedis(
            "this is a sentinel, not a Redis server: name it under state_persistence.redis.sentinel.hosts"
        )
    if mode == "cluster" or fields.get("cluster_enabled") == "1":
        return UnsuitableRedis(
            "this Redis is a cluster, which longshore cannot use: its job queue and its limits need one server; "
            "name a single server, or one that Sentinel keeps available"
        )
    version = fields.get("redis_version", "")
    if (known := _version(version)) is not None and known < OLDEST:
        return UnsuitableRedis(f"this Redis is version {version}; longshore needs 6.2 or newer, or any Valkey")
    return None


def unsuitable_reply(reply: str) -> UnsuitableRedis | None:
    """Return the error for an error reply to the first commands; None for one that may be temporary."""
    code = reply.split(" ", 1)[0]
    if code in _TEMPORARY:
        return None
    if code in ("WRONGPASS", "NOAUTH") or "without any password configured" in reply:
        return UnsuitableRedis(f"Redis refuses the configured user or password ({code})")
    if code == "NOPERM":
        return UnsuitableRedis("the configured Redis user lacks permissions; docs/deployment.md lists what it needs")
    if "DB index" in reply or "SELECT is not allowed" in reply:
        return UnsuitableRedis("Redis has no database of the configured number")
    return None


def untrusted_certificate(err: OSError) -> UnsuitableRedis | None:
    """Return the error for a failed TLS handshake; None for a failure that may be temporary."""
    if not isinstance(err, ssl.SSLCertVerificationError):
        return None
    return UnsuitableRedis(
        f"the certificate of Redis is not trusted ({err.verify_message}): set state_persistence.redis.ca_file to the "
        "authority that signed it"
    )


def _version(text: str) -> tuple[int, int] | None:
    parts = text.split(".")
    if len(parts) < 2 or not (parts[0].isdigit() and parts[1].isdigit()):
        return None
    return int(parts[0]), int(parts[1])
