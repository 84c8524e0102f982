"""The `state_persistence` section: which Redis holds all metadata."""

from typing import Literal

import msgspec

PersistenceType = Literal["memory", "disk", "redis"]
UnavailablePolicy = Literal["fail_closed", "exit", "fallback_memory"]
ReconciliationMode = Literal["disabled", "if_empty", "always"]


class Wal(msgspec.Struct, frozen=True, kw_only=True):
    """Superseded: the private Redis keeps an append-only file."""

    enabled: bool = True


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """Superseded: the private Redis lives in `<storage.root>/state`."""

    local_path: str | None = None
    wal: Wal = Wal()


class Sentinel(msgspec.Struct, frozen=True, kw_only=True):
    """Where Redis' master is asked for at every connection, in place of a host."""

    hosts: tuple[str, ...] = ()  # host or host:port; empty: not asked
    master_name: str = "mymaster"
    username: str | None = None
    password: str | None = None


class Redis(msgspec.Struct, frozen=True, kw_only=True):
    """One Redis server, by `url`, by its parts or through Sentinel, never by two of them."""

    host: str | None = None
    port: int = 6379
    db: int = 0
    username: str | None = None
    password: str | None = None
    tls_insecure: bool = False  # TLS without verifying the certificate
    key_base: str = "longshore"  # prefix of every key
    ping_seconds: int = 5
    url: str | None = None  # redis://, rediss:// or unix://
    tls: bool = False
    ca_file: str | None = None
    sentinel: Sentinel = Sentinel()

    @property
    def uses_tls(self) -> bool:
        """Whether connections built from the parts speak TLS."""
        return self.tls or self.tls_insecure or self.ca_file is not None


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """Rebuilding records from the files in storage."""

    mode: ReconciliationMode = "if_empty"
    legacy_server_id: str | None = None


class StatePersistence(msgspec.Struct, frozen=True, kw_only=True):
    """`memory` and `disk` are private servers that `longshore up` starts; `redis` is a shared one."""

    type: PersistenceType = "disk"
    refresh_on_startup: bool = False
    snapshot_interval_seconds: int = 30
    unavailable_policy: UnavailablePolicy = "fail_closed"
    disk: Disk = Disk()
    redis: Redis = Redis()
    reconciliation: Reconciliation = Reconciliation()
