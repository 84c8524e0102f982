"""Log lines as OTLP records: the same events with the same things hidden as on the console."""

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from shared import log, tracing
from shared.otlp.batches import Batches
from shared.otlp.messages import SCOPE, pairs
from shared.otlp.parent import parent_of

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_SEVERITIES = (
    (logging.CRITICAL, SeverityNumber.SEVERITY_NUMBER_FATAL), (logging.ERROR, SeverityNumber.SEVERITY_NUMBER_ERROR),
    (logging.WARNING, SeverityNumber.SEVERITY_NUMBER_WARN), (logging.INFO, SeverityNumber.SEVERITY_NUMBER_INFO),
)
_OWN_CAUSE = ("opentelemetry", "grpc", "urllib3", "requests")   # a line about an export must not cause an export


class Line(NamedTuple):
    """One event as the console has it, and what the collector is told beside it."""

    text: str           # JSON, secrets hidden
    created_s: float
    level: int
    traceparent: str

    def record(self) -> LogRecord:
        """What a collector takes."""
        fields = _decode(self.text)
        body = str(fields.pop("event", ""))
        for name in ("timestamp", "level"):
            fields.pop(name, None)
        nanoseconds = int(self.created_s * 1_000_000) * 1000
        parent = parent_of(self.traceparent) if self.traceparent else None
        return LogRecord(
            time_unix_nano=nanoseconds, observed_time_unix_nano=nanoseconds, severity_number=_severity(self.level),
            severity_text=logging.getLevelName(self.level), body=AnyValue(string_value=body),
            attributes=pairs(fields.items()), trace_id=b"" if parent is None else parent.trace_id,
            span_id=b"" if parent is None else parent.span_id, flags=0 if parent is None else 1,
        )


def encoded(lines: Sequence[Line], resource: Resource) -> bytes:
    """One export."""
    scope = ScopeLogs(scope=SCOPE, log_records=[line.record() for line in lines])
    request = ExportLogsServiceRequest(resource_logs=[ResourceLogs(resource=resource, scope_logs=[scope])])
    body: bytes = request.SerializeToString()
    return body


class OtlpHandler(logging.Handler):
    """Hands every event over for export. Never waits; all but the text is made where it is exported."""

    def __init__(self, batches: Batches[Line], secrets: Iterable[str], *, headers: Collection[str] = ()) -> None:
        super().__init__()
        self._batches = batches
        self._text = log.json_lines(secrets, headers=headers)

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in _OWN_CAUSE:
            return
        try:
            line = Line(self._text(record), record.created, record.levelno, tracing.traceparent())
        except Exception:  # noqa: BLE001  (as on the console: an event that cannot be rendered costs itself alone)
            self._batches.lose()
            return
        self._batches.put(line)


def _severity(level: int) -> SeverityNumber.ValueType:
    return next((number for least, number in _SEVERITIES if level >= least), SeverityNumber.SEVERITY_NUMBER_DEBUG)
