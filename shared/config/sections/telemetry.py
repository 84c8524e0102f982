"""Section `telemetry`: metrics for Prometheus, and exports over OTLP."""

from typing import Annotated, Literal

import msgspec

from longshore.shared.config.keys import Key
from longshore.shared.config.text_types import FilePath, HeaderName, HttpUrl, Text
from longshore.shared.config.value_types import POSITIVE, MapOf


class Prometheus(msgspec.Struct, frozen=True, kw_only=True):
    """Metrics for Prometheus."""

    enabled: Annotated[bool, Key("Serves `/metrics` on the admin port.")] = True


class Traces(msgspec.Struct, frozen=True, kw_only=True):
    """Traces of requests and jobs."""

    sample_ratio: Annotated[float, Key("Fraction of requests that are traced if the caller has not decided.")] = 0.05


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """Section `telemetry`."""

    prometheus: Prometheus = Prometheus()
    enabled: Annotated[bool, Key("Exports metrics and traces over OTLP.")] = False
    transport: Annotated[Literal["grpc", "http"], Key("OTLP transport.")] = "grpc"
    endpoint: Annotated[str | None, HttpUrl(), Key(
        "URL of the collector. Null: the collector on this host. With http, `/v1/metrics`, `/v1/traces` and `/v1/logs` "
        "are appended.")] = None
    logs_endpoint: Annotated[str | None, HttpUrl(), Key("URL of the collector of logs. Null: `endpoint`.")] = None
    insecure: Annotated[bool, Key("Disables TLS for grpc, unless the URL begins with `https:`.")] = True
    ca_file: Annotated[str | None, FilePath(blank=True), Key(
        "PEM file of the certificate authorities that verify the collector's certificate.")] = None
    headers: Annotated[dict[str, str], MapOf(key=HeaderName(any_header=True), value=Text(blank=True)), Key(
        "Headers of every export.", secret=True)] = {}
    export_interval_seconds: Annotated[int, POSITIVE, Key("Interval of metric exports.")] = 15
    export_timeout_seconds: Annotated[int, POSITIVE, Key("Timeout of one export.")] = 10
    max_queue_size: Annotated[int, POSITIVE, Key("Maximum number of queued spans, and of queued log lines.")] = 5000
    queue_batch_size: Annotated[int, POSITIVE, Key("Maximum number of spans, or of log lines, in one export.")] = 256
    periodic_flush_seconds: Annotated[int, POSITIVE, Key("Interval of span and log exports.")] = 5
    shutdown_drain_timeout_seconds: Annotated[int, POSITIVE, Key("Total timeout of the last export at shutdown.")] = 10
    log_batch_max_queue_size: Annotated[int | None, POSITIVE, Key("Overrides `max_queue_size` for log lines.")] = None
    log_batch_max_export_batch_size: Annotated[int | None, POSITIVE, Key(
        "Overrides `queue_batch_size` for log lines.")] = None
    log_batch_schedule_delay_millis: Annotated[int | None, POSITIVE, Key(
        "Overrides `periodic_flush_seconds` for log lines.")] = None
    log_batch_export_timeout_millis: Annotated[int | None, POSITIVE, Key(
        "Overrides `export_timeout_seconds` for log lines.")] = None
    drop_on_queue_full: Annotated[bool, Key(
        "Drops items when the queue is full.",
        superseded_by="nothing waits for the collector: items that do not fit are dropped and counted")] = True
    flush_on_shutdown: Annotated[bool, Key("Exports once more at shutdown.")] = True
    flush_on_terminate: Annotated[bool, Key(
        "Exports once more after SIGTERM.",
        superseded_by="`telemetry.flush_on_shutdown` applies to every orderly shutdown")] = True
    emit_logs: Annotated[bool, Key("Exports log lines too.")] = False
    service_name: Annotated[str, Key("Resource attribute `service.name` of exports.")] = "longshore"
    service_namespace: Annotated[str | None, Text(blank=True), Key(
        "Resource attribute `service.namespace` of exports.")] = None
    traces: Traces = Traces()
