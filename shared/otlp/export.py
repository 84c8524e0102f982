"""OTLP export of one process: spans, metrics and log lines. Created once at start-up, closed last.

Each signal has its own thread and a bounded queue: a collector that hangs, refuses or is unreachable costs data,
which `longshore_telemetry_dropped_total` counts, and never a request.
"""

import logging
import threading

from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExportResult
from prometheus_client import CollectorRegistry, Counter

from longshore.shared.clock import monotonic_s, now_ns
from longshore.shared.config import Config, Telemetry
from longshore.shared.ids import new_id
from longshore.shared.otlp import exporters, metrics
from longshore.shared.otlp.batches import Batches, Bounds
from longshore.shared.otlp.logs import Line, OtlpHandler
from longshore.shared.otlp.spans import RecordedSpan, RecordedTraces
from longshore.shared.version import running_version


class Export:
    """Exporters of all signals. `role` is `gateway` or `worker`."""

    def __init__(self, config: Config, registry: CollectorRegistry, *, role: str) -> None:
        telemetry = self._config = config.telemetry
        dropped = Counter(
            "longshore_telemetry_dropped_total", "Spans, log lines and metric exports that were dropped.", ["signal"],
            registry=registry,
        )
        resource = _resource(telemetry, role)
        spans = exporters.spans(telemetry)
        self._spans: Batches[RecordedSpan] = Batches(
            lambda batch: spans.export(
                [span.readable(resource) for span in batch if span.is_recorded]
            ) is SpanExportResult.SUCCESS,
            _bounds(telemetry), dropped.labels("traces"), name="traces",
        )
        self.traces = RecordedTraces(self._spans, telemetry.traces.sample_ratio)
        self._metrics = _Metrics(telemetry, registry, resource, dropped.labels("metrics"))
        self._logs = _logs(telemetry, resource, dropped.labels("logs")) if telemetry.emit_logs else None
        self._handler: OtlpHandler | None = None
        if self._logs is not None:
            self._handler = OtlpHandler(self._logs, config.secrets(), headers=config.secret_headers())
            logging.getLogger().addHandler(self._handler)

    def close(self) -> None:
        """Export the queues, within `telemetry.shutdown_drain_timeout_seconds`. Blocks: not for the event loop."""
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
        flush = self._config.flush_on_shutdown
        until_s = monotonic_s() + (self._config.shutdown_drain_timeout_seconds if flush else 0)
        closing = [
            threading.Thread(target=part.close, kwargs={"until_s": until_s, "flush": flush}, daemon=True)
            for part in (self._spans, self._metrics, self._logs) if part is not None
        ]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()


class _Metrics:
    """Exports the registry once an interval, and once more at the end."""

    def __init__(
        self, config: Telemetry, registry: CollectorRegistry, resource: Resource, dropped: Counter
    ) -> None:
        self._exporter = exporters.metrics(config)
        self._registry = registry
        self._resource = resource
        self._dropped = dropped
        self._every_s = config.export_interval_seconds
        self._since_ns = now_ns()
        self._ended = threading.Event()
        self._flush = True
        self._thread = threading.Thread(target=self._run, name="otlp_metrics", daemon=True)
        self._thread.start()

    def close(self, *, until_s: float, flush: bool) -> None:
        self._flush = flush
        self._ended.set()
        self._thread.join(max(0.0, until_s - monotonic_s()))

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self._send()
        if self._flush:
            self._send()

    def _send(self) -> None:
        try:
            at_ns = now_ns()
            since_ns = min(self._since_ns, at_ns)   # no interval ends before its start after the clock was set back
            data = metrics.read(self._registry, self._resource, since_ns=since_ns, now_ns=at_ns)
            sent = self._exporter.export(data) is MetricExportResult.SUCCESS
        except Exception:  # noqa: BLE001  (as in Batches: the thread survives)
            sent = False
        if not sent:
            self._dropped.inc()


def _logs(config: Telemetry, resource: Resource, dropped: Counter) -> Batches[Line]:
    exporter = exporters.logs(config)
    delay_ms = config.log_batch_schedule_delay_millis
    bounds = Bounds(
        max_waiting=config.log_batch_max_queue_size or config.max_queue_size,
        batch_size=config.log_batch_max_export_batch_size or config.queue_batch_size,
        every_s=config.periodic_flush_seconds if delay_ms is None else delay_ms / 1000,
    )
    return Batches(
        lambda batch: exporter.export([line.readable(resource) for line in batch]) is LogRecordExportResult.SUCCESS,
        bounds, dropped, name="logs",
    )


def _bounds(config: Telemetry) -> Bounds:
    return Bounds(
        max_waiting=config.max_queue_size, batch_size=config.queue_batch_size, every_s=config.periodic_flush_seconds
    )


def _resource(config: Telemetry, role: str) -> Resource:
    attributes = {
        "service.name": config.service_name, "service.version": running_version(), "service.instance.id": new_id(),
        "longshore.role": role,
    }
    if config.service_namespace:
        attributes["service.namespace"] = config.service_namespace
    return Resource(attributes)
