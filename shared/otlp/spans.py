"""Spans that are recorded, and the decision which traces are: made once, at the first span, before any work.

The SDK's own spans cost several times as much, on the event loop: here a span is a few plain values until the thread
that exports it makes one of the SDK's of it.
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
_FAILED, _UNSAID = Status(StatusCode.ERROR), Status(StatusCode.UNSET)


def parent_of(traceparent: str) -> SpanContext | None:
    """The span that a `traceparent` names, None for one that is malformed (W3C Trace Context §3.2.2)."""
    found = _PARENT.fullmatch(traceparent) if len(traceparent) < 256 else None
    if found is None or (found[1] == "00" and len(traceparent) != 55):
        return None
    flags = TraceFlags(int(found[4], 16) & TraceFlags.SAMPLED)
    return SpanContext(int(found[2], 16), int(found[3], 16), is_remote=True, trace_flags=flags)


class _Attributes(dict[str, str | int]):
    """As many as the SDK's exporters look for; none is dropped after it was set."""

    dropped = 0


class RecordedSpan:
    """A `Span` on its way to the collector.

    The wall clock is read once in a process's part of a trace; all else is measured from there, so that a clock that is
    set meanwhile neither stretches a span nor turns it around.
    """

    __slots__ = ("_attributes", "_begun_ns", "_ended_ns", "_has_failed", "_kind", "_name", "_of", "_parent", "_span_id")

    def __init__(
        self, of: "_Part", name: str, kind: Kind, parent: "RecordedSpan | SpanContext | None", begun_ns: int = 0
    ) -> None:
        self._of = of
        self._name = name
        self._kind = kind
        self._span_id = random.getrandbits(64) or 1
        self._parent = parent
        self._begun_ns = begun_ns or monotonic_ns()
        self._ended_ns = 0
        self._has_failed = False
        self._attributes = _Attributes()

    @property
    def trace_id(self) -> str:
        return f"{self._of.trace_id:032x}"

    @property
    def traceparent(self) -> str:
        return f"00-{self._of.trace_id:032x}-{self._span_id:016x}-01"

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

    def move(self, traceparent: str) -> None:
        parent = parent_of(traceparent)
        if parent is not None:
            self._of.trace_id, self._parent = parent.trace_id, parent

    def discard(self) -> None:
        self._of.is_wanted = False

    @property
    def is_wanted(self) -> bool:
        """False where it was begun before its caller was known not to record it."""
        return self._of.is_wanted

    def end(self) -> None:
        if not self._ended_ns:
            self._ended_ns = monotonic_ns()
            self._of.to.put(self)

    def readable(self, resource: Resource) -> ReadableSpan:
        """What the SDK's exporters take. Its two times are on this process's clock as it was when the trace came."""
        parent = self._parent.context if isinstance(self._parent, RecordedSpan) else self._parent
        offset_ns = self._of.offset_ns
        return ReadableSpan(
            self._name, self.context, parent, resource, self._attributes, kind=_KINDS[self._kind],
            status=_FAILED if self._has_failed else _UNSAID, start_time=self._begun_ns + offset_ns,
            end_time=self._ended_ns + offset_ns, instrumentation_scope=_SCOPE,
        )

    @property
    def context(self) -> SpanContext:
        """Its ids as the SDK has them."""
        return SpanContext(self._of.trace_id, self._span_id, is_remote=False, trace_flags=_SAMPLED)


@dataclass(slots=True)
class _Part:
    """A trace, as far as it is of this process. Whose it is may be found out after it has begun."""

    to: Batches[RecordedSpan]
    trace_id: int
    offset_ns: int      # from the monotonic clock to the epoch
    is_wanted: bool = True


class RecordedTraces:
    """The `Traces` of one process: a caller's decision holds; without one, `ratio` of them are recorded."""

    def __init__(self, to: Batches[RecordedSpan], ratio: float) -> None:
        self._to = to
        self._ratio = ratio

    def decision(self, traceparent: str) -> bool | None:
        parent = parent_of(traceparent)
        return None if parent is None else bool(parent.trace_flags.sampled)

    def begin(self, name: str, kind: Kind, traceparent: str, *, begun_ns: int = 0) -> Span | None:
        parent = parent_of(traceparent) if traceparent else None
        if parent is None:
            if random.random() >= self._ratio:  # noqa: S311  (a sample, not a secret)
                return None
            trace_id = random.getrandbits(128) or 1
        elif not parent.trace_flags.sampled:
            return None
        else:
            trace_id = parent.trace_id
        return RecordedSpan(_Part(self._to, trace_id, now_ns() - monotonic_ns()), name, kind, parent, begun_ns)
