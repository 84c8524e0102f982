"""Restarts of the child processes of `longshore up`."""

from longshore.cli.restarts import RestartPolicy


def test_delays_grow_until_it_is_given_up() -> None:
    restarts = RestartPolicy()

    pauses = [restarts.next_delay_s(1, lived_s=0.1) for _ in range(6)]

    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, None]


def test_a_child_that_ran_steadily_starts_from_the_first_delay() -> None:
    restarts = RestartPolicy()
    for _ in range(5):
        restarts.next_delay_s(1, lived_s=0.1)

    assert restarts.next_delay_s(-9, lived_s=60.0) == 0.2


def test_a_wrong_configuration_is_not_retried() -> None:
    assert RestartPolicy().next_delay_s(2, lived_s=0.1) is None
