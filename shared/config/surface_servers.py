"""Rows of the `servers` section."""

from longshore.shared.config.kinds import Choice, Kind, ListOf, MapOf, Size, Switch, Value, Whole
from longshore.shared.config.row import LATER, REQUIRED, WORKS, Row, Standing
from longshore.shared.config.surface_core import (
    BLOCK_ACTIONS,
    BLOCK_STRATEGIES,
    DESCRIPTION_MODES,
    ON_OFF,
    ONE_OR_NULL,
    PINNING_MODES,
    PINNING_SCOPES,
    SANITIZATION_MODES,
)
from longshore.shared.config.words import (
    Dotted,
    Expression,
    Folder,
    HeaderName,
    HttpUrl,
    Route,
    Scheme,
    Scope,
    ServerId,
    Text,
)

_SWITCH_OR_NULL = Switch(nullable=True)
_UPLOAD = "servers[].adapters[upload_consumer]"
_ARTIFACT = "servers[].adapters[artifact_producer]"
_TOOLS = ListOf(item=Text(words="the name of a tool"), least=1)
_INHERITS = "Null inherits: an adapter's overrides, then the server's tool_defaults, then core.defaults."

SERVER = (
    Row("servers[].id", WORKS, ServerId(), REQUIRED,
        "The server's name, unique. Helper tools begin with it, unsafe characters as `_`."),
    Row("servers[].mount_path", WORKS, Route(), REQUIRED, "Where clients find it, such as `/mcp/<id>`; unique."),
    Row("servers[].upstream.url", WORKS, HttpUrl(), REQUIRED, "Where its MCP endpoint is."),
    Row("servers[].upstream.transport", WORKS, Choice(words=("streamable_http", "sse")), "streamable_http",
        "How it speaks MCP.", not_yet=("sse",)),
    Row("servers[].upstream.insecure_tls", WORKS, ON_OFF, False, "Does not verify its certificate."),
    Row("servers[].upstream.static_headers", WORKS, MapOf(key=HeaderName(), value=Text(blank=True)), {},
        "Headers sent to it with every request.", secret=True),
    Row("servers[].upstream.client_headers.required", WORKS, ListOf(item=HeaderName()), (),
        "Headers that a caller must send; they are passed on. Without them the request is refused."),
    Row("servers[].upstream.client_headers.passthrough", WORKS, ListOf(item=HeaderName()), (),
        "Headers of the caller that are passed on when they are there."),
    Row("servers[].upstream.storage_path", WORKS, Folder(nullable=True), None,
        "Where it has storage.root mounted. Null: at the same path."),
    Row("servers[].tool_defaults.tool_call_timeout_seconds", WORKS, ONE_OR_NULL, None,
        "Timeout of a tool call. " + _INHERITS),
    Row("servers[].tool_defaults.allow_raw_output", WORKS, _SWITCH_OR_NULL, None,
        "Whether an artifact's bytes go into the tool result too. " + _INHERITS),
    Row("servers[].disabled_tools", LATER, ListOf(item=Expression()), (), "Tools that are hidden."),
    Row("servers[].sessionless_clients", WORKS, Choice(words=("per_principal", "per_call", "refuse")),
        "per_principal", "The upstream session that callers of the stateless revision get where the upstream has "
        "sessions: one for each principal and workspace, one for each call, or none."),
    Row("servers[].required_scopes", WORKS, ListOf(item=Scope()), (),
        "Scopes that a token of the authorization server must have here, besides core.auth.oauth.scopes."),
    Row("servers[].pass_client_token", WORKS, ON_OFF, False,
        "Passes the token of the authorization server on as `Authorization`. Only for an upstream that the same token "
        "is meant for; static tokens never travel."),
    Row("servers[].spill_over_bytes", WORKS, Size(nullable=True), None,
        "As artifacts.spill_over_bytes. Null inherits that; 0: never."),
)


def _inherited(path: str, kind: Kind, off: tuple[Value, ...] = (), standing: Standing = LATER) -> Row:
    return Row(f"servers[].{path}", standing, kind, None, f"Null inherits `core.{path}`.", off=off)


