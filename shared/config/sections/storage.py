"""Sections `storage`, `sessions`, `uploads`, `artifacts` and `files`."""

from typing import Annotated, Literal

import msgspec

from longshore.shared.config.keys import Key
from longshore.shared.config.text_types import FilePath, UriScheme
from longshore.shared.config.value_types import POSITIVE, ByteSize, FileMode, Integer, ListOf


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """Section `storage`: the volume for files and the rules for files on it."""

    root: Annotated[str, FilePath(root=False), Key(
        "Folder for files, on a volume that gateways, workers and path-sharing upstreams mount.")] = "/data/shared"
    max_size: Annotated[int | None, ByteSize(), Key(
        "Quota in bytes for all files. When it is reached, files of any session are evicted, as for the quota of a "
        "session.")] = None
    dir_mode: Annotated[int, FileMode(required=0o700), Key(
        "Permissions of folders. Upstreams must be able to enter them.")] = 0o770
    file_mode: Annotated[int, FileMode(required=0o600), Key(
        "Permissions of files. Upstreams must be able to read uploads and write artifacts.")] = 0o660
    atomic_writes: Annotated[bool, Key(
        "Atomic appearance of files.",
        superseded_by="files are always written under a temporary name, synchronised and renamed")] = True
    lock_mode: Annotated[Literal["none", "process", "file", "redis", "auto"], Key(
        "Locking between writers.",
        superseded_by="state changes are atomic Redis scripts and files appear by rename, so "
        "no lock is needed")] = "auto"
    orphan_sweeper_enabled: Annotated[bool, Key("Removes files without a record.")] = True
    orphan_sweeper_grace_seconds: Annotated[int, Key("Minimum age of files that the sweep removes.")] = 300
    artifact_locator_policy: Annotated[Literal["storage_only", "allow_configured_roots"], Key(
        "Folders from which longshore accepts files that a tool result names.")] = "storage_only"
    artifact_locator_allowed_roots: Annotated[tuple[str, ...], ListOf(item=FilePath(root=False), drop_blank=True), Key(
        "Folders in addition to `storage.root` for the policy `allow_configured_roots`, which requires at least "
        "one.")] = ()


class Sessions(msgspec.Struct, frozen=True, kw_only=True):
    """Section `sessions`: limits and lifetimes of sessions and of suspended calls."""

    max_active: Annotated[int | None, POSITIVE, Key("Maximum number of live sessions. Null: no limit.")] = None
    max_in_flight_per_session: Annotated[int | None, POSITIVE, Key(
        "Maximum number of concurrent calls per session. Null: no limit.")] = None
    idle_ttl_seconds: Annotated[int | None, POSITIVE, Key(
        "Lifetime of a session after its last use. Null: no limit.")] = None
    allow_revival: Annotated[bool, Key("Lets an expired session continue while its tombstone exists.")] = True
    tombstone_ttl_seconds: Annotated[int, POSITIVE, Key("Lifetime of the tombstone of an ended session.")] = 86400
    upstream_session_termination_retries: Annotated[int, Integer(most=5), Key(
        "Retries of a call whose upstream session was lost.")] = 1
    input_wait_seconds: Annotated[int, POSITIVE, Key(
        "Maximum time that a suspended call waits for its client's answer to an input request, where client and "
        "upstream are of different eras.")] = 300
    max_waiting_calls_per_principal: Annotated[int | None, POSITIVE, Key(
        "Maximum number of suspended calls per principal and gateway. Null: no limit.")] = 32
    max_total_session_size: Annotated[int | None, ByteSize(), Key(
        "Quota in bytes for the files of a session. When it is reached, its least recently used files are evicted. "
        "Null: no limit.")] = None
    eviction_policy: Annotated[Literal["lru_uploads_then_artifacts", "lru_artifacts_then_uploads"], Key(
        "Order of eviction. Files in use by a running call are never evicted.")] = "lru_uploads_then_artifacts"


class Uploads(msgspec.Struct, frozen=True, kw_only=True):
    """Section `uploads`: files from clients."""

    enabled: Annotated[bool, Key("Accepts uploads.")] = True
    max_file_bytes: Annotated[int, ByteSize(least=1), Key("Maximum size of an upload.")] = 10 * 1024 * 1024
    ttl_seconds: Annotated[int | None, POSITIVE, Key(
        "Lifetime of an upload after its last use. Null: until its session ends.")] = 120
    require_sha256: Annotated[bool, Key("Refuses uploads without a SHA-256.")] = False
    uri_scheme: Annotated[str, UriScheme(), Key(
        "URI scheme of upload handles.")] = "upload://"  # lower case, ends with ://
    data_uri_max_bytes: Annotated[int, ByteSize(), Key(
        "Maximum size of a file in a `data:` URI that replaces a handle. 0: none.")] = 256 * 1024
    resumable: Annotated[bool, Key("Supports resumable uploads (tus).")] = True


class Artifacts(msgspec.Struct, frozen=True, kw_only=True):
    """Section `artifacts`: files from tools."""

    enabled: Annotated[bool, Key("Captures the files that tools write.")] = True
    ttl_seconds: Annotated[int | None, POSITIVE, Key(
        "Lifetime of an artifact after its last use. Null: until its session ends.")] = 600
    max_per_session: Annotated[int | None, POSITIVE, Key(
        "Maximum number of artifacts per session. When it is reached, the least recently used one is evicted. Null: no "
        "limit.")] = None
    expose_as_resources: Annotated[bool, Key("Lists artifacts as MCP resources.")] = True
    uri_scheme: Annotated[str, UriScheme(), Key(
        "URI scheme of artifacts.")] = "artifact://"  # lower case, ends with ://
    spill_over_bytes: Annotated[int | None, ByteSize(), Key(
        "Parts of tool results above this size, text or bytes, become artifacts. A preview replaces them. Null or 0: "
        "never.")] = None


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Section `files`: file transfer by other conventions than uploads and artifacts."""

    sep_2631: Annotated[bool, Key(
        "File transfer by the draft SEP-2631: clients announce uploads and download files by signed links. Requires a "
        "`core.public_base_url` with https or on loopback.")] = False
    openai_file_params: Annotated[bool, Key(
        "Files as OpenAI hosts pass them: `openai/fileParams` in `_meta`, and `{file_id, download_url}` values, "
        "which longshore fetches from public https addresses. They have no digest: excludes "
        "`uploads.require_sha256`.")] = False
