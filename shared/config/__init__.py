"""Configuration: typed sections, the table of keys, and the loader."""

from shared.config.config import Config
from shared.config.core import (
    Auth,
    Core,
    Cors,
    Defaults,
    NamedToken,
    ToolDefinitionPinning,
    ToolDescriptionPolicy,
    ToolMetadataSanitization,
    UpstreamPing,
)
from shared.config.faults import ConfigError, Fault, Notice
from shared.config.load import REDIS_URL_VARIABLE, find_config, load_config, require_shared_redis
from shared.config.servers import (
    Adapter,
    ArtifactProducer,
    ClientHeaders,
    OutputLocator,
    Server,
    ServerToolDefinitionPinning,
    ServerToolDescriptionPolicy,
    ServerToolMetadataSanitization,
    ServerUpstreamPing,
    ToolDefaults,
    UploadConsumer,
    Upstream,
)
from shared.config.state import Disk, Reconciliation, Redis, Sentinel, StatePersistence, Wal
from shared.config.storage import Artifacts, Files, Sessions, Storage, Uploads
from shared.config.telemetry import Prometheus, Telemetry, Traces

__all__ = [
    "REDIS_URL_VARIABLE",
    "Adapter",
    "ArtifactProducer",
    "Artifacts",
    "Auth",
    "ClientHeaders",
    "Config",
    "ConfigError",
    "Core",
    "Cors",
    "Defaults",
    "Disk",
    "Fault",
    "Files",
    "NamedToken",
    "Notice",
    "OutputLocator",
    "Prometheus",
    "Reconciliation",
    "Redis",
    "Sentinel",
    "Server",
    "ServerToolDefinitionPinning",
    "ServerToolDescriptionPolicy",
    "ServerToolMetadataSanitization",
    "ServerUpstreamPing",
    "Sessions",
    "StatePersistence",
    "Storage",
    "Telemetry",
    "ToolDefaults",
    "ToolDefinitionPinning",
    "ToolDescriptionPolicy",
    "ToolMetadataSanitization",
    "Traces",
    "UploadConsumer",
    "Uploads",
    "Upstream",
    "UpstreamPing",
    "Wal",
    "find_config",
    "load_config",
    "require_shared_redis",
]
