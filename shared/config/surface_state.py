"""Rows of the sections about data: `state_persistence`, `storage`, `sessions`, `uploads`, `artifacts`, `files`."""

from longshore.shared.config.kinds import Choice, ListOf, Mode, Size, Switch, Whole
from longshore.shared.config.row import SUPERSEDED, WORKS, Row
from longshore.shared.config.surface_core import AT_LEAST_ONE, ON_OFF, ONE_OR_NULL, PORT
from longshore.shared.config.words import Folder, Host, HostPort, KeyBase, RedisUrl, Scheme, Text

_PRIVATE = "the private Redis of `longshore up` keeps an append-only file under <storage.root>/state"
_ATOMIC = "every change of state is one atomic script in Redis, and files appear by renaming, so no lock is needed"
_EVICTIONS = ("lru_uploads_then_artifacts", "lru_artifacts_then_uploads")

STATE = (
    Row("state_persistence.type", WORKS, Choice(words=("memory", "disk", "redis")), "disk",
        "Which Redis holds the state: `redis` the configured one; under `longshore up`, `disk` a private one that "
        "survives restarts and `memory` a private one that does not."),
    Row("state_persistence.unavailable_policy", WORKS, Choice(words=("fail_closed", "exit", "fallback_memory")),
        "fail_closed", "What happens while Redis is away: requests that need it are refused with 503.",
        not_yet=("exit", "fallback_memory")),
    Row("state_persistence.refresh_on_startup", WORKS, ON_OFF, False,
        "Forgets all state and files when `longshore up` starts its private Redis. Refused for a shared one, which "
        "`longshore sessions purge` empties."),
    Row("state_persistence.snapshot_interval_seconds", SUPERSEDED, AT_LEAST_ONE, 30,
        "How often state was written to disk.", instead="every change is in Redis before it is answered"),
    Row("state_persistence.disk.local_path", SUPERSEDED, Text(nullable=True), None,
        "Where the state database was.", instead=_PRIVATE),
    Row("state_persistence.disk.wal.enabled", SUPERSEDED, ON_OFF, True, "Its write-ahead log.", instead=_PRIVATE),
    Row("state_persistence.redis.host", WORKS, Host(nullable=True), None,
        "The server. Type `redis` needs it, or `url`, or the variable `LONGSHORE_REDIS_URL`, which wins over both."),
    Row("state_persistence.redis.port", WORKS, PORT, 6379, "Its port."),
    Row("state_persistence.redis.db", WORKS, Whole(), 0, "The number of the database."),
    Row("state_persistence.redis.username", WORKS, Text(blank=True, nullable=True, trim=False), None, "Its user."),
    Row("state_persistence.redis.password", WORKS, Text(blank=True, nullable=True, trim=False), None,
        "The user's password.", secret=True),
    Row("state_persistence.redis.tls", WORKS, ON_OFF, False, "Speaks TLS to `host`. The two keys below imply it."),
    Row("state_persistence.redis.ca_file", WORKS, Folder(blank=True, nullable=True), None,
        "Certificates of the authorities that may vouch for the server, in PEM."),
    Row("state_persistence.redis.tls_insecure", WORKS, ON_OFF, False, "Speaks TLS without verifying the certificate."),
    Row("state_persistence.redis.url", WORKS, RedisUrl(blank=True, nullable=True), None,
        "The server as a URL, in place of host, port, db, username, password and tls."),
    Row("state_persistence.redis.sentinel.hosts", WORKS, ListOf(item=HostPort(), drop_blank=True), (),
        "Sentinels that know where the server is, in place of host, port and url. They are asked at each connection, "
        "over TLS if the server is. Port 26379 where none is given."),
    Row("state_persistence.redis.sentinel.master_name", WORKS, Text(), "mymaster", "What they call the server."),
    Row("state_persistence.redis.sentinel.username", WORKS, Text(blank=True, nullable=True, trim=False), None,
        "The user to ask them as; the server has its own above."),
    Row("state_persistence.redis.sentinel.password", WORKS, Text(blank=True, nullable=True, trim=False), None,
        "That user's password.", secret=True),
    Row("state_persistence.redis.key_base", WORKS, KeyBase(), "longshore", "What every key begins with."),
    Row("state_persistence.redis.ping_seconds", WORKS, AT_LEAST_ONE, 5,
        "Seconds within which a dead connection is noticed."),
    Row("state_persistence.reconciliation.mode", WORKS, Choice(words=("disabled", "if_empty", "always")), "if_empty",
        "When records are rebuilt from the files in storage: never, for a Redis that has not seen this storage yet, "
        "or at every start of a worker."),
    Row("state_persistence.reconciliation.legacy_server_id", WORKS, Text(nullable=True), None,
        "The server that such files belong to when neither their session nor there being one server tells."),
)

