"""Which event loops tests run on: the upstream connections, which are ours down to the bytes, on both."""

import pytest

from tests.fixtures.loops import LOOPS, LoopFactory


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, LoopFactory] | None:
    """Both loops for the tests of upstream connections, the default one for all others."""
    return LOOPS if item.path.name.startswith("test_upstream_client") else None
