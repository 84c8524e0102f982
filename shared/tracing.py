"""The span under way in this task, and its children. Imports nothing of OpenTelemetry, which only recording needs.

A request that is not traced pays one look at a context variable for each span that it does not have.
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
    """One piece of work that is recorded."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits, the same in every process that the work goes through."""

    @property
    def traceparent(self) -> str:
        """What another process needs to go on with the trace (W3C Trace Context §3.2)."""

    def child(self, name: str, kind: Kind) -> "Span":
        """A piece of this work, begun now."""

    def rename(self, name: str) -> None:
        """Call it what it turned out to be."""

    def set(self, name: str, value: str | int) -> None:
        """Say something about it; long texts are cut."""

    def fail(self, error_type: str) -> None:
        """It failed, in this way of a fixed list of ways."""

    def move(self, traceparent: str) -> None:
        """It and what is below it belong to another trace than was thought."""

    def discard(self) -> None:
        """Neither it nor what is below it is recorded after all."""

    def end(self) -> None:
        """It is over, and exported some time. Never waits. Only the first time counts."""


class Traces(Protocol):
    """Begins the first span of a process in a trace."""

    def begin(self, name: str, kind: Kind, traceparent: str, *, begun_ns: int = 0) -> Span | None:
        """None where this work is not to be recorded. A `traceparent` that is none counts as absent. Where the work
        began before, `begun_ns` says so, by the monotonic clock."""

    def decision(self, traceparent: str) -> bool | None:
        """Whether the caller that names this trace records it; None where it names none."""


_current: ContextVar[Span | None] = ContextVar("span", default=None)


class Within:
    """`with` over a span, or over nothing: children belong to it; an exception that leaves it is its failure."""

    __slots__ = ("_binds", "_span", "_token")

    def __init__(self, span: Span | None, *, binds: bool = False) -> None:
        self._span = span
        self._binds = binds
        self._token: Token[Span | None] | None = None

    def __enter__(self) -> Span | None:
        if self._span is not None:
            self._token = _current.set(self._span)
            if self._binds:
                bind_contextvars(trace_id=self._span.trace_id)
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._span is None or self._token is None:
            return
        _current.reset(self._token)
        if self._binds:
            unbind_contextvars("trace_id")
        if err is not None:
            self._span.fail(_error_type(err))
        self._span.end()


class Root:
    """`with` over the first span of this process in a trace, or over nothing. It may learn late whose trace it is, and
    be told that what it stands for goes on after it."""

    __slots__ = ("_begun_ns", "_describe", "_is_placed", "_kind", "_name", "_stood_ns", "_token", "_traces", "span")

    def __init__(
        self, traces: Traces, name: str, kind: Kind, traceparent: str, describe: Callable[[Span, int], None]
    ) -> None:
        """`describe` says of a span what is known once there is an answer, whose status it is given."""
        self._traces = traces
        self._name = name
        self._kind: Kind = kind
        self._describe = describe
        self._begun_ns = monotonic_ns()
        self._stood_ns = 0
        self._is_placed = bool(traceparent) and traces.decision(traceparent) is not None
        self._token: Token[Span | None] | None = None
        self.span = traces.begin(name, kind, traceparent)

    def __enter__(self) -> "Root":
        if self.span is not None:
            self._show(self.span)
        return self

    def _show(self, span: Span) -> None:
        self.span = span
        self._token = _current.set(span)
        bind_contextvars(trace_id=span.trace_id)

    def belongs(self, traceparent: str) -> None:
        """The caller names its trace in the message: that holds where it named none outside of it."""
        sampled = None if self._is_placed else self._traces.decision(traceparent)
        if sampled is None:
            return
        self._is_placed = True
        if not sampled:
            self._hide()
        elif self.span is not None:
            self.span.move(traceparent)
            bind_contextvars(trace_id=self.span.trace_id)
        elif (span := self._traces.begin(self._name, self._kind, traceparent, begun_ns=self._begun_ns)) is not None:
            self._show(span)

    def _hide(self) -> None:
        if self.span is not None and self._token is not None:
            self.span.discard()
            unbind_contextvars("trace_id")
            _current.reset(self._token)
            self.span = self._token = None

    def stands(self, status: int) -> None:
        """What was asked for is there, and stays for as long as anybody likes: that is the end of the span."""
        if self.span is not None:
            self._describe(self.span, status)
            self.span.end()
            self._stood_ns = monotonic_ns()

    def tell(self, status: int) -> None:
        """Say what came of it; of what stood, that and when it ended."""
        if self.span is None:
            return
        if not self._stood_ns:
            self._describe(self.span, status)
            return
        ended = self.span.child("stream ended", "internal")
        self._describe(ended, status)
        ended.rename("stream ended")
        ended.set("longshore.stream.seconds", (monotonic_ns() - self._stood_ns) // 1_000_000_000)
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


NOTHING = Within(None)
"""For work that is not traced."""


def child(name: str, kind: Kind = "internal") -> Within:
    """`with` over a piece of the work under way; yields None where that is not traced."""
    parent = _current.get()
    return NOTHING if parent is None else Within(parent.child(name, kind))


def begin_child(name: str, kind: Kind) -> Span | None:
    """As `child`, for work that no block surrounds: whoever begins it ends it."""
    parent = _current.get()
    return None if parent is None else parent.child(name, kind)


def continued(traces: Traces | None, name: str, kind: Kind, traceparent: str) -> Within:
    """`with` over the first span of this process in a trace that began elsewhere. Log lines inside carry its id."""
    span = traces.begin(name, kind, traceparent) if traces is not None and traceparent else None
    return NOTHING if span is None else Within(span, binds=True)


def traceparent() -> str:
    """What lets another process go on with the work under way; "" where it is not traced."""
    span = _current.get()
    return "" if span is None else span.traceparent


def exemplar() -> dict[str, str] | None:
    """What a histogram keeps of the work under way, as one example of what it counts; None where it is not traced."""
    span = _current.get()
    return None if span is None else {"trace_id": span.trace_id}


def detached() -> Context | None:
    """A context for a task that may outlive the work under way: what it does is no part of it. None for the own one."""
    if _current.get() is None:
        return None
    context = copy_context()
    context.run(_current.set, None)
    return context
