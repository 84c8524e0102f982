"""Conversion between errors and their records, in which a worker's error reaches a gateway. Pure."""

from longshore.shared.errors import LongshoreError
from longshore.shared.jobs import JobRefused


def refusal_of(err: LongshoreError) -> JobRefused:
    """Return the record of an error."""
    return JobRefused(status=err.status, code=err.code, reason=err.reason, message=str(err))


def error_of(refused: JobRefused) -> LongshoreError:
    """Return the exception of a record: of the class with the same reason, else of the base class.

    Status, code and message are those of the record.
    """
    kind = _by_reason(LongshoreError).get(refused.reason, LongshoreError)
    err = kind.__new__(kind, refused.message)  # sets the message; some classes compose theirs in __init__
    err.status, err.code, err.reason = refused.status, refused.code, refused.reason
    return err


def _by_reason(base: type[LongshoreError]) -> dict[str, type[LongshoreError]]:
    found = {base.reason: base}
    for kind in base.__subclasses__():
        found = {**_by_reason(kind), **found}
    return found
