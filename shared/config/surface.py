"""The table of every key that a configuration can name, and the tree of sections that follows from it."""

import re
from dataclasses import dataclass, field

import msgspec

from longshore.shared.config import (
    core,
    limits,
    servers,
    state,
    storage,
    surface_core,
    surface_servers,
    surface_state,
    surface_telemetry,
    telemetry,
)
from longshore.shared.config.config import Config
from longshore.shared.config.row import Row

ROWS: tuple[Row, ...] = (*surface_core.ROWS, *surface_state.ROWS, *surface_telemetry.ROWS, *surface_servers.ROWS)

STRUCTS: dict[str, type[msgspec.Struct]] = {
    "": Config,
    "core": core.Core,
    "core.auth": core.Auth,
    "core.auth.oauth": core.OAuth,
    "core.auth.oauth.introspection": core.Introspection,
    "core.auth.tokens[]": core.NamedToken,
    "core.cors": core.Cors,
    "core.defaults": core.Defaults,
    "core.tool_definition_pinning": core.ToolDefinitionPinning,
    "core.tool_description_policy": core.ToolDescriptionPolicy,
    "core.tool_metadata_sanitization": core.ToolMetadataSanitization,
    "core.upstream_ping": core.UpstreamPing,
    "state_persistence": state.StatePersistence,
    "state_persistence.disk": state.Disk,
    "state_persistence.disk.wal": state.Wal,
    "state_persistence.redis": state.Redis,
    "state_persistence.redis.sentinel": state.Sentinel,
    "state_persistence.reconciliation": state.Reconciliation,
    "limits": limits.Limits,
    "limits.per_principal": limits.Limit,
    "limits.per_address": limits.Limit,
    "storage": storage.Storage,
    "sessions": storage.Sessions,
    "uploads": storage.Uploads,
    "artifacts": storage.Artifacts,
    "files": storage.Files,
    "telemetry": telemetry.Telemetry,
    "telemetry.prometheus": telemetry.Prometheus,
    "telemetry.traces": telemetry.Traces,
    "servers[]": servers.Server,
    "servers[].upstream": servers.Upstream,
    "servers[].upstream.client_headers": servers.ClientHeaders,
    "servers[].upstream_ping": servers.ServerUpstreamPing,
    "servers[].tool_defaults": servers.ToolDefaults,
    "servers[].tool_definition_pinning": servers.ServerToolDefinitionPinning,
    "servers[].tool_description_policy": servers.ServerToolDescriptionPolicy,
    "servers[].tool_metadata_sanitization": servers.ServerToolMetadataSanitization,
    "servers[].adapters[upload_consumer]": servers.UploadConsumer,
    "servers[].adapters[upload_consumer].overrides": servers.ToolDefaults,
    "servers[].adapters[artifact_producer]": servers.ArtifactProducer,
    "servers[].adapters[artifact_producer].output_locator": servers.OutputLocator,
    "servers[].adapters[artifact_producer].overrides": servers.ToolDefaults,
}

_SEGMENT = re.compile(r"(?P<name>[a-z0-9_]+)(?P<list>\[(?P<tag>[a-z_]*)\])?\Z")


@dataclass
class Section:
    """One level of the file: the keys that it takes, by what they hold."""

    path: str                                                            # as in the table
    rows: dict[str, Row] = field(default_factory=dict)
    sections: dict[str, "Section"] = field(default_factory=dict)
    lists: dict[str, "Section"] = field(default_factory=dict)             # each item is such a section
    tagged: dict[str, dict[str, "Section"]] = field(default_factory=dict) # each item says by `type` which one

    @property
    def names(self) -> tuple[str, ...]:
        """Every key that is allowed here."""
        return (*self.rows, *self.sections, *self.lists, *self.tagged)

    def needs(self, name: str) -> bool:
        """Whether the list `name` must have an item: where its struct can do without, it need not."""
        fields = {field.name: field for field in msgspec.structs.fields(STRUCTS[self.path])}
        return fields[name].required

    def grow(self, segment: str) -> "Section":
        """The section below that one segment of a path leads to."""
        match = _SEGMENT.match(segment)
        if match is None:
            raise ValueError(f"{segment!r} is not a segment of a path")
        below = Section(path=f"{self.path}.{segment}" if self.path else segment)
        name, tag = match["name"], match["tag"]
        if match["list"] is None:
            return self.sections.setdefault(name, below)
        if not tag:
            return self.lists.setdefault(name, below)
        return self.tagged.setdefault(name, {}).setdefault(tag, below)


def _grow(rows: tuple[Row, ...]) -> Section:
    root = Section(path="")
    for row in rows:
        section = root
        *parents, name = row.path.split(".")
        for segment in parents:
            section = section.grow(segment)
        section.rows[name] = row
    return root


ROOT = _grow(ROWS)
