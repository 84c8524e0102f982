"""The `servers` section: one entry for each upstream MCP server, with its adapters."""

import re
from typing import Literal

import msgspec

from longshore.shared.config.core import (
    BlockAction,
    BlockStrategy,
    DescriptionMode,
    PinningMode,
    PinningScope,
    SanitizationMode,
)

Transport = Literal["streamable_http", "sse"]
LocatorMode = Literal["structured", "regex", "embedded", "none"]
SessionlessClients = Literal["per_principal", "per_call", "refuse"]

_UNSAFE = re.compile(r"[^A-Za-z0-9_]+")


class ClientHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the caller's headers the upstream needs or may have. Names keep their spelling."""

    required: tuple[str, ...] = ()
    passthrough: tuple[str, ...] = ()


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """Where the upstream is and what it is told on every request."""

    url: str
    transport: Transport = "streamable_http"
    insecure_tls: bool = False
    static_headers: dict[str, str] = {}
    client_headers: ClientHeaders = ClientHeaders()
    storage_path: str | None = None  # where it has storage.root mounted; None: at the same path


class ServerUpstreamPing(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of `core.upstream_ping`. None inherits."""

    enabled: bool | None = None
    interval_seconds: int | None = None
    timeout_seconds: int | None = None
    failure_threshold: int | None = None
    open_cooldown_seconds: int | None = None
    half_open_probe_allowance: int | None = None


class ToolDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of `core.defaults`, of a server or of one adapter. None inherits."""

    tool_call_timeout_seconds: int | None = None
    allow_raw_output: bool | None = None


class ServerToolDescriptionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of `core.tool_description_policy`. None inherits."""

    mode: DescriptionMode | None = None
    max_tool_description_chars: int | None = None
    max_schema_description_chars: int | None = None


class ServerToolMetadataSanitization(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of `core.tool_metadata_sanitization`. None inherits."""

    mode: SanitizationMode | None = None
    normalize_unicode: bool | None = None
    remove_invisible_characters: bool | None = None
    max_tool_title_chars: int | None = None
    max_tool_description_chars: int | None = None
    max_schema_text_chars: int | None = None


class ServerToolDefinitionPinning(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of `core.tool_definition_pinning`. None inherits."""

    mode: PinningMode | None = None
    block_strategy: BlockStrategy | None = None
    block_error_session_action: BlockAction | None = None
    scope: PinningScope | None = None


class UploadConsumer(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="upload_consumer"):
    """Tools that read a file: handles in one argument become paths."""

    tools: tuple[str, ...]  # at least one
    file_path_argument: str  # dotted path into the arguments
    uri_scheme: str = "upload://"
    uri_prefix: bool | None = None
    overrides: ToolDefaults = ToolDefaults()


class OutputLocator(msgspec.Struct, frozen=True, kw_only=True):
    """How to find the file in a tool's result. The expressions compile; none means the built-in ones."""

    mode: LocatorMode = "none"
    output_path_key: str | None = None  # dotted path into the structured result
    output_path_regexes: tuple[str, ...] = ()


class ArtifactProducer(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="artifact_producer"):
    """Tools that write a file: it is captured and offered as an artifact."""

    tools: tuple[str, ...]  # at least one
    output_path_argument: str | None = None  # dotted path into the arguments
    output_locator: OutputLocator = OutputLocator()
    persist: bool = True
    expose_as_resource: bool = True
    allow_raw_output: bool | None = None
    overrides: ToolDefaults = ToolDefaults()


Adapter = UploadConsumer | ArtifactProducer


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream MCP server and how it is offered."""

    id: str  # trimmed, unique, one path segment
    mount_path: str  # a leading slash, no trailing one, unique
    upstream: Upstream
    upstream_ping: ServerUpstreamPing = ServerUpstreamPing()
    tool_defaults: ToolDefaults = ToolDefaults()
    code_mode_enabled: bool | None = None
    shorten_descriptions: bool | None = None
    short_description_max_tokens: int | None = None
    tool_description_policy: ServerToolDescriptionPolicy = ServerToolDescriptionPolicy()
    tool_metadata_sanitization: ServerToolMetadataSanitization = ServerToolMetadataSanitization()
    tool_definition_pinning: ServerToolDefinitionPinning = ServerToolDefinitionPinning()
    disabled_tools: tuple[str, ...] = ()
    adapters: tuple[Adapter, ...] = ()
    sessionless_clients: SessionlessClients = "per_principal"
    pass_client_token: bool = False
    required_scopes: tuple[str, ...] = ()
    spill_over_bytes: int | None = None

    @property
    def prefix(self) -> str:
        """What the names of this server's helper tools begin with."""
        return tool_prefix(self.id)


def tool_prefix(server_id: str) -> str:
    """`server_id` in letters, digits and underscores, none at the edges; `server` when nothing is left."""
    return _UNSAFE.sub("_", server_id).strip("_") or "server"
