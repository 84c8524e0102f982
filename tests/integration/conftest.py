"""Fixtures of tests of the state layer: a Redis that they share, and the state of one process in it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.fixtures.storage import RedisServer, State, opened_state, redis_binaries, redis_server

_BINARIES = redis_binaries()


@pytest.fixture(scope="session", params=_BINARIES if len(_BINARIES) > 1 else None, ids=lambda binary: binary.name)
def shared_redis(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """One server for all tests that neither stop it nor leave anything in it; with one on PATH, each of the two."""
    with redis_server(getattr(request, "param", _BINARIES[0])) as running:
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
