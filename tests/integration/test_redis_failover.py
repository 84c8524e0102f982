"""Failover by a sentinel: the master is killed, and everything continues with the next one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from longshore.shared.config import Config, Redis, Sentinel, StatePersistence
from longshore.shared.errors import StoreDown
from longshore.shared.jobs import UploadsDone
from longshore.shared.metrics import Metrics
from longshore.shared.redis.address import RedisAddress, Sentinels, UnsuitableRedis, configured_address
from longshore.shared.redis.connect import resolve_address
from longshore.shared.redis.connection import RedisLink
from longshore.shared.tasks import Tasks
from longshore.storage_worker.worker import running_worker
from tests.fixtures.processes import free_port
from tests.fixtures.redis_servers import Server, sentinel_of, server
from tests.fixtures.storage import (
    KEY_BASE,
    State,
    opened_blobs,
    opened_queue,
    opened_state,
    upload_order,
    worker_config,
)

_NAME = "longshore-state"
_PASSWORD = "pw"
_SECURED = (f"requirepass {_PASSWORD}", f"masterauth {_PASSWORD}", "repl-diskless-sync-delay 0")


@asynccontextmanager
async def watched(root: Path) -> AsyncIterator[tuple[Server, Server, Config]]:
    """A master, its replica, and a configuration that names only their sentinel and an unreachable one."""
    async with server(*_SECURED) as master, server(*_SECURED, f"replicaof 127.0.0.1 {master.port}") as replica:
        settings = (f"sentinel auth-pass {_NAME} {_PASSWORD}", "requirepass sentinel-pw")
        async with sentinel_of(master, _NAME, *settings) as port:
            hosts = (f"127.0.0.1:{free_port()}", f"127.0.0.1:{port}")
            sentinel = Sentinel(hosts=hosts, master_name=_NAME, password="sentinel-pw")
            redis = Redis(sentinel=sentinel, password=_PASSWORD, key_base=KEY_BASE, ping_seconds=1)
            config = worker_config("", root)
            state = StatePersistence(type="redis", redis=redis)
            yield master, replica, msgspec.structs.replace(config, state_persistence=state)


async def test_after_a_failover_commands_messages_and_jobs_go_to_the_new_master(tmp_path: Path) -> None:
    async with watched(tmp_path) as (master, replica, config):
        address = configured_address(config)
        assert (await resolve_address(address)).port == master.port
        async with (
            running_worker(config, Metrics().worker), opened_state(address) as state, opened_queue(state) as queue,
            opened_blobs(tmp_path) as blobs,
        ):
            before = await queue.run(await upload_order(blobs, await state.open_session(), b"one"), timeout_s=10)
            await _until_replicated(state.link)

            master.process.kill()

            await _until_master(address, replica)
            scope = await _session(state)
            after = await queue.run(await upload_order(blobs, scope, b"two"), timeout_s=15)
            assert isinstance(before, UploadsDone)
            assert isinstance(after, UploadsDone)
            kept = await state.files.get(before.records[0].scope, before.records[0].id)
            assert kept == before.records[0]


async def _until_replicated(link: RedisLink) -> None:
    async with asyncio.timeout(10):
        while b"state=online" not in await link.call("INFO", "replication"):
            await asyncio.sleep(0.05)
        while await link.call("WAIT", 1, 100) != 1:
            pass


async def _until_master(address: RedisAddress, replica: Server) -> None:
    async with asyncio.timeout(20):
        while (await resolve_address(address)).port != replica.port:
            await asyncio.sleep(0.1)


async def _session(state: State) -> str:
    async with asyncio.timeout(20):
        while True:
            try:
                return await state.open_session()
            except StoreDown:
                await asyncio.sleep(0.05)


async def test_a_demoted_master_is_replaced_by_the_new_one() -> None:
    """The server stays up but refuses writes, as after a manual failover."""
    async with server() as old, server() as new, sentinel_of(old, _NAME) as port:
        tasks = Tasks()
        link = RedisLink(RedisAddress(sentinels=Sentinels((("127.0.0.1", port),), _NAME), ping_s=1), tasks)
        assert await link.call("SET", "a", "1") == b"OK"
        async with _plain(RedisAddress(host="127.0.0.1", port=port)) as sentinel:
            with pytest.raises(UnsuitableRedis, match="sentinel"):
                await sentinel.require_suitable()
        async with _plain(RedisAddress(host="127.0.0.1", port=old.port)) as direct:
            await direct.call("REPLICAOF", "127.0.0.1", new.port)
            with pytest.raises(StoreDown):
                await link.call("SET", "a", "2")
            async with asyncio.timeout(20):
                while link.is_open:
                    await asyncio.sleep(0.01)
            await direct.call("REPLICAOF", "NO", "ONE")

        assert await _written(link)

        await link.close()
        await tasks.close()


async def _written(link: RedisLink) -> bool:
    async with asyncio.timeout(10):
        while True:
            try:
                return bool(await link.call("SET", "a", "3") == b"OK")
            except StoreDown:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def _plain(address: RedisAddress) -> AsyncIterator[RedisLink]:
    tasks = Tasks()
    link = RedisLink(address, tasks)
    try:
        yield link
    finally:
        await link.close()
        await tasks.close()


async def test_sentinels_without_the_master_name_or_with_other_credentials_are_reported() -> None:
    async with server() as master, sentinel_of(master, _NAME, "requirepass secret") as port:
        at = (("127.0.0.1", port),)

        with pytest.raises(StoreDown, match="no sentinel names"):
            await resolve_address(RedisAddress(sentinels=Sentinels(at, "other", password="secret")))
        with pytest.raises(UnsuitableRedis, match="WRONGPASS"):
            await resolve_address(RedisAddress(sentinels=Sentinels(at, _NAME, password="wrong")))
        found = await resolve_address(RedisAddress(sentinels=Sentinels(at, _NAME, password="secret"), password="kept"))

    assert (found.host, found.port, found.password, found.sentinels) == ("127.0.0.1", master.port, "kept", None)