INHERITED = (
    _inherited("upstream_ping.enabled", _SWITCH_OR_NULL, (False,)),
    _inherited("upstream_ping.interval_seconds", ONE_OR_NULL),
    _inherited("upstream_ping.timeout_seconds", ONE_OR_NULL),
    _inherited("upstream_ping.failure_threshold", ONE_OR_NULL),
    _inherited("upstream_ping.open_cooldown_seconds", ONE_OR_NULL),
    _inherited("upstream_ping.half_open_probe_allowance", ONE_OR_NULL),
    _inherited("code_mode_enabled", _SWITCH_OR_NULL, (False,)),
    _inherited("shorten_descriptions", _SWITCH_OR_NULL, standing=WORKS),
    _inherited("short_description_max_tokens", Whole(least=1, nullable=True), standing=WORKS),
    _inherited("tool_description_policy.mode", Choice(words=DESCRIPTION_MODES, nullable=True), ("preserve",)),
    _inherited("tool_description_policy.max_tool_description_chars", ONE_OR_NULL),
    _inherited("tool_description_policy.max_schema_description_chars", ONE_OR_NULL),
    _inherited("tool_metadata_sanitization.mode", Choice(words=SANITIZATION_MODES, nullable=True), ("off",)),
    _inherited("tool_metadata_sanitization.normalize_unicode", _SWITCH_OR_NULL, (False,)),
    _inherited("tool_metadata_sanitization.remove_invisible_characters", _SWITCH_OR_NULL, (False,)),
    _inherited("tool_metadata_sanitization.max_tool_title_chars", ONE_OR_NULL),
    _inherited("tool_metadata_sanitization.max_tool_description_chars", ONE_OR_NULL),
    _inherited("tool_metadata_sanitization.max_schema_text_chars", ONE_OR_NULL),
    _inherited("tool_definition_pinning.mode", Choice(words=PINNING_MODES, nullable=True), ("off",)),
    _inherited("tool_definition_pinning.block_strategy", Choice(words=BLOCK_STRATEGIES, nullable=True)),
    _inherited("tool_definition_pinning.block_error_session_action", Choice(words=BLOCK_ACTIONS, nullable=True)),
    _inherited("tool_definition_pinning.scope", Choice(words=PINNING_SCOPES, nullable=True)),
)


def _overrides(adapter: str) -> tuple[Row, ...]:
    return (
        Row(f"{adapter}.overrides.tool_call_timeout_seconds", WORKS, ONE_OR_NULL, None,
            "Timeout of a tool call. " + _INHERITS),
        Row(f"{adapter}.overrides.allow_raw_output", WORKS, _SWITCH_OR_NULL, None,
            "Whether an artifact's bytes go into the tool result too. " + _INHERITS),
    )


ADAPTERS = (
    Row(f"{_UPLOAD}.type", WORKS, Choice(words=("upload_consumer",)), REQUIRED, "Tools that read an uploaded file."),
    Row(f"{_UPLOAD}.tools", WORKS, _TOOLS, REQUIRED, "Their names."),
    Row(f"{_UPLOAD}.file_path_argument", WORKS, Dotted(), REQUIRED,
        "The argument whose handle, or list of handles, becomes a path."),
    Row(f"{_UPLOAD}.uri_scheme", WORKS, Scheme(), "upload://", "What handles in it begin with."),
    Row(f"{_UPLOAD}.uri_prefix", WORKS, _SWITCH_OR_NULL, None, "Writes the path as a `file://` URI."),
    *_overrides(_UPLOAD),
    Row(f"{_ARTIFACT}.type", WORKS, Choice(words=("artifact_producer",)), REQUIRED, "Tools that write a file."),
    Row(f"{_ARTIFACT}.tools", WORKS, _TOOLS, REQUIRED, "Their names."),
    Row(f"{_ARTIFACT}.output_path_argument", WORKS, Dotted(nullable=True), None,
        "The argument that tells the tool where to write; longshore fills it in."),
    Row(f"{_ARTIFACT}.output_locator.mode", WORKS, Choice(words=("structured", "regex", "embedded", "none")), "none",
        "Where the result tells what files were written: in its structured content, in its text, or inside itself."),
    Row(f"{_ARTIFACT}.output_locator.output_path_key", WORKS, Dotted(nullable=True), None,
        "The key of the structured content; in a list, that of each item. "
        "Needed for `structured` without output_path_argument."),
    Row(f"{_ARTIFACT}.output_locator.output_path_regexes", WORKS, ListOf(item=Expression()), (),
        "Tried in order on the text; the matches of the first that has some count, each by its group 1 if it has one. "
        "Empty: built-in patterns."),
    Row(f"{_ARTIFACT}.persist", WORKS, ON_OFF, True, "Keeps the file as an artifact."),
    Row(f"{_ARTIFACT}.expose_as_resource", WORKS, ON_OFF, True, "Lists it as an MCP resource."),
    Row(f"{_ARTIFACT}.allow_raw_output", WORKS, _SWITCH_OR_NULL, None,
        "Wins over the adapter's overrides. Also written include_raw_output.", alias="include_raw_output"),
    *_overrides(_ARTIFACT),
)

ROWS = (*SERVER, *INHERITED, *ADAPTERS)
