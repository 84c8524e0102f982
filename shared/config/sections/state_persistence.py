"""The `state_persistence` section: which Redis holds all metadata."""

from typing import Annotated, Literal

import msgspec

from longshore.shared.config.keys import Key
from longshore.shared.config.text_types import FilePath, HostName, HostPort, KeyPrefix, RedisUrl, Text
from longshore.shared.config.value_types import PORT, POSITIVE, ListOf

ReconciliationMode = Literal["disabled", "if_empty", "always"]

_PRIVATE = "the private Redis of `longshore up` keeps an append-only file under <storage.root>/state"


class Wal(msgspec.Struct, frozen=True, kw_only=True):
    """Superseded: the private Redis keeps an append-only file."""

    enabled: Annotated[bool, Key("Its write-ahead log.", superseded_by=_PRIVATE)] = True


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """Superseded: the private Redis lives in `<storage.root>/state`."""

    local_path: Annotated[str | None, Key("Where the state database was.", superseded_by=_PRIVATE)] = None
    wal: Wal = Wal()


class Sentinel(msgspec.Struct, frozen=True, kw_only=True):
    """Where Redis' master is asked for at every connection, in place of a host."""

    hosts: Annotated[tuple[str, ...], ListOf(item=HostPort(), drop_blank=True), Key(
        "Sentinels that know where the server is, in place of host, port and url. They are asked at each connection, "
        "over TLS if the server is. Port 26379 where none is given.")] = ()
    master_name: Annotated[str, Key("What they call the server.")] = "mymaster"
    username: Annotated[str | None, Text(blank=True, trim=False), Key(
        "The user to ask them as; the server has its own above.")] = None
    password: Annotated[str | None, Text(blank=True, trim=False), Key("That user's password.", secret=True)] = None


class Redis(msgspec.Struct, frozen=True, kw_only=True):
    """One Redis server, by `url`, by its parts or through Sentinel, never by two of them."""

    host: Annotated[str | None, HostName(), Key(
        "The server. Type `redis` needs it, or `url`, or the variable `LONGSHORE_REDIS_URL`, which wins over "
        "both.")] = None
    port: Annotated[int, PORT, Key("Its port.")] = 6379
    db: Annotated[int, Key("The number of the database.")] = 0
    username: Annotated[str | None, Text(blank=True, trim=False), Key("Its user.")] = None
    password: Annotated[str | None, Text(blank=True, trim=False), Key("The user's password.", secret=True)] = None
    tls: Annotated[bool, Key("Speaks TLS to `host`. The two keys below imply it.")] = False
    ca_file: Annotated[str | None, FilePath(blank=True), Key(
        "Certificates of the authorities that may vouch for the server, in PEM.")] = None
    tls_insecure: Annotated[bool, Key("Speaks TLS without verifying the certificate.")] = False
    url: Annotated[str | None, RedisUrl(blank=True), Key(
        "The server as a URL, in place of host, port, db, username, password and tls.")] = None
    sentinel: Sentinel = Sentinel()
    key_base: Annotated[str, KeyPrefix(), Key("What every key begins with.")] = "longshore"
    ping_seconds: Annotated[int, POSITIVE, Key("Seconds within which a dead connection is noticed.")] = 5

    @property
    def uses_tls(self) -> bool:
        """Whether connections built from the parts speak TLS."""
        return self.tls or self.tls_insecure or self.ca_file is not None


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """Rebuilding records from the files in storage."""

    mode: Annotated[ReconciliationMode, Key(
        "When records are rebuilt from the files in storage: never, for a Redis that has not seen this storage yet, "
        "or at every start of a worker.")] = "if_empty"
    legacy_server_id: Annotated[str | None, Key(
        "The server that such files belong to when neither their session nor there being one server tells.")] = None


class StatePersistence(msgspec.Struct, frozen=True, kw_only=True):
    """`memory` and `disk` are private servers that `longshore up` starts; `redis` is a shared one."""

    type: Annotated[Literal["memory", "disk", "redis"], Key(
        "Which Redis holds the state: `redis` the configured one; under `longshore up`, `disk` a private one that "
        "survives restarts and `memory` a private one that does not.")] = "disk"
    unavailable_policy: Annotated[Literal["fail_closed", "exit", "fallback_memory"], Key(
        "What happens while Redis is away: requests that need it are refused with 503.",
        not_yet=("exit", "fallback_memory"))] = "fail_closed"
    refresh_on_startup: Annotated[bool, Key(
        "Forgets all state and files when `longshore up` starts its private Redis. Refused for a shared one, which "
        "`longshore sessions purge` empties.")] = False
    snapshot_interval_seconds: Annotated[int, POSITIVE, Key(
        "How often state was written to disk.", superseded_by="every change is in Redis before it is answered")] = 30
    disk: Disk = Disk()
    redis: Redis = Redis()
    reconciliation: Reconciliation = Reconciliation()
