"""Section `core`: listeners, limits, tool metadata and defaults of all servers."""

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
    """Length of the descriptions of upstream tools."""

    mode: Annotated[DescriptionMode, Key("Treatment of long descriptions.", later=True, off=("preserve",))] = "preserve"
    max_tool_description_chars: Annotated[int | None, POSITIVE, Key(
        "Maximum length of the description of a tool.", later=True, off=(None,))] = 280
    max_schema_description_chars: Annotated[int | None, POSITIVE, Key(
        "Maximum length of a description in a schema.", later=True, off=(None,))] = 280


class ToolMetadataSanitization(msgspec.Struct, frozen=True, kw_only=True):
    """Sanitization of the metadata of upstream tools."""

    mode: Annotated[SanitizationMode, Key(
        "Treatment of deceptive text in tool metadata.", later=True, off=("off",))] = "sanitize"
    normalize_unicode: Annotated[bool, Key("Normalises Unicode text.", later=True, off=(False,))] = True
    remove_invisible_characters: Annotated[bool, Key("Removes invisible characters.", later=True, off=(False,))] = True
    max_tool_title_chars: Annotated[int | None, POSITIVE, Key(
        "Maximum length of the title of a tool.", later=True, off=(None,))] = 256
    max_tool_description_chars: Annotated[int | None, POSITIVE, Key(
        "Maximum length of the description of a tool.", later=True, off=(None,))] = 2000
    max_schema_text_chars: Annotated[int | None, POSITIVE, Key(
        "Maximum length of a text in a schema.", later=True, off=(None,))] = 1000


class ToolDefinitionPinning(msgspec.Struct, frozen=True, kw_only=True):
    """Reaction to changes of tools that a client has already listed."""

    mode: Annotated[PinningMode, Key(
        "Reaction to a change of a tool that a client has already listed.", later=True, off=("off",))] = "warn"
    block_strategy: Annotated[BlockStrategy, Key(
        "Effect of `block`: the list request fails, or the changed tools are hidden.", later=True)] = "error"
    block_error_session_action: Annotated[BlockAction, Key(
        "Effect on the session when `block` fails a list request.", later=True)] = "invalidate"
    scope: Annotated[PinningScope, Key("Scope within which tool definitions are compared.", later=True)] = "session"


class UpstreamPing(msgspec.Struct, frozen=True, kw_only=True):
    """Health probes of upstreams, with a circuit breaker."""

    enabled: Annotated[bool, Key(
        "Probes upstreams and opens a circuit breaker on failure.", later=True, off=(False,))] = True
    interval_seconds: Annotated[int, POSITIVE, Key("Interval between probes.", later=True)] = 15
    timeout_seconds: Annotated[int, POSITIVE, Key("Timeout of a probe.", later=True)] = 5
    failure_threshold: Annotated[int, POSITIVE, Key("Consecutive failures that open the circuit.", later=True)] = 3
    open_cooldown_seconds: Annotated[int, POSITIVE, Key("Time that the circuit stays open.", later=True)] = 30
    half_open_probe_allowance: Annotated[int, POSITIVE, Key(
        "Successful probes that close the circuit.", later=True)] = 2


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults of servers and adapters."""

    tool_call_timeout_seconds: Annotated[int | None, POSITIVE, Key(
        "Timeout of a tool call or another request, unless the adapter or the server sets one. Null: no limit.")] = 60
    allow_raw_output: Annotated[bool | None, Key(
        "Includes the bytes of artifacts in tool results, unless the adapter or the server sets this.")] = False


class Core(msgspec.Struct, frozen=True, kw_only=True):
    """Section `core`."""

    host: Annotated[str, HostName(), Key(
        "Address to listen on.")] = "0.0.0.0"  # noqa: S104  (a server in a container listens on all addresses)
    port: Annotated[int, PORT, Key("Port to listen on.")] = 8932
    admin_host: Annotated[str, HostName(), Key("Address of the admin port, which serves `/metrics`.")] = "127.0.0.1"
    admin_port: Annotated[int, Integer(most=65535), Key("Admin port. 0: disabled.")] = 8933
    public_base_url: Annotated[str | None, HttpUrl(base=True, blank=True), Key(
        "Base URL of links. Null: derived from `X-Forwarded-*` headers of a trusted proxy, else from the request, else "
        "from host and port.")] = None  # without a trailing slash
    trusted_proxies: Annotated[tuple[Network, ...], ListOf(item=IpNetwork()), Key(
        "Networks whose `X-Forwarded-*` headers are trusted. From other addresses these headers are ignored.")] = ()
    allowed_hosts: Annotated[tuple[str, ...], Key(
        "Accepted values of the header `Host`. Empty: derived from `host` and `public_base_url`.")] = ()
    upload_path: Annotated[str, UrlPath(), Key(
        "URL path of uploads: `<upload_path>/<server id>`.")] = "/upload"  # a leading slash, no trailing one
    log_level: Annotated[LogLevel, Choice(options=get_args(LogLevel), any_case=True), Key(
        "Minimum level of log events.")] = "warning"
    max_body_bytes: Annotated[int, ByteSize(least=1), Key(
        "Maximum size of a JSON request body. Uploads have a separate limit.")] = 4 * 1024 * 1024
    max_json_depth: Annotated[int, Integer(least=1, most=1000), Key(
        "Maximum nesting depth of a JSON request body.")] = 100
    max_start_wait_seconds: Annotated[int, Key(
        "Maximum time that start-up waits for upstreams. After it, longshore serves requests and reports `degraded`. "
        "0: no wait.")] = 60
    shutdown_grace_seconds: Annotated[int, Key("Time that calls in flight have to finish after SIGTERM.")] = 20
    cleanup_interval_seconds: Annotated[int | None, POSITIVE, Key(
        "Interval of the clean-up of expired files and sessions. Null: no clean-up.")] = 60
    allow_artifacts_download: Annotated[bool, Key(
        "Serves artifacts over HTTP and adds download links to tool results.")] = False
    auth: Auth = Auth()
    cors: Cors = Cors()
    defaults: Defaults = Defaults()
    code_mode_enabled: Annotated[bool, Key(
        "Replaces all tools by tools for search and execution.", later=True, off=(False,))] = False
    shorten_descriptions: Annotated[bool, Key("Shortens the descriptions of upstream tools.")] = False
    short_description_max_tokens: Annotated[int, POSITIVE, Key(
        "Maximum length of a shortened description, in words.")] = 16
    tool_description_policy: ToolDescriptionPolicy = ToolDescriptionPolicy()
    tool_metadata_sanitization: ToolMetadataSanitization = ToolMetadataSanitization()
    tool_definition_pinning: ToolDefinitionPinning = ToolDefinitionPinning()
    upstream_metadata_cache_ttl_seconds: Annotated[int, Key(
        "Lifetime of cached lists of an upstream, per session. A call or a `list_changed` notification of the upstream "
        "ends it earlier. 0: no cache.")] = 300
    upstream_ping: UpstreamPing = UpstreamPing()
