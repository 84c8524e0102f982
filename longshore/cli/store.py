"""How a command reaches the state: the shared Redis, or the private one of a `longshore up` that runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from longshore.cli.embedded import socket_of
from longshore.cli.errors import StartFailed
from longshore.shared.config import Config
from longshore.shared.keys import Keys
from longshore.shared.redis.address import RedisAddress, UnsuitableRedis, configured_address
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Scripts
from longshore.shared.tasks import Tasks


@dataclass(frozen=True, slots=True)
class Store:
    """One command's way to the state."""

    link: RedisLink
    scripts: Scripts
    keys: Keys
    tasks: Tasks


@asynccontextmanager
async def opened_store(config: Config) -> AsyncIterator[Store]:
    """The state of `config`. Raises StartFailed when nothing that it names runs, UnsuitableRedis."""
    async with opened_at(address_of(config), config) as store:
        yield store


@asynccontextmanager
async def opened_at(address: RedisAddress, config: Config) -> AsyncIterator[Store]:
    """The state in the Redis at `address`. Raises UnsuitableRedis."""
    tasks = Tasks()
    link = RedisLink(address, tasks)
    try:
        await link.require_suitable()
        yield Store(link, Scripts(link), Keys(config.state_persistence.redis.key_base), tasks)
    finally:
        await link.close()
        await tasks.close()


def address_of(config: Config) -> RedisAddress:
    """Where the state is. Raises StartFailed."""
    if config.shares_redis:
        return configured_address(config)
    socket = socket_of(Path(config.storage.root).absolute() / "state")
    if not socket.is_socket():
        raise StartFailed(
            f"no `longshore up` runs on {config.storage.root}; if its folder's path is too long for a socket, set "
            "LONGSHORE_REDIS_URL to where its private Redis listens"
        )
    return RedisAddress(unix_path=str(socket))


async def require_suitable(config: Config) -> None:
    """Raises StartFailed when the shared Redis of `config` is none that longshore can use."""
    try:
        async with opened_store(config):
            return
    except UnsuitableRedis as err:
        raise StartFailed(str(err)) from err
