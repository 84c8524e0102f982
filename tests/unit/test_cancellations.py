"""Calls that their clients cancel, whatever they are at."""

import pytest

from gateway.cancellations import Cancellations
from shared.errors import Cancelled, LongshoreError


class _Part:
    def __init__(self) -> None:
        self.failures: list[LongshoreError] = []

    def fail(self, err: LongshoreError) -> None:
        self.failures.append(err)


def test_a_cancelled_call_ends_with_all_its_parts_and_begins_no_other() -> None:
    calls, whole, part = Cancellations(), _Part(), _Part()
    calls.begin("s", 1, whole)
    calls.begin("s", 1, part)

    calls.cancel("s", 1)
    calls.end("s", 1, part)

    assert [type(err) for err in (*whole.failures, *part.failures)] == [Cancelled] * 2
    with pytest.raises(Cancelled):
        calls.begin("s", 1, _Part())


def test_an_id_is_free_again_once_its_call_is_over() -> None:
    calls, whole, later = Cancellations(), _Part(), _Part()
    calls.begin("s", 1, whole)
    calls.cancel("s", 1)

    calls.end("s", 1, whole)
    calls.end("s", 1, whole)
    calls.begin("s", 1, later)

    assert later.failures == []


@pytest.mark.parametrize(("session_id", "message_id"), [("s", "1"), ("t", 1), ("s", 2)])
def test_another_call_is_not_meant(session_id: str, message_id: int | str) -> None:
    calls, call = Cancellations(), _Part()
    calls.begin("s", 1, call)

    calls.cancel(session_id, message_id)

    assert call.failures == []
