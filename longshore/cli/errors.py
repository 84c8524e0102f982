"""Errors that end the command line, each with a sentence that says what to do."""


class StartFailed(Exception):
    """longshore cannot start or continue; printed without a traceback."""


class WrongUsage(Exception):
    """The options contradict each other."""


class JourneyFailed(Exception):
    """A step of the demonstration failed."""

    def __init__(self, step: str, why: str) -> None:
        super().__init__(f"the demonstration failed at “{step}”: {why}")


class CheckFailed(Exception):
    """Fault found by `longshore doctor`, with its correction."""

    def __init__(self, why: str) -> None:
        super().__init__(f"fault: {why}")
