"""Rows of the `telemetry` section."""

from shared.config.kinds import Choice, MapOf, Ratio, Switch
from shared.config.row import LATER, WORKS, Row
from shared.config.surface_core import AT_LEAST_ONE, ON_OFF, ONE_OR_NULL
from shared.config.words import HeaderName, HttpUrl, Text

_HEADERS = MapOf(key=HeaderName(free=True), value=Text(blank=True))

ROWS = (
    Row("telemetry.prometheus.enabled", WORKS, ON_OFF, True, "Serves `/metrics` on the admin listener."),
    Row("telemetry.enabled", LATER, ON_OFF, False, "Exports metrics by OTLP."),
    Row("telemetry.transport", LATER, Choice(words=("grpc", "http")), "grpc", "How."),
    Row("telemetry.endpoint", LATER, HttpUrl(nullable=True), None, "Where to. Null: the collector on this host."),
    Row("telemetry.logs_endpoint", LATER, HttpUrl(nullable=True), None, "Where logs go."),
    Row("telemetry.insecure", LATER, ON_OFF, True, "Without TLS."),
    Row("telemetry.headers", LATER, _HEADERS, {}, "Headers of each export.", secret=True),
    Row("telemetry.export_interval_seconds", LATER, AT_LEAST_ONE, 15, "How often."),
    Row("telemetry.export_timeout_seconds", LATER, AT_LEAST_ONE, 10, "How long one export may take."),
    Row("telemetry.max_queue_size", LATER, AT_LEAST_ONE, 5000, "Events that may wait."),
    Row("telemetry.queue_batch_size", LATER, AT_LEAST_ONE, 256, "Events handled together."),
    Row("telemetry.periodic_flush_seconds", LATER, AT_LEAST_ONE, 5, "How often waiting events are handled."),
    Row("telemetry.shutdown_drain_timeout_seconds", LATER, AT_LEAST_ONE, 10, "How long the last export may take."),
    Row("telemetry.log_batch_max_queue_size", LATER, ONE_OR_NULL, None, "Log lines that may wait."),
    Row("telemetry.log_batch_max_export_batch_size", LATER, ONE_OR_NULL, None, "Log lines sent together."),
    Row("telemetry.log_batch_schedule_delay_millis", LATER, ONE_OR_NULL, None, "Time between two sendings."),
    Row("telemetry.log_batch_export_timeout_millis", LATER, ONE_OR_NULL, None, "How long one sending may take."),
    Row("telemetry.drop_on_queue_full", LATER, ON_OFF, True, "Drops events rather than waiting.", off=(False,)),
    Row("telemetry.flush_on_shutdown", LATER, ON_OFF, True, "Exports once more at the end.", off=(False,)),
    Row("telemetry.flush_on_terminate", LATER, ON_OFF, True, "The same after SIGTERM.", off=(False,)),
    Row("telemetry.emit_logs", LATER, Switch(), False, "Exports logs too."),
    Row("telemetry.service_name", LATER, Text(), "longshore", "The name that exports carry."),
    Row("telemetry.service_namespace", LATER, Text(blank=True, nullable=True), None, "Their namespace."),
    Row("telemetry.traces.sample_ratio", LATER, Ratio(), 0.05, "The share of requests that are traced.", off=(0.0,)),
)
