"""The whole configuration, and the questions whose answer takes more than one key. Pure."""

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
    """A checked configuration: defaults filled in, variables substituted, sizes in bytes."""

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
        """The server of that id, None when there is none."""
        return next((server for server in self.servers if server.id == server_id), None)

    def tool_timeout_s(self, server: Server, adapter: Adapter | None = None) -> float | None:
        """Seconds a tool call may take, None for no limit: the adapter's, else the server's, else core's."""
        own = adapter.overrides.tool_call_timeout_seconds if adapter is not None else None
        for seconds in (own, server.tool_defaults.tool_call_timeout_seconds):
            if seconds is not None:
                return float(seconds)
        default = self.core.defaults.tool_call_timeout_seconds
        return None if default is None else float(default)

    def allow_raw_output(self, server: Server, adapter: Adapter | None = None) -> bool:
        """Whether an artifact's bytes go into the tool result: the adapter's, the server's, then core's word."""
        words: list[bool | None] = []
        if isinstance(adapter, ArtifactProducer):
            words.append(adapter.allow_raw_output)
        if adapter is not None:
            words.append(adapter.overrides.allow_raw_output)
        words += [server.tool_defaults.allow_raw_output, self.core.defaults.allow_raw_output]
        return next((word for word in words if word is not None), False)

    def spill_over_bytes(self, server: Server) -> int | None:
        """Above which size blocks of tool results become artifacts, None for never: the server's word, else all's."""
        if not self.artifacts.enabled:
            return None
        own = server.spill_over_bytes
        return (self.artifacts.spill_over_bytes if own is None else own) or None

    @property
    def shares_redis(self) -> bool:
        """Whether a Redis is named that several processes can share; else `longshore up` starts a private one."""
        kept = self.state_persistence
        return self.redis_url() is not None or (kept.type == "redis" and bool(kept.redis.sentinel.hosts))

    def redis_url(self) -> str | None:
        """The shared Redis: LONGSHORE_REDIS_URL, else what type `redis` names, else None: there is none, or it is
        found through Sentinel."""
        if self.redis_url_variable is not None:
            return self.redis_url_variable
        if self.state_persistence.type != "redis":
            return None
        redis = self.state_persistence.redis
        return redis.url if redis.url is not None else _url_of_parts(redis)

    def signing_secret_setting(self) -> str | None:
        """The configured secret that signs links; None: one is generated and kept in Redis."""
        return self.core.auth.signing_secret or self.core.auth.token

    def former_signing_secrets(self) -> tuple[str, ...]:
        """What signed links before, and still verifies them."""
        return self.core.auth.previous_signing_secrets

    def secrets(self) -> tuple[str, ...]:
        """Every secret of the configuration, for keeping them out of logs; those inside URLs too."""
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
        """Names of headers whose values may be credentials, for keeping those out of logs."""
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
