"""Collectors behind TLS: verified with the authorities that the configuration names, over http and grpc."""

from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanContext, TraceFlags

from longshore.shared.config import Telemetry
from longshore.shared.errors import Refused
from longshore.shared.otlp import exporters
from tests.fixtures.certificates import SelfSigned, self_signed
from tests.fixtures.collector import Collector, over_grpc, over_http

_CONTEXT = SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
_SPAN = ReadableSpan("call", _CONTEXT, resource=Resource({}), start_time=1, end_time=2)


def _collector(transport: str, certificate: SelfSigned) -> AbstractContextManager[Collector]:
    if transport == "http":
        return over_http(tls=certificate.server())
    return over_grpc(certificate=certificate.file)


def _telemetry(transport: str, url: str, ca_file: Path | None) -> Telemetry:
    return Telemetry(
        transport=transport,    # type: ignore[arg-type]
        endpoint=url, ca_file=None if ca_file is None else str(ca_file), export_timeout_seconds=2,
    )


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_a_collector_with_a_certificate_of_a_private_authority_is_trusted(tmp_path: Path, transport: str) -> None:
    certificate = self_signed(tmp_path)
    with _collector(transport, certificate) as collector:
        exporter = exporters.spans(_telemetry(transport, collector.url, certificate.file))
        result = exporter.export([_SPAN])
        exporter.shutdown()

    assert result is SpanExportResult.SUCCESS
    assert len(collector.requests["traces"]) == 1


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_an_untrusted_collector_gets_nothing(tmp_path: Path, transport: str) -> None:
    certificate = self_signed(tmp_path)
    with _collector(transport, certificate) as collector:
        exporter = exporters.spans(_telemetry(transport, collector.url, None))
        result = exporter.export([_SPAN])
        exporter.shutdown()

    assert result is SpanExportResult.FAILURE
    assert collector.requests["traces"] == []


@pytest.mark.parametrize("transport", ["http", "grpc"])
@pytest.mark.parametrize("text", [None, "no certificate"])
def test_an_unusable_ca_file_is_refused_at_start(tmp_path: Path, transport: str, text: str | None) -> None:
    file = tmp_path / "authority.pem"
    if text is not None:
        file.write_text(text)

    with pytest.raises(Refused, match=r"telemetry\.ca_file .* cannot be used"):
        exporters.spans(_telemetry(transport, "https://localhost:1", file))
