"""Start and end of the OTLP export of a process. OpenTelemetry is imported only if `telemetry` is enabled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from longshore.shared.config import Config
from longshore.shared.tracing import Traces


@asynccontextmanager
async def export_telemetry(config: Config, registry: CollectorRegistry, *, role: str) -> AsyncIterator[Traces | None]:
    """Export inside the block and once more at its end; yields the source of spans, None when telemetry is off."""
    if not config.telemetry.enabled:
        yield None
        return
    from longshore.shared.otlp.export import Export

    export = Export(config, registry, role=role)
    try:
        yield export.traces
    finally:
        await asyncio.to_thread(export.close)
