"""Configuration file: typed sections, schema and loader."""

from longshore.shared.config.config import Config
from longshore.shared.config.faults import ConfigError, Fault, Notice
from longshore.shared.config.load import REDIS_URL_VARIABLE, find_config, load_config, require_shared_redis
from longshore.shared.config.sections.auth import Auth, Introspection, NamedToken, OAuth
from longshore.shared.config.sections.core import Core, Defaults, Network
from longshore.shared.config.sections.limits import Limit, Limits
from longshore.shared.config.sections.servers import (
    ArtifactProducer,
    ClientHeaders,
    OutputLocator,
    Server,
    ToolDefaults,
    UploadConsumer,
    Upstream,
)
from longshore.shared.config.sections.state_persistence import (
    Reconciliation,
    ReconciliationMode,
    Redis,
    Sentinel,
    StatePersistence,
)
from longshore.shared.config.sections.storage import Artifacts, Sessions, Storage, Uploads
from longshore.shared.config.sections.telemetry import Prometheus, Telemetry

__all__ = [
    "REDIS_URL_VARIABLE", "ArtifactProducer", "Artifacts", "Auth", "ClientHeaders", "Config", "ConfigError", "Core",
    "Defaults", "Fault", "Introspection", "Limit", "Limits", "NamedToken", "Network", "Notice", "OAuth",
    "OutputLocator", "Prometheus", "Reconciliation", "ReconciliationMode", "Redis", "Sentinel", "Server",
    "Sessions", "StatePersistence", "Storage", "Telemetry", "ToolDefaults", "UploadConsumer", "Uploads", "Upstream",
    "find_config", "load_config", "require_shared_redis",
]
