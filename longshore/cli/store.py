"""Connection of a command to the state: the shared Redis, or the private one of a running `longshore up`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from longshore.cli.embedded import default_socket
from longshore.cli.errors import StartFailed
from longshore.shared.config import Config
from longshore.shared.keys import Keys
from longshore.shared.redis.address import RedisAddress, UnsuitableRedis, configured_address
from longshore.shared.redis.connection import RedisLink
from longshore.shared.tasks import Tasks


@dataclass(frozen=True, slots=True)
class Store:
    """Redis connection of one command."""

    link: RedisLink
    keys: Keys
    tasks: Tasks


@asynccontextmanager
async def open_store(config: Config) -> AsyncIterator[Store]:
    """Open the Redis of `config`. Raises StartFailed if its `longshore up` does not run, and UnsuitableRedis."""
    async with open_store_at(redis_address(config), config) as store:
        yield store


@asynccontextmanager
async def open_store_at(address: RedisAddress, config: Config) -> AsyncIterator[Store]:
    """Open the Redis at `address`. Raises UnsuitableRedis."""
    tasks = Tasks()
    link = RedisLink(address, tasks)
    try:
        await link.require_suitable()
        yield Store(link, Keys(config.state_persistence.redis.key_base), tasks)
    finally:
        await link.close()
        await tasks.close()


def redis_address(config: Config) -> RedisAddress:
    """Address of the Redis of `config`. Raises StartFailed."""
    if config.shares_redis:
        return configured_address(config)
    socket = default_socket(Path(config.storage.root).absolute() / "state")
    if not socket.is_socket():
        raise StartFailed(
            f"no `longshore up` runs on {config.storage.root}; if its path is too long for a socket, set "
            "LONGSHORE_REDIS_URL to the socket of its private Redis"
        )
    return RedisAddress(unix_path=str(socket))


async def require_suitable(config: Config) -> None:
    """Raise StartFailed if longshore cannot use the shared Redis of `config`."""
    try:
        async with open_store(config):
            return
    except UnsuitableRedis as err:
        raise StartFailed(str(err)) from err
