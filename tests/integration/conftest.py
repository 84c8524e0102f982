"""Fixtures of tests of the state layer: a Redis that they share, and the state of one process in it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.fixtures.storage import RedisServer, State, opened_state, redis_server


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """One server for all tests that neither stop it nor leave anything in it."""
    with redis_server() as running:
        yield running


@pytest.fixture
def server(shared_redis: RedisServer) -> Iterator[RedisServer]:
    """A server that is empty; it is emptied after the test."""
    yield shared_redis
    shared_redis.empty()


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server of the test's own, which it may stop, kill and start again."""
    with redis_server() as running:
        yield running


@pytest.fixture
async def state(server: RedisServer) -> AsyncIterator[State]:
    """The state layer of one process."""
    async with opened_state(server.address) as opened:
        yield opened
