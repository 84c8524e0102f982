"""The span under way in this task, and its children. Imports nothing of OpenTelemetry, which only recording needs.

A request that is not traced pays one look at a context variable for each span that it does not have.
"""

from contextvars import Context, ContextVar, Token, copy_context
from types import TracebackType
from typing import Literal, Protocol

from structlog.contextvars import bind_contextvars, unbind_contextvars

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

    def end(self) -> None:
        """It is over, and exported some time. Never waits."""


class Traces(Protocol):
    """Begins the first span of a process in a trace."""

    def begin(self, name: str, kind: Kind, traceparent: str) -> Span | None:
        """None where this work is not to be recorded. A `traceparent` that is none counts as absent."""


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
        if kind is not None:
            self._span.fail(kind.__name__)
        self._span.end()


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


def first(traces: Traces | None, name: str, kind: Kind, traceparent: str) -> Within:
    """`with` over the first span of this process in a trace. Log lines inside carry the trace's id."""
    span = None if traces is None else traces.begin(name, kind, traceparent)
    return NOTHING if span is None else Within(span, binds=True)


def continued(traces: Traces | None, name: str, kind: Kind, traceparent: str) -> Within:
    """As `first`, where only a trace that began elsewhere is gone on with."""
    return first(traces, name, kind, traceparent) if traceparent else NOTHING


def traceparent() -> str:
    """What lets another process go on with the work under way; "" where it is not traced."""
    span = _current.get()
    return "" if span is None else span.traceparent


def detached() -> Context | None:
    """A context for a task that may outlive the work under way: what it does is no part of it. None for the own one."""
    if _current.get() is None:
        return None
    context = copy_context()
    context.run(_current.set, None)
    return context
