"""Tests of the upstream client run on both event loops, since it uses transports directly."""

import pytest

from tests.fixtures.loops import LOOPS, LoopFactory


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, LoopFactory]:
    """Event loop factories: asyncio and uvloop."""
    return LOOPS
