"""Rows of the `telemetry` section."""

from longshore.shared.config.kinds import Choice, MapOf, Ratio, Switch
from longshore.shared.config.row import SUPERSEDED, WORKS, Row
from longshore.shared.config.surface_core import AT_LEAST_ONE, ON_OFF, ONE_OR_NULL
from longshore.shared.config.words import Folder, HeaderName, HttpUrl, Text

_HEADERS = MapOf(key=HeaderName(free=True), value=Text(blank=True))

ROWS = (
    Row("telemetry.prometheus.enabled", WORKS, ON_OFF, True, "Serves `/metrics` on the admin listener."),
    Row("telemetry.enabled", WORKS, ON_OFF, False, "Exports metrics and traces by OTLP."),
    Row("telemetry.transport", WORKS, Choice(words=("grpc", "http")), "grpc", "How."),
    Row(
        "telemetry.endpoint", WORKS, HttpUrl(nullable=True), None,
        "Where to. Null: the collector on this host. Over http `/v1/metrics`, `/v1/traces` and `/v1/logs` below it.",
    ),
    Row("telemetry.logs_endpoint", WORKS, HttpUrl(nullable=True), None, "Where logs go. Null: where the rest goes."),
    Row("telemetry.insecure", WORKS, ON_OFF, True, "Without TLS, over grpc to an address that is not `https:`."),
    Row(
        "telemetry.ca_file", WORKS, Folder(blank=True, nullable=True), None,
        "Certificates of the authorities that may vouch for the collector, in PEM.",
    ),
    Row("telemetry.headers", WORKS, _HEADERS, {}, "Headers of each export.", secret=True),
    Row("telemetry.export_interval_seconds", WORKS, AT_LEAST_ONE, 15, "How often metrics are exported."),
    Row("telemetry.export_timeout_seconds", WORKS, AT_LEAST_ONE, 10, "How long one export may take."),
    Row("telemetry.max_queue_size", WORKS, AT_LEAST_ONE, 5000, "Spans that may wait, and log lines."),
    Row("telemetry.queue_batch_size", WORKS, AT_LEAST_ONE, 256, "Spans sent together, and log lines."),
    Row("telemetry.periodic_flush_seconds", WORKS, AT_LEAST_ONE, 5, "How often those that wait are sent."),
    Row(
        "telemetry.shutdown_drain_timeout_seconds", WORKS, AT_LEAST_ONE, 10,
        "How long the last export may take in all.",
    ),
    Row("telemetry.log_batch_max_queue_size", WORKS, ONE_OR_NULL, None, "Log lines that may wait, if not as many."),
    Row(
        "telemetry.log_batch_max_export_batch_size", WORKS, ONE_OR_NULL, None,
        "Log lines sent together, if not as many.",
    ),
    Row(
        "telemetry.log_batch_schedule_delay_millis", WORKS, ONE_OR_NULL, None,
        "Time between two sendings of log lines, if not the same.",
    ),
    Row(
        "telemetry.log_batch_export_timeout_millis", WORKS, ONE_OR_NULL, None,
        "How long one sending of log lines may take, if not as long.",
    ),
    Row(
        "telemetry.drop_on_queue_full", SUPERSEDED, ON_OFF, True, "Drops rather than waits.",
        instead="nothing waits for a collector: what does not fit is dropped and counted",
    ),
    Row("telemetry.flush_on_shutdown", WORKS, ON_OFF, True, "Exports once more at the end."),
    Row(
        "telemetry.flush_on_terminate", SUPERSEDED, ON_OFF, True, "The same after SIGTERM.",
        instead="every orderly end is the same: `telemetry.flush_on_shutdown` decides",
    ),
    Row("telemetry.emit_logs", WORKS, Switch(), False, "Exports log lines too."),
    Row("telemetry.service_name", WORKS, Text(), "longshore", "The name that exports carry."),
    Row("telemetry.service_namespace", WORKS, Text(blank=True, nullable=True), None, "Their namespace."),
    Row(
        "telemetry.traces.sample_ratio", WORKS, Ratio(), 0.05,
        "The share of requests that are traced where the caller has not decided.",
    ),
)
