"""OTLP exporters of the SDK for http and grpc, created from the `telemetry` section."""

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
    """Return the URL of a signal. Over http, `/v1/<signal>` replaces the path of another signal or is appended.

    `logs_endpoint` is used unchanged.
    """
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
    """Create the exporter of spans. Raises Refused for an unusable `ca_file`, like `metrics` and `logs`."""
    if config.transport == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc

        return OverGrpc(**_grpc(config, "traces"))
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp

    return OverHttp(**_http(config, "traces"))


def metrics(config: Telemetry) -> MetricExporter:
    """Create the exporter of metrics."""
    if config.transport == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as OverGrpc

        return OverGrpc(**_grpc(config, "metrics"))
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as OverHttp

    return OverHttp(**_http(config, "metrics"))


def logs(config: Telemetry) -> LogRecordExporter:
    """Create the exporter of log lines."""
    timeout_ms = config.log_batch_export_timeout_millis
    timeout_s = config.export_timeout_seconds if timeout_ms is None else timeout_ms / 1000
    if config.transport == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as OverGrpc

        return OverGrpc(**_grpc(config, "logs") | {"timeout": timeout_s})
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as OverHttp

    return OverHttp(**_http(config, "logs") | {"timeout": timeout_s})


def _http(config: Telemetry, signal: str) -> dict[str, Any]:
    _ = _authorities(config)    # else only the first export would fail
    session = requests.Session()
    session.trust_env = not config.ca_file      # REQUESTS_CA_BUNDLE would win over the file
    return {
        "endpoint": endpoint(config, signal), "headers": dict(config.headers),
        "timeout": config.export_timeout_seconds, "certificate_file": config.ca_file or None,
        "session": session,
    }


def _grpc(config: Telemetry, signal: str) -> dict[str, Any]:
    # The URL's scheme wins over `insecure`, which counts for an address without a scheme.
    url = endpoint(config, signal)
    secure = url.startswith("https://") or not config.insecure
    headers = tuple((name.lower(), value) for name, value in config.headers.items())   # gRPC allows no upper case
    return {
        "endpoint": url.partition("://")[2], "insecure": not secure, "headers": headers,
        "timeout": config.export_timeout_seconds,
        "credentials": grpc.ssl_channel_credentials(_authorities(config)) if secure else None,
    }


def _authorities(config: Telemetry) -> bytes | None:
    """Read `telemetry.ca_file`; None for the certificate authorities that the exporters bring along."""
    if not config.ca_file:
        return None
    try:
        ssl.create_default_context(cafile=config.ca_file)   # gRPC would accept any text and then trust no server
        return Path(config.ca_file).read_bytes()
    except OSError as err:
        why = err.strerror or "it holds no certificate in PEM"
        raise Refused(f"telemetry.ca_file {config.ca_file} cannot be used: {why}") from err
