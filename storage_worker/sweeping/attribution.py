"""Whose files are those that lie in storage without a record: what the configuration says, and the answer. Pure."""

from dataclasses import dataclass

from longshore.shared.config import Config, ReconciliationMode
from longshore.shared.state.reconciliation import Hint


@dataclass(frozen=True, slots=True)
class Attribution:
    """What the configuration says about reconciliation."""

    mode: ReconciliationMode
    servers: tuple[str, ...]         # ids of the configured ones
    legacy_server: str | None        # whose files are that nothing else attributes
    allow_revival: bool              # whether a session that rests may be used again
    rest_ms: int                     # how long one rests
    expose: bool                     # restored artifacts are listed as resources

    @classmethod
    def of(cls, config: Config) -> "Attribution":
        """The part of `config` that is about it."""
        settings = config.state_persistence.reconciliation
        return cls(
            mode=settings.mode,
            servers=tuple(server.id for server in config.servers),
            legacy_server=settings.legacy_server_id,
            allow_revival=config.sessions.allow_revival,
            rest_ms=config.sessions.tombstone_ttl_seconds * 1000,
            expose=config.artifacts.expose_as_resources,
        )

    def server_of(self, hint: Hint | None) -> str | None:
        """The server that a session's files belong to; None when it cannot be told, or nobody may have them."""
        if hint is not None:
            return hint.server if hint.is_open and hint.server in self.servers else None
        if not self.allow_revival:
            return None  # its session could never be used
        return self.servers[0] if len(self.servers) == 1 else self.legacy_server
