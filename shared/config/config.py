"""The complete configuration, and values that are derived from several keys. Pure."""

from typing import Annotated
from urllib.parse import quote

import msgspec

from longshore.shared.config.faults import Notice
from longshore.shared.config.keys import Marker
from longshore.shared.config.sections.core import Core
from longshore.shared.config.sections.limits import Limits
from longshore.shared.config.sections.servers import Adapter, ArtifactProducer, Server
from longshore.shared.config.sections.state_persistence import Redis, StatePersistence
from longshore.shared.config.sections.storage import Artifacts, Files, Sessions, Storage, Uploads
from longshore.shared.config.sections.telemetry import Telemetry
from longshore.shared.config.urls import url_secrets


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A valid configuration: variables are substituted, missing keys have their defaults, sizes are in bytes."""

    core: Core = Core()
    limits: Limits = Limits()
    state_persistence: StatePersistence = StatePersistence()
    storage: Storage = Storage()
    sessions: Sessions = Sessions()
    uploads: Uploads = Uploads()
    artifacts: Artifacts = Artifacts()
    files: Files = Files()
    telemetry: Telemetry = Telemetry()
    servers: tuple[Server, ...]  # at least one
    notices: Annotated[tuple[Notice, ...], Marker.NOT_IN_FILE] = ()   # keys of the file that have no effect
    redis_url_variable: Annotated[str | None, Marker.NOT_IN_FILE] = None  # LONGSHORE_REDIS_URL when the file was read

    def server(self, server_id: str) -> Server | None:
        """Server with the id `server_id`, or None."""
        return next((server for server in self.servers if server.id == server_id), None)

    def tool_timeout_s(self, server: Server, adapter: Adapter | None = None) -> float | None:
        """Timeout of a tool call, None for no limit: of the adapter, else of the server, else of core."""
        own = adapter.overrides.tool_call_timeout_seconds if adapter is not None else None
        for seconds in (own, server.tool_defaults.tool_call_timeout_seconds):
            if seconds is not None:
                return float(seconds)
        default = self.core.defaults.tool_call_timeout_seconds
        return None if default is None else float(default)

    def allow_raw_output(self, server: Server, adapter: Adapter | None = None) -> bool:
        """True if tool results contain the bytes of artifacts: set by the adapter, else the server, else core."""
        values: list[bool | None] = []
        if isinstance(adapter, ArtifactProducer):
            values.append(adapter.allow_raw_output)
        if adapter is not None:
            values.append(adapter.overrides.allow_raw_output)
        values += [server.tool_defaults.allow_raw_output, self.core.defaults.allow_raw_output]
        return next((value for value in values if value is not None), False)

    def spill_over_bytes(self, server: Server) -> int | None:
        """Size above which parts of tool results become artifacts, None for never: of the server, else global."""
        if not self.artifacts.enabled:
            return None
        own = server.spill_over_bytes
        return (self.artifacts.spill_over_bytes if own is None else own) or None

    @property
    def shares_redis(self) -> bool:
        """True if a shared Redis is configured; otherwise `longshore up` starts a private one."""
        state = self.state_persistence
        return self.redis_url() is not None or (state.type == "redis" and bool(state.redis.sentinel.hosts))

    def redis_url(self) -> str | None:
        """URL of the shared Redis: LONGSHORE_REDIS_URL, else from the keys of type `redis`. None: no shared Redis is
        configured, or Sentinel provides its address."""
        if self.redis_url_variable is not None:
            return self.redis_url_variable
        if self.state_persistence.type != "redis":
            return None
        redis = self.state_persistence.redis
        return redis.url if redis.url is not None else _url_of_parts(redis)

    def signing_secret_setting(self) -> str | None:
        """Configured secret that signs links. None: longshore generates one and stores it in Redis."""
        return self.core.auth.signing_secret or self.core.auth.token

    def former_signing_secrets(self) -> tuple[str, ...]:
        """Former secrets, which still verify links."""
        return self.core.auth.previous_signing_secrets

    def secrets(self) -> tuple[str, ...]:
        """All secrets of the configuration, including those in URLs, for redaction in logs."""
        redis = self.state_persistence.redis
        found: list[str | None] = [self.core.auth.token, self.core.auth.signing_secret, redis.password]
        found.append(redis.sentinel.password)
        found.append(self.core.auth.oauth.introspection.client_secret)
        found += self.core.auth.previous_signing_secrets
        found += (token.token for token in self.core.auth.tokens)
        found += self.telemetry.headers.values()
        urls = [redis.url, self.redis_url_variable, self.telemetry.endpoint, self.telemetry.logs_endpoint]
        for server in self.servers:
            found += server.upstream.static_headers.values()
            urls.append(server.upstream.url)
        for url in urls:
            if url is not None:
                found += url_secrets(url)
        return tuple(dict.fromkeys(secret for secret in found if secret))

    def secret_headers(self) -> tuple[str, ...]:
        """Names of headers whose values may be credentials, for redaction in logs."""
        found = [self.core.auth.header_name, *self.telemetry.headers]
        for server in self.servers:
            client = server.upstream.client_headers
            found += (*server.upstream.static_headers, *client.passthrough, *client.required)
        return tuple(dict.fromkeys(name.lower() for name in found))


def _url_of_parts(redis: Redis) -> str | None:
    if redis.host is None:
        return None
    login = ""
    if redis.username is not None or redis.password is not None:
        login = f"{quote(redis.username or '', safe='')}:{quote(redis.password or '', safe='')}@"
    host = f"[{redis.host}]" if ":" in redis.host else redis.host
    scheme = "rediss" if redis.uses_tls else "redis"
    return f"{scheme}://{login}{host}:{redis.port}/{redis.db}"
