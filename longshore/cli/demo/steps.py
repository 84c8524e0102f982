"""Steps of the demonstration: announced before they run, and named with the reason if they fail."""

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import msgspec
from mcp import MCPError

from longshore.cli.console import Console
from longshore.cli.errors import JourneyFailed


class UnexpectedAnswer(Exception):
    """Error for an answer that the step cannot use."""


@contextmanager
def step(console: Console, text: str) -> Iterator[None]:
    """Announce `text`; an expected error inside the block becomes JourneyFailed with that name."""
    console.step(text)
    try:
        yield
    except (UnexpectedAnswer, MCPError, aiohttp.ClientError, TimeoutError, OSError) as err:
        raise JourneyFailed(text, _why(err)) from err
    except ExceptionGroup as group:  # raised by the transport of the SDK's client
        raise JourneyFailed(text, _why(_first_of(group))) from group
    except msgspec.ValidationError as err:
        raise JourneyFailed(text, f"the answer does not have the documented structure: {err}") from err


def _why(err: Exception) -> str:
    return str(err) or type(err).__name__


def _first_of(err: Exception) -> Exception:
    while isinstance(err, ExceptionGroup):
        err = err.exceptions[0]
    return err


def require(condition: bool, why: str) -> None:
    """Fail the current step unless `condition` holds."""
    if not condition:
        raise UnexpectedAnswer(why)
