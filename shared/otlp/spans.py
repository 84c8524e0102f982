"""Spans that are recorded, and the decision which traces are: made once, at the first span, before any work."""

import random
import re

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from shared.otlp.batches import Batches
from shared.tracing import Kind, Span

_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.{0,200})?")
_KINDS = {
    "internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER, "consumer": SpanKind.CONSUMER,
}
_MAX_TEXT = 256     # characters of one attribute
_LIMITS = SpanLimits(
    max_span_attributes=32, max_span_attribute_length=_MAX_TEXT, max_events=0, max_links=1,
)


def parent_of(traceparent: str) -> SpanContext | None:
    """The span that a `traceparent` names, None for one that is malformed (W3C Trace Context §3.2.2)."""
    found = _PARENT.fullmatch(traceparent) if len(traceparent) < 256 else None
    if found is None or (found[1] == "00" and len(traceparent) != 55):
        return None
    flags = TraceFlags(int(found[4], 16) & TraceFlags.SAMPLED)
    return SpanContext(int(found[2], 16), int(found[3], 16), is_remote=True, trace_flags=flags)


class RecordedSpan:
    """A `Span` of the SDK."""

    __slots__ = ("_span", "_tracer")

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer = tracer
        self._span = span

    @property
    def trace_id(self) -> str:
        return f"{self._span.get_span_context().trace_id:032x}"

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self._span.get_span_context().span_id:016x}-01"

    def child(self, name: str, kind: Kind) -> Span:
        context = trace.set_span_in_context(self._span, Context())
        return RecordedSpan(self._tracer, self._tracer.start_span(name, context, _KINDS[kind]))

    def rename(self, name: str) -> None:
        self._span.update_name(name[:_MAX_TEXT])

    def set(self, name: str, value: str | int) -> None:
        self._span.set_attribute(name, value)

    def fail(self, error_type: str) -> None:
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        self._span.end()


class RecordedTraces:
    """The `Traces` of one process: a caller's decision holds; without one, `ratio` of them are recorded."""

    def __init__(self, batches: Batches[ReadableSpan], resource: Resource, ratio: float) -> None:
        provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, span_limits=_LIMITS, shutdown_on_exit=False
        )
        provider.add_span_processor(_Ended(batches))
        self._tracer = provider.get_tracer("longshore")
        self._ratio = ratio

    def begin(self, name: str, kind: Kind, traceparent: str) -> Span | None:
        parent = parent_of(traceparent) if traceparent else None
        if parent is None:
            if random.random() >= self._ratio:  # noqa: S311  (a sample, not a secret)
                return None
            return RecordedSpan(self._tracer, self._tracer.start_span(name, Context(), _KINDS[kind]))
        if not parent.trace_flags.sampled:
            return None
        context = trace.set_span_in_context(NonRecordingSpan(parent), Context())
        return RecordedSpan(self._tracer, self._tracer.start_span(name, context, _KINDS[kind]))


class _Ended(SpanProcessor):
    """Hands over what has ended."""

    def __init__(self, batches: Batches[ReadableSpan]) -> None:
        self._batches = batches

    def on_end(self, span: ReadableSpan) -> None:
        self._batches.put(span)
