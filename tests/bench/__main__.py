"""`python -m tests.bench [NAME …] [--rounds N] [--seconds S] [--json]`: run benches and show what they found.

A bench is a module beside this one with `async def measure(*, rounds, seconds) -> Report`.
"""

import argparse
import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol, cast

import msgspec

from longshore.cli.console import print_result
from tests.bench.report import Report

_ALL = (
    "passthrough", "large", "handshake", "modern", "telemetry", "streams", "jobs", "sessions", "auth", "uploads",
    "downloads", "producing",
)
_RARE = ("huge",)            # only when asked for
_NAMES = tuple(name for name in (*_ALL, *_RARE) if find_spec(f"tests.bench.{name}"))
_HELP = f"some of {', '.join(_NAMES)}; without any, all but {', '.join(_RARE)}"


class Bench(Protocol):
    """Interface of a bench module."""

    async def measure(self, *, rounds: int, seconds: float) -> Report:
        """Run it: `rounds` repetitions, each of `seconds`."""
        ...


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=_HELP)
    parser.add_argument("--rounds", type=int, default=3, help="repetitions, of which the median counts")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each measurement takes")
    parser.add_argument("--json", action="store_true", help="numbers for a program")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(_NAMES):
        parser.error(f"no bench is called {', '.join(sorted(unknown))}; there are {', '.join(_NAMES)}")
    return arguments


async def _run(arguments: argparse.Namespace) -> None:
    for name in arguments.names or [name for name in _NAMES if name not in _RARE]:
        bench = cast(Bench, import_module(f"tests.bench.{name}"))
        report = await bench.measure(rounds=arguments.rounds, seconds=arguments.seconds)
        print_result(msgspec.json.encode(report.numbers()).decode() if arguments.json else report.table() + "\n")


if __name__ == "__main__":
    asyncio.run(_run(_arguments()))
