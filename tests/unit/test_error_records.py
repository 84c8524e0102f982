"""Errors sent from a worker to a gateway as records."""

import pytest

from longshore.shared.error_records import error_of, refusal_of
from longshore.shared.errors import DiskFull, LongshoreError, NotFound, OverQuota, SessionGone, StoreDown, WorkerDown
from longshore.shared.jobs import JobRefused
from longshore.shared.state.files import FileGone


@pytest.mark.parametrize(
    "err",
    [
        NotFound("gone"), SessionGone("ended"), DiskFull("full"), StoreDown("down"), WorkerDown("late"),
        OverQuota(size_bytes=3, used_bytes=2, budget_bytes=4),
    ],
)
def test_an_error_keeps_its_class(err: LongshoreError) -> None:
    arrived = error_of(refusal_of(err))

    assert type(arrived) is type(err)
    assert (str(arrived), arrived.status, arrived.code, arrived.reason) == (
        str(err), err.status, err.code, err.reason
    )


def test_classes_that_share_a_reason_become_the_general_one() -> None:
    assert type(error_of(refusal_of(FileGone("x")))) is NotFound


def test_an_unknown_reason_keeps_its_status_and_sentence() -> None:
    arrived = error_of(JobRefused(status=418, code=-32099, reason="from_a_newer_worker", message="tea"))

    assert type(arrived) is LongshoreError
    assert (str(arrived), arrived.status, arrived.code, arrived.reason) == ("tea", 418, -32099, "from_a_newer_worker")
    assert LongshoreError.status == 500
