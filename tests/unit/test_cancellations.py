"""Cancellations find the calls that run, wait for those that are still to come, and remember no more than a few."""

import pytest

from longshore.gateway.mcp.forwarding.cancellations import Cancellations, word_of
from longshore.shared.errors import Cancelled, LongshoreError
from longshore.shared.messaging.pubsub import CANCELLED, Event


class _Call:
    """A call that knows how it ended."""

    def __init__(self) -> None:
        self.failure: LongshoreError | None = None

    def fail(self, err: LongshoreError) -> None:
        self.failure = err


def test_a_call_that_runs_is_ended_whatever_gateway_was_told() -> None:
    """1 and "1" are two calls, and so are those of two sessions."""
    cancellations, calls = Cancellations(), {key: _Call() for key in (("a", 1), ("a", "1"), ("b", 1))}
    for (session, number), call in calls.items():
        cancellations.register(session, number, call)

    cancellations.on_event(word_of("a", 1))

    assert [key for key, call in calls.items() if call.failure is not None] == [("a", 1)]
    assert isinstance(calls["a", 1].failure, Cancelled)


def test_a_call_that_comes_after_its_cancellation_does_not_begin() -> None:
    cancellations = Cancellations()

    cancellations.on_event(word_of("a", "x"))

    with pytest.raises(Cancelled):
        cancellations.register("a", "x", _Call())
    cancellations.register("a", "x", _Call())       # only once
    cancellations.register("b", "x", _Call())


def test_no_session_has_many_remembered() -> None:
    """And what nobody understands is for nobody."""
    cancellations = Cancellations()
    cancellations.on_event(Event(CANCELLED, "", b"?"))
    for number in range(100):
        cancellations.on_event(word_of("a", number))
    cancellations.on_event(word_of("b", 1))

    begun = 0
    for number in range(100):
        try:
            cancellations.register("a", number, _Call())
            begun += 1
        except Cancelled:
            pass

    assert begun == 100 - 32
    with pytest.raises(Cancelled):
        cancellations.register("b", 1, _Call())
