"""Section `state_persistence`: the Redis that stores all state, and reconciliation with the files in storage."""

from typing import Annotated, Literal

import msgspec

from longshore.shared.config.keys import Key
from longshore.shared.config.text_types import FilePath, HostName, HostPort, KeyPrefix, RedisUrl, Text
from longshore.shared.config.value_types import PORT, POSITIVE, ListOf

ReconciliationMode = Literal["disabled", "if_empty", "always"]

_PRIVATE = "the private Redis of `longshore up` keeps an append-only file under <storage.root>/state"


class Wal(msgspec.Struct, frozen=True, kw_only=True):
    """Write-ahead log of the state database. Superseded by the append-only file of the private Redis."""

    enabled: Annotated[bool, Key("Write-ahead log of the state database.", superseded_by=_PRIVATE)] = True


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """State database. Superseded by the private Redis in `<storage.root>/state`."""

    local_path: Annotated[str | None, Key("Path of the state database.", superseded_by=_PRIVATE)] = None
    wal: Wal = Wal()


class Sentinel(msgspec.Struct, frozen=True, kw_only=True):
    """Redis Sentinels that provide the address of the server."""

    hosts: Annotated[tuple[str, ...], ListOf(item=HostPort(), drop_blank=True), Key(
        "Sentinels that provide the address of the server, in place of `host`, `port` and `url`. They are asked at "
        "each connection, over TLS if the server uses TLS. Default port: 26379.")] = ()
    master_name: Annotated[str, Key("Name of the server at the sentinels.")] = "mymaster"
    username: Annotated[str | None, Text(blank=True, trim=False), Key(
        "User at the sentinels; the server has its own `username`.")] = None
    password: Annotated[str | None, Text(blank=True, trim=False), Key("Password at the sentinels.", secret=True)] = None


class Redis(msgspec.Struct, frozen=True, kw_only=True):
    """Address of the shared Redis server, by one of `host`, `url` and `sentinel`."""

    host: Annotated[str | None, HostName(), Key(
        "Host of the server. Type `redis` requires it, or `url`, `sentinel.hosts` or the variable "
        "`LONGSHORE_REDIS_URL`, which takes precedence.")] = None
    port: Annotated[int, PORT, Key("Port of the server.")] = 6379
    db: Annotated[int, Key("Database number.")] = 0
    username: Annotated[str | None, Text(blank=True, trim=False), Key("User name.")] = None
    password: Annotated[str | None, Text(blank=True, trim=False), Key("Password.", secret=True)] = None
    tls: Annotated[bool, Key("Connects over TLS. `ca_file` and `tls_insecure` imply it.")] = False
    ca_file: Annotated[str | None, FilePath(blank=True), Key(
        "PEM file of the certificate authorities that verify the server's certificate.")] = None
    tls_insecure: Annotated[bool, Key("Connects over TLS without verification of the server's certificate.")] = False
    url: Annotated[str | None, RedisUrl(blank=True), Key(
        "URL of the server, in place of `host`, `port`, `db`, `username`, `password` and `tls`.")] = None
    sentinel: Sentinel = Sentinel()
    key_base: Annotated[str, KeyPrefix(), Key("Prefix of all keys in Redis.")] = "longshore"
    ping_seconds: Annotated[int, POSITIVE, Key("Time within which a dead connection is detected.")] = 5

    @property
    def uses_tls(self) -> bool:
        """True if the connection to `host` or to a sentinel uses TLS."""
        return self.tls or self.tls_insecure or self.ca_file is not None


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """Reconciliation of records with the files in storage."""

    mode: Annotated[ReconciliationMode, Key(
        "Reconciliation of records with the files in storage: never, if Redis has no data about this storage, or at "
        "every start of a worker.")] = "if_empty"
    legacy_server_id: Annotated[str | None, Key(
        "Server of reconciled files whose session is unknown, if several servers are configured.")] = None


class StatePersistence(msgspec.Struct, frozen=True, kw_only=True):
    """Section `state_persistence`."""

    type: Annotated[Literal["memory", "disk", "redis"], Key(
        "Redis that stores the state. `redis`: the configured server. With `longshore up`, `disk`: a private Redis "
        "that survives restarts, and `memory`: a private Redis that does not.")] = "disk"
    unavailable_policy: Annotated[Literal["fail_closed", "exit", "fallback_memory"], Key(
        "Behaviour while Redis is unavailable: requests that need it are refused with "
        "503.", not_yet=("exit", "fallback_memory"))] = "fail_closed"
    refresh_on_startup: Annotated[bool, Key(
        "Deletes all state and files when `longshore up` starts its private Redis. Refused for a shared Redis: use "
        "`longshore sessions purge`.")] = False
    snapshot_interval_seconds: Annotated[int, POSITIVE, Key(
        "Interval of state snapshots on disk.",
        superseded_by="every change is stored in Redis before the response")] = 30
    disk: Disk = Disk()
    redis: Redis = Redis()
    reconciliation: Reconciliation = Reconciliation()
