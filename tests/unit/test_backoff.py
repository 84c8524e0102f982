"""Delays between attempts that fail in a row."""

from longshore.shared.backoff import Backoff


def test_delays_grow_and_the_last_one_repeats() -> None:
    backoff = Backoff(0.1, 0.5, 2.0)

    assert [backoff.delay_s(failures) for failures in (1, 2, 3, 4, 100)] == [0.1, 0.5, 2.0, 2.0, 2.0]


def test_after_a_success_the_first_delay_is_used() -> None:
    """Not the last one, which an index of -1 would be."""
    assert Backoff(0.1, 30.0).delay_s(0) == 0.1
