"""The `telemetry` section: metrics for Prometheus, and exports by OTLP."""

from typing import Annotated, Literal

import msgspec

from longshore.shared.config.keys import Key
from longshore.shared.config.text_types import FilePath, HeaderName, HttpUrl, Text
from longshore.shared.config.value_types import POSITIVE, MapOf


class Prometheus(msgspec.Struct, frozen=True, kw_only=True):
    """`/metrics` on the admin port."""

    enabled: Annotated[bool, Key("Serves `/metrics` on the admin listener.")] = True


class Traces(msgspec.Struct, frozen=True, kw_only=True):
    """Spans of requests and jobs."""

    sample_ratio: Annotated[float, Key(
        "The share of requests that are traced where the caller has not decided.")] = 0.05


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """What longshore reports about itself, and where to."""

    prometheus: Prometheus = Prometheus()
    enabled: Annotated[bool, Key("Exports metrics and traces by OTLP.")] = False
    transport: Annotated[Literal["grpc", "http"], Key("How.")] = "grpc"
    endpoint: Annotated[str | None, HttpUrl(), Key(
        "Where to. Null: the collector on this host. Over http `/v1/metrics`, `/v1/traces` and `/v1/logs` below "
        "it.")] = None
    logs_endpoint: Annotated[str | None, HttpUrl(), Key("Where logs go. Null: where the rest goes.")] = None
    insecure: Annotated[bool, Key("Without TLS, over grpc to an address that is not `https:`.")] = True
    ca_file: Annotated[str | None, FilePath(blank=True), Key(
        "Certificates of the authorities that may vouch for the collector, in PEM.")] = None
    headers: Annotated[dict[str, str], MapOf(key=HeaderName(any_header=True), value=Text(blank=True)), Key(
        "Headers of each export.", secret=True)] = {}
    export_interval_seconds: Annotated[int, POSITIVE, Key("How often metrics are exported.")] = 15
    export_timeout_seconds: Annotated[int, POSITIVE, Key("How long one export may take.")] = 10
    max_queue_size: Annotated[int, POSITIVE, Key("Spans that may wait, and log lines.")] = 5000
    queue_batch_size: Annotated[int, POSITIVE, Key("Spans sent together, and log lines.")] = 256
    periodic_flush_seconds: Annotated[int, POSITIVE, Key("How often those that wait are sent.")] = 5
    shutdown_drain_timeout_seconds: Annotated[int, POSITIVE, Key("How long the last export may take in all.")] = 10
    log_batch_max_queue_size: Annotated[int | None, POSITIVE, Key("Log lines that may wait, if not as many.")] = None
    log_batch_max_export_batch_size: Annotated[int | None, POSITIVE, Key(
        "Log lines sent together, if not as many.")] = None
    log_batch_schedule_delay_millis: Annotated[int | None, POSITIVE, Key(
        "Time between two sendings of log lines, if not the same.")] = None
    log_batch_export_timeout_millis: Annotated[int | None, POSITIVE, Key(
        "How long one sending of log lines may take, if not as long.")] = None
    drop_on_queue_full: Annotated[bool, Key(
        "Drops rather than waits.",
        superseded_by="nothing waits for a collector: what does not fit is dropped and counted")] = True
    flush_on_shutdown: Annotated[bool, Key("Exports once more at the end.")] = True
    flush_on_terminate: Annotated[bool, Key(
        "The same after SIGTERM.",
        superseded_by="every orderly end is the same: `telemetry.flush_on_shutdown` decides")] = True
    emit_logs: Annotated[bool, Key("Exports log lines too.")] = False
    service_name: Annotated[str, Key("The name that exports carry.")] = "longshore"
    service_namespace: Annotated[str | None, Text(blank=True), Key("Their namespace.")] = None
    traces: Traces = Traces()
