"""The `telemetry` section: metrics for Prometheus, and exports by OTLP."""

from typing import Literal

import msgspec

OtlpTransport = Literal["grpc", "http"]


class Prometheus(msgspec.Struct, frozen=True, kw_only=True):
    """`/metrics` on the admin port."""

    enabled: bool = True


class Traces(msgspec.Struct, frozen=True, kw_only=True):
    """Spans of requests and jobs."""

    sample_ratio: float = 0.05


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """What longshore reports about itself, and where to."""

    enabled: bool = False
    transport: OtlpTransport = "grpc"
    endpoint: str | None = None
    logs_endpoint: str | None = None
    insecure: bool = True
    ca_file: str | None = None
    headers: dict[str, str] = {}
    export_interval_seconds: int = 15
    export_timeout_seconds: int = 10
    max_queue_size: int = 5000
    queue_batch_size: int = 256
    periodic_flush_seconds: int = 5
    shutdown_drain_timeout_seconds: int = 10
    log_batch_max_queue_size: int | None = None
    log_batch_max_export_batch_size: int | None = None
    log_batch_schedule_delay_millis: int | None = None
    log_batch_export_timeout_millis: int | None = None
    drop_on_queue_full: bool = True
    flush_on_shutdown: bool = True
    flush_on_terminate: bool = True
    emit_logs: bool = False
    service_name: str = "longshore"
    service_namespace: str | None = None
    prometheus: Prometheus = Prometheus()
    traces: Traces = Traces()
