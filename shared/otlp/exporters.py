"""The SDK's OTLP exporters as the configuration has them, for http and grpc."""

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import grpc  # type: ignore[import-untyped]
import requests
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace.export import SpanExporter

from longshore.shared.config import Telemetry
from longshore.shared.errors import Refused

_SIGNALS = ("traces", "metrics", "logs")


def endpoint(config: Telemetry, signal: str) -> str:
    """Where a signal goes. Over http, an endpoint that ends in `/v1/<signal>` stands for its siblings too,
    any other is what `/v1/<signal>` is appended to; `logs_endpoint` is taken as it is."""
    if signal == "logs" and config.logs_endpoint is not None:
        return config.logs_endpoint
    if config.transport == "grpc":
        return config.endpoint or "http://localhost:4317"
    url = urlsplit(config.endpoint or "http://localhost:4318")
    path = url.path.rstrip("/")
    for known in _SIGNALS:
        path = path.removesuffix(f"/v1/{known}")
    return urlunsplit(url._replace(path=f"{path}/v1/{signal}"))


def spans(config: Telemetry) -> SpanExporter:
    """Sends spans. Raises Refused for a `ca_file` that is none, as all of these do."""
    if config.transport == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc

        return OverGrpc(**_grpc(config, "traces"))
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp

    return OverHttp(**_http(config, "traces"))


def metrics(config: Telemetry) -> MetricExporter:
    """Sends metrics."""
    if config.transport == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as OverGrpc

        return OverGrpc(**_grpc(config, "metrics"))
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as OverHttp

    return OverHttp(**_http(config, "metrics"))


def logs(config: Telemetry) -> LogRecordExporter:
    """Sends log lines."""
    timeout_ms = config.log_batch_export_timeout_millis
    within_s = config.export_timeout_seconds if timeout_ms is None else timeout_ms / 1000
    if config.transport == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as OverGrpc

        return OverGrpc(**_grpc(config, "logs") | {"timeout": within_s})
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as OverHttp

    return OverHttp(**_http(config, "logs") | {"timeout": within_s})


def _http(config: Telemetry, signal: str) -> dict[str, Any]:
    _ = _authorities(config)    # the exporter would find out with its first export
    session = requests.Session()
    session.trust_env = not config.ca_file      # REQUESTS_CA_BUNDLE would win over the file
    return {
        "endpoint": endpoint(config, signal), "headers": dict(config.headers),
        "timeout": config.export_timeout_seconds, "certificate_file": config.ca_file or None,
        "session": session,
    }


def _grpc(config: Telemetry, signal: str) -> dict[str, Any]:
    # The exporter takes the scheme's word over `insecure`: an address without one leaves it to the key.
    url = endpoint(config, signal)
    secure = url.startswith("https://") or not config.insecure
    headers = tuple((name.lower(), value) for name, value in config.headers.items())   # gRPC takes no capitals
    return {
        "endpoint": url.partition("://")[2], "insecure": not secure, "headers": headers,
        "timeout": config.export_timeout_seconds,
        "credentials": grpc.ssl_channel_credentials(_authorities(config)) if secure else None,
    }


def _authorities(config: Telemetry) -> bytes | None:
    """What `telemetry.ca_file` holds; None for the authorities that the exporters bring along."""
    if not config.ca_file:
        return None
    try:
        ssl.create_default_context(cafile=config.ca_file)   # gRPC would accept any text and trust nobody
        return Path(config.ca_file).read_bytes()
    except OSError as err:
        why = err.strerror or "it holds no certificate in PEM"
        raise Refused(f"telemetry.ca_file {config.ca_file} cannot be used: {why}") from err
