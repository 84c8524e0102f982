"""Log lines as OTLP records: the same events as on the console, with the same secrets hidden."""

import logging
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import msgspec
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from longshore.shared import log, tracing
from longshore.shared.otlp.batches import Batches
from longshore.shared.otlp.spans import parent_of

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_SCOPE = InstrumentationScope("longshore")
_SEVERITIES = (
    (logging.CRITICAL, SeverityNumber.FATAL), (logging.ERROR, SeverityNumber.ERROR),
    (logging.WARNING, SeverityNumber.WARN), (logging.INFO, SeverityNumber.INFO),
)
_OWN_CAUSE = ("opentelemetry", "grpc", "urllib3", "requests")   # a log line about an export must not cause an export


class Line(NamedTuple):
    """Log event as on the console, with the fields that only the collector gets."""

    text: str           # JSON, secrets hidden
    created_s: float
    level: int
    traceparent: str

    def readable(self, resource: Resource) -> ReadableLogRecord:
        """Convert to the SDK's log record."""
        fields = _decode(self.text)
        body = str(fields.pop("event", ""))
        for name in ("timestamp", "level"):
            fields.pop(name, None)
        nanoseconds = int(self.created_s * 1_000_000) * 1000
        made = LogRecord(
            timestamp=nanoseconds, observed_timestamp=nanoseconds, context=_context(self.traceparent),
            severity_text=logging.getLevelName(self.level), severity_number=_severity(self.level), body=body,
            attributes={name: value for name, value in fields.items() if value is not None},
        )
        return ReadableLogRecord(made, resource, _SCOPE)


class OtlpHandler(logging.Handler):
    """Logging handler that queues every event for export. Never waits; the export thread builds the record."""

    def __init__(self, batches: Batches[Line], secrets: Iterable[str], *, headers: Collection[str] = ()) -> None:
        super().__init__()
        self._batches = batches
        self._text = log.json_lines(secrets, headers=headers)

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in _OWN_CAUSE:
            return
        try:
            line = Line(self._text(record), record.created, record.levelno, tracing.traceparent())
        except Exception:  # noqa: BLE001  (as on the console: an event that cannot be rendered is lost alone)
            self._batches.count_lost()
            return
        self._batches.put(line)


def _context(traceparent: str) -> Context:
    parent = parent_of(traceparent)
    if parent is None:
        return set_span_in_context(NonRecordingSpan(SpanContext(0, 0, False, TraceFlags())), Context())
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _severity(level: int) -> SeverityNumber:
    return next((number for least, number in _SEVERITIES if level >= least), SeverityNumber.DEBUG)
