"""Attributes files without a record to a server, by the session's hint or by the configuration. Pure."""

from dataclasses import dataclass

from longshore.shared.config import Config, ReconciliationMode
from longshore.shared.state.reconciliation import Hint


@dataclass(frozen=True, slots=True)
class Attribution:
    """Settings of reconciliation."""

    mode: ReconciliationMode
    servers: tuple[str, ...]         # ids of the configured ones
    legacy_server: str | None        # gets the files that nothing else attributes
    allow_revival: bool              # an expired session may be used again
    tombstone_ms: int                # life of a restored session's tombstone
    expose_artifacts: bool           # list restored artifacts as resources

    @classmethod
    def of(cls, config: Config) -> "Attribution":
        """Read the settings from `config`."""
        settings = config.state_persistence.reconciliation
        return cls(
            mode=settings.mode,
            servers=tuple(server.id for server in config.servers),
            legacy_server=settings.legacy_server_id,
            allow_revival=config.sessions.allow_revival,
            tombstone_ms=config.sessions.tombstone_ttl_seconds * 1000,
            expose_artifacts=config.artifacts.expose_as_resources,
        )

    def server_of(self, hint: Hint | None) -> str | None:
        """Server that a session's files belong to; None if it is unknown, or if nobody may have them."""
        if hint is not None:
            return hint.server if hint.is_open and hint.server in self.servers else None
        if not self.allow_revival:
            return None  # its session could never be used
        return self.servers[0] if len(self.servers) == 1 else self.legacy_server
