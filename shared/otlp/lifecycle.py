"""Telemetry of one process for as long as it runs. OpenTelemetry is imported only where it is switched on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from longshore.shared.config import Config
from longshore.shared.tracing import Traces


@asynccontextmanager
async def exporting(config: Config, registry: CollectorRegistry, *, role: str) -> AsyncIterator[Traces | None]:
    """Export while the block runs, and once more when it is left; yields what begins traces, None when it is off."""
    if not config.telemetry.enabled:
        yield None
        return
    from longshore.shared.otlp.export import Export

    export = Export(config, registry, role=role)
    try:
        yield export.traces
    finally:
        await asyncio.to_thread(export.close)
