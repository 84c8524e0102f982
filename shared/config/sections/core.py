"""The `core` section: where longshore listens, who may call, what it adds to tools."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal, get_args

import msgspec

from longshore.shared.config.keys import Key
from longshore.shared.config.sections.auth import Auth, Cors
from longshore.shared.config.text_types import HostName, HttpUrl, UrlPath
from longshore.shared.config.value_types import PORT, POSITIVE, ByteSize, Choice, Integer, IpNetwork, ListOf

LogLevel = Literal["debug", "info", "warning", "error", "critical"]
DescriptionMode = Literal["preserve", "truncate", "strip"]
SanitizationMode = Literal["off", "sanitize", "block"]
PinningMode = Literal["off", "warn", "block"]
BlockStrategy = Literal["error", "baseline_subset"]
BlockAction = Literal["keep", "invalidate"]
PinningScope = Literal["session", "principal", "server"]
Network = IPv4Network | IPv6Network


class ToolDescriptionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long the descriptions may be that upstream tools bring along."""

    mode: Annotated[DescriptionMode, Key(
        "What happens to long descriptions.", later=True, off=("preserve",))] = "preserve"
    max_tool_description_chars: Annotated[int | None, POSITIVE, Key(
        "Length for a tool.", later=True, off=(None,))] = 280
    max_schema_description_chars: Annotated[int | None, POSITIVE, Key(
        "Length for a field of a schema.", later=True, off=(None,))] = 280


class ToolMetadataSanitization(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to invisible or overlong text in the metadata of upstream tools."""

    mode: Annotated[SanitizationMode, Key(
        "What happens to deceptive text in tool metadata.", later=True, off=("off",))] = "sanitize"
    normalize_unicode: Annotated[bool, Key("Brings text into one form.", later=True, off=(False,))] = True
    remove_invisible_characters: Annotated[bool, Key(
        "Removes characters that no reader sees.", later=True, off=(False,))] = True
    max_tool_title_chars: Annotated[int | None, POSITIVE, Key("Length of a title.", later=True, off=(None,))] = 256
    max_tool_description_chars: Annotated[int | None, POSITIVE, Key(
        "Length of a description.", later=True, off=(None,))] = 2000
    max_schema_text_chars: Annotated[int | None, POSITIVE, Key(
        "Length of a text inside a schema.", later=True, off=(None,))] = 1000


class ToolDefinitionPinning(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when an upstream changes a tool after a client has seen it."""

    mode: Annotated[PinningMode, Key(
        "What happens when a tool changes after a client has seen it.", later=True, off=("off",))] = "warn"
    block_strategy: Annotated[BlockStrategy, Key(
        "Whether blocking fails the listing or hides what changed.", later=True)] = "error"
    block_error_session_action: Annotated[BlockAction, Key(
        "What becomes of the session when blocking fails the listing.", later=True)] = "invalidate"
    scope: Annotated[PinningScope, Key("For whom a seen tool is remembered.", later=True)] = "session"


class UpstreamPing(msgspec.Struct, frozen=True, kw_only=True):
    """Active probing of upstreams and the circuit breaker behind it."""

    enabled: Annotated[bool, Key("Probes upstreams and breaks circuits.", later=True, off=(False,))] = True
    interval_seconds: Annotated[int, POSITIVE, Key("How often.", later=True)] = 15
    timeout_seconds: Annotated[int, POSITIVE, Key("How long an upstream may take to answer.", later=True)] = 5
    failure_threshold: Annotated[int, POSITIVE, Key("Failures in a row that open the circuit.", later=True)] = 3
    open_cooldown_seconds: Annotated[int, POSITIVE, Key("How long it stays open.", later=True)] = 30
    half_open_probe_allowance: Annotated[int, POSITIVE, Key("Probes that close it again.", later=True)] = 2


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What servers and adapters inherit when they say nothing."""

    tool_call_timeout_seconds: Annotated[int | None, POSITIVE, Key(
        "How long a call or other request may take, where neither adapter nor server says otherwise. Null: no "
        "limit.")] = 60
    allow_raw_output: Annotated[bool | None, Key(
        "Whether an artifact's bytes go into the tool result too, where neither adapter nor server says "
        "otherwise.")] = False


class Core(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the gateway as a whole."""

    host: Annotated[str, HostName(), Key(
        "The address to listen on.")] = "0.0.0.0"  # noqa: S104  (a server in a container listens on all addresses)
    port: Annotated[int, PORT, Key("The port to listen on.")] = 8932
    admin_host: Annotated[str, HostName(), Key(
        "The address of the admin listener, which serves `/metrics`.")] = "127.0.0.1"
    admin_port: Annotated[int, Integer(most=65535), Key("The port of the admin listener; 0 switches it off.")] = 8933
    public_base_url: Annotated[str | None, HttpUrl(base=True, blank=True), Key(
        "What links begin with. Null: taken from `X-Forwarded-*` of a trusted proxy, else from the request, else from "
        "host and port.")] = None  # without a trailing slash
    trusted_proxies: Annotated[tuple[Network, ...], ListOf(item=IpNetwork()), Key(
        "Networks whose `X-Forwarded-*` headers count. From anywhere else these headers are ignored.")] = ()
    allowed_hosts: Annotated[tuple[str, ...], Key(
        "Values of `Host` that are answered; derived from host and public_base_url when empty.")] = ()
    upload_path: Annotated[str, UrlPath(), Key(
        "Where files are posted to: `<upload_path>/<server id>`.")] = "/upload"  # a leading slash, no trailing one
    log_level: Annotated[LogLevel, Choice(options=get_args(LogLevel), any_case=True), Key(
        "The least severe event that is logged.")] = "warning"
    max_body_bytes: Annotated[int, ByteSize(least=1), Key(
        "The largest JSON body. Uploads have a limit of their own.")] = 4 * 1024 * 1024
    max_json_depth: Annotated[int, Integer(least=1, most=1000), Key("The deepest nesting of a JSON body.")] = 100
    max_start_wait_seconds: Annotated[int, Key(
        "How long start-up waits for upstreams. Afterwards longshore serves anyway and reports `degraded`; 0 does not "
        "wait.")] = 60
    shutdown_grace_seconds: Annotated[int, Key("How long calls in flight may finish after SIGTERM.")] = 20
    cleanup_interval_seconds: Annotated[int | None, POSITIVE, Key(
        "How often what is due is removed. Null switches the background cleanup off.")] = 60
    allow_artifacts_download: Annotated[bool, Key(
        "Serves artifacts over HTTP and adds a download link to tool results.")] = False
    auth: Auth = Auth()
    cors: Cors = Cors()
    defaults: Defaults = Defaults()
    code_mode_enabled: Annotated[bool, Key(
        "Offers search and execution in place of all tools.", later=True, off=(False,))] = False
    shorten_descriptions: Annotated[bool, Key("Shortens the descriptions of upstreams' tools.")] = False
    short_description_max_tokens: Annotated[int, POSITIVE, Key("To how many words, each counted as a token.")] = 16
    tool_description_policy: ToolDescriptionPolicy = ToolDescriptionPolicy()
    tool_metadata_sanitization: ToolMetadataSanitization = ToolMetadataSanitization()
    tool_definition_pinning: ToolDefinitionPinning = ToolDefinitionPinning()
    upstream_metadata_cache_ttl_seconds: Annotated[int, Key(
        "How long a list of an upstream's is kept for its session; it is fetched anew after a call or when the "
        "upstream says that it has changed. 0: not at all.")] = 300
    upstream_ping: UpstreamPing = UpstreamPing()
