"""Recorded spans, and the sampling decision, which is made once per trace, at its first span.

The SDK's own spans cost several times as much on the event loop. Here a span is a few plain values until the export
thread converts it to one of the SDK's.
"""

import random
import re
from dataclasses import dataclass

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from longshore.shared.clock import monotonic_ns, now_ns
from longshore.shared.otlp.batches import Batches
from longshore.shared.tracing import Kind, Span

_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.{0,200})?")
_KINDS = {
    "internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER, "consumer": SpanKind.CONSUMER,
}
_MAX_TEXT = 256     # characters of one attribute
_MAX_ATTRIBUTES = 32
_SCOPE = InstrumentationScope("longshore")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_FAILED, _UNSET = Status(StatusCode.ERROR), Status(StatusCode.UNSET)


def parent_of(traceparent: str) -> SpanContext | None:
    """Parse a `traceparent`; None when it is malformed (W3C Trace Context §3.2.2)."""
    found = _PARENT.fullmatch(traceparent) if len(traceparent) < 256 else None
    if found is None or (found[1] == "00" and len(traceparent) != 55):
        return None
    flags = TraceFlags(int(found[4], 16) & TraceFlags.SAMPLED)
    return SpanContext(int(found[2], 16), int(found[3], 16), is_remote=True, trace_flags=flags)


class _Attributes(dict[str, str | int]):
    """Attributes of a span, with the count of dropped ones that the SDK's exporters read."""

    dropped = 0


class RecordedSpan:
    """`Span` that is exported to the collector.

    The wall clock is read once per trace and process; all times are measured from there, so that setting the clock
    neither stretches a span nor makes it end before it starts.
    """

    __slots__ = (
        "_attributes", "_ended_ns", "_has_failed", "_kind", "_name", "_parent", "_span_id", "_started_ns", "_trace",
    )

    def __init__(
        self, of: "_LocalTrace", name: str, kind: Kind, parent: "RecordedSpan | SpanContext | None", started_ns: int = 0
    ) -> None:
        self._trace = of
        self._name = name
        self._kind = kind
        self._span_id = random.getrandbits(64) or 1
        self._parent = parent
        self._started_ns = started_ns or monotonic_ns()
        self._ended_ns = 0
        self._has_failed = False
        self._attributes = _Attributes()

    @property
    def trace_id(self) -> str:
        return f"{self._trace.trace_id:032x}"

    @property
    def traceparent(self) -> str:
        return f"00-{self._trace.trace_id:032x}-{self._span_id:016x}-01"

    def child(self, name: str, kind: Kind) -> Span:
        return RecordedSpan(self._trace, name, kind, self)

    def rename(self, name: str) -> None:
        self._name = name[:_MAX_TEXT]

    def set(self, name: str, value: str | int) -> None:
        if len(self._attributes) < _MAX_ATTRIBUTES:
            self._attributes[name] = value[:_MAX_TEXT] if isinstance(value, str) else value

    def fail(self, error_type: str) -> None:
        self._attributes["error.type"] = error_type[:_MAX_TEXT]
        self._has_failed = True

    def reparent(self, traceparent: str) -> None:
        parent = parent_of(traceparent)
        if parent is not None:
            self._trace.trace_id, self._parent = parent.trace_id, parent

    def discard(self) -> None:
        self._trace.is_recorded = False

    @property
    def is_recorded(self) -> bool:
        """Return False if the span started before the caller's decision not to record was known."""
        return self._trace.is_recorded

    def end(self) -> None:
        if not self._ended_ns:
            self._ended_ns = monotonic_ns()
            self._trace.to.put(self)

    def readable(self, resource: Resource) -> ReadableSpan:
        """Convert to the SDK's span. Both times are by this process's clock as it was when the trace began."""
        parent = self._parent.context if isinstance(self._parent, RecordedSpan) else self._parent
        offset_ns = self._trace.offset_ns
        return ReadableSpan(
            self._name, self.context, parent, resource, self._attributes, kind=_KINDS[self._kind],
            status=_FAILED if self._has_failed else _UNSET, start_time=self._started_ns + offset_ns,
            end_time=self._ended_ns + offset_ns, instrumentation_scope=_SCOPE,
        )

    @property
    def context(self) -> SpanContext:
        """Return the ids in the SDK's form."""
        return SpanContext(self._trace.trace_id, self._span_id, is_remote=False, trace_flags=_SAMPLED)


@dataclass(slots=True)
class _LocalTrace:
    """Part of a trace that this process records. The caller's trace id may become known after its start."""

    to: Batches[RecordedSpan]
    trace_id: int
    offset_ns: int      # from the monotonic clock to the epoch
    is_recorded: bool = True


class RecordedTraces:
    """`Traces` of one process: follows the caller's sampling decision; without one, samples the share `ratio`."""

    def __init__(self, to: Batches[RecordedSpan], ratio: float) -> None:
        self._to = to
        self._ratio = ratio

    def is_sampled(self, traceparent: str) -> bool | None:
        parent = parent_of(traceparent)
        return None if parent is None else bool(parent.trace_flags.sampled)

    def start_span(self, name: str, kind: Kind, traceparent: str, *, started_ns: int = 0) -> Span | None:
        parent = parent_of(traceparent) if traceparent else None
        if parent is None:
            if random.random() >= self._ratio:  # noqa: S311  (a sample, not a secret)
                return None
            trace_id = random.getrandbits(128) or 1
        elif not parent.trace_flags.sampled:
            return None
        else:
            trace_id = parent.trace_id
        return RecordedSpan(_LocalTrace(self._to, trace_id, now_ns() - monotonic_ns()), name, kind, parent, started_ns)
