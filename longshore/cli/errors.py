"""What stops the command line, each with a sentence that tells the reader what to do."""


class StartFailed(Exception):
    """longshore cannot start, or cannot go on; shown as it is, without a traceback."""


class WrongUsage(Exception):
    """The options do not belong together."""


class JourneyFailed(Exception):
    """A step of the demonstration did not do what it should."""

    def __init__(self, step: str, why: str) -> None:
        super().__init__(f"the demonstration failed at “{step}”: {why}")


class CheckFailed(Exception):
    """What `longshore doctor` found to be wrong, and what to do about it."""

    def __init__(self, why: str) -> None:
        super().__init__(f"wrong: {why}")
