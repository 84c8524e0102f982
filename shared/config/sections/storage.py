"""The sections about files: `storage`, `sessions`, `uploads`, `artifacts`, `files`."""

from typing import Annotated, Literal

import msgspec

from longshore.shared.config.keys import Key
from longshore.shared.config.text_types import FilePath, UriScheme
from longshore.shared.config.value_types import POSITIVE, ByteSize, FileMode, Integer, ListOf


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """The volume that gateways, workers and path-sharing upstreams mount."""

    root: Annotated[str, FilePath(root=False), Key(
        "The folder for files, on one volume that gateways, workers and upstreams which share paths "
        "mount.")] = "/data/shared"
    max_size: Annotated[int | None, ByteSize(), Key(
        "Bytes that all files together may take. When they are full, files of any session give way, as within "
        "one.")] = None
    dir_mode: Annotated[int, FileMode(required=0o700), Key(
        "Permissions of folders; upstreams need to enter them.")] = 0o770
    file_mode: Annotated[int, FileMode(required=0o600), Key(
        "Permissions of files; upstreams need to read uploads and write artifacts.")] = 0o660
    atomic_writes: Annotated[bool, Key(
        "Whether files appear whole.", superseded_by="files are always written aside, synchronised and renamed")] = True
    lock_mode: Annotated[Literal["none", "process", "file", "redis", "auto"], Key(
        "How writers kept out of each other's way.",
        superseded_by="every change of state is one atomic script in Redis, and files appear by renaming, so no lock "
        "is needed")] = "auto"
    orphan_sweeper_enabled: Annotated[bool, Key("Removes files that no record points at.")] = True
    orphan_sweeper_grace_seconds: Annotated[int, Key("How old such a file must be.")] = 300
    artifact_locator_policy: Annotated[Literal["storage_only", "allow_configured_roots"], Key(
        "Where files may lie that a tool's result names.")] = "storage_only"
    artifact_locator_allowed_roots: Annotated[tuple[str, ...], ListOf(item=FilePath(root=False), drop_blank=True), Key(
        "Folders besides storage.root, for the policy `allow_configured_roots`, which needs at least one.")] = ()


class Sessions(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and lifetimes of sessions. None: no limit."""

    max_active: Annotated[int | None, POSITIVE, Key("Sessions that may be alive at once.")] = None
    max_in_flight_per_session: Annotated[int | None, POSITIVE, Key("Calls of a session that may run at once.")] = None
    idle_ttl_seconds: Annotated[int | None, POSITIVE, Key("How long an unused session lives.")] = None
    allow_revival: Annotated[bool, Key("Lets an expired session continue while it is remembered.")] = True
    tombstone_ttl_seconds: Annotated[int, POSITIVE, Key("How long it is remembered.")] = 86400
    upstream_session_termination_retries: Annotated[int, Integer(most=5), Key(
        "How often a call is repeated after its upstream has lost the session.")] = 1
    input_wait_seconds: Annotated[int, POSITIVE, Key(
        "How long a call waits for its client to answer what the server asks, where one of them alone speaks the "
        "revision 2026-07-28.")] = 300
    max_waiting_calls_per_principal: Annotated[int | None, POSITIVE, Key(
        "Calls of one principal that may wait so at once in one gateway.")] = 32
    max_total_session_size: Annotated[int | None, ByteSize(), Key(
        "Bytes that a session's files may take. When they are full, its files that were used least recently give "
        "way.")] = None
    eviction_policy: Annotated[Literal["lru_uploads_then_artifacts", "lru_artifacts_then_uploads"], Key(
        "Which kind gives way first. A file that a running call uses never does.")] = "lru_uploads_then_artifacts"


class Uploads(msgspec.Struct, frozen=True, kw_only=True):
    """Files on their way in."""

    enabled: Annotated[bool, Key("Takes files from clients.")] = True
    max_file_bytes: Annotated[int, ByteSize(least=1), Key("The largest file.")] = 10 * 1024 * 1024
    ttl_seconds: Annotated[int | None, POSITIVE, Key(
        "How long an upload lives after its last use. Null: as long as its session.")] = 120
    require_sha256: Annotated[bool, Key("Refuses files that come without their sha256.")] = False
    uri_scheme: Annotated[str, UriScheme(), Key("What handles begin with.")] = "upload://"  # lower case, ends with ://
    data_uri_max_bytes: Annotated[int, ByteSize(), Key(
        "The largest file that a `data:` URI may hold in place of a handle. 0: none.")] = 256 * 1024
    resumable: Annotated[bool, Key("Lets interrupted uploads continue (tus).")] = True


class Artifacts(msgspec.Struct, frozen=True, kw_only=True):
    """Files on their way out."""

    enabled: Annotated[bool, Key("Captures the files that tools write.")] = True
    ttl_seconds: Annotated[int | None, POSITIVE, Key(
        "How long an artifact lives after its last use. Null: as long as its session.")] = 600
    max_per_session: Annotated[int | None, POSITIVE, Key(
        "Artifacts that a session may have at once. Beyond, the one that was used least recently gives way.")] = None
    expose_as_resources: Annotated[bool, Key("Lists artifacts as MCP resources.")] = True
    uri_scheme: Annotated[str, UriScheme(), Key(
        "What their URIs begin with.")] = "artifact://"  # lower case, ends with ://
    spill_over_bytes: Annotated[int | None, ByteSize(), Key(
        "Parts of tool results above this size, text or bytes, become artifacts, with a preview in their place. Null "
        "or 0: never.")] = None


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Other ways in which clients name files."""

    sep_2631: Annotated[bool, Key(
        "Files as SEP-2631, a draft, describes them: clients announce what they send and fetch what they are told of. "
        "Needs an https `core.public_base_url`, but on loopback.")] = False
    openai_file_params: Annotated[bool, Key(
        "Files as OpenAI hosts pass them: `openai/fileParams` in `_meta`, and `{file_id, download_url}` values, "
        "which are fetched from public https addresses. They come without digest, so not with "
        "`uploads.require_sha256`.")] = False
