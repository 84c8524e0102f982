"""Current trace span of the task, and its children. Does not import OpenTelemetry, which only recording needs.

A request that is not traced pays one lookup of a context variable for each span that it does not have.
"""

from collections.abc import Callable
from contextvars import Context, ContextVar, Token, copy_context
from types import TracebackType
from typing import Literal, Protocol

from structlog.contextvars import bind_contextvars, unbind_contextvars

from longshore.shared.clock import monotonic_ns
from longshore.shared.errors import LongshoreError

Kind = Literal["internal", "server", "client", "producer", "consumer"]


class Span(Protocol):
    """Recorded piece of work."""

    @property
    def trace_id(self) -> str:
        """Return 32 hexadecimal digits, the same in every process that the work goes through."""

    @property
    def traceparent(self) -> str:
        """Return the header with which another process continues the trace (W3C Trace Context §3.2)."""

    def child(self, name: str, kind: Kind) -> "Span":
        """Start a span for a part of this work."""

    def rename(self, name: str) -> None:
        """Replace the name of the span."""

    def set(self, name: str, value: str | int) -> None:
        """Set an attribute; long texts are cut."""

    def fail(self, error_type: str) -> None:
        """Mark the span as failed, with an error type from a fixed list."""

    def reparent(self, traceparent: str) -> None:
        """Move the span and its children into the trace of this caller."""

    def discard(self) -> None:
        """Drop the span and its children instead of exporting them."""

    def end(self) -> None:
        """End the span and queue it for export. Never waits. Only the first call counts."""


class Traces(Protocol):
    """Source of the first span of this process in a trace."""

    def start_span(self, name: str, kind: Kind, traceparent: str, *, started_ns: int = 0) -> Span | None:
        """Start a span; None where the trace is not sampled. A malformed `traceparent` counts as absent.

        `started_ns` is the start by the monotonic clock, if that was earlier than now.
        """

    def is_sampled(self, traceparent: str) -> bool | None:
        """Return the caller's sampling decision; None where `traceparent` names no trace."""


_current: ContextVar[Span | None] = ContextVar("span", default=None)


class SpanScope:
    """Context manager of a span, or of none: new spans become its children; an exception marks it as failed."""

    __slots__ = ("_binds_log", "_span", "_token")

    def __init__(self, span: Span | None, *, binds_log: bool = False) -> None:
        self._span = span
        self._binds_log = binds_log
        self._token: Token[Span | None] | None = None

    def __enter__(self) -> Span | None:
        if self._span is not None:
            self._token = _current.set(self._span)
            if self._binds_log:
                bind_contextvars(trace_id=self._span.trace_id)
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._span is None or self._token is None:
            return
        _current.reset(self._token)
        if self._binds_log:
            unbind_contextvars("trace_id")
        if err is not None:
            self._span.fail(_error_type(err))
        self._span.end()


class RootSpan:
    """Context manager of the first span of this process in a trace, or of none.

    The caller's trace may become known late, and the span may end before the request does: an event stream has no
    useful duration.
    """

    __slots__ = (
        "_describe", "_ended_early_ns", "_has_caller", "_kind", "_name", "_started_ns", "_token", "_traces", "span",
    )

    def __init__(
        self, traces: Traces, name: str, kind: Kind, traceparent: str, describe: Callable[[Span, int], None]
    ) -> None:
        """`describe` sets the attributes that are known once the response has a status."""
        self._traces = traces
        self._name = name
        self._kind: Kind = kind
        self._describe = describe
        self._started_ns = monotonic_ns()
        self._ended_early_ns = 0
        self._has_caller = bool(traceparent) and traces.is_sampled(traceparent) is not None
        self._token: Token[Span | None] | None = None
        self.span = traces.start_span(name, kind, traceparent)

    def __enter__(self) -> "RootSpan":
        if self.span is not None:
            self._activate(self.span)
        return self

    def _activate(self, span: Span) -> None:
        self.span = span
        self._token = _current.set(span)
        bind_contextvars(trace_id=span.trace_id)

    def adopt_trace(self, traceparent: str) -> None:
        """Continue the trace that the message body names, unless a header has named one."""
        sampled = None if self._has_caller else self._traces.is_sampled(traceparent)
        if sampled is None:
            return
        self._has_caller = True
        if not sampled:
            self._deactivate()
            return
        if self.span is not None:
            self.span.reparent(traceparent)
            bind_contextvars(trace_id=self.span.trace_id)
            return
        span = self._traces.start_span(self._name, self._kind, traceparent, started_ns=self._started_ns)
        if span is not None:
            self._activate(span)

    def _deactivate(self) -> None:
        if self.span is not None and self._token is not None:
            self.span.discard()
            unbind_contextvars("trace_id")
            _current.reset(self._token)
            self.span = self._token = None

    def end_early(self, status: int) -> None:
        """End the span when a stream has been opened, which may stay open for any time."""
        if self.span is not None:
            self._describe(self.span, status)
            self.span.end()
            self._ended_early_ns = monotonic_ns()

    def describe_end(self, status: int) -> None:
        """Describe the end of the request; for a span that has ended early, in a child span of the stream's end."""
        if self.span is None:
            return
        if not self._ended_early_ns:
            self._describe(self.span, status)
            return
        ended = self.span.child("stream ended", "internal")
        self._describe(ended, status)
        ended.rename("stream ended")
        ended.set("longshore.stream.seconds", (monotonic_ns() - self._ended_early_ns) // 1_000_000_000)
        ended.end()

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.span is None or self._token is None:
            return
        _current.reset(self._token)
        unbind_contextvars("trace_id")
        if err is not None:
            self.span.fail(_error_type(err))
        self.span.end()


def _error_type(err: BaseException) -> str:
    return err.reason if isinstance(err, LongshoreError) else type(err).__name__


NO_SPAN = SpanScope(None)
"""Context manager for work that is not traced."""


def child(name: str, kind: Kind = "internal") -> SpanScope:
    """Return the context manager of a new child of the current span; it yields None where nothing is traced."""
    parent = _current.get()
    return NO_SPAN if parent is None else SpanScope(parent.child(name, kind))


def start_child(name: str, kind: Kind) -> Span | None:
    """Start a child of the current span that the caller ends. None where nothing is traced."""
    parent = _current.get()
    return None if parent is None else parent.child(name, kind)


def continue_trace(traces: Traces | None, name: str, kind: Kind, traceparent: str) -> SpanScope:
    """Return the context manager of a span that continues another process's trace. Log lines inside carry its id."""
    span = traces.start_span(name, kind, traceparent) if traces is not None and traceparent else None
    return NO_SPAN if span is None else SpanScope(span, binds_log=True)


def traceparent() -> str:
    """Return the `traceparent` header of the current span; "" where nothing is traced."""
    span = _current.get()
    return "" if span is None else span.traceparent


def exemplar() -> dict[str, str] | None:
    """Return the Prometheus exemplar of the current span; None where nothing is traced."""
    span = _current.get()
    return None if span is None else {"trace_id": span.trace_id}


def detached_context() -> Context | None:
    """Return a context without the current span, for a task that may outlive it; None if there is no span."""
    if _current.get() is None:
        return None
    context = copy_context()
    context.run(_current.set, None)
    return context
