"""The `core` section: where longshore listens, who may call, what it adds to tools."""

from ipaddress import IPv4Network, IPv6Network
from typing import Literal

import msgspec

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

    mode: DescriptionMode = "preserve"
    max_tool_description_chars: int | None = 280
    max_schema_description_chars: int | None = 280


class ToolMetadataSanitization(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to invisible or overlong text in the metadata of upstream tools."""

    mode: SanitizationMode = "sanitize"
    normalize_unicode: bool = True
    remove_invisible_characters: bool = True
    max_tool_title_chars: int | None = 256
    max_tool_description_chars: int | None = 2000
    max_schema_text_chars: int | None = 1000


class ToolDefinitionPinning(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when an upstream changes a tool after a client has seen it."""

    mode: PinningMode = "warn"
    block_strategy: BlockStrategy = "error"
    block_error_session_action: BlockAction = "invalidate"
    scope: PinningScope = "session"


class UpstreamPing(msgspec.Struct, frozen=True, kw_only=True):
    """Active probing of upstreams and the circuit breaker behind it."""

    enabled: bool = True
    interval_seconds: int = 15
    timeout_seconds: int = 5
    failure_threshold: int = 3
    open_cooldown_seconds: int = 30
    half_open_probe_allowance: int = 2


class NamedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A static credential of its own principal. At least one of `token` and `token_sha256` is set; both open."""

    name: str  # the principal
    token: str | None = None
    token_sha256: str | None = None  # lower-case hex
    servers: tuple[str, ...] = ()  # ids; none named: all


class Introspection(msgspec.Struct, frozen=True, kw_only=True):
    """Where opaque tokens are looked up (RFC 7662), and as whom. None: they are refused."""

    url: str | None = None
    client_id: str | None = None
    client_secret: str | None = None


class OAuth(msgspec.Struct, frozen=True, kw_only=True):
    """The authorization server whose tokens are taken. No issuer: none are."""

    issuer: str | None = None  # exactly as its tokens have it
    jwks_url: str | None = None  # None: what its metadata says
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "EdDSA")
    leeway_seconds: int = 30
    introspection: Introspection = Introspection()


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """Who may call. When `enabled`, there is at least one way to be let in."""

    enabled: bool = False
    header_name: str = "X-Mcp-Adapter-Auth-Token"
    token: str | None = None
    signed_upload_ttl_seconds: int = 120
    signing_secret: str | None = None
    previous_signing_secrets: tuple[str, ...] = ()  # newest first
    tokens: tuple[NamedToken, ...] = ()
    oauth: OAuth = OAuth()


class Cors(msgspec.Struct, frozen=True, kw_only=True):
    """Which web pages may call longshore."""

    enabled: bool = False
    allowed_origins: tuple[str, ...] = ()
    allowed_methods: tuple[str, ...] = ("POST", "GET", "OPTIONS")
    allowed_headers: tuple[str, ...] = ("*",)
    allow_credentials: bool = False


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What servers and adapters inherit when they say nothing."""

    tool_call_timeout_seconds: int | None = 60  # None: no limit
    allow_raw_output: bool | None = False


class Core(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the gateway as a whole."""

    host: str = "0.0.0.0"  # noqa: S104  (a server in a container listens on all addresses)
    port: int = 8932
    log_level: LogLevel = "warning"
    max_start_wait_seconds: int = 60
    cleanup_interval_seconds: int | None = 60  # None: no background cleanup
    public_base_url: str | None = None  # without a trailing slash
    allow_artifacts_download: bool = False
    code_mode_enabled: bool = False
    shorten_descriptions: bool = False
    short_description_max_tokens: int = 16
    tool_description_policy: ToolDescriptionPolicy = ToolDescriptionPolicy()
    tool_metadata_sanitization: ToolMetadataSanitization = ToolMetadataSanitization()
    tool_definition_pinning: ToolDefinitionPinning = ToolDefinitionPinning()
    upload_path: str = "/upload"  # a leading slash, no trailing one
    upstream_metadata_cache_ttl_seconds: int = 300
    upstream_ping: UpstreamPing = UpstreamPing()
    auth: Auth = Auth()
    cors: Cors = Cors()
    defaults: Defaults = Defaults()
    trusted_proxies: tuple[Network, ...] = ()
    admin_host: str = "127.0.0.1"
    admin_port: int = 8933  # 0: no admin listener
    max_body_bytes: int = 4 * 1024 * 1024
    max_json_depth: int = 100
    shutdown_grace_seconds: int = 20
    allowed_hosts: tuple[str, ...] = ()
