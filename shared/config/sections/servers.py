"""Section `servers`: one entry per upstream MCP server, with its adapters."""

import re
from typing import Annotated, Literal

import msgspec

from longshore.shared.config.keys import Inherited, Key
from longshore.shared.config.sections.core import (
    BlockAction,
    BlockStrategy,
    DescriptionMode,
    PinningMode,
    PinningScope,
    SanitizationMode,
)
from longshore.shared.config.text_types import (
    DottedPath,
    FilePath,
    HeaderName,
    HttpUrl,
    OAuthScope,
    RegularExpression,
    ServerId,
    Text,
    UriScheme,
    UrlPath,
)
from longshore.shared.config.value_types import POSITIVE, ByteSize, ListOf, MapOf

_TOOL_NAMES = ListOf(item=Text(label="the name of a tool"), least=1)
_UNSAFE = re.compile(r"[^A-Za-z0-9_]+")


class ClientHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """Headers of the caller that are forwarded to the upstream."""

    required: Annotated[tuple[str, ...], ListOf(item=HeaderName()), Key(
        "Headers that a caller must send. They are forwarded; without them the request is refused.")] = ()
    passthrough: Annotated[tuple[str, ...], ListOf(item=HeaderName()), Key(
        "Headers of the caller that are forwarded if present.")] = ()


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """Endpoint of the upstream and headers of every request to it."""

    url: Annotated[str, HttpUrl(), Key("URL of the MCP endpoint of the upstream.")]
    transport: Annotated[Literal["streamable_http", "sse"], Key(
        "MCP transport of the upstream.", not_yet=("sse",))] = "streamable_http"
    insecure_tls: Annotated[bool, Key("Disables verification of the upstream's certificate.")] = False
    static_headers: Annotated[dict[str, str], MapOf(key=HeaderName(), value=Text(blank=True)), Key(
        "Headers of every request to the upstream.", secret=True)] = {}
    client_headers: ClientHeaders = ClientHeaders()
    lost_session_tool_errors: Annotated[bool, Key(
        "Treats tool errors whose text says that a session was lost as the loss of the upstream session: it is "
        "replaced, and the call is made again. Only for servers that report a lost session of their own upstream so: "
        "with others, a call that failed with such words would run twice.")] = False
    storage_path: Annotated[str | None, FilePath(), Key(
        "Path at which the upstream mounts `storage.root`. Null: the same path.")] = None


