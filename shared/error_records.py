"""Errors of the family on their way from a worker to a gateway, and back into exceptions. Pure."""

from longshore.shared.errors import LongshoreError
from longshore.shared.jobs import JobRefused


def refusal_of(err: LongshoreError) -> JobRefused:
    """What travels in place of `err`."""
    return JobRefused(status=err.status, code=err.code, reason=err.reason, message=str(err))


def error_of(refused: JobRefused) -> LongshoreError:
    """The exception that `refused` stands for: of the class that has its reason, else the base of the family.

    Status, code and sentence are the refusal's own, whatever the class says.
    """
    kind = _by_reason(LongshoreError).get(refused.reason, LongshoreError)
    err = kind.__new__(kind, refused.message)  # sets the sentence; some classes compose theirs in __init__
    err.status, err.code, err.reason = refused.status, refused.code, refused.reason
    return err


def _by_reason(base: type[LongshoreError]) -> dict[str, type[LongshoreError]]:
    found = {base.reason: base}
    for kind in base.__subclasses__():
        found = {**_by_reason(kind), **found}
    return found
