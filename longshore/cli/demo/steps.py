"""One step of the demonstration: it is announced, and when it fails, it says which one it was and why."""

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import msgspec
from mcp import MCPError

from longshore.cli.console import Console
from longshore.cli.errors import JourneyFailed


class Unexpected(Exception):
    """An answer that is not what the step needs."""


@contextmanager
def step(console: Console, text: str) -> Iterator[None]:
    """Announce `text`; what goes wrong inside becomes JourneyFailed with that name."""
    console.step(text)
    try:
        yield
    except (Unexpected, MCPError, aiohttp.ClientError, TimeoutError, OSError) as err:
        raise JourneyFailed(text, _why(err)) from err
    except ExceptionGroup as group:  # how the SDK's client reports what its transport met
        raise JourneyFailed(text, _why(_first_of(group))) from group
    except msgspec.ValidationError as err:
        raise JourneyFailed(text, f"the answer has another shape than documented: {err}") from err


def _why(err: Exception) -> str:
    return str(err) or type(err).__name__


def _first_of(err: Exception) -> Exception:
    while isinstance(err, ExceptionGroup):
        err = err.exceptions[0]
    return err


def require(condition: bool, why: str) -> None:
    """Fail the current step unless `condition` holds."""
    if not condition:
        raise Unexpected(why)