STORAGE = (
    Row("storage.root", WORKS, Folder(root=False), "/data/shared",
        "The folder for files, on one volume that gateways, workers and upstreams which share paths mount."),
    Row("storage.max_size", WORKS, Size(nullable=True), None,
        "Bytes that all files together may take. When they are full, files of any session give way, as within one."),
    Row("storage.dir_mode", WORKS, Mode(needs=0o700), 0o770, "Permissions of folders; upstreams need to enter them."),
    Row("storage.file_mode", WORKS, Mode(needs=0o600), 0o660,
        "Permissions of files; upstreams need to read uploads and write artifacts."),
    Row("storage.atomic_writes", SUPERSEDED, ON_OFF, True, "Whether files appear whole.",
        instead="files are always written aside, synchronised and renamed"),
    Row("storage.lock_mode", SUPERSEDED, Choice(words=("none", "process", "file", "redis", "auto")), "auto",
        "How writers kept out of each other's way.", instead=_ATOMIC),
    Row("storage.orphan_sweeper_enabled", WORKS, ON_OFF, True, "Removes files that no record points at."),
    Row("storage.orphan_sweeper_grace_seconds", WORKS, Whole(), 300, "How old such a file must be."),
    Row("storage.artifact_locator_policy", WORKS, Choice(words=("storage_only", "allow_configured_roots")),
        "storage_only", "Where files may lie that a tool's result names."),
    Row("storage.artifact_locator_allowed_roots", WORKS, ListOf(item=Folder(root=False), drop_blank=True), (),
        "Folders besides storage.root, for the policy `allow_configured_roots`, which needs at least one."),
)

SESSIONS = (
    Row("sessions.max_active", WORKS, ONE_OR_NULL, None, "Sessions that may be alive at once."),
    Row("sessions.max_in_flight_per_session", WORKS, ONE_OR_NULL, None, "Calls of a session that may run at once."),
    Row("sessions.idle_ttl_seconds", WORKS, ONE_OR_NULL, None, "How long an unused session lives."),
    Row("sessions.allow_revival", WORKS, ON_OFF, True, "Lets an expired session continue while it is remembered.",
        off=(False,)),
    Row("sessions.tombstone_ttl_seconds", WORKS, AT_LEAST_ONE, 86400, "How long it is remembered."),
    Row("sessions.upstream_session_termination_retries", WORKS, Whole(most=5), 1,
        "How often a call is repeated after its upstream has lost the session.", off=(0,)),
    Row("sessions.input_wait_seconds", WORKS, AT_LEAST_ONE, 300,
        "How long a call waits for its client to answer what the server asks, where one of them alone speaks the "
        "revision 2026-07-28."),
    Row("sessions.max_waiting_calls_per_principal", WORKS, ONE_OR_NULL, 32,
        "Calls of one principal that may wait so at once in one gateway."),
    Row("sessions.max_total_session_size", WORKS, Size(nullable=True), None,
        "Bytes that a session's files may take. When they are full, its files that were used least recently give way."),
    Row("sessions.eviction_policy", WORKS, Choice(words=_EVICTIONS), "lru_uploads_then_artifacts",
        "Which kind gives way first. A file that a running call uses never does."),
)

UPLOADS = (
    Row("uploads.enabled", WORKS, ON_OFF, True, "Takes files from clients."),
    Row("uploads.max_file_bytes", WORKS, Size(least=1), 10 * 1024**2, "The largest file."),
    Row("uploads.ttl_seconds", WORKS, ONE_OR_NULL, 120,
        "How long an upload lives after its last use. Null: as long as its session."),
    Row("uploads.require_sha256", WORKS, ON_OFF, False, "Refuses files that come without their sha256."),
    Row("uploads.uri_scheme", WORKS, Scheme(), "upload://", "What handles begin with."),
    Row("uploads.data_uri_max_bytes", WORKS, Size(), 256 * 1024,
        "The largest file that a `data:` URI may hold in place of a handle. 0: none."),
    Row("uploads.resumable", WORKS, ON_OFF, True, "Lets interrupted uploads continue (tus)."),
)

ARTIFACTS = (
    Row("artifacts.enabled", WORKS, ON_OFF, True, "Captures the files that tools write."),
    Row("artifacts.ttl_seconds", WORKS, ONE_OR_NULL, 600,
        "How long an artifact lives after its last use. Null: as long as its session."),
    Row("artifacts.max_per_session", WORKS, ONE_OR_NULL, None,
        "Artifacts that a session may have at once. Beyond, the one that was used least recently gives way."),
    Row("artifacts.expose_as_resources", WORKS, ON_OFF, True, "Lists artifacts as MCP resources."),
    Row("artifacts.uri_scheme", WORKS, Scheme(), "artifact://", "What their URIs begin with."),
    Row("artifacts.spill_over_bytes", WORKS, Size(nullable=True), None,
        "Parts of tool results above this size, text or bytes, become artifacts, with a preview in their place. "
        "Null or 0: never."),
    Row("files.sep_2631", WORKS, Switch(), False,
        "Files as SEP-2631, a draft, describes them: clients announce what they send and fetch what they are told of. "
        "Needs an https `core.public_base_url`, but on loopback."),
    Row("files.openai_file_params", WORKS, Switch(), False,
        "Files as OpenAI hosts pass them: `openai/fileParams` in `_meta`, and `{file_id, download_url}` values, which "
        "are fetched from public https addresses. They come without digest, so not with `uploads.require_sha256`."),
)

ROWS = (*STATE, *STORAGE, *SESSIONS, *UPLOADS, *ARTIFACTS)
