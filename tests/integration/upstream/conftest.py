"""The connections to upstreams are ours down to the bytes: these tests run on both event loops."""

import pytest

from tests.fixtures.loops import LOOPS, LoopFactory


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, LoopFactory]:
    """Both loops."""
    return LOOPS