class ServerUpstreamPing(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of `core.upstream_ping`."""

    enabled: Inherited[bool] = None
    interval_seconds: Inherited[int] = None
    timeout_seconds: Inherited[int] = None
    failure_threshold: Inherited[int] = None
    open_cooldown_seconds: Inherited[int] = None
    half_open_probe_allowance: Inherited[int] = None


class ToolDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of `core.defaults` by a server or an adapter."""

    tool_call_timeout_seconds: Annotated[int | None, POSITIVE, Key(
        "Timeout of a tool call. Null inherits: the adapter's `overrides`, then the server's `tool_defaults`, then "
        "`core.defaults`.")] = None
    allow_raw_output: Annotated[bool | None, Key(
        "Includes the bytes of artifacts in tool results. Null inherits: the adapter's `overrides`, then the server's "
        "`tool_defaults`, then `core.defaults`.")] = None


class ServerToolDescriptionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of `core.tool_description_policy`."""

    mode: Inherited[DescriptionMode] = None
    max_tool_description_chars: Inherited[int] = None
    max_schema_description_chars: Inherited[int] = None


class ServerToolMetadataSanitization(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of `core.tool_metadata_sanitization`."""

    mode: Inherited[SanitizationMode] = None
    normalize_unicode: Inherited[bool] = None
    remove_invisible_characters: Inherited[bool] = None
    max_tool_title_chars: Inherited[int] = None
    max_tool_description_chars: Inherited[int] = None
    max_schema_text_chars: Inherited[int] = None


class ServerToolDefinitionPinning(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of `core.tool_definition_pinning`."""

    mode: Inherited[PinningMode] = None
    block_strategy: Inherited[BlockStrategy] = None
    block_error_session_action: Inherited[BlockAction] = None
    scope: Inherited[PinningScope] = None


class UploadConsumer(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="upload_consumer"):
    """Tools that read uploaded files.

    longshore replaces the handles in one argument by paths.
    """

    tools: Annotated[tuple[str, ...], _TOOL_NAMES, Key("Names of the tools.")]
    file_path_argument: Annotated[str, DottedPath(), Key(
        "Argument that contains a handle or a list of handles. longshore replaces them by paths.")]
    uri_scheme: Annotated[str, UriScheme(), Key("URI scheme of the handles in the argument.")] = "upload://"
    uri_prefix: Annotated[bool | None, Key("Passes the path as a `file://` URI.")] = None
    overrides: ToolDefaults = ToolDefaults()


class OutputLocator(msgspec.Struct, frozen=True, kw_only=True):
    """Location of the files in a tool result."""

    mode: Annotated[Literal["structured", "regex", "embedded", "none"], Key(
        "Place of the files in a tool result: paths in its structured content, paths in its text, or embedded "
        "contents.")] = "none"
    output_path_key: Annotated[str | None, DottedPath(), Key(
        "Key of the path in the structured content; in a list, key of the path in each item. Required for `structured` "
        "without `output_path_argument`.")] = None
    output_path_regexes: Annotated[tuple[str, ...], ListOf(item=RegularExpression()), Key(
        "Expressions that are tried in order on the text. All matches of the first expression that matches count, by "
        "group 1 if it has one. Empty: built-in expressions.")] = ()


class ArtifactProducer(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="artifact_producer"):
    """Tools that write files.

    longshore captures the files and serves them as artifacts.
    """

    tools: Annotated[tuple[str, ...], _TOOL_NAMES, Key("Names of the tools.")]
    output_path_argument: Annotated[str | None, DottedPath(), Key(
        "Argument with the path that the tool writes to. longshore sets it.")] = None
    output_locator: OutputLocator = OutputLocator()
    persist: Annotated[bool, Key("Keeps the file as an artifact.")] = True
    expose_as_resource: Annotated[bool, Key("Lists the artifact as an MCP resource.")] = True
    allow_raw_output: Annotated[bool | None, Key(
        "Takes precedence over the adapter's `overrides`. `include_raw_output` is another "
        "name.", alias="include_raw_output")] = None
    overrides: ToolDefaults = ToolDefaults()


Adapter = UploadConsumer | ArtifactProducer


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream MCP server, its mount and its adapters."""

    id: Annotated[str, ServerId(), Key(
        "Name of the server. Unique. Names of helper tools begin with it; characters other than letters and digits "
        "become `_`.")]
    mount_path: Annotated[str, UrlPath(), Key(
        "URL path of the MCP endpoint for clients, such as `/mcp/<id>`. "
        "Unique.")]  # a leading slash, no trailing one, unique
    upstream: Upstream
    tool_defaults: ToolDefaults = ToolDefaults()
    disabled_tools: Annotated[tuple[str, ...], ListOf(item=RegularExpression()), Key("Hidden tools.", later=True)] = ()
    sessionless_clients: Annotated[Literal["per_principal", "per_call", "refuse"], Key(
        "Upstream session of modern clients if the upstream is legacy: one per principal and workspace, one per call, "
        "or none (the request is refused).")] = "per_principal"
    required_scopes: Annotated[tuple[str, ...], ListOf(item=OAuthScope()), Key(
        "Scopes that an access token must have for this server, in addition to `core.auth.oauth.scopes`.")] = ()
    pass_client_token: Annotated[bool, Key(
        "Forwards the caller's access token as `Authorization`. Only for an upstream that is an audience of this "
        "token. Static tokens are never forwarded.")] = False
    spill_over_bytes: Annotated[int | None, ByteSize(), Key(
        "Overrides `artifacts.spill_over_bytes`. Null inherits; 0: never.")] = None
    upstream_ping: ServerUpstreamPing = ServerUpstreamPing()
    code_mode_enabled: Inherited[bool] = None
    shorten_descriptions: Inherited[bool] = None
    short_description_max_tokens: Inherited[int] = None
    tool_description_policy: ServerToolDescriptionPolicy = ServerToolDescriptionPolicy()
    tool_metadata_sanitization: ServerToolMetadataSanitization = ServerToolMetadataSanitization()
    tool_definition_pinning: ServerToolDefinitionPinning = ServerToolDefinitionPinning()
    adapters: tuple[Adapter, ...] = ()

    @property
    def prefix(self) -> str:
        """Prefix of the names of helper tools: letters, digits and inner underscores."""
        return _UNSAFE.sub("_", self.id).strip("_") or "server"
