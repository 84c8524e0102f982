"""Spans that are recorded, and the decision which traces are: made once, at the first span, before any work.

The SDK's own spans cost several times as much, on the event loop: here a span is a few plain values until the thread
that exports it makes a message of it.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, SpanFlags, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message

from shared.clock import monotonic_ns, now_ns
from shared.otlp.batches import Batches
from shared.otlp.messages import SCOPE, pairs
from shared.otlp.parent import Parent, parent_of
from shared.tracing import Kind, Span

_KINDS = {
    "internal": Message.SPAN_KIND_INTERNAL, "server": Message.SPAN_KIND_SERVER, "client": Message.SPAN_KIND_CLIENT,
    "producer": Message.SPAN_KIND_PRODUCER, "consumer": Message.SPAN_KIND_CONSUMER,
}
_MAX_TEXT = 256     # characters of one attribute
_MAX_ATTRIBUTES = 32
_FAILED = Status(code=Status.STATUS_CODE_ERROR)
_HERE = 1 | SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK     # sampled, and its parent is of this process
_ELSEWHERE = _HERE | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK


class RecordedSpan:
    """A `Span` on its way to the collector.

    The wall clock is read once in a process's part of a trace; all else is measured from there, so that a clock that is
    set meanwhile neither stretches a span nor turns it around.
    """

    __slots__ = ("_attributes", "_begun_ns", "_ended_ns", "_has_failed", "_kind", "_name", "_of", "_parent", "span_id")

    def __init__(self, of: "_Part", name: str, kind: Kind, parent: "RecordedSpan | Parent | None") -> None:
        self._of = of
        self._name = name
        self._kind = kind
        self.span_id = random.randbytes(8)      # noqa: S311  (an identifier, not a secret)
        self._parent = parent
        self._begun_ns = monotonic_ns()
        self._ended_ns = 0
        self._has_failed = False
        self._attributes: dict[str, str | int] = {}

    @property
    def trace_id(self) -> str:
        return self._of.trace_id.hex()

    @property
    def traceparent(self) -> str:
        return f"00-{self._of.trace_id.hex()}-{self.span_id.hex()}-01"

    def child(self, name: str, kind: Kind) -> Span:
        return RecordedSpan(self._of, name, kind, self)

    def rename(self, name: str) -> None:
        self._name = name[:_MAX_TEXT]

    def set(self, name: str, value: str | int) -> None:
        if len(self._attributes) < _MAX_ATTRIBUTES:
            self._attributes[name] = value[:_MAX_TEXT] if isinstance(value, str) else value

    def fail(self, error_type: str) -> None:
        self._attributes["error.type"] = error_type[:_MAX_TEXT]
        self._has_failed = True

    def end(self) -> None:
        if not self._ended_ns:
            self._ended_ns = monotonic_ns()
            self._of.to.put(self)

    def message(self) -> Message:
        """What a collector takes. Its two times are on this process's clock as it was when the trace came."""
        offset_ns = self._of.offset_ns
        parent_span_id = b"" if self._parent is None else self._parent.span_id
        return Message(
            trace_id=self._of.trace_id, span_id=self.span_id, parent_span_id=parent_span_id,
            flags=_ELSEWHERE if isinstance(self._parent, Parent) else _HERE, name=self._name, kind=_KINDS[self._kind],
            start_time_unix_nano=self._begun_ns + offset_ns, end_time_unix_nano=self._ended_ns + offset_ns,
            attributes=pairs(self._attributes.items()), status=_FAILED if self._has_failed else None,
        )


class _Part(NamedTuple):
    """A trace, as far as it is of this process."""

    to: Batches[RecordedSpan]
    trace_id: bytes
    offset_ns: int      # from the monotonic clock to the epoch


class RecordedTraces:
    """The `Traces` of one process: a caller's decision holds; without one, `ratio` of them are recorded."""

    def __init__(self, to: Batches[RecordedSpan], ratio: float) -> None:
        self._to = to
        self._ratio = ratio

    def begin(self, name: str, kind: Kind, traceparent: str) -> Span | None:
        parent = parent_of(traceparent) if traceparent else None
        if parent is None:
            if random.random() >= self._ratio:  # noqa: S311  (a sample, not a secret)
                return None
            trace_id = random.randbytes(16)     # noqa: S311  (as in a span)
        elif not parent.is_sampled:
            return None
        else:
            trace_id = parent.trace_id
        return RecordedSpan(_Part(self._to, trace_id, now_ns() - monotonic_ns()), name, kind, parent)


def encoded(spans: Sequence[RecordedSpan], resource: Resource) -> bytes:
    """One export."""
    scope = ScopeSpans(scope=SCOPE, spans=[span.message() for span in spans])
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope])])
    body: bytes = request.SerializeToString()
    return body
