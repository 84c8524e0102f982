"""Rows of the `core` and `limits` sections."""

from longshore.shared.config.kinds import Choice, ListOf, Network, Size, Switch, Whole
from longshore.shared.config.row import LATER, REQUIRED, WORKS, Row
from longshore.shared.config.words import (
    Credential,
    Digest,
    HeaderName,
    Host,
    HttpUrl,
    PrincipalName,
    Route,
    Scope,
    Text,
)

ON_OFF = Switch()
PORT = Whole(least=1, most=65535)
AT_LEAST_ONE = Whole(least=1)
ONE_OR_NULL = Whole(least=1, nullable=True)
DESCRIPTION_MODES = ("preserve", "truncate", "strip")
SANITIZATION_MODES = ("off", "sanitize", "block")
PINNING_MODES = ("off", "warn", "block")
BLOCK_STRATEGIES = ("error", "baseline_subset")
BLOCK_ACTIONS = ("keep", "invalidate")
ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)
PINNING_SCOPES = ("session", "principal", "server")

LISTENER = (
    Row("core.host", WORKS, Host(), "0.0.0.0", "The address to listen on."),  # noqa: S104
    Row("core.port", WORKS, PORT, 8932, "The port to listen on."),
    Row("core.admin_host", WORKS, Host(), "127.0.0.1", "The address of the admin listener, which serves `/metrics`."),
    Row("core.admin_port", WORKS, Whole(most=65535), 8933, "The port of the admin listener; 0 switches it off."),
    Row("core.public_base_url", WORKS, HttpUrl(base=True, blank=True, nullable=True), None,
        "What links begin with. Null: taken from `X-Forwarded-*` of a trusted proxy, else from the request, "
        "else from host and port."),
    Row("core.trusted_proxies", WORKS, ListOf(item=Network()), (),
        "Networks whose `X-Forwarded-*` headers count. From anywhere else these headers are ignored."),
    Row("core.allowed_hosts", WORKS, ListOf(item=Text()), (),
        "Values of `Host` that are answered; derived from host and public_base_url when empty."),
    Row("core.upload_path", WORKS, Route(), "/upload", "Where files are posted to: `<upload_path>/<server id>`."),
    Row("core.log_level", WORKS, Choice(words=("debug", "info", "warning", "error", "critical"), any_case=True),
        "warning", "The least severe event that is logged."),
    Row("core.max_body_bytes", WORKS, Size(least=1), 4 * 1024**2,
        "The largest JSON body. Uploads have a limit of their own."),
    Row("core.max_json_depth", WORKS, Whole(least=1, most=1000), 100, "The deepest nesting of a JSON body."),
    Row("core.max_start_wait_seconds", WORKS, Whole(), 60,
        "How long start-up waits for upstreams. Afterwards longshore serves anyway and reports `degraded`; "
        "0 does not wait."),
    Row("core.shutdown_grace_seconds", WORKS, Whole(), 20, "How long calls in flight may finish after SIGTERM."),
    Row("core.cleanup_interval_seconds", WORKS, ONE_OR_NULL, 60,
        "How often what is due is removed. Null switches the background cleanup off."),
    Row("core.allow_artifacts_download", WORKS, ON_OFF, False,
        "Serves artifacts over HTTP and adds a download link to tool results."),
)

