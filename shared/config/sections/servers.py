"""The `servers` section: one entry for each upstream MCP server, with its adapters."""

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
    """Which of the caller's headers the upstream needs or may have. Names keep their spelling."""

    required: Annotated[tuple[str, ...], ListOf(item=HeaderName()), Key(
        "Headers that a caller must send; they are passed on. Without them the request is refused.")] = ()
    passthrough: Annotated[tuple[str, ...], ListOf(item=HeaderName()), Key(
        "Headers of the caller that are passed on when they are there.")] = ()


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """Where the upstream is and what it is told on every request."""

    url: Annotated[str, HttpUrl(), Key("Where its MCP endpoint is.")]
    transport: Annotated[Literal["streamable_http", "sse"], Key(
        "How it speaks MCP.", not_yet=("sse",))] = "streamable_http"
    insecure_tls: Annotated[bool, Key("Does not verify its certificate.")] = False
    static_headers: Annotated[dict[str, str], MapOf(key=HeaderName(), value=Text(blank=True)), Key(
        "Headers sent to it with every request.", secret=True)] = {}
    client_headers: ClientHeaders = ClientHeaders()
    storage_path: Annotated[str | None, FilePath(), Key(
        "Where it has storage.root mounted. Null: at the same path.")] = None


class ServerUpstreamPing(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of `core.upstream_ping`. None inherits."""

    enabled: Inherited[bool] = None
    interval_seconds: Inherited[int] = None
    timeout_seconds: Inherited[int] = None
    failure_threshold: Inherited[int] = None
    open_cooldown_seconds: Inherited[int] = None
    half_open_probe_allowance: Inherited[int] = None


class ToolDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of `core.defaults`, of a server or of one adapter. None inherits."""

    tool_call_timeout_seconds: Annotated[int | None, POSITIVE, Key(
        "Timeout of a tool call. Null inherits: an adapter's overrides, then the server's tool_defaults, then "
        "core.defaults.")] = None
    allow_raw_output: Annotated[bool | None, Key(
        "Whether an artifact's bytes go into the tool result too. Null inherits: an adapter's overrides, then the "
        "server's tool_defaults, then core.defaults.")] = None


class ServerToolDescriptionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of `core.tool_description_policy`. None inherits."""

    mode: Inherited[DescriptionMode] = None
    max_tool_description_chars: Inherited[int] = None
    max_schema_description_chars: Inherited[int] = None


class ServerToolMetadataSanitization(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of `core.tool_metadata_sanitization`. None inherits."""

    mode: Inherited[SanitizationMode] = None
    normalize_unicode: Inherited[bool] = None
    remove_invisible_characters: Inherited[bool] = None
    max_tool_title_chars: Inherited[int] = None
    max_tool_description_chars: Inherited[int] = None
    max_schema_text_chars: Inherited[int] = None


class ServerToolDefinitionPinning(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of `core.tool_definition_pinning`. None inherits."""

    mode: Inherited[PinningMode] = None
    block_strategy: Inherited[BlockStrategy] = None
    block_error_session_action: Inherited[BlockAction] = None
    scope: Inherited[PinningScope] = None


class UploadConsumer(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="upload_consumer"):
    """Tools that read an uploaded file.

    Handles in one argument become paths.
    """

    tools: Annotated[tuple[str, ...], _TOOL_NAMES, Key("Their names.")]
    file_path_argument: Annotated[str, DottedPath(), Key(
        "The argument whose handle, or list of handles, becomes a path.")]
    uri_scheme: Annotated[str, UriScheme(), Key("What handles in it begin with.")] = "upload://"
    uri_prefix: Annotated[bool | None, Key("Writes the path as a `file://` URI.")] = None
    overrides: ToolDefaults = ToolDefaults()


class OutputLocator(msgspec.Struct, frozen=True, kw_only=True):
    """How to find the file in a tool's result. The expressions compile; none means the built-in ones."""

    mode: Annotated[Literal["structured", "regex", "embedded", "none"], Key(
        "Where the result tells what files were written: in its structured content, in its text, or inside "
        "itself.")] = "none"
    output_path_key: Annotated[str | None, DottedPath(), Key(
        "The key of the structured content; in a list, that of each item. Needed for `structured` without "
        "output_path_argument.")] = None
    output_path_regexes: Annotated[tuple[str, ...], ListOf(item=RegularExpression()), Key(
        "Tried in order on the text; the matches of the first that has some count, each by its group 1 if it has one. "
        "Empty: built-in patterns.")] = ()


class ArtifactProducer(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="artifact_producer"):
    """Tools that write a file.

    The file is captured and offered as an artifact.
    """

    tools: Annotated[tuple[str, ...], _TOOL_NAMES, Key("Their names.")]
    output_path_argument: Annotated[str | None, DottedPath(), Key(
        "The argument that tells the tool where to write; longshore fills it in.")] = None
    output_locator: OutputLocator = OutputLocator()
    persist: Annotated[bool, Key("Keeps the file as an artifact.")] = True
    expose_as_resource: Annotated[bool, Key("Lists it as an MCP resource.")] = True
    allow_raw_output: Annotated[bool | None, Key(
        "Wins over the adapter's overrides. Also written include_raw_output.", alias="include_raw_output")] = None
    overrides: ToolDefaults = ToolDefaults()


Adapter = UploadConsumer | ArtifactProducer


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream MCP server and how it is offered."""

    id: Annotated[str, ServerId(), Key(
        "The server's name, unique. Helper tools begin with it, unsafe characters as `_`.")]
    mount_path: Annotated[str, UrlPath(), Key(
        "Where clients find it, such as `/mcp/<id>`; unique.")]  # a leading slash, no trailing one, unique
    upstream: Upstream
    tool_defaults: ToolDefaults = ToolDefaults()
    disabled_tools: Annotated[tuple[str, ...], ListOf(item=RegularExpression()), Key(
        "Tools that are hidden.", later=True)] = ()
    sessionless_clients: Annotated[Literal["per_principal", "per_call", "refuse"], Key(
        "The upstream session that callers of the stateless revision get where the upstream has sessions: one for "
        "each principal and workspace, one for each call, or none.")] = "per_principal"
    required_scopes: Annotated[tuple[str, ...], ListOf(item=OAuthScope()), Key(
        "Scopes that a token of the authorization server must have here, besides core.auth.oauth.scopes.")] = ()
    pass_client_token: Annotated[bool, Key(
        "Passes the token of the authorization server on as `Authorization`. Only for an upstream that the same token "
        "is meant for; static tokens never travel.")] = False
    spill_over_bytes: Annotated[int | None, ByteSize(), Key(
        "As artifacts.spill_over_bytes. Null inherits that; 0: never.")] = None
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
        """Prefix of the names of this server's helper tools: letters, digits and underscores, none at the edges."""
        return _UNSAFE.sub("_", self.id).strip("_") or "server"
