"""The sections about files: `storage`, `sessions`, `uploads`, `artifacts`, `files`."""

from typing import Literal

import msgspec

LockMode = Literal["none", "process", "file", "redis", "auto"]
LocatorPolicy = Literal["storage_only", "allow_configured_roots"]
EvictionPolicy = Literal["lru_uploads_then_artifacts", "lru_artifacts_then_uploads"]


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """The volume that gateways, workers and path-sharing upstreams mount."""

    root: str = "/data/shared"
    max_size: int | None = None  # bytes
    atomic_writes: bool = True
    lock_mode: LockMode = "auto"
    orphan_sweeper_enabled: bool = True
    orphan_sweeper_grace_seconds: int = 300
    artifact_locator_policy: LocatorPolicy = "storage_only"
    artifact_locator_allowed_roots: tuple[str, ...] = ()
    dir_mode: int = 0o770
    file_mode: int = 0o660


class Sessions(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and lifetimes of sessions. None: no limit."""

    max_active: int | None = None
    max_in_flight_per_session: int | None = None
    idle_ttl_seconds: int | None = None
    allow_revival: bool = True
    tombstone_ttl_seconds: int = 86400
    upstream_session_termination_retries: int = 1
    input_wait_seconds: int = 300
    max_waiting_calls_per_principal: int | None = 32
    max_total_session_size: int | None = None  # bytes
    eviction_policy: EvictionPolicy = "lru_uploads_then_artifacts"


class Uploads(msgspec.Struct, frozen=True, kw_only=True):
    """Files on their way in."""

    enabled: bool = True
    max_file_bytes: int = 10 * 1024 * 1024
    ttl_seconds: int | None = 120  # None: as long as the session
    require_sha256: bool = False
    uri_scheme: str = "upload://"  # lower case, ends with ://
    data_uri_max_bytes: int = 256 * 1024
    resumable: bool = True


class Artifacts(msgspec.Struct, frozen=True, kw_only=True):
    """Files on their way out."""

    enabled: bool = True
    ttl_seconds: int | None = 600  # None: as long as the session
    max_per_session: int | None = None
    expose_as_resources: bool = True
    uri_scheme: str = "artifact://"  # lower case, ends with ://
    spill_over_bytes: int | None = None


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Other ways in which clients name files."""

    sep_2631: bool = False
    openai_file_params: bool = False