CALLERS = (
    Row("core.auth.enabled", WORKS, ON_OFF, False, "Asks every caller for the token."),
    Row("core.auth.header_name", WORKS, HeaderName(), "X-Mcp-Adapter-Auth-Token",
        "The header that carries the token. `Authorization: Bearer` is read as well."),
    Row("core.auth.token", WORKS, Credential(nullable=True), None,
        "The one token of all callers, who are one principal, `token`. Auth needs this, `tokens` or `oauth`.",
        secret=True),
    Row("core.auth.signed_upload_ttl_seconds", WORKS, AT_LEAST_ONE, 120, "How long a one-time upload link is valid."),
    Row("core.auth.signing_secret", WORKS, Text(nullable=True, trim=False), None,
        "Signs links. Null: the token, or a generated secret that all processes share.", secret=True),
    Row("core.auth.previous_signing_secrets", WORKS, ListOf(item=Text(trim=False)), (),
        "Secrets that `signing_secret` had before, newest first: links that they signed still hold. The last one "
        "names the scopes of callers that send no session id; without it such callers start anew.", secret=True),
    Row("core.auth.tokens[].name", WORKS, PrincipalName(), REQUIRED,
        "Whom the token belongs to: the principal that sessions and files are bound to. Unique."),
    Row("core.auth.tokens[].token", WORKS, Credential(nullable=True), None, "The token.", secret=True),
    Row("core.auth.tokens[].token_sha256", WORKS, Digest(nullable=True), None,
        "The SHA-256 of a token in hexadecimal, so that the file need not hold it. Beside `token` that of a second "
        "one, which opens too: the old one, while callers change over.", secret=True),
    Row("core.auth.tokens[].servers", WORKS, ListOf(item=Text(words="the id of a server")), (),
        "The servers that it opens; all when empty."),
    Row("core.auth.oauth.issuer", WORKS, HttpUrl(blank=True, nullable=True), None,
        "The authorization server whose tokens are taken, exactly as their `iss` has it. Needs core.public_base_url."),
    Row("core.auth.oauth.jwks_url", WORKS, HttpUrl(blank=True, nullable=True), None,
        "Where its keys are. Null: where its metadata says."),
    Row("core.auth.oauth.audience", WORKS, ListOf(item=Text()), (),
        "Values of `aud` that are taken besides public_base_url and the URL of the mount."),
    Row("core.auth.oauth.scopes", WORKS, ListOf(item=Scope()), (),
        "Scopes that a token must have for any server; `servers[].required_scopes` adds to them."),
    Row("core.auth.oauth.algorithms", WORKS, ListOf(item=Choice(words=ALGORITHMS)),
        ("RS256", "PS256", "ES256", "EdDSA"), "How JWTs may be signed."),
    Row("core.auth.oauth.leeway_seconds", WORKS, Whole(most=600), 30,
        "How far the clocks of the server and of longshore may be apart."),
    Row("core.auth.oauth.introspection.url", WORKS, HttpUrl(blank=True, nullable=True), None,
        "Where tokens are looked up that are no JWTs (RFC 7662). Null: they are refused."),
    Row("core.auth.oauth.introspection.client_id", WORKS, Text(blank=True, nullable=True), None, "As which client."),
    Row("core.auth.oauth.introspection.client_secret", WORKS, Text(blank=True, nullable=True, trim=False), None,
        "That client's secret.", secret=True),
    Row("core.cors.enabled", WORKS, ON_OFF, False, "Lets web pages call longshore."),
    Row("core.cors.allowed_origins", WORKS, ListOf(item=Text()), (), "Origins of those pages."),
    Row("core.cors.allowed_methods", WORKS, ListOf(item=Text()), ("POST", "GET", "OPTIONS"), "Methods they may use."),
    Row("core.cors.allowed_headers", WORKS, ListOf(item=Text()), ("*",), "Headers they may send."),
    Row("core.cors.allow_credentials", WORKS, ON_OFF, False, "Whether they may send credentials."),
)


def _limit(path: str) -> tuple[Row, ...]:
    return (
        Row(f"{path}.requests_per_second", WORKS, ONE_OR_NULL, None,
            "Requests per second of one principal or address; an IPv6 /64 counts as one address. Null: no limit."),
        Row(f"{path}.burst", WORKS, ONE_OR_NULL, None,
            "Requests that may arrive at once. Null: twice `requests_per_second`."),
        Row(f"{path}.concurrent_calls", WORKS, ONE_OR_NULL, None,
            "JSON-RPC messages that are processed at the same time. Null: no limit."),
        Row(f"{path}.concurrent_transfers", WORKS, ONE_OR_NULL, None,
            "Uploads and downloads that run at the same time. Null: no limit."),
        Row(f"{path}.bytes_per_hour", WORKS, Size(least=1, nullable=True), None,
            "Bytes uploaded and downloaded per hour. A transfer that has started is not interrupted. Null: no limit."),
    )


LIMITS = (
    *_limit("limits.per_principal"),
    *_limit("limits.per_address"),
    Row("limits.failed_credentials_per_minute", WORKS, ONE_OR_NULL, 60,
        "Wrong credentials from one address. Above that, credentials that have not been good here before are refused "
        "unseen for a while. Null: no limit."),
)

TOOLS = (
    Row("core.defaults.tool_call_timeout_seconds", WORKS, ONE_OR_NULL, 60,
        "How long a call or other request may take, where neither adapter nor server says otherwise. Null: no limit."),
    Row("core.defaults.allow_raw_output", WORKS, Switch(nullable=True), False,
        "Whether an artifact's bytes go into the tool result too, where neither adapter nor server says otherwise."),
    Row("core.code_mode_enabled", LATER, ON_OFF, False, "Offers search and execution in place of all tools."),
    Row("core.shorten_descriptions", WORKS, ON_OFF, False, "Shortens the descriptions of upstreams' tools."),
    Row("core.short_description_max_tokens", WORKS, AT_LEAST_ONE, 16, "To how many words, each counted as a token."),
    Row("core.tool_description_policy.mode", LATER, Choice(words=DESCRIPTION_MODES), "preserve",
        "What happens to long descriptions."),
    Row("core.tool_description_policy.max_tool_description_chars", LATER, ONE_OR_NULL, 280, "Length for a tool.",
        off=(None,)),
    Row("core.tool_description_policy.max_schema_description_chars", LATER, ONE_OR_NULL, 280,
        "Length for a field of a schema.", off=(None,)),
    Row("core.tool_metadata_sanitization.mode", LATER, Choice(words=SANITIZATION_MODES), "sanitize",
        "What happens to deceptive text in tool metadata.", off=("off",)),
    Row("core.tool_metadata_sanitization.normalize_unicode", LATER, ON_OFF, True, "Brings text into one form.",
        off=(False,)),
    Row("core.tool_metadata_sanitization.remove_invisible_characters", LATER, ON_OFF, True,
        "Removes characters that no reader sees.", off=(False,)),
    Row("core.tool_metadata_sanitization.max_tool_title_chars", LATER, ONE_OR_NULL, 256, "Length of a title.",
        off=(None,)),
    Row("core.tool_metadata_sanitization.max_tool_description_chars", LATER, ONE_OR_NULL, 2000,
        "Length of a description.", off=(None,)),
    Row("core.tool_metadata_sanitization.max_schema_text_chars", LATER, ONE_OR_NULL, 1000,
        "Length of a text inside a schema.", off=(None,)),
    Row("core.tool_definition_pinning.mode", LATER, Choice(words=PINNING_MODES), "warn",
        "What happens when a tool changes after a client has seen it.", off=("off",)),
    Row("core.tool_definition_pinning.block_strategy", LATER, Choice(words=BLOCK_STRATEGIES), "error",
        "Whether blocking fails the listing or hides what changed."),
    Row("core.tool_definition_pinning.block_error_session_action", LATER, Choice(words=BLOCK_ACTIONS), "invalidate",
        "What becomes of the session when blocking fails the listing."),
    Row("core.tool_definition_pinning.scope", LATER, Choice(words=PINNING_SCOPES), "session",
        "For whom a seen tool is remembered."),
)

UPSTREAMS = (
    Row("core.upstream_metadata_cache_ttl_seconds", WORKS, Whole(), 300,
        "How long a list of an upstream's is kept for its session; it is fetched anew after a call or when the "
        "upstream says that it has changed. 0: not at all."),
    Row("core.upstream_ping.enabled", LATER, ON_OFF, True, "Probes upstreams and breaks circuits.", off=(False,)),
    Row("core.upstream_ping.interval_seconds", LATER, AT_LEAST_ONE, 15, "How often."),
    Row("core.upstream_ping.timeout_seconds", LATER, AT_LEAST_ONE, 5, "How long an upstream may take to answer."),
    Row("core.upstream_ping.failure_threshold", LATER, AT_LEAST_ONE, 3, "Failures in a row that open the circuit."),
    Row("core.upstream_ping.open_cooldown_seconds", LATER, AT_LEAST_ONE, 30, "How long it stays open."),
    Row("core.upstream_ping.half_open_probe_allowance", LATER, AT_LEAST_ONE, 2, "Probes that close it again."),
)

ROWS = (*LISTENER, *CALLERS, *LIMITS, *TOOLS, *UPSTREAMS)
